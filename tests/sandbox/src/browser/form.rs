//! The one form of a page, if it is of a kind that the script knows how to fill in.

use url::form_urlencoded::Serializer;

/// A form and its input fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it goes, relative to its page.
    pub(super) action: String,
    /// Names and values, in order.
    fields: Vec<(String, String)>,
}

impl Form {
    /// The first form that posts and asks for something that the script knows.
    pub(super) fn known(html: &str) -> Option<Self> {
        let mut rest = html;
        while let Some(at) = find(rest, "<form") {
            let inside = &rest[at..];
            let end = find(inside, "</form").unwrap_or(inside.len());
            let form = Self::parse(&inside[..end]);
            if let Some(form) = form.filter(|form| form.has("prompt") || form.has("user_code")) {
                return Some(form);
            }
            rest = &inside[end..];
        }
        None
    }

    /// The form as it is posted; nothing if a code is wanted that nobody gave.
    pub(super) fn filled(&self, login: &str, user_code: Option<&str>) -> Option<String> {
        let mut out = Serializer::new(String::new());
        for (name, value) in &self.fields {
            let value = match name.as_str() {
                "login" => login,
                "password" => "sandbox",
                "user_code" if value.is_empty() => user_code?,
                _ => value,
            };
            out.append_pair(name, value);
        }
        Some(out.finish())
    }

    fn parse(html: &str) -> Option<Self> {
        let attributes = attributes(html);
        let is_post =
            attributes.iter().any(|(name, value)| name == "method" && value.eq_ignore_ascii_case("post"));
        let action = attributes.into_iter().find(|(name, _)| name == "action").map(|(_, value)| value)?;
        let mut fields = Vec::new();
        let mut rest = html;
        while let Some(at) = find(rest, "<input") {
            rest = &rest[at + 1..];
            let attributes = self::attributes(rest);
            let get =
                |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, it)| it.clone());
            if let Some(name) = get("name") {
                fields.push((name, get("value").unwrap_or_default()));
            }
        }
        is_post.then_some(Self { action, fields })
    }

    fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }
}

/// ASCII case aside, as HTML is.
fn find(html: &str, what: &str) -> Option<usize> {
    html.as_bytes().windows(what.len()).position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

/// The attributes of the tag that `html` begins with.
fn attributes(html: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = html.trim_start_matches(|letter: char| !letter.is_ascii_whitespace());
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return found;
        }
        let end = rest.find(|letter: char| letter.is_ascii_whitespace() || "=>/".contains(letter));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let Some(after) = after.trim_start().strip_prefix('=') else {
            rest = if name.is_empty() { &rest[1..] } else { after };
            found.push((name.to_ascii_lowercase(), String::new()));
            continue;
        };
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| "\"'".contains(*quote));
        let (value, after) = match quote {
            Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            None => {
                let end = after.find(|letter: char| letter.is_ascii_whitespace() || letter == '>');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        found.push((name.to_ascii_lowercase(), unescaped(value)));
        rest = after;
    }
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_form_is_filled_in() {
        let html = r#"<body><form autocomplete="off" action="/interaction/x?a=1&amp;b=2" method="post">
            <input type="hidden" name="prompt" value="login"/>
            <input required type="text" name="login" placeholder="Enter any login" >
            <input required type=password name='password'></form></body>"#;
        let form = Form::known(html).unwrap();
        assert_eq!(form.action, "/interaction/x?a=1&b=2");
        assert_eq!(form.filled("ada", None).unwrap(), "prompt=login&login=ada&password=sandbox");
    }

    #[test]
    fn a_device_form_waits_for_its_code() {
        let html = r#"<form id="op.deviceInputForm" novalidate method="post" action="http://127.0.0.1:1/device">
            <input type="hidden" name="xsrf" value="abc"/>
            <input type="text" name="user_code" onfocus="this.select(); this.onfocus = undefined;" autofocus></input>
            </form>"#;
        let form = Form::known(html).unwrap();
        assert_eq!(form.filled("ada", None), None);
        assert_eq!(form.filled("ada", Some("AB-CD")).unwrap(), "xsrf=abc&user_code=AB-CD");
    }

    #[test]
    fn other_pages_are_left_alone() {
        assert_eq!(Form::known("<form method=post action=/pay><input name=amount></form>"), None);
        assert_eq!(Form::known("<form"), None);
        assert_eq!(Form::known("<p>Done</p>"), None);
    }
}
