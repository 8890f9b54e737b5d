//! Rotations: a token gets another value through its service's API.
//!
//! One at a time per entry, each in a task of its own, so that a caller who leaves cancels nothing; a second caller gets
//! the first one's outcome. Each of the four shapes has one code path ([`native`], [`refresh_grant`],
//! [`create_then_delete`]; by hand there is none), whatever the service.
//!
//! Invariants: the intent is in the keychain item before the service is asked, which also proves that the keychain takes
//! something; the answer is stored before anything else is done with it; what was spent once is never sent again, a lost
//! answer is judged by introspection instead ([`judge`]); how far a rotation has got is part of the item, so that the next
//! agent goes on from there ([`mend`]).

mod ahead;
mod create_then_delete;
mod judge;
mod mend;
mod native;
mod notes;
mod refresh_grant;
mod replace;
mod standing;
mod unsaved;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_ipc::reply::Note;
use keyfob_ipc::{Code, Refusal};
use tokio::sync::watch;

use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::RotationStep;
use crate::permissions::Difference;
use crate::service::Shape;

pub(crate) use ahead::begins;
use mend::Retry;
pub(crate) use notes::lost;
use standing::Standing;

/// What a rotation brought.
#[derive(Debug, Clone, Default)]
pub struct Rotated {
    /// What changed in what it may do.
    pub difference: Difference,
    /// What else a person should know now.
    pub notes: Vec<Note>,
}

pub(crate) type Outcome = Result<Rotated, Refusal>;
type Landing = watch::Receiver<Option<Outcome>>;

/// Rotations under way, and what is to be looked at again.
#[derive(Debug, Default)]
pub struct Rotations {
    air: Mutex<HashMap<EntryName, Landing>>,
    /// Held while anything is done about an entry's rotation.
    turns: Mutex<HashMap<EntryName, Arc<tokio::sync::Mutex<()>>>>,
    /// What is not finished and is tried again, by whom it is about.
    retries: Mutex<HashMap<EntryName, Retry>>,
    stirred: watch::Sender<u64>,
}

impl Rotations {
    /// Something changed that whoever waits in the background must look at.
    pub fn stir(&self) {
        self.stirred.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// To be held while anything is done about an entry's rotation.
    pub(crate) fn turn(&self, name: &EntryName) -> Arc<tokio::sync::Mutex<()>> {
        locked(&self.turns).entry(name.clone()).or_default().clone()
    }

    fn is_flying(&self, name: &EntryName) -> bool {
        locked(&self.air).contains_key(name)
    }
}

impl Agent {
    /// Replaces an entry's token through its service's API.
    ///
    /// # Errors
    /// Why not; the old value serves on where the service lets it. [`Code::TokenNeeded`] where only a person can go on.
    pub async fn rotate_by_service(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) -> Outcome {
        let mut landing = self.fly_rotation(footing, entry);
        match landing.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(vanished())),
            Err(_) => Err(vanished()),
        }
    }

    /// Joins the rotation of an entry, or starts it.
    fn fly_rotation(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) -> Landing {
        let mut air = locked(&self.rotations.air);
        if let Some(landing) = air.get(&entry.name) {
            return landing.clone();
        }
        let (sender, landing) = watch::channel(None);
        air.insert(entry.name.clone(), landing.clone());
        drop(air);
        let (agent, footing, entry) = (self.clone(), footing.clone(), entry.clone());
        tokio::spawn(async move {
            let mut flight = Flight { agent: &agent, name: &entry.name, sender, outcome: None };
            // Held until the keychain has the new value, however long that takes.
            let spending = agent.begin_spending();
            // Who locks meanwhile does not take away what it stands on.
            let _pin = footing.holdings.pin(&entry.name);
            flight.outcome = Some(match &spending {
                Some(_) => agent.rotate_in_turn(&footing, &entry).await,
                None => Err(agent.not_spending()),
            });
            drop(flight);
            agent.save_rotated(&footing, &entry).await;
        });
        landing
    }

    async fn rotate_in_turn(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) -> Outcome {
        let turn = self.rotations.turn(&entry.name);
        let _turn = turn.lock().await;
        let at = Standing::take(self, footing, entry)?;
        let outcome = rotate(&at).await;
        self.note_what_is_left(footing, &entry.name);
        outcome
    }
}

/// Finishes or judges what an earlier rotation left, and rotates.
async fn rotate(at: &Standing<'_>) -> Outcome {
    let mut held = at.holding().await?;
    match held.rotation.clone().map(|rotation| rotation.step) {
        Some(RotationStep::Asking | RotationStep::Lost) if !at.can_resume() => {
            judge::before_another(at, &held).await?;
            held = at.holding().await?;
        }
        Some(RotationStep::Deleting { .. }) => {
            create_then_delete::finish(at, &held).await?;
            held = at.holding().await?;
        }
        // Else nobody would know what it is to be compared with.
        Some(RotationStep::Proving { .. }) => {
            mend::tell_of(at.agent, at.entry, replace::prove(at, &held).await);
            held = at.holding().await?;
        }
        // A second token that lies ready is what was asked for.
        None | Some(_) => {}
    }
    match at.token.service.shape() {
        Shape::Native(native) => native::rotate(at, native, &held).await,
        Shape::RefreshGrant(grant) => refresh_grant::rotate(at, grant, &held).await,
        Shape::CreateThenDelete(pair) => create_then_delete::rotate(at, pair, &held).await,
        Shape::ByHand => Err(at.by_hand("its service has no way to rotate it")),
    }
}

/// A rotation under way. It lands when dropped, so that one that panics leaves nobody waiting.
struct Flight<'a> {
    agent: &'a Agent,
    name: &'a EntryName,
    sender: watch::Sender<Option<Outcome>>,
    outcome: Option<Outcome>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(vanished()));
        match &outcome {
            Ok(_) => tracing::info!(name = %self.name, "rotated"),
            Err(refusal) => tracing::warn!(name = %self.name, code = ?refusal.code, "not rotated"),
        }
        locked(&self.agent.rotations.air).remove(self.name);
        self.sender.send_replace(Some(outcome));
        self.agent.rotations.stir();
        self.agent.watchers.changed([self.name]);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn vanished() -> Refusal {
    Refusal::new(Code::Internal, "a rotation ended without a result").hint("keyfob status")
}
