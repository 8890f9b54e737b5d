//! Looks at processes and files of somebody else's, who can let whoever reads them wait for ever (FUSE, a dead mount).
//!
//! Each look has a thread of its own and a second; then it is given up, and its thread is left alone. Those that decide, those
//! for the ledger and those for people have turns apart, so that none keeps another from being answered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyfob_ipc::peer::FileId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a look may take, with the wait for its turn. Usual ones take a thousandth of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Threads that look, at most, with those that were given up.
const THREADS: usize = 64;

/// A path that somebody has waited for this long is not looked at by others meanwhile.
const STUCK: Duration = Duration::from_millis(300);

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To decide about a request.
    Decision,
    /// To name who asked, in the ledger.
    Ledger,
    /// To tell a person something.
    Person,
}

impl Errand {
    fn turns(self) -> &'static Semaphore {
        static TURNS: [Semaphore; 3] = [const { Semaphore::const_new(8) }; 3];
        match self {
            Self::Decision => &TURNS[0],
            Self::Ledger => &TURNS[1],
            Self::Person => &TURNS[2],
        }
    }
}

/// Looks, on a thread that nobody else waits for. `None` where that takes too long, or the agent ends.
pub(crate) async fn aside<T: Send + 'static>(
    errand: Errand,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let looking = async {
        let _turn = errand.turns().acquire().await.ok()?;
        let thread = Thread::begin()?;
        tokio::task::spawn_blocking(move || {
            let _thread = thread;
            look()
        })
        .await
        .ok()
    };
    timeout(PATIENCE, looking).await.ok().flatten()
}

/// One of [`THREADS`], until the look has ended.
struct Thread;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

impl Thread {
    fn begin() -> Option<Self> {
        let add = |running: usize| (running < THREADS).then_some(running + 1);
        RUNNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok().then_some(Self)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The file at a path of the configuration; `None` also where somebody waits for that path already, and in vain.
pub(crate) fn file_at(path: &Path) -> Option<FileId> {
    let _wait = Wait::begin(path)?;
    FileId::of(path).ok()
}

/// Somebody waits for a path.
struct Wait<'a>(&'a Path);

/// Since when somebody waits for a path, and how many do.
static WAITS: Mutex<Option<HashMap<PathBuf, (Instant, usize)>>> = Mutex::new(None);

fn waits() -> MutexGuard<'static, Option<HashMap<PathBuf, (Instant, usize)>>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Wait<'a> {
    fn begin(path: &'a Path) -> Option<Self> {
        let mut waits = waits();
        let known = waits.get_or_insert_default().entry(path.to_owned()).or_insert((Instant::now(), 0));
        if known.1 > 0 && known.0.elapsed() >= STUCK {
            return None;
        }
        known.1 += 1;
        Some(Self(path))
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = waits();
        let Some(known) = waits.get_or_insert_default().get_mut(self.0) else { return };
        known.1 -= 1;
        if known.1 == 0 {
            waits.get_or_insert_default().remove(self.0);
        } else {
            // One has come back, so the path answers.
            known.0 = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn looks_that_hang_keep_no_other_errand_waiting_and_are_given_up() {
        let (release, held) = mpsc::channel::<()>();
        let held = std::sync::Arc::new(Mutex::new(held));
        let hanging: Vec<_> = (0..9)
            .map(|_| {
                let held = held.clone();
                tokio::spawn(aside(Errand::Ledger, move || {
                    let _ = held.lock().unwrap().recv();
                }))
            })
            .collect();
        assert_eq!(aside(Errand::Decision, || 1).await, Some(1));
        for look in hanging {
            assert_eq!(look.await.unwrap(), None);
        }
        // Their turns are free again, although their threads still hang.
        assert_eq!(aside(Errand::Ledger, || 2).await, Some(2));
        drop(release);
    }

    #[test]
    fn a_path_that_somebody_waits_for_in_vain_is_not_waited_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "").unwrap();
        let waiting = Wait::begin(&path).unwrap();
        assert!(file_at(&path).is_some(), "it may be a moment");
        waits().as_mut().unwrap().get_mut(&path).unwrap().0 = Instant::now().checked_sub(STUCK).unwrap();
        assert!(file_at(&path).is_none());
        drop(waiting);
        assert!(file_at(&path).is_some());
    }
}
