//! A value in the person's part of the registry.

use keyfob_ipc::{Code, Refusal};
use windows_registry::CURRENT_USER;

use crate::desktop::Surroundings;
use crate::desktop::arguments::HIDDEN;

const KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
const NAME: &str = "Keyfob";

pub fn is_on(_surroundings: &Surroundings) -> Option<bool> {
    let key = CURRENT_USER.open(KEY).ok()?;
    Some(key.get_string(NAME).is_ok())
}

pub fn set(on: bool, program: &str, _surroundings: &Surroundings) -> Result<(), Refusal> {
    // No path holds a quotation mark here.
    let line = format!("\"{program}\" {HIDDEN}");
    let done = CURRENT_USER.create(KEY).and_then(|key| match on {
        true => key.set_string(NAME, &line),
        false if key.get_string(NAME).is_ok() => key.remove_value(NAME),
        false => Ok(()),
    });
    done.map_err(|error| {
        Refusal::new(Code::PlaceUnsafe, format!("the registry key `{KEY}` cannot be written ({error})"))
    })
}
