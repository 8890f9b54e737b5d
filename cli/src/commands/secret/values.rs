//! Where the values of a secret come from: hidden prompts on a terminal, else standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use keyfob_ipc::reply::{EntryReport, is_variable};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, limits, text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::{keys, no_such};
use crate::prompt::{self, Ends};
use crate::reach::unexpected;
use crate::world::World;

/// Most that is read, in bytes: an answer at the tool door must carry it, escaped.
const LONGEST: usize = limits::HELPER_INPUT;

type Values = BTreeMap<String, Secret<String>>;

/// Takes the value of one key, or of several.
pub fn take(entry: &EntryReport, key: Option<&str>, world: &mut World) -> Result<Values, Refusal> {
    let known: Vec<&str> = keys(entry).collect();
    // What the agent checks, too: said before anybody looks for a value.
    if key.is_some_and(|key| !known.contains(&key)) {
        return Err(no_such(&entry.name, known.iter()));
    }
    if world.input.is_terminal {
        return ask(entry, &key.map_or(known, |key| vec![key]), world);
    }
    let name = text::escape(&entry.name);
    let values = read(&mut world.input.reader).and_then(|given| match key {
        Some(key) => Ok(Values::from([(key.to_owned(), Secret::from(without_line_end(given.expose())))])),
        None => object(given.expose()),
    });
    let key = key.map(|key| format!(" {key}")).unwrap_or_default();
    values.and_then(check).map_err(|refusal| refusal.hint(format!("keyfob secret set {name}{key}")))
}

fn ask(entry: &EntryReport, keys: &[&str], world: &World) -> Result<Values, Refusal> {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    status.keychain.refusal.map_or(Ok(()), Err)?;
    let name = text::escape(&entry.name);
    let mut values = Values::new();
    for key in keys {
        let value =
            prompt::hidden(&format!("{} of {name} (not shown): ", text::escape(key)), Ends::WithLine)?;
        if !value.expose().is_empty() {
            values.insert((*key).to_owned(), value);
        }
    }
    check(values).map_err(|refusal| refusal.hint(format!("keyfob secret set {name}")))
}

/// What can be kept; nothing of it is repeated.
fn check(values: Values) -> Result<Values, Refusal> {
    if values.is_empty() {
        return Err(refuse("no value was given"));
    }
    match values.iter().find(|(_, value)| value.expose().contains('\0')) {
        Some((name, _)) => Err(refuse(&format!("the value of `{name}` holds a NUL, which no variable can"))),
        None => Ok(values),
    }
}

/// Standard input, whole.
fn read(input: &mut impl Read) -> Result<Secret<String>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let read = input.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| refuse(&format!("standard input cannot be read ({error})")))?;
    if bytes.len() > LONGEST {
        return Err(refuse(&format!("standard input has more than {LONGEST} bytes")));
    }
    std::str::from_utf8(&bytes).map(Secret::from).map_err(|_| refuse("standard input is no text"))
}

/// `echo` and editors end with one that is not meant.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn object(text: &str) -> Result<Values, Refusal> {
    if !text.trim_start().starts_with('{') {
        return Err(refuse("without KEY, standard input is a JSON object of strings"));
    }
    match serde_json::from_str::<Object>(text) {
        Ok(Object(values)) if values.keys().all(|name| is_variable(name)) => Ok(values),
        Ok(_) => Err(refuse("a member of the JSON has no name of a variable (letters, digits and `_`)")),
        // What serde says may repeat a part of it.
        Err(_) => Err(refuse("standard input is no JSON object whose members are all different strings")),
    }
}

/// Members that come twice are refused: nobody knows which one is meant.
struct Object(Values);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut values = Values::new();
                while let Some((name, value)) = map.next_entry::<String, Secret<String>>()? {
                    if values.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("twice"));
                    }
                }
                Ok(Object(values))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn refuse(why: &str) -> Refusal {
    Refusal::new(Code::TokenInvalid, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_strings_is_read_and_nothing_else() {
        let values = object(" {\"A\": \"one\", \"B\": \"two\\nlines\"}\n").unwrap();
        assert_eq!(values["A"].expose(), "one");
        assert_eq!(values["B"].expose(), "two\nlines");
        for wrong in [
            "s3cret",
            "[\"s3cret\"]",
            "{\"A\": 53}",
            "{\"A\": {\"s3cret\": 1}}",
            "{\"A\": \"s3cret\"",
            "{\"A\": \"s3cret\", \"A\": \"s3cret2\"}",
            "{\"s3cret-x\": \"\"}",
            "{} s3cret",
        ] {
            let refusal = object(wrong).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!refusal.say.contains("s3cret"), "{refusal}");
        }
    }

    #[test]
    fn one_line_end_is_not_meant() {
        for (given, meant) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", "")] {
            assert_eq!(without_line_end(given), meant);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_unseen() {
        assert_eq!(check(Values::new()).unwrap_err().say, "no value was given");
        let refusal = check(Values::from([("A".to_owned(), Secret::from("s3cret\0"))])).unwrap_err();
        assert!(refusal.say.contains("`A`") && !refusal.say.contains("s3cret"), "{refusal}");
        assert!(read(&mut &vec![b'x'; LONGEST][..]).is_ok());
        assert!(read(&mut &vec![b'x'; LONGEST + 1][..]).is_err());
        assert!(read(&mut &b"\xff"[..]).is_err());
    }
}
