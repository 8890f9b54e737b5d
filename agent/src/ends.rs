//! What is known of the end of every token, without asking the keychain.
//!
//! A token is reminded of whether or not anything has used it since the agent started, and the keychain may be locked for
//! as long as nobody opens it. So a small file in the state folder keeps, for each entry, when what it holds ends and what was
//! told about that. No value is in it. It is written before a reminder is shown: nothing is shown twice, whatever happens.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::{after, before};
use crate::config::{Config, Entry, EntryName, KeychainKind};
use crate::holding::{Facts, Holding};
use crate::reminders::{Look, Standing};

/// Format of the file that this build writes.
const FORMAT: u16 = 1;

/// Most bytes that are read: ten thousand entries.
const SIZE: u64 = 4 * 1024 * 1024;

/// Services count the time that is left, and not all do so to the second: an end that moves by less is the same.
const SAME: Duration = Duration::from_secs(60);

/// What is known of an entry that is gone from the configuration is forgotten so long after its end.
const GONE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The ends, and what was told of them.
#[derive(Debug)]
pub struct Ends {
    path: PathBuf,
    known: Mutex<Known>,
    /// Something changed that reminders follow from.
    pub changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    records: BTreeMap<String, Record>,
    /// Whether the file is behind.
    is_new: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved<R> {
    format: u16,
    entries: R,
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
        let mut records = read(&path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), "reminders start anew: {error}");
            BTreeMap::new()
        });
        // What was in memory is gone.
        for record in records.values_mut().filter(|record| record.keychain == KeychainKind::Memory) {
            record.held = false;
        }
        Self { path, known: Mutex::new(Known { records, is_new: false }), changed: Notify::new() }
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
        known.is_new = true;
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
            Some(about) if before(end, SAME) < about.end && about.end < after(end, SAME) => {
                About { end, ..about }
            }
            _ => About::new(end),
        };
        record.about = Some(about.clone());
        Some(End { is_assumed, machine: record.machine.clone(), added: record.added, about })
    }

    /// Changes what was told of an end, and writes it down; where that fails, nothing is changed.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where the file cannot be written; [`Code::Pending`] where the end is another one by now.
    pub fn note(
        &self,
        name: &EntryName,
        end: Timestamp,
        change: impl FnOnce(&mut About),
    ) -> Result<(), Refusal> {
        let mut known = self.known();
        let about = known.records.get_mut(&name.to_string()).and_then(|record| record.about.as_mut());
        let Some(about) = about.filter(|about| about.end == end) else {
            return Err(
                Refusal::new(Code::Pending, format!("`{name}` was changed meanwhile")).hint("try again")
            );
        };
        let before = about.clone();
        change(about);
        let written = write(&self.path, &known.records);
        match written {
            Ok(()) => {
                known.is_new = false;
                self.changed.notify_one();
                Ok(())
            }
            Err(error) => {
                if let Some(record) = known.records.get_mut(&name.to_string()) {
                    record.about = Some(before);
                }
                let say = format!("the file `{}` cannot be written ({error})", self.path.display());
                Err(Refusal::new(Code::PlaceUnsafe, say))
            }
        }
    }

    /// Nothing is told of an entry before this moment: the file cannot be written.
    pub fn put_off(&self, name: &EntryName, until: Timestamp) {
        let mut known = self.known();
        if let Some(about) = known.records.get_mut(&name.to_string()).and_then(|record| record.about.as_mut())
        {
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

    /// Writes down what was learned, and forgets what is long gone. Where that fails, it is learned again.
    pub fn save(&self, config: &Config, now: Timestamp) {
        let mut known = self.known();
        if !known.is_new {
            return;
        }
        known.records.retain(|name, record| {
            let is_configured = config.entries.iter().any(|entry| entry.name.to_string() == *name);
            is_configured || record.about.as_ref().is_some_and(|about| now < after(about.end, GONE))
        });
        if let Err(error) = write(&self.path, &known.records) {
            tracing::warn!(file = %self.path.display(), %error, "what is known of ends cannot be written");
        }
        known.is_new = false;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn read(path: &Path) -> Result<BTreeMap<String, Record>, String> {
    let mut bytes = Vec::new();
    match open(path) {
        Ok(file) => file.take(SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SIZE {
        return Err("the file is too large".to_owned());
    }
    // The words of the parser may repeat what it has read.
    let damaged = |_| "the file is damaged".to_owned();
    let Saved { format, .. } =
        serde_json::from_slice::<Saved<serde::de::IgnoredAny>>(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(format!("the file has format {format}"));
    }
    serde_json::from_slice::<Saved<BTreeMap<String, Record>>>(&bytes)
        .map(|saved| saved.entries)
        .map_err(damaged)
}

/// Opens the file, if it is a file and ours.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    // A pipe in its place would be waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw() {
        Ok(file)
    } else {
        Err(io::Error::other("this is no file of ours"))
    }
}

#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    // The profile folder's own access list keeps others out.
    File::open(path)
}

/// A reader sees all of it or what was there before.
fn write(path: &Path, records: &BTreeMap<String, Record>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(&Saved { format: FORMAT, entries: records })?;
    bytes.push(b'\n');
    let fresh = path.with_extension("json.new");
    // One that was left behind may be anything.
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
