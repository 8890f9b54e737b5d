//! What a rotation left unfinished, by a crash or because somebody could not be asked, is finished or judged.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Weight};

use super::standing::Standing;
use super::{Outcome, Rotated, Rotations, create_then_delete, judge, locked, notes, replace};
use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::{Rotation, RotationStep};
use crate::service::{ServiceError, Shape};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);
/// A service may have been wrong about a token that it does not know: seldom, but then a person gets theirs back.
const LOST: Duration = Duration::from_secs(3600);

/// When something unfinished is tried again.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    /// Since when it waits, and until when.
    waits: Option<(Timestamp, Timestamp)>,
    pause: Duration,
    trouble: Option<Note>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { waits: None, pause: FIRST, trouble: None }
    }
}

impl Rotations {
    /// Why something is not finished.
    pub(super) fn trouble(&self, name: &EntryName, note: Note) {
        let mut retries = locked(&self.retries);
        retries.entry(name.clone()).or_default().trouble = Some(note);
    }

    pub(super) fn last_trouble(&self, name: &EntryName) -> Option<Note> {
        locked(&self.retries).get(name)?.trouble.clone()
    }

    /// What a clock said that was ahead does not count.
    fn due(&self, name: &EntryName, now: Timestamp) -> Option<Timestamp> {
        let (since, due) = locked(&self.retries).get(name)?.waits?;
        (since <= now).then_some(due)
    }

    /// What stood in the way of something unfinished is gone.
    pub(super) fn look_now(&self, name: &EntryName) {
        locked(&self.retries).remove(name);
        self.stir();
    }

    fn is_finished(&self, name: &EntryName) {
        locked(&self.retries).remove(name);
    }

    fn try_later(&self, name: &EntryName, now: Timestamp, rotation: &Rotation) {
        let mut retries = locked(&self.retries);
        let retry = retries.entry(name.clone()).or_default();
        let step = &rotation.step;
        let pause = if *step == RotationStep::Lost { LOST } else { retry.pause };
        // What is in nobody's way may take its time.
        let is_pressing = matches!(step, RotationStep::Asking | RotationStep::Created { .. });
        let doubtful = rotation.doubtful_until.filter(|until| *until > now);
        retry.waits = Some((now, doubtful.unwrap_or(after(now, pause))));
        retry.pause = (retry.pause * 2).min(if is_pressing { LONGEST } else { LOST });
    }
}

