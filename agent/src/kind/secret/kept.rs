//! Values in the keychain: one item, a JSON object of name to value.

use std::collections::BTreeMap;
use std::io;

use keyfob_ipc::reply::{Reply, SecretValues};
use keyfob_ipc::{Code, Refusal, Secret, limits};
use serde::{Serialize, Serializer};

use crate::config::EntryName;
use crate::holding::Holding;

/// Values by their names.
pub type Values = BTreeMap<String, Secret<String>>;

/// Longest value, in bytes: a private key with its whole chain of certificates has less.
pub const LONGEST: usize = 16 * 1024;

/// What an answer has beside its values: the name of the entry, the protocol's own words.
const REST: usize = 1024;

/// The values of a holding, those that the configuration does not name any more included.
///
/// # Errors
/// [`Code::KeychainFailed`] for an item that is none.
pub fn of(holding: &Holding, name: &EntryName) -> Result<Values, Refusal> {
    serde_json::from_str(holding.value.expose()).map_err(|_| {
        Refusal::new(Code::KeychainFailed, format!("the keychain item is damaged (`{name}`)"))
            .hint(format!("keyfob secret set {} --replace", name.name))
    })
}

/// As the item has them.
pub fn written(values: &Values) -> Secret<String> {
    struct Exposed<'a>(&'a Values);
    impl Serialize for Exposed<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.expose())))
        }
    }
    // Texts by texts: writing them cannot fail.
    Secret::new(serde_json::to_string(&Exposed(values)).unwrap_or_default())
}

/// Whether a tool's answer can carry them all.
///
/// # Errors
/// [`Code::BadRequest`] with the limit.
pub fn fits(name: &EntryName, values: &Values) -> Result<(), Refusal> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let answer = Reply::Secret(Box::new(SecretValues { entry: name.to_string(), values: values.clone() }));
    let mut count = Count(0);
    let is_written = serde_json::to_writer(&mut count, &answer).is_ok();
    if is_written && count.0 + REST <= limits::TOOL_FRAME {
        return Ok(());
    }
    let most = (limits::TOOL_FRAME - REST) / 1024;
    let say = format!("the values of `{name}` are too long together; all of them have at most {most} KiB");
    Err(Refusal::new(Code::BadRequest, say).hint("divide them among several [secret.*] entries"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holding::{Destination, Facts};

    fn name() -> EntryName {
        EntryName { kind: "secret", name: "build".to_owned() }
    }

    fn values(length: usize, count: usize) -> Values {
        (0..count).map(|number| (format!("KEY{number}"), Secret::new("x".repeat(length)))).collect()
    }

    #[test]
    fn values_survive_the_trip_and_other_items_are_none() {
        let odd = Values::from([
            ("A".to_owned(), Secret::from("a\n\"\u{1}\u{e4}")),
            ("B".to_owned(), Secret::from("")),
        ]);
        let holding = |value| Holding::new(value, Facts::default(), Destination::default());
        assert_eq!(of(&holding(written(&odd)), &name()).unwrap(), odd);
        for damaged in ["", "marked", "[\"marked\"]", "{\"A\":1}"] {
            let refusal = of(&holding(Secret::from(damaged)), &name()).unwrap_err();
            assert_eq!(refusal.code, Code::KeychainFailed, "{damaged}");
            assert!(!format!("{refusal:?}").contains("marked"), "{refusal:?}");
        }
    }

    #[test]
    fn what_one_answer_cannot_carry_is_refused_with_the_limit() {
        fits(&name(), &values(LONGEST, 3)).unwrap();
        let refusal = fits(&name(), &values(LONGEST, 4)).unwrap_err();
        assert!(refusal.say.contains("at most 63 KiB"), "{refusal}");
        // What has to be escaped takes more room.
        let escaped = Values::from([("A".to_owned(), Secret::new("\u{1}".repeat(LONGEST)))]);
        fits(&name(), &escaped).unwrap_err();
    }
}
