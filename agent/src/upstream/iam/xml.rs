//! XML of the query protocol, as a small tree: no namespaces, no attributes, no entities but those that every XML has.

use xmlparser::{ElementEnd, Token, Tokenizer};

/// Deepest nesting that is read.
const DEPTH: usize = 24;
/// Most elements that are read.
const ELEMENTS: usize = 20_000;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// The text in it, without space around.
    pub text: String,
    /// What is in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The first element of that name, at any depth.
    pub fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The first one of that name right in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a document; `None` for what is none, or is too deep or too large.
pub(super) fn read(bytes: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (mut open, mut count): (Vec<Element>, usize) = (Vec::new(), 0);
    for token in Tokenizer::from(text) {
        match token.ok()? {
            Token::ElementStart { local, .. } => {
                count += 1;
                if open.len() >= DEPTH || count > ELEMENTS {
                    return None;
                }
                open.push(Element { name: local.as_str().to_owned(), ..Element::default() });
            }
            Token::Text { text } => {
                let plain = plain(text.as_str())?;
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&plain);
                }
            }
            Token::Cdata { text, .. } => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(text.as_str());
                }
            }
            Token::ElementEnd { end: ElementEnd::Open, .. } => {}
            Token::ElementEnd { end, .. } => {
                let mut element = open.pop()?;
                if let ElementEnd::Close(_, name) = end
                    && name.as_str() != element.name
                {
                    return None;
                }
                element.text = element.text.trim().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Some(element),
                }
            }
            // A document that declares things of its own is none of this protocol.
            Token::DtdStart { .. } | Token::EmptyDtd { .. } | Token::EntityDeclaration { .. } => return None,
            Token::DtdEnd { .. }
            | Token::Attribute { .. }
            | Token::Comment { .. }
            | Token::Declaration { .. }
            | Token::ProcessingInstruction { .. } => {}
        }
    }
    None
}

/// Text with its entities resolved.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let number = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(number)?
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_becomes_a_tree() {
        let text = br#"<?xml version="1.0"?><a:R xmlns="urn:x"><L><member><N>one &amp; &#x74;wo</N></member><member/></L></a:R>"#;
        let read = read(text).unwrap();
        assert_eq!(read.name, "R");
        let members = &read.find("L").unwrap().children;
        assert_eq!((members.len(), members[0].child("N").unwrap().text.as_str()), (2, "one & two"));
    }

    #[test]
    fn what_is_too_much_or_declares_things_is_no_answer() {
        let deep = "<a>".repeat(1000) + &"</a>".repeat(1000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(30_000));
        let laughs = r#"<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>"#;
        for text in [deep.as_str(), wide.as_str(), laughs, "<a>", "<a></b>", "", "<a>&nbsp;</a>", "{}"] {
            assert_eq!(read(text.as_bytes()), None, "{}", &text[..text.len().min(60)]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_anything(bytes in any::<Vec<u8>>(), text in "[<>/a&;#x1\"= !\\[\\]-]{0,60}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }

        #[test]
        fn text_survives(text in "[ -~]{0,40}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let read = read(format!("<a>{escaped}</a>").as_bytes()).unwrap();
            prop_assert_eq!(read.text, text.trim());
        }
    }
}
