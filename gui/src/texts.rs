//! Words of our own, from one file that can be translated: `gui/texts/en.json`. The web part reads the same file.

use std::collections::BTreeMap;

/// One language.
#[derive(Debug, Clone)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// English, which every build carries.
    ///
    /// # Panics
    /// Never: a test reads the file.
    pub fn english() -> Self {
        Self(serde_json::from_str(include_str!("../texts/en.json")).unwrap_or_default())
    }

    /// The text of a key, with `{name}` replaced by values. A key that is not there is shown itself, so that it is found.
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.0.get(key).map_or(key, String::as_str);
        let mut said = String::with_capacity(rest.len());
        while let Some((before, behind)) = rest.split_once('{') {
            said.push_str(before);
            let known = behind.split_once('}').and_then(|(name, after)| {
                values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, after))
            });
            match known {
                Some((value, after)) => {
                    said.push_str(value);
                    rest = after;
                }
                None => {
                    said.push('{');
                    rest = behind;
                }
            }
        }
        said + rest
    }

    /// `one` or `other` behind the key, by the number, which is `{count}`.
    pub fn count(&self, key: &str, count: u64, values: &[(&str, &str)]) -> String {
        let form = if count == 1 { "one" } else { "other" };
        let number = count.to_string();
        let values: Vec<(&str, &str)> =
            [("count", number.as_str())].into_iter().chain(values.iter().copied()).collect();
        self.say(&format!("{key}.{form}"), &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once_and_never_read_again() {
        let texts = Texts(BTreeMap::from([("a".to_owned(), "{x} and {y}, {z}".to_owned())]));
        assert_eq!(texts.say("a", &[("x", "{y}"), ("y", "2")]), "{y} and 2, {z}");
        assert_eq!(texts.say("b", &[]), "b");
    }

    #[test]
    fn the_english_file_reads() {
        assert!(!Texts::english().0.is_empty());
    }

    /// Every source file of this crate but this one, whose tests name keys that are none.
    fn sources() -> Vec<String> {
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut sources = Vec::new();
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("texts.rs") {
                    sources.push(std::fs::read_to_string(path).unwrap());
                }
            }
        }
        sources
    }

    /// Every literal that begins so and looks like a key.
    fn literals(sources: &str, area: &str) -> Vec<String> {
        let begin = format!("\"{area}");
        let rests = sources.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
        let is_key = |rest: &str| rest.chars().all(|c| c.is_ascii_lowercase() || "-.".contains(c));
        // A file may be called so, too.
        rests
            .filter(|rest| is_key(rest) && !rest.ends_with("json"))
            .map(|rest| format!("{area}{rest}"))
            .collect()
    }

    #[test]
    fn every_key_in_the_program_has_a_text_and_every_text_of_the_program_a_key() {
        let texts = Texts::english().0;
        let sources = sources().concat();
        for area in ["tray.", "notice.", "say."] {
            let named = literals(&sources, area);
            assert!(named.len() > 2, "{area}");
            for key in &named {
                let counted = ["one", "other"].map(|form| texts.contains_key(&format!("{key}.{form}")));
                assert!(texts.contains_key(key) || counted == [true; 2], "{key} has no text");
            }
            for key in texts.keys().filter(|key| key.starts_with(area)) {
                let plain = key.trim_end_matches(".one").trim_end_matches(".other");
                assert!(named.iter().any(|named| named == plain), "nobody says {key}");
            }
        }
    }

    #[test]
    fn every_key_that_is_said_outright_has_a_text() {
        let texts = Texts::english().0;
        for source in sources() {
            for call in source.split(".say(").skip(1) {
                let Some(key) = call.trim_start().strip_prefix('"') else { continue };
                let key = key.split('"').next().unwrap_or_default();
                assert!(texts.contains_key(key), "{key}");
            }
        }
    }
}
