//! Whether it is locked, in memory and in the state folder.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, io};

use jiff::Timestamp;
use keyfob_ipc::Refusal;
use keyfob_ipc::reply::LockedBy;
use serde::{Deserialize, Serialize};
use tokio::sync::{MutexGuard, watch};

use crate::config::LockOn;
use crate::holdings::Gate;
use crate::own_file;

/// Format of the file that this build writes.
const FORMAT: u16 = 1;

/// Most bytes that are read.
const SIZE: u64 = 4096;

/// A lock that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    pub(super) since: Timestamp,
    pub(super) by: LockedBy,
    /// Whether unlocking asks for nothing.
    pub(super) is_pause: bool,
    /// Whether it is in the state folder.
    pub(super) is_kept: bool,
    /// Counts the times that somebody locked, also where it was locked already.
    number: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u16,
    since: Timestamp,
    by: LockedBy,
}

impl Locked {
    pub(super) fn new(since: Timestamp, by: LockedBy) -> Self {
        Self { since, by, is_pause: false, is_kept: false, number: 0 }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// Whether it is locked.
pub struct Latch {
    path: PathBuf,
    /// What leases and holdings look at.
    gate: Gate,
    standing: watch::Sender<(u64, Option<Locked>)>,
    turn: tokio::sync::Mutex<()>,
    wanted: watch::Sender<LockOn>,
    trouble: Mutex<Option<String>>,
}

impl Latch {
    /// Over a file, read at once. Whatever is there and cannot be read locks: only its absence says that nobody has.
    pub fn open(path: PathBuf, now: Timestamp) -> Self {
        let standing = match read(&path) {
            Ok(kept) => kept.map(|kept| Locked { is_kept: true, ..Locked::new(kept.since, kept.by) }),
            Err(error) => {
                tracing::warn!(file = %path.display(), "locked, for this says so and cannot be read: {error}");
                Some(Locked { is_kept: true, ..Locked::new(now, LockedBy::Unknown) })
            }
        };
        let gate = Gate::default();
        gate.set(standing.is_some());
        Self {
            path,
            gate,
            standing: watch::Sender::new((0, standing)),
            turn: tokio::sync::Mutex::default(),
            wanted: watch::Sender::new(LockOn::default()),
            trouble: Mutex::default(),
        }
    }

    /// What is shut with it.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_shut(&self) -> bool {
        self.gate.is_shut()
    }

    pub(super) fn refusal(&self) -> Refusal {
        Gate::refusal()
    }

    pub(super) fn standing(&self) -> Option<Locked> {
        self.standing.borrow().1
    }

    /// Returns when it is locked, with the refusal of what was under way.
    pub(crate) async fn shuts(&self) -> Refusal {
        // The sender is ours.
        let _ = self.standing.subscribe().wait_for(|(_, standing)| standing.is_some()).await;
        self.refusal()
    }

    /// To be held by whoever locks or unlocks.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether nobody locks or unlocks at this moment.
    #[cfg(unix)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.turn.try_lock().is_ok()
    }

    /// Locks, at once. Says how it is locked, and how it was before. Whoever unlocks at this moment has lost.
    pub(super) fn shut(&self, now: Timestamp, by: LockedBy) -> (Locked, Option<Locked>) {
        let (mut is, mut was) = (Locked::new(now, by), None);
        self.standing.send_modify(|(count, standing)| {
            self.gate.set(true);
            *count += 1;
            was = *standing;
            is = Locked { number: *count, ..was.unwrap_or(is) };
            *standing = Some(is);
        });
        (is, was)
    }

    /// Whether this lock is in the state folder.
    pub(super) fn set_kept(&self, locked: &Locked, is_kept: bool) {
        self.standing.send_if_modified(|(_, standing)| {
            let this = standing.as_mut().filter(|standing| standing.is_same(locked));
            this.is_some_and(|this| std::mem::replace(&mut this.is_kept, is_kept) != is_kept)
        });
    }

    /// Lifts this lock; `false` where there is a later one.
    pub(super) fn open_up(&self, locked: &Locked) -> bool {
        self.standing.send_if_modified(|(_, standing)| {
            let is_this = standing.is_some_and(|standing| standing.is_same(locked));
            if is_this {
                self.gate.set(false);
                *standing = None;
            }
            is_this
        })
    }

    pub(super) fn is_pause(&self, is_pause: bool) {
        self.standing.send_if_modified(|(_, standing)| {
            standing
                .as_mut()
                .is_some_and(|locked| std::mem::replace(&mut locked.is_pause, is_pause) != is_pause)
        });
    }

    /// Writes it down; it is on the disk when this returns. What was kept before and is still there will do.
    pub(super) async fn keep(&self, locked: Locked) -> io::Result<()> {
        let path = self.path.clone();
        let Locked { since, by, is_kept, .. } = locked;
        aside(move || {
            let mut bytes = serde_json::to_vec(&Kept { format: FORMAT, since, by })?;
            bytes.push(b'\n');
            own_file::replace(&path, &bytes).or_else(|error| match read(&path) {
                Ok(None) => Err(error),
                Ok(Some(_)) | Err(_) if !is_kept => Err(error),
                Ok(Some(_)) | Err(_) => Ok(()),
            })
        })
        .await
    }

    pub(super) async fn forget(&self) -> io::Result<()> {
        let path = self.path.clone();
        aside(move || own_file::remove(&path)).await
    }

    /// What locks it from here on, beside the person.
    pub(crate) fn want(&self, lock_on: LockOn) {
        self.wanted.send_if_modified(|before| std::mem::replace(before, lock_on) != lock_on);
    }

    pub(super) fn wanted(&self) -> watch::Receiver<LockOn> {
        self.wanted.subscribe()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says once what is wrong.
    pub(super) fn say_trouble(&self, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(say) = trouble.as_ref().filter(|_| *known != trouble) {
            tracing::warn!("`lock_on` has no effect: {say}");
        }
        *known = trouble;
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Latch").field("standing", &self.standing()).finish_non_exhaustive()
    }
}

async fn aside(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the agent failed at it")))
}

/// `None` where there is none.
fn read(path: &Path) -> Result<Option<Kept>, String> {
    let mut bytes = Vec::new();
    match own_file::open(path) {
        Ok(file) => file.take(SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|_| "it is damaged".to_owned())?;
    Ok(Some(kept))
}
