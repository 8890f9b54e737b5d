//! The life of OUTSCALE access keys: made, stored, proven, served, put away.
//!
//! One keychain item holds everything ([`kit`]): the bootstrap key that a person gave, the key that serves, the one that is being made,
//! and the ids of those before it. Invariants: the intent is in the item before a key is asked for, with a mark that the key will
//! carry and no other; a key is in the item before anything else is done with it, and is served once it has proven itself, as long
//! as it is the configured user's; a key that is served has an end, and is switched off and deleted only when nobody can hold
//! it any more; what carries the mark of an intent that has no answer is an orphan whose secret nobody has, and goes. Nothing else
//! does: a copy of the item, on a cloned machine, makes keys of its own.
//! How far it has got is part of the item, so the next agent goes on from there ([`tidy`]).
//! After a failure OUTSCALE is left alone for a while: it locks out whoever fails too often.

mod bootstrap;
mod given;
pub(crate) mod kit;
pub(crate) mod life;
mod policy;
mod tidy;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::{Code, Refusal};
use tokio::sync::watch;

use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::Outscale;
use crate::upstream::outscale::{Api, OutscaleError};
use kit::{Kit, Making};

/// Longest pause after failures in a row.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Most characters of this machine's name that stand in a tag.
const HOST: usize = 32;

/// What is remembered between calls.
#[derive(Debug)]
pub struct Outscales {
    /// This machine's name, as tags carry it.
    host: String,
    rests: Mutex<HashMap<EntryName, Rest>>,
    stirred: watch::Sender<u64>,
}

/// OUTSCALE is not asked before this is over.
#[derive(Debug, Clone)]
struct Rest {
    since: Timestamp,
    until: Timestamp,
    pause: Duration,
    why: Refusal,
}

/// Why a step was not done, and how long to leave it alone.
#[derive(Debug)]
pub(super) struct Failure {
    refusal: Refusal,
    pause: Duration,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, pause: Duration::from_secs(5) }
    }
}

impl Outscales {
    /// On a machine of this name.
    pub fn on(host: &str) -> Self {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let host: String =
            host.chars().take(HOST).map(|letter| if fits(letter) { letter } else { '-' }).collect();
        Self { host, rests: Mutex::default(), stirred: watch::Sender::new(0) }
    }

    /// What marks a key that is made here: for people, and at its end for us ([`Making::is_of`]).
    fn tag(&self, name: &EntryName, making: &Making) -> String {
        format!("keyfob:{}:{name}:{}", self.host, making.mark)
    }

    /// Why nobody is asked now.
    fn rest(&self, name: &EntryName, now: Timestamp) -> Option<Rest> {
        let rest = locked(&self.rests).get(name).cloned()?;
        (rest.since <= now && now < rest.until).then_some(rest)
    }

    fn failed(&self, name: &EntryName, now: Timestamp, failure: &Failure) {
        let mut rests = locked(&self.rests);
        let before = rests.get(name).map_or(Duration::ZERO, |rest| rest.pause);
        let pause = (before * 2).max(failure.pause).min(LONGEST);
        let rest = Rest { since: now, until: after(now, pause), pause, why: failure.refusal.clone() };
        rests.insert(name.clone(), rest);
    }

    fn worked(&self, name: &EntryName) {
        locked(&self.rests).remove(name);
    }

    /// The background looks again.
    fn stir(&self) {
        self.stirred.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// What a person should know of the keys of an entry, beyond its state.
    pub(crate) fn outscale_notes(&self, entry: &Entry) -> Option<Note> {
        entry.source.as_outscale()?;
        let rest = self.outscales.rest(&entry.name, self.clock.now())?;
        Some(Note {
            weight: Weight::Due,
            say: format!("no new key can be made now: {}", rest.why.say),
            hint: rest.why.hint,
        })
    }
}

/// What a piece of work on one entry's keys stands on.
pub(super) struct At<'a> {
    agent: &'a Arc<Agent>,
    footing: &'a Footing,
    name: &'a EntryName,
    source: &'a Outscale,
    api: Api,
}

impl<'a> At<'a> {
    fn new(
        agent: &'a Arc<Agent>,
        footing: &'a Footing,
        entry: &'a Entry,
        source: &'a Outscale,
    ) -> Result<Self, Refusal> {
        let api = source.api(agent, footing)?;
        Ok(Self { agent, footing, name: &entry.name, source, api })
    }

    fn now(&self) -> Timestamp {
        self.agent.clock.now()
    }

