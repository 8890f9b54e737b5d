//! A call whose answer is lost: never sent again, but found out about.
//!
//! The old value tells. Where it is dead, the service has acted and its answer is lost; where it lives, a native rotation
//! did not happen, once the call that was given up on cannot arrive any more. Until then the journal stays, and no other
//! rotation begins. A refresh token says nothing about itself: where the access token lives, it may be spent all the same.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::Weight;
use keyfob_ipc::{Code, Refusal};

use super::notes;
use super::standing::Standing;
use crate::clock::after;
use crate::holding::{Holding, Rotation, RotationStep};
use crate::service::{ServiceError, Shape};

/// A call that was given up on may still arrive.
const STILL_ON_ITS_WAY: Duration = Duration::from_secs(120);

/// As long as the client waits for the answer to a call that spends something, and then that.
const SINCE_THE_BEGINNING: Duration = Duration::from_secs(60 + 120);

/// What became of a rotation.
#[derive(Debug)]
enum Verdict {
    /// The old value lives.
    DidNotHappen,
    /// The old value lives, and what was sent may still arrive.
    InDoubt,
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
    let given_up =
        Rotation { doubtful_until: Some(after(at.now(), STILL_ON_ITS_WAY)), ..Rotation::asking(began) };
    match judge(at, held, &given_up).await {
        Verdict::DidNotHappen | Verdict::InDoubt => did_not_happen(at, &error.to_string()),
        Verdict::Lost => notes::lost(at.name()),
        Verdict::NotKnown(_) => not_known(at, &error),
    }
}

/// A rotation that was left in the middle, before another one begins.
pub(super) async fn before_another(at: &Standing<'_>, held: &Arc<Holding>) -> Result<(), Refusal> {
    let Some(rotation) = &held.rotation else { return Ok(()) };
    match judge(at, held, rotation).await {
        Verdict::DidNotHappen => Ok(()),
        Verdict::InDoubt => Err(did_not_happen(at, "the call before it may still arrive")),
        Verdict::Lost => Err(notes::lost(at.name())),
        Verdict::NotKnown(_) if rotation.step == RotationStep::Lost => Err(notes::lost(at.name())),
        Verdict::NotKnown(error) => Err(not_known(at, &error)),
    }
}

/// A rotation that was left in the middle, with nobody waiting for it.
pub(super) async fn left_behind(at: &Standing<'_>, held: &Arc<Holding>) {
    if let Some(rotation) = &held.rotation {
        judge(at, held, rotation).await;
    }
}

/// Asks the service about the old value, and notes what follows.
async fn judge(at: &Standing<'_>, held: &Arc<Holding>, rotation: &Rotation) -> Verdict {
    match at.introspect(&held.value).await {
        Ok(_) => note_alive(at, held, rotation).await,
        Err(ServiceError::Dead) => {
            note_lost(at, held, rotation.began).await;
            Verdict::Lost
        }
        Err(error) => Verdict::NotKnown(error),
    }
}

/// The journal stays until the call cannot arrive any more: then the old value is asked about once more.
async fn note_alive(at: &Standing<'_>, held: &Holding, rotation: &Rotation) -> Verdict {
    let now = at.now();
    let until = rotation.doubtful_until.unwrap_or(after(rotation.began, SINCE_THE_BEGINNING));
    // A clock that was ahead keeps nobody waiting.
    let until = Some(until.min(after(now, SINCE_THE_BEGINNING))).filter(|until| *until > now);
    let left =
        until.map(|until| Rotation { doubtful_until: Some(until), ..Rotation::asking(rotation.began) });
    let spent = matches!(at.token.service.shape(), Shape::RefreshGrant(_)) && held.companion.is_some();
    if spent || left != held.rotation {
        let noted = at.footing.holdings.note(at.name(), &held.value, move |holding| {
            holding.rotation = left;
            if spent {
                holding.companion = None;
            }
        });
        // Where the keychain does not take it, it is found out again.
        let _ = noted.await;
    }
    if until.is_some() { Verdict::InDoubt } else { Verdict::DidNotHappen }
}

async fn note_lost(at: &Standing<'_>, held: &Holding, began: Timestamp) {
    let is_known = held.rotation.as_ref().is_some_and(|rotation| rotation.step == RotationStep::Lost);
    if is_known {
        return;
    }
    let _ = at.note(held, Some(Rotation::at(began, RotationStep::Lost))).await;
    let lost = notes::lost(at.name());
    let body = format!("{}. Run: {}", lost.say, lost.hint);
    notes::tell(at.agent, at.name(), Weight::Urgent, "A token is lost", body);
}

fn did_not_happen(at: &Standing<'_>, why: &str) -> Refusal {
    let name = at.name();
    if let Shape::RefreshGrant(_) = at.token.service.shape() {
        let why = format!(
            "{why}, and its refresh token may be spent, so it is not sent again; the token serves on"
        );
        return at.by_hand(&why);
    }
    let say = format!(
        "`{name}` was not rotated ({why}), and the token that is held serves on; what was sent may still arrive, so try again in two minutes"
    );
    Refusal::new(Code::Offline, say).hint(format!("keyfob token rotate {}", name.name))
}

fn not_known(at: &Standing<'_>, error: &ServiceError) -> Refusal {
    let name = at.name();
    let say = format!(
        "whether `{name}` was rotated is not known yet ({error}); it is not sent again, and the token service is asked about it as soon as it answers"
    );
    Refusal::new(Code::Offline, say).hint("keyfob status")
}
