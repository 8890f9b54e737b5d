//! Where the values of a secret come from: hidden prompts on a terminal, else standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use keyfob_ipc::reply::{EntryReport, is_variable};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, limits, text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::super::refuse_locked;
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
    let values = read(&mut world.input.reader).and_then(|given| match key {
        Some(key) => Ok(Values::from([(key.to_owned(), Secret::from(without_line_end(given.expose())))])),
        None => object(given.expose()).map_err(Wrong::Other),
    });
    values.and_then(check).map_err(|wrong| hinted(wrong, entry, key))
}

/// Why values cannot be kept.
#[derive(Debug)]
enum Wrong {
    TooLong(Refusal),
    NoText(Refusal),
    Nul(String),
    Other(Refusal),
}

/// With the next step, which is another one than what has just failed.
fn hinted(wrong: Wrong, entry: &EntryReport, key: Option<&str>) -> Refusal {
    let set = |key: &str| format!("keyfob secret set {} {}", text::escape(&entry.name), text::escape(key));
    let in_base64 = |key: &str| format!("keep it in base64: base64 < FILE | {}", set(key));
    let first = keys(entry).next().unwrap_or("KEY");
    match (wrong, key) {
        (Wrong::TooLong(refusal), Some(_)) => refusal.hint("a value has at most 16 KiB"),
        (Wrong::NoText(refusal), Some(key)) => refusal.hint(in_base64(key)),
        (Wrong::Nul(name), _) => {
            let shown = text::escape(&name);
            refuse(&format!("the value of `{shown}` holds a NUL, which no variable can"))
                .hint(in_base64(&name))
        }
        (Wrong::TooLong(refusal) | Wrong::NoText(refusal) | Wrong::Other(refusal), key) => {
            refusal.hint(set(key.unwrap_or(first)))
        }
    }
}

fn ask(entry: &EntryReport, keys: &[&str], world: &World) -> Result<Values, Refusal> {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_locked(&status)?;
    status.keychain.refusal.map_or(Ok(()), Err)?;
    let name = text::escape(&entry.name);
    let mut values = Values::new();
    for key in keys {
        let key = text::escape(key);
        let value = prompt::hidden(&format!("{key} of {name} (not shown): "), Ends::Alone);
        let value = value.map_err(|refusal| match refusal.code {
            Code::TokenInvalid => refusal.hint(format!("keyfob secret set {name} {key} < FILE")),
            _ => refusal,
        })?;
        if !value.expose().is_empty() {
            values.insert(key, value);
        }
    }
    check(values).map_err(|wrong| hinted(wrong, entry, keys.first().copied()))
}

/// What can be kept; nothing of it is repeated.
fn check(values: Values) -> Result<Values, Wrong> {
    if values.is_empty() {
        return Err(Wrong::Other(refuse("no value was given")));
    }
    match values.iter().find(|(_, value)| value.expose().contains('\0')) {
        Some((name, _)) => Err(Wrong::Nul(name.clone())),
        None => Ok(values),
    }
}

/// Standard input, whole.
fn read(input: &mut impl Read) -> Result<Secret<String>, Wrong> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let read = input.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Wrong::Other(refuse(&format!("standard input cannot be read ({error})"))))?;
    if bytes.len() > LONGEST {
        return Err(Wrong::TooLong(refuse(&format!("standard input has more than {LONGEST} bytes"))));
    }
    std::str::from_utf8(&bytes)
        .map(Secret::from)
        .map_err(|_| Wrong::NoText(refuse("standard input is no text")))
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
        assert!(matches!(check(Values::new()), Err(Wrong::Other(_))));
        let nul = check(Values::from([("A".to_owned(), Secret::from("s3cret\0"))]));
        assert!(matches!(nul, Err(Wrong::Nul(name)) if name == "A"));
        assert!(read(&mut &vec![b'x'; LONGEST][..]).is_ok());
        assert!(read(&mut &vec![b'x'; LONGEST + 1][..]).is_err());
        assert!(read(&mut &b"\xff"[..]).is_err());
    }
}
