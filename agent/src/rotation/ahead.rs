//! `rotate = "auto"`: the agent rotates ahead of the end on its own, and tells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyfob_ipc::reply::Weight;

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

/// Failures in a row.
#[derive(Debug, Clone, Copy)]
struct Failed {
    times: usize,
    not_before: Timestamp,
}

impl Agent {
    /// Rotates tokens with `rotate = "auto"` ahead of their end, for as long as the agent lives. Sleeps until the next one is
    /// due, by the wall clock.
    pub async fn rotate_ahead(self: Arc<Self>) {
        let mut failed: HashMap<EntryName, Failed> = HashMap::new();
        loop {
            let mut stirred = self.rotations.stirred.subscribe();
            let mut keychain = self.holdings().stirred();
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
        let footing = self.footing().ok()?;
        let due = |entry: &Arc<Entry>| {
            let token = entry.source.as_token().filter(|token| token.rotate == Rotate::Auto)?;
            if matches!(token.service.shape(), Shape::ByHand) {
                return None;
            }
            // What the keychain has, or is unfinished, is somebody else's to read or to finish.
            let held = footing.holdings.at_hand(&entry.name).filter(|held| held.rotation.is_none())?;
            let due = due(&held, entry)?;
            let due = failed.get(&entry.name).map_or(due, |failed| due.max(failed.not_before));
            Some((due, entry.clone()))
        };
        footing.config.entries.iter().filter_map(due).min_by_key(|(due, _)| *due)
    }

    async fn rotate_one_ahead(self: &Arc<Self>, entry: &Arc<Entry>, failed: &mut HashMap<EntryName, Failed>) {
        let name = &entry.name;
        let outcome = match self.footing() {
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
                let times = failed.get(name).map_or(1, |failed| failed.times + 1);
                let pause = AGAIN[times.min(AGAIN.len()) - 1];
                failed.insert(name.clone(), Failed { times, not_before: after(self.clock.now(), pause) });
                // Once: the reminders go on where it does not come about.
                if times == 1 {
                    let hint = if refusal.hint.is_empty() {
                        String::new()
                    } else {
                        format!(". Run: {}", refusal.hint)
                    };
                    let body = format!("{}{hint}", refusal.say);
                    notes::tell(self, name, Weight::Due, "A token could not be rotated", body);
                }
            }
        }
    }
}

/// When a token is to be rotated; `None` where nobody knows or assumes an end.
fn due(held: &Holding, entry: &Entry) -> Option<Timestamp> {
    let end = entry.source.end(&held.facts).0?;
    let token = &held.facts.token;
    let created = token.told.as_ref().and_then(|(told, _)| told.created);
    // A service that rotates may go on to tell when the first value was made.
    let begin = token.replaced.or(created).or(held.facts.added)?;
    let life = Duration::try_from(end.duration_since(begin).max(SignedDuration::ZERO)).unwrap_or_default();
    let due = before(end, AHEAD.min(life / 3));
    let replaced = token
        .replaced
        .map(|replaced| after(replaced, AT_MOST_EACH.min(life / 2).max(Duration::from_secs(60))));
    Some(replaced.map_or(due, |not_before| due.max(not_before)))
}
