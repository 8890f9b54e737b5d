//! What is known of the end of every token, without asking the keychain.
//!
//! A token is reminded of whether or not anything has used it since the agent started, and the keychain may be locked for
//! as long as nobody opens it. So a small file in the state folder keeps, for each entry, when what it holds ends and what was
//! told about that. No value is in it. It is written before a reminder is shown: nothing is shown twice, whatever happens.
//! Reminders wait for the disk on a thread of its own, and nobody else waits with them.

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::{after, before};
use crate::config::{Config, Entry, EntryName, KeychainKind};
use crate::holding::{Facts, Holding};
use crate::reminders::{Look, Standing};

/// Services count the time that is left, and not all do so to the second: an end that moves by less is the same.
const SAME: Duration = Duration::from_secs(60);

/// What is known of an entry that is gone from the configuration is forgotten so long after its end.
const GONE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The ends, and what was told of them.
#[derive(Debug)]
pub struct Ends {
    kept: Arc<Kept>,
    /// Something changed that reminders follow from.
    pub changed: Notify,
}

/// What goes along to a thread that writes.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    known: Mutex<Known>,
    /// Held from the look at what is known to the end of its writing, so that nothing older ever follows something newer.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    records: BTreeMap<String, Record>,
    /// How often something was learned,
    learned: u64,
    /// and how much of that is in the file.
    written: u64,
}

/// What is known of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whether anything is held. What was told of an end is kept beyond that: the same token may come back.
    pub held: bool,
    /// Where it is held; another keychain says nothing about this one.
    pub keychain: KeychainKind,
    /// [`Facts::ends`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// [`Facts::ends_assumed`].
    #[serde(default)]
    pub assumed: bool,
    /// [`Facts::added`]: an assumed end follows from it, and from the configuration of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Timestamp>,
    /// Whose it is, where that is a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

/// What was told of one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The end.
    pub end: Timestamp,
    /// [`Standing::told`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<u64, Timestamp>,
    /// [`Standing::owed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<(u64, Timestamp)>,
    /// [`Standing::snoozed_until`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// The file could not be written; from this moment it is tried again.
    #[serde(skip)]
    put_off: Option<Timestamp>,
}

impl About {
    fn new(end: Timestamp) -> Self {
        Self { end, told: BTreeMap::new(), owed: None, snoozed_until: None, put_off: None }
    }

    /// For the decision.
    pub fn standing(&self) -> Standing<'_> {
        let Self { end, ref told, owed, snoozed_until, .. } = *self;
        Standing { end, told, owed, snoozed_until }
    }

    /// The decision.
    pub fn look(&self, thresholds: &[Duration], now: Timestamp) -> Look {
        let look = self.standing().look(thresholds, now);
        match self.put_off.filter(|until| now < *until && look.due.is_some()) {
            Some(until) => Look { due: None, next: Some(until) },
            None => look,
        }
    }
}

/// An end that is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Whether nobody but the configuration says so.
    pub is_assumed: bool,
    /// Whose it is, where that is a machine.
    pub machine: Option<String>,
    /// When it came here, where that is known.
    pub added: Option<Timestamp>,
    /// When, and what was told of it.
    pub about: About,
}

impl End {
    /// From its coming to its end; without bound where that is not known.
    pub fn life(&self) -> Duration {
        let life = self.added.map(|added| Duration::try_from(self.about.end.duration_since(added)));
        life.map_or(Duration::MAX, Result::unwrap_or_default)
    }
}

