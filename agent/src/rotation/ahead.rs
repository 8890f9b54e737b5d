//! `rotate = "auto"`: the agent rotates ahead of the end on its own, and tells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyfob_ipc::reply::Weight;
use keyfob_ipc::{Code, Refusal, Secret};

use super::notes;
use crate::agent::Agent;
use crate::clock::{after, before, rfc3339};
use crate::config::{Entry, EntryName};
use crate::holding::Holding;
use crate::kind::Rotate;
use crate::service::Shape;

/// Begins this long before the end, or a third of the life before it, whichever is shorter.
const AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);
/// A service that gives the same end again is not asked all the time.
const AT_MOST_EACH: Duration = Duration::from_secs(24 * 3600);
/// Pause after the first failure, and after each further one.
const AGAIN: [Duration; 2] = [Duration::from_secs(3600), Duration::from_secs(6 * 3600)];

/// Failures in a row of one value.
#[derive(Debug, Clone)]
struct Failed {
    value: Secret<String>,
    times: usize,
    /// When the last one was, and until when it is left alone.
    at: Timestamp,
    not_before: Timestamp,
    /// Whether only a person can go on: the service does not accept the value.
    is_dead: bool,
}

impl Failed {
    /// Until when the value is left alone; what a clock said that was ahead does not count.
    fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        (self.at <= now).then_some(self.not_before)
    }
}

impl Agent {
    /// Rotates tokens with `rotate = "auto"` ahead of their end, for as long as the agent lives. Sleeps until the next one is
    /// due, by the wall clock.
    pub async fn rotate_ahead(self: Arc<Self>) {
        let mut failed: HashMap<EntryName, Failed> = HashMap::new();
        loop {
            let mut stirred = self.rotations.stirred.subscribe();
            let mut keychain = self.holdings().stirred();
            if self.is_locked() {
                // Values are among them.
                failed.clear();
            }
            let next = self.next_rotation(&failed);
            let due = async {
                match &next {
                    Some((due, _)) => self.clock.wait_until(*due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                _ = stirred.changed() => continue,
                _ = keychain.changed() => continue,
                // A clock that is set back would keep it waiting.
                () = tokio::time::sleep(AGAIN[0]) => continue,
            }
            if *self.ending.borrow() {
                return;
            }
            if let Some((_, entry)) = next {
                self.rotate_one_ahead(&entry, &mut failed).await;
            }
        }
    }

    fn next_rotation(&self, failed: &HashMap<EntryName, Failed>) -> Option<(Timestamp, Arc<Entry>)> {
        let footing = self.footing().ok().filter(|_| !self.is_locked())?;
        let now = self.clock.now();
        let due = |entry: &Arc<Entry>| {
            // What the keychain has is somebody else's to read.
            let held = footing.holdings.at_hand(&entry.name)?;
            let due = begins(&held, entry, now)?;
            let failed = failed.get(&entry.name).filter(|failed| failed.value == held.value);
            if failed.is_some_and(|failed| failed.is_dead) {
                return None;
            }
            let waits = failed.and_then(|failed| failed.waits_until(now));
            Some((waits.map_or(due, |not_before| due.max(not_before)), entry.clone()))
        };
        footing.config.entries.iter().filter_map(due).min_by_key(|(due, _)| *due)
    }

    async fn rotate_one_ahead(self: &Arc<Self>, entry: &Arc<Entry>, failed: &mut HashMap<EntryName, Failed>) {
        let name = &entry.name;
        let footing = self.footing();
        let held = footing.as_ref().ok().and_then(|footing| footing.holdings.at_hand(name));
        let outcome = match footing {
            Ok(footing) => self.rotate_by_service(&footing, entry).await.map(|rotated| (footing, rotated)),
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok((footing, rotated)) => {
                failed.remove(name);
                let end = footing.holdings.at_hand(name).and_then(|held| entry.source.end(&held.facts).0);
                let until =
                    end.map(|end| format!(" It ends on {}.", &rfc3339(end)[..10])).unwrap_or_default();
                notes::tell(
                    self,
                    name,
                    Weight::Known,
                    "A token was rotated",
                    format!("{name} has a new token.{until}"),
                );
                super::mend::tell_of(self, entry, rotated);
            }
            Err(refusal) => {
                let Some(held) = held else { return };
                let now = self.clock.now();
                let times = failed.get(name).filter(|failed| failed.value == held.value);
                let times = times.map_or(1, |failed| failed.times + 1);
                let is_dead = refusal.code == Code::TokenNeeded;
                let not_before = after(now, AGAIN[times.min(AGAIN.len()) - 1]);
                let value = held.value.clone();
                failed.insert(name.clone(), Failed { value, times, at: now, not_before, is_dead });
                // Once, and once more where only the person can go on: the reminders go on where it does not come about.
                if times == 1 || is_dead {
                    could_not(self, name, &refusal);
                }
            }
        }
    }
}

fn could_not(agent: &Agent, name: &EntryName, refusal: &Refusal) {
    let hint = if refusal.hint.is_empty() { String::new() } else { format!(". Run: {}", refusal.hint) };
    let body = format!("{}{hint}", refusal.say);
    notes::tell(agent, name, Weight::Due, "A token could not be rotated", body);
}

/// When the agent begins to rotate what is held by itself, which may have passed; `None` where it does not.
pub(crate) fn begins(held: &Holding, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    let token = entry.source.as_token().filter(|token| token.rotate == Rotate::Auto)?;
    // What is unfinished is somebody else's to finish.
    let is_up_to_it = !matches!(token.service.shape(), Shape::ByHand) && held.rotation.is_none();
    is_up_to_it.then(|| due(held, entry, now))?
}

/// When a token is to be rotated; `None` where nobody knows or assumes an end.
fn due(held: &Holding, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    let end = entry.source.end(&held.facts).0?;
    let Some(begin) = held.facts.began(now) else { return Some(before(end, AHEAD)) };
    let life = Duration::try_from(end.duration_since(begin).max(SignedDuration::ZERO)).unwrap_or_default();
    let due = before(end, AHEAD.min(life / 3));
    let replaced = held.facts.token.replaced.filter(|replaced| *replaced <= now);
    let at_most =
        replaced.map(|replaced| after(replaced, AT_MOST_EACH.min(life / 2).max(Duration::from_secs(60))));
    Some(at_most.map_or(due, |not_before| due.max(not_before)))
}