impl Agent {
    /// Finishes what rotations left, for as long as the agent lives. The keychain is only read while it is open.
    pub async fn mend_rotations(self: Arc<Self>) {
        loop {
            let mut stirred = self.rotations.stirred.subscribe();
            let mut keychain = self.holdings().stirred();
            let next = self.mend_what_is_due().await;
            let due = async {
                match next {
                    Some(next) => self.clock.wait_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                _ = stirred.changed() => {}
                _ = keychain.changed() => {}
                // A clock that is set back would keep it waiting.
                () = tokio::time::sleep(LOST) => {}
            }
        }
    }

    /// Says when to look again, if not before something happens.
    async fn mend_what_is_due(self: &Arc<Self>) -> Option<Timestamp> {
        if *self.ending.borrow() || self.is_locked() {
            return None;
        }
        let now = self.clock.now();
        let Ok(footing) = self.footing() else { return Some(after(now, LONGEST)) };
        let mut next = Vec::new();
        let mut is_open = None;
        let by_api = |entry: &&Arc<Entry>| entry.source.as_token().is_some_and(|token| token.api.is_some());
        for entry in footing.config.entries.iter().filter(by_api) {
            let (name, holdings) = (&entry.name, &footing.holdings);
            if !holdings.is_read(name) {
                let may_read = match is_open {
                    Some(is_open) => is_open,
                    None => *is_open.insert(holdings.is_open().await),
                };
                if !may_read || holdings.get(name).await.is_err() {
                    next.push(after(now, LONGEST));
                    continue;
                }
            }
            let is_left = holdings.at_hand(name).is_some_and(|held| held.rotation.is_some());
            // What is in memory alone is waited for by the flight that brought it.
            if !is_left || self.rotations.is_flying(name) || holdings.unsaved(name).is_some() {
                continue;
            }
            if self.rotations.due(name, now).is_none_or(|due| due <= now) {
                self.mend(&footing, entry).await;
            }
            next.extend(self.rotations.due(name, self.clock.now()));
        }
        next.into_iter().min()
    }

    async fn mend(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) {
        let turn = self.rotations.turn(&entry.name);
        let _turn = turn.lock().await;
        let Some(_spending) = self.begin_spending() else { return };
        let _pin = footing.holdings.pin(&entry.name);
        match self.mend_in_turn(footing, entry).await {
            Ok(rotated) => tell_of(self, entry, rotated),
            Err(refusal) => {
                tracing::info!(name = %entry.name, code = ?refusal.code, "a rotation is still not finished");
            }
        }
        self.note_what_is_left(footing, &entry.name);
    }

    async fn mend_in_turn(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) -> Outcome {
        let at = Standing::take(self, footing, entry)?;
        let held = at.holding().await?;
        let Some(Rotation { step, .. }) = held.rotation.clone() else { return Ok(Rotated::default()) };
        match (step, at.token.service.shape()) {
            (RotationStep::Proving { .. }, _) => Ok(replace::prove(&at, &held).await),
            (RotationStep::Deleting { .. }, _) => {
                create_then_delete::finish(&at, &held).await.map(|()| Rotated::default())
            }
            (RotationStep::Asking | RotationStep::Created { .. }, Shape::CreateThenDelete(pair)) => {
                create_then_delete::rotate(&at, pair, &held).await
            }
            (RotationStep::Asking | RotationStep::Lost, _) => {
                judge::left_behind(&at, &held).await;
                Ok(Rotated::default())
            }
            (RotationStep::Created { .. }, _) => {
                Err(at.by_hand("the service that its successor was made by is not configured any more"))
            }
        }
    }

    /// Looks at what a rotation has left in the holding.
    pub(super) fn note_what_is_left(&self, footing: &Footing, name: &EntryName) {
        match footing.holdings.at_hand(name).and_then(|held| held.rotation.clone()) {
            None => self.rotations.is_finished(name),
            Some(rotation) => self.rotations.try_later(name, self.clock.now(), &rotation),
        }
    }

    /// Deletes at the service what an unfinished rotation has left there beside the value that is held, for whoever removes or
    /// replaces that.
    ///
    /// # Errors
    /// The service's; [`ServiceError::Unable`] where an edit has widened where it may go and nobody has confirmed that.
    pub async fn delete_leftovers(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        held: &crate::holding::Holding,
    ) -> Result<(), ServiceError> {
        // An edit that nobody has confirmed gets nothing of what is held.
        let now = entry.source.destination(&entry.name, &footing.config);
        if !held.destination.widened_by(&now).is_empty() {
            return Err(ServiceError::Unable);
        }
        let Ok(at) = Standing::take(self, footing, entry) else { return Ok(()) };
        create_then_delete::delete_leftovers(&at, held).await
    }
}

/// Nobody waits for what was mended, so whoever is about is told.
pub(super) fn tell_of(agent: &Agent, entry: &Entry, rotated: Rotated) {
    let losses = &rotated.difference.lost;
    if !losses.is_empty() {
        let body = format!(
            "The new token of {} may do less: {}",
            entry.name,
            keyfob_ipc::text::escape(&losses.join(", "))
        );
        notes::tell(agent, &entry.name, Weight::Due, "A token lost permissions", body);
    }
    for note in rotated.notes.into_iter().filter(|note| note.weight == Weight::Urgent) {
        notes::tell(agent, &entry.name, Weight::Urgent, "A rotation needs you", note.say);
    }
}
