//! From what the agent says to what a person sees: pure functions of its replies and the time.

pub mod activity;
mod deed;
pub mod life;
pub mod notice;
pub mod page;
pub mod permissions;
mod row;
pub(crate) mod safe;
#[cfg(test)]
pub(crate) mod samples;
pub mod tray;
pub mod trust;

use keyfob_ipc::Refusal;
use keyfob_ipc::reply::Note;
use serde::Serialize;

pub(crate) use row::short;

use crate::page::{Remark, Trouble};

/// A refusal as the page shows it. The agent has escaped its text.
pub fn trouble(refusal: &Refusal) -> Trouble {
    Trouble { code: word(refusal.code), say: refusal.say.clone(), hint: refusal.hint.clone() }
}

fn remark(note: &Note) -> Remark {
    Remark { weight: word(note.weight), say: note.say.clone() }
}

/// A value that has no fields as the wire writes it: `token_needed`.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}
