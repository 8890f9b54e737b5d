//! A value in the person's part of the registry.

use std::path::Path;

use keyfob_ipc::{Code, Refusal};
use windows_registry::CURRENT_USER;

use crate::desktop::arguments::HIDDEN;
use crate::desktop::{Surroundings, refusal};

const KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
const NAME: &str = "Keyfob";

pub fn is_on(program: &Path, _surroundings: &Surroundings) -> Option<bool> {
    let key = CURRENT_USER.open(KEY).ok()?;
    Some(key.get_string(NAME).is_ok_and(|named| program.to_str().is_some_and(|ours| named == line(ours))))
}

pub fn set(on: bool, program: &str, _surroundings: &Surroundings) -> Result<(), Refusal> {
    let done = CURRENT_USER.create(KEY).and_then(|key| match on {
        true => key.set_string(NAME, line(program)),
        false if key.get_string(NAME).is_ok() => key.remove_value(NAME),
        false => Ok(()),
    });
    done.map_err(|error| {
        let values = [("key", KEY), ("error", &*error.to_string())];
        refusal(Code::PlaceUnsafe, "say.registry-unusable", &values, "say.registry-unusable-hint")
    })
}

/// No path holds a quotation mark here.
fn line(program: &str) -> String {
    format!("\"{program}\" {HIDDEN}")
}
