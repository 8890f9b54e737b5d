//! What a person should know of a rotation.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::{Code, Refusal};

use super::replace::another_owner;
use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::holding::{Holding, RotationStep};
use crate::notices::Told;
use crate::service::Shape;

impl Agent {
    /// What a person should know of a rotation that is not finished, or that brought something odd.
    pub fn rotation_notes(&self, entry: &Entry, held: &Holding) -> Vec<Note> {
        let name = &entry.name;
        let mut notes = Vec::new();
        if self.holdings().unsaved(name).is_some() {
            notes.push(in_memory(name));
        }
        notes.extend(another_owner(name, &held.facts));
        let trouble = self.rotations.last_trouble(name);
        let doubtful = held.rotation.as_ref().and_then(|rotation| rotation.doubtful_until);
        let doubtful = doubtful.filter(|until| *until > self.clock.now());
        notes.extend(match held.rotation.as_ref().map(|rotation| &rotation.step) {
            None => None,
            Some(RotationStep::Lost) => {
                let Refusal { say, hint, .. } = lost(name);
                Some(Note { weight: Weight::Urgent, say, hint })
            }
            Some(RotationStep::Proving { .. }) => trouble.or_else(|| {
                Some(Note {
                    weight: Weight::Known,
                    say: "the new token is stored and not proven yet".to_owned(),
                    hint: String::new(),
                })
            }),
            Some(_) if self.rotations.is_flying(name) => Some(Note {
                weight: Weight::Known,
                say: "it is being rotated".to_owned(),
                hint: String::new(),
            }),
            Some(RotationStep::Asking) if let Some(until) = doubtful => Some(in_doubt(entry, until)),
            Some(RotationStep::Asking) => trouble.or_else(|| {
                Some(Note {
                    weight: Weight::Due,
                    say: "a rotation was cut off, and whether the service has acted is still to be found out"
                        .to_owned(),
                    hint: format!("keyfob token rotate {}", name.name),
                })
            }),
            Some(RotationStep::Created { .. }) => trouble.or_else(|| {
                Some(Note {
                    weight: Weight::Known,
                    say: "a rotation was cut off: the new token is there and takes over once it is proven"
                        .to_owned(),
                    hint: format!("keyfob token rotate {}", name.name),
                })
            }),
            Some(RotationStep::Deleting { .. }) => trouble.or_else(|| {
                Some(Note {
                    weight: Weight::Known,
                    say: "the token before this one is still to be deleted at its service".to_owned(),
                    hint: String::new(),
                })
            }),
        });
        notes
    }
}

/// It seems that the service did not act, and a while must pass until that is certain.
fn in_doubt(entry: &Entry, until: Timestamp) -> Note {
    let is_spent =
        entry.source.as_token().is_some_and(|token| matches!(token.service.shape(), Shape::RefreshGrant(_)));
    if is_spent {
        return Note {
            weight: Weight::Known,
            say: "a rotation did not come about; its refresh token may be spent, so the next one is by hand"
                .to_owned(),
            hint: format!("keyfob token add {}", entry.name.name),
        };
    }
    // Never a minute that is too early.
    let minute = after(until, Duration::new(59, 999_999_999)).to_string();
    let minute = minute.get(11..16).unwrap_or_default();
    Note {
        weight: Weight::Known,
        say: format!("a rotation did not come about; it can be tried again at {minute} UTC"),
        hint: String::new(),
    }
}

/// The service acted, and nobody has what it answered.
pub(crate) fn lost(name: &EntryName) -> Refusal {
    let say = format!(
        "the service rotated the token of `{name}` but its answer is lost; make a new one on its page"
    );
    Refusal::new(Code::TokenNeeded, say).hint(format!("keyfob token add {}", name.name))
}

fn in_memory(name: &EntryName) -> Note {
    Note {
        weight: Weight::Urgent,
        say: format!(
            "what `{name}` holds is only in memory: the keychain has not taken it, and is tried again"
        ),
        hint: format!("keyfob token rescue {}", name.name),
    }
}

/// Tells the person, whether or not anybody asked.
pub(super) fn tell(agent: &Agent, name: &EntryName, weight: Weight, title: &str, body: String) {
    // It is shown by whoever can, and nobody waits for that here.
    drop(agent.notices.tell(Told {
        entry: name.to_string(),
        weight,
        title: title.to_owned(),
        body,
        is_question: false,
    }));
}
