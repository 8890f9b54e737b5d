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
}