    fn tag(&self, making: &Making) -> String {
        self.agent.outscales.tag(self.name, making)
    }

    /// Puts another state in the keychain; where that does not take it, everything stays as it was.
    async fn store(&self, held: &Held, kit: Kit) -> Result<Held, Refusal> {
        let value = kit.to_value();
        let stored = value.clone();
        let note = move |holding: &mut Holding| holding.value = stored;
        self.footing.holdings.note(self.name, &held.value, note).await?;
        Ok(Held { value, kit })
    }

    fn failure(&self, error: &OutscaleError) -> Failure {
        let (code, hint, pause) = match error {
            OutscaleError::BadKey => {
                let say = format!("OUTSCALE does not accept the key that makes keys for `{}`", self.name);
                let refusal = Refusal::new(Code::TokenNeeded, say);
                return Failure { refusal: refusal.hint(self.add()), pause: Duration::from_secs(300) };
            }
            OutscaleError::Unsent(error) => {
                return Failure { refusal: error.refusal(), pause: Duration::from_secs(5) };
            }
            OutscaleError::AccessRules => {
                let hint = "connect to the VPN, or have this address put in the account's API access rules";
                (Code::ServiceRefused, hint.to_owned(), 30)
            }
            OutscaleError::NotAllowed(_) => {
                let hint = format!("have the user `{}` allowed to manage access keys", self.source.user);
                (Code::ServiceRefused, hint, 300)
            }
            OutscaleError::Throttled(_) => (Code::Offline, "try again in some minutes".to_owned(), 120),
            OutscaleError::Full(_) => {
                let hint = format!("delete keys of the user `{}` that nobody needs", self.source.user);
                (Code::ServiceRefused, hint, 300)
            }
            OutscaleError::Unsure(_) => (Code::Offline, "try again in a minute".to_owned(), 30),
            OutscaleError::NotThere | OutscaleError::Refused { .. } => {
                (Code::ServiceRefused, format!("check `region` and `user` under [{}]", self.name), 300)
            }
        };
        let say = format!("the keys of `{}` cannot be managed: {error}", self.name);
        Failure { refusal: Refusal::new(code, say).hint(hint), pause: Duration::from_secs(pause) }
    }

    fn add(&self) -> String {
        format!("keyfob token add {}", self.name)
    }
}

/// What is held, read.
#[derive(Debug)]
pub(super) struct Held {
    value: keyfob_ipc::Secret<String>,
    kit: Kit,
}

impl Held {
    fn of(holding: &Holding, name: &EntryName) -> Result<Self, Refusal> {
        Ok(Self { value: holding.value.clone(), kit: Kit::of(holding, name)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_short_and_plain_whatever_the_machine_is_called() {
        let name = EntryName { kind: "outscale", name: "monitoring".to_owned() };
        let since = Timestamp::UNIX_EPOCH;
        let making = Making { since, user: "monitoring".to_owned(), mark: "0a1b2c3d".to_owned() };
        let tag = Outscales::on("ada's  l\u{e4}ptop\n<x>").tag(&name, &making);
        assert_eq!(tag, "keyfob:ada-s--l-ptop--x-:outscale.monitoring:0a1b2c3d");
        let long = Outscales::on(&"h".repeat(500)).tag(&name, &making);
        assert!(long.len() < 100 && making.is_of(&long) && making.is_of(&tag));
        assert!(!making.is_of("keyfob-bootstrap:0a1b2c3d") && !making.is_of("keyfob:h:outscale.x:0a1b2c3e"));
    }

    #[test]
    fn failures_in_a_row_are_left_alone_longer_and_longer() {
        let name = EntryName { kind: "outscale", name: "monitoring".to_owned() };
        let (outscales, mut now) = (Outscales::on("h"), Timestamp::UNIX_EPOCH);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            outscales.failed(&name, now, &Failure::from(Refusal::new(Code::Offline, "x")));
            let until = outscales.rest(&name, now).unwrap().until;
            pauses.push(until.duration_since(now).as_secs());
            now = until;
            assert!(outscales.rest(&name, now).is_none());
        }
        assert_eq!(pauses[..3], [5, 10, 20]);
        assert_eq!(pauses[11], 900);
        outscales.worked(&name);
        outscales.failed(&name, now, &Failure::from(Refusal::new(Code::Offline, "x")));
        assert_eq!(outscales.rest(&name, now).unwrap().pause.as_secs(), 5);
    }
}
