//! A call whose answer is lost: never sent again, but found out about.
//!
//! The old value tells. Where it is dead, the service has acted and its answer is lost; where it lives, a native rotation
//! did not happen. A refresh token says nothing about itself: where the access token lives, it may be spent all the same.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::Weight;
use keyfob_ipc::{Code, Refusal, Secret};

use super::standing::Standing;
use super::{Rotations, locked, notes};
use crate::clock::after;
use crate::config::EntryName;
use crate::holding::{Holding, Rotation, RotationStep};
use crate::service::{ServiceError, Shape};

/// A call that was given up on may still arrive: longer than the client waits for its answer.
const STILL_ON_ITS_WAY: Duration = Duration::from_secs(120);

/// A value to look at once more: the rotation that seemed not to have happened may have come late.
#[derive(Debug, Clone)]
pub(super) struct SecondLook {
    pub(super) due: Timestamp,
    began: Timestamp,
    value: Secret<String>,
}

/// What became of a rotation.
#[derive(Debug)]
enum Verdict {
    /// The old value lives.
    DidNotHappen,
    /// The old value is dead.
    Lost,
    /// The service cannot be asked.
    NotKnown(ServiceError),
}

/// The call failed: says what came of it.
pub(super) async fn failed(
    at: &Standing<'_>,
    held: &Arc<Holding>,
    began: Timestamp,
    error: ServiceError,
) -> Refusal {
    if !error.is_unsure() {
        at.call_off(held).await;
        return error.refusal(at.name());
    }
    match judge(at, held, began).await {
        Verdict::DidNotHappen => {
            at.agent.rotations.look_again(at, held, began);
            did_not_happen(at, &error)
        }
        Verdict::Lost => notes::lost(at.name()),
        Verdict::NotKnown(_) => not_known(at, &error),
    }
}

/// A rotation that was left in the middle, before another one begins.
pub(super) async fn before_another(at: &Standing<'_>, held: &Arc<Holding>) -> Result<(), Refusal> {
    let Some(rotation) = &held.rotation else { return Ok(()) };
    match judge(at, held, rotation.began).await {
        // Another one begins now, and is looked at itself.
        Verdict::DidNotHappen => Ok(()),
        Verdict::Lost => Err(notes::lost(at.name())),
        Verdict::NotKnown(_) if rotation.step == RotationStep::Lost => Err(notes::lost(at.name())),
        Verdict::NotKnown(error) => Err(not_known(at, &error)),
    }
}

/// A rotation that was left in the middle, with nobody waiting for it.
pub(super) async fn left_behind(at: &Standing<'_>, held: &Arc<Holding>, began: Timestamp) {
    if let Verdict::DidNotHappen = judge(at, held, began).await {
        at.agent.rotations.look_again(at, held, began);
    }
}

/// Asks the service about the old value, and notes what follows.
async fn judge(at: &Standing<'_>, held: &Arc<Holding>, began: Timestamp) -> Verdict {
    match at.introspect(&held.value).await {
        Ok(_) => {
            let spent = matches!(at.token.service.shape(), Shape::RefreshGrant(_));
            let noted = at.footing.holdings.note(at.name(), &held.value, move |holding| {
                holding.rotation = None;
                if spent {
                    holding.companion = None;
                }
            });
            // Where the keychain does not take it, it is found out again.
            let _ = noted.await;
            Verdict::DidNotHappen
        }
        Err(ServiceError::Dead) => {
            note_lost(at, held, began).await;
            Verdict::Lost
        }
        Err(error) => Verdict::NotKnown(error),
    }
}

/// Looks once more at a value that was alive when the rotation seemed to have failed.
pub(super) async fn look_once_more(at: &Standing<'_>, held: &Arc<Holding>, look: &SecondLook) {
    if held.value == look.value
        && held.rotation.is_none()
        && matches!(at.introspect(&held.value).await, Err(ServiceError::Dead))
    {
        note_lost(at, held, look.began).await;
    }
}

async fn note_lost(at: &Standing<'_>, held: &Holding, began: Timestamp) {
    let is_known = held.rotation.as_ref().is_some_and(|rotation| rotation.step == RotationStep::Lost);
    if is_known {
        return;
    }
    let _ = at.note(held, Some(Rotation { began, step: RotationStep::Lost })).await;
    let lost = notes::lost(at.name());
    let body = format!("{}. Run: {}", lost.say, lost.hint);
    notes::tell(at.agent, at.name(), Weight::Urgent, "A token is lost", body);
}

impl Rotations {
    fn look_again(&self, at: &Standing<'_>, held: &Holding, began: Timestamp) {
        let look = SecondLook { due: after(at.now(), STILL_ON_ITS_WAY), began, value: held.value.clone() };
        locked(&self.second_looks).insert(at.name().clone(), look);
        self.stir();
    }

    /// The next value to look at once more.
    pub(super) fn next_second_look(&self) -> Option<(EntryName, SecondLook)> {
        let looks = locked(&self.second_looks);
        looks.iter().min_by_key(|(_, look)| look.due).map(|(name, look)| (name.clone(), look.clone()))
    }

    pub(super) fn looked(&self, name: &EntryName) {
        locked(&self.second_looks).remove(name);
    }
}

fn did_not_happen(at: &Standing<'_>, error: &ServiceError) -> Refusal {
    let name = at.name();
    if let Shape::RefreshGrant(_) = at.token.service.shape() {
        let why = format!(
            "{error}, and its refresh token may be spent, so it is not sent again; the token serves on"
        );
        return at.by_hand(&why);
    }
    let say = format!("`{name}` was not rotated ({error}), and the token that is held serves on");
    Refusal::new(Code::Offline, say).hint(format!("keyfob token rotate {}", name.name))
}

fn not_known(at: &Standing<'_>, error: &ServiceError) -> Refusal {
    let name = at.name();
    let say = format!(
        "whether `{name}` was rotated is not known yet ({error}); it is not sent again, and the token service is asked about it as soon as it answers"
    );
    Refusal::new(Code::Offline, say).hint("keyfob status")
}