impl Ends {
    /// Over a file, read at once. One that is damaged or not ours starts anew.
    pub fn open(path: PathBuf) -> Self {
        let mut records = file::read(&path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), "reminders start anew: {error}");
            BTreeMap::new()
        });
        // What was in memory is gone.
        for record in records.values_mut().filter(|record| record.keychain == KeychainKind::Memory) {
            record.held = false;
        }
        let known = Mutex::new(Known { records, ..Known::default() });
        Self { kept: Arc::new(Kept { path, known, writing: Mutex::default() }), changed: Notify::new() }
    }

    /// Takes in what an entry holds. Asked often, and nearly always of what is known.
    pub fn learn(&self, name: &EntryName, keychain: KeychainKind, held: Option<&Holding>) {
        let text = name.to_string();
        let mut known = self.known();
        let before = known.records.get(&text);
        let Some(record) = record_of(before, keychain, held) else { return };
        if before == Some(&record) {
            return;
        }
        known.records.insert(text, record);
        known.learned += 1;
        self.changed.notify_one();
    }

    /// The end of what an entry holds, by today's configuration.
    pub fn end(&self, entry: &Entry, config: &Config) -> Option<End> {
        let mut known = self.known();
        let record = known.records.get_mut(&entry.name.to_string())?;
        if !record.held || record.keychain != config.agent.keychain {
            return None;
        }
        let facts = Facts {
            ends: record.ends,
            ends_assumed: record.assumed,
            added: record.added,
            ..Facts::default()
        };
        let (end, is_assumed) = entry.source.end(&facts);
        let end = end?;
        let about = match record.about.take() {
            Some(about) if about.end == end => about,
            Some(about) if is_same(about.end, end) => About { end, ..about },
            _ => About::new(end),
        };
        record.about = Some(about.clone());
        Some(End { is_assumed, machine: record.machine.clone(), added: record.added, about })
    }

    /// Changes what was told of an end, once that is written down; where it cannot be, nothing is changed. Waits for the disk.
    ///
    /// `change` gets what is known when its turn has come, and says whether there is anything to change. So does the answer.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where the file cannot be written; [`Code::Pending`] where the end is another one by now.
    pub fn note(
        &self,
        name: &EntryName,
        end: Timestamp,
        change: impl FnOnce(&mut About) -> bool,
    ) -> Result<bool, Refusal> {
        let is_changed = self.kept.note(name, end, change)?;
        self.changed.notify_one();
        Ok(is_changed)
    }

    /// The same, on a thread that may wait.
    ///
    /// # Errors
    /// As [`Ends::note`].
    pub async fn note_aside(
        &self,
        name: &EntryName,
        end: Timestamp,
        change: impl FnOnce(&mut About) -> bool + Send + 'static,
    ) -> Result<bool, Refusal> {
        let (kept, name) = (self.kept.clone(), name.clone());
        let noted = tokio::task::spawn_blocking(move || kept.note(&name, end, change)).await;
        let failed = |_| Refusal::new(Code::Internal, "the agent failed at writing down a reminder");
        let is_changed = noted.map_err(failed)??;
        self.changed.notify_one();
        Ok(is_changed)
    }

    /// Nothing is told of an entry before this moment: the file cannot be written.
    pub fn put_off(&self, name: &EntryName, until: Timestamp) {
        let mut known = self.known();
        if let Some(about) = known.about(&name.to_string()) {
            about.put_off = Some(until);
        }
    }

    /// What reached nobody is to be tried again now.
    pub fn retry(&self, now: Timestamp) {
        let mut known = self.known();
        for (_, retry) in known.records.values_mut().filter_map(|record| record.about.as_mut()?.owed.as_mut())
        {
            *retry = now;
        }
        self.changed.notify_one();
    }

    /// Writes down what was learned, if anything was, and forgets what is long gone. Where that fails it is tried again at the
    /// next call.
    pub async fn save(&self, config: &Arc<Config>, now: Timestamp) {
        if !self.known().is_behind() {
            return;
        }
        let (kept, config) = (self.kept.clone(), config.clone());
        // It fails where the agent ends, and is learned again.
        let _ = tokio::task::spawn_blocking(move || kept.save(&config, now)).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.kept.known()
    }
}

impl Kept {
    fn note(
        &self,
        name: &EntryName,
        end: Timestamp,
        change: impl FnOnce(&mut About) -> bool,
    ) -> Result<bool, Refusal> {
        let _turn = self.turn();
        let text = name.to_string();
        let (about, records, learned) = {
            let mut known = self.known();
            let Some(mut about) = known.about(&text).filter(|about| about.end == end).cloned() else {
                let say = format!("`{name}` was changed meanwhile");
                return Err(Refusal::new(Code::Pending, say).hint("try again"));
            };
            if !change(&mut about) {
                return Ok(false);
            }
            let mut records = known.records.clone();
            if let Some(record) = records.get_mut(&text) {
                record.about = Some(about.clone());
            }
            (about, records, known.learned)
        };
        file::write(&self.path, &records).map_err(|error| {
            let say = format!("the file `{}` cannot be written ({error})", self.path.display());
            Refusal::new(Code::PlaceUnsafe, say)
        })?;
        let mut known = self.known();
        known.written = learned;
        // Another value may have come meanwhile.
        if let Some(known) = known.about(&text).filter(|known| is_same(known.end, end)) {
            *known = About { end: known.end, put_off: known.put_off, ..about };
        }
        Ok(true)
    }

    fn save(&self, config: &Config, now: Timestamp) {
        let _turn = self.turn();
        let configured: HashSet<String> = config.entries.iter().map(|entry| entry.name.to_string()).collect();
        let (records, learned) = {
            let mut known = self.known();
            known.records.retain(|name, record| {
                let is_recent = || record.about.as_ref().is_some_and(|about| now < after(about.end, GONE));
                configured.contains(name) || is_recent()
            });
            (known.records.clone(), known.learned)
        };
        match file::write(&self.path, &records) {
            Ok(()) => self.known().written = learned,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "what is known of ends cannot be written");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_behind(&self) -> bool {
        self.learned != self.written
    }

    fn about(&mut self, name: &str) -> Option<&mut About> {
        self.records.get_mut(name)?.about.as_mut()
    }
}

fn is_same(one: Timestamp, other: Timestamp) -> bool {
    before(other, SAME) < one && one < after(other, SAME)
}

/// `None` where there is nothing to note.
fn record_of(before: Option<&Record>, keychain: KeychainKind, held: Option<&Holding>) -> Option<Record> {
    let Some(holding) = held else {
        return before.map(|before| Record { held: false, ..before.clone() });
    };
    let facts = &holding.facts;
    Some(Record {
        held: true,
        keychain,
        ends: facts.ends,
        assumed: facts.ends_assumed,
        added: facts.added,
        machine: machine(facts),
        about: before.and_then(|before| before.about.clone()),
    })
}

/// The owner, where that is a machine.
fn machine(facts: &Facts) -> Option<String> {
    let owner = facts.owner.as_ref()?;
    let is_said = facts.token.told.as_ref().is_some_and(|(told, _)| told.machine == Some(true));
    (is_said || owner.starts_with("bot-")).then(|| owner.clone())
}
