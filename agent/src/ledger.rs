//! The ledger: one line for each answer, for the person to read. Presence only, never a value.
//!
//! Whoever has given an answer looks up who asked and hands a line over, before the next question on that connection is
//! read; one writer at a time puts what was handed over into the file ([`book`]), and nothing runs between. So no answer
//! waits for a look or for the disk, a look that takes long delays its own asker alone, and so does a writer that does not
//! keep up, for a moment: a disk that hangs costs lines, which are counted, and no service.

mod book;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Asking, LedgerLine, Outcome, Reply};
use keyfob_ipc::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use crate::agent::Agent;
use crate::asker::Asker;
use crate::clock::SharedClock;
use crate::config::{Ask, EntryName};
use crate::watch::Watchers;
use book::{Batch, Book};

/// Lines that wait to be written at most.
const WAITING: usize = 256;

/// How long the look at who asked may take: a process can make others wait for what they read of it.
const LOOK: Duration = Duration::from_secs(2);

/// How long a line waits for a place among those that wait.
const PLACE: Duration = Duration::from_secs(1);

/// How long anybody waits for the disk.
const DISK: Duration = Duration::from_secs(5);

/// Lines that are given out at most.
const NEWEST: usize = 1000;

/// What somebody asks for, as far as it is known while it is being answered.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// As in [`LedgerLine::act`].
    pub act: &'static str,
    /// The entry, once it is found.
    pub entry: Option<EntryName>,
    /// Host and port, the latter where it is not 443: there is one scheme for all.
    pub target: Option<String>,
    /// As in [`LedgerLine::note`].
    pub note: Option<String>,
}

impl Deed {
    /// Something that is asked for.
    pub fn new(act: &'static str) -> Self {
        Self { act, ..Self::default() }
    }
}

/// How a deed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused.
    pub code: Option<Code>,
}

impl Ending {
    /// It was done, and gave nothing.
    pub const DONE: Self = Self { outcome: Outcome::Done, code: None };

    /// From the answer to a tool.
    pub fn of_tool(answer: &Result<Reply, Refusal>) -> Self {
        match answer {
            Ok(Reply::Headers(headers)) if headers.headers.is_empty() => {
                Self { outcome: Outcome::Empty, code: None }
            }
            Ok(_) => Self { outcome: Outcome::Given, code: None },
            Err(refusal) => Self { outcome: Outcome::Refused, code: Some(refusal.code) },
        }
    }

    /// From the answer to a person.
    pub fn of_control(answer: &Result<Reply, Refusal>) -> Self {
        match answer {
            Ok(Reply::Value { .. } | Reply::Issued(_)) => Self { outcome: Outcome::Given, code: None },
            Ok(_) => Self::DONE,
            Err(refusal) => Self { outcome: Outcome::Refused, code: Some(refusal.code) },
        }
    }
}

impl Agent {
    /// The newest lines of the ledger, of one entry or of all.
    ///
    /// # Errors
    /// Where no entry has this name, and where the disk does not answer.
    pub async fn log(&self, last: u32, name: Option<&str>) -> Result<Vec<LedgerLine>, Refusal> {
        let name = match name {
            Some(name) => Some(self.config()?.find(name, Ask::Anything)?.name.clone()),
            None => None,
        };
        self.ledger.read(last as usize, name.as_ref()).await.ok_or_else(|| {
            let say = "the ledger cannot be read: the disk of the state folder does not answer";
            Refusal::new(Code::PlaceUnsafe, say).hint("keyfob doctor")
        })
    }
}

/// The ledger.
pub struct Ledger(Arc<Desk>);

struct Desk {
    clock: SharedClock,
    watchers: Watchers,
    places: Arc<Semaphore>,
    /// Lines that are on their way to the queue: who asked is still looked up.
    coming: watch::Sender<usize>,
    queue: Mutex<Queue>,
    /// Lines that found no place.
    lost: AtomicU64,
    book: Mutex<Book>,
    /// Why lines are being lost.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// Whether a writer is at work, who takes what comes until there is nothing left.
    is_served: bool,
}

/// Something for the writer.
struct Job {
    line: Option<LedgerLine>,
    /// Told once it is on the disk, and whether it is.
    is_written: Option<oneshot::Sender<bool>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Ledger {
    /// Over a file, which need not be there: `ledger.jsonl`. Nothing is read or written before the first line.
    pub fn open(path: PathBuf, clock: SharedClock, watchers: Watchers) -> Self {
        Self::over(Book::new(path), clock, watchers)
    }

    fn over(book: Book, clock: SharedClock, watchers: Watchers) -> Self {
        Self(Arc::new(Desk {
            clock,
            watchers,
            places: Arc::new(Semaphore::new(WAITING)),
            coming: watch::Sender::default(),
            queue: Mutex::default(),
            lost: AtomicU64::default(),
            book: Mutex::new(book),
            trouble: Mutex::default(),
        }))
    }

    /// Hands a line over, after the answer was given, once it is looked up who asked. Returns before it is written, unless too
    /// many lines wait already: then it waits for a moment, and the line is counted as lost.
    pub async fn note(&self, asker: &Asker, deed: Deed, ending: Ending) {
        self.hand_in(asker, deed, ending, None).await;
    }

    /// The same for what must not be forgotten: returns when the line is on the disk, and whether it is; `false` also where
    /// the disk does not answer in time.
    pub async fn note_now(&self, asker: &Asker, deed: Deed, ending: Ending) -> bool {
        let (sender, is_written) = oneshot::channel();
        self.hand_in(asker, deed, ending, Some(sender)).await;
        self.answer_of_the_disk(is_written).await == Some(true)
    }

    /// Returns when everything that is known of answers given so far is on the disk, and whether it is. Waits for looks at
    /// who asked as long as these may take, and for the disk for a while.
    pub async fn flush(&self) -> bool {
        let mut coming = self.0.coming.subscribe();
        let _ = timeout(LOOK + PLACE, coming.wait_for(|count| *count == 0)).await;
        self.settle().await == Some(true)
    }

    /// The newest lines, the oldest first; at most a thousand, and no more than fit into an answer. None where the disk does
    /// not answer.
    pub async fn newest(&self, last: usize, entry: Option<&EntryName>) -> Vec<LedgerLine> {
        self.read(last, entry).await.unwrap_or_default()
    }

    async fn read(&self, last: usize, entry: Option<&EntryName>) -> Option<Vec<LedgerLine>> {
        self.settle().await?;
        let (desk, entry) = (self.0.clone(), entry.map(ToString::to_string));
        // Opened at one moment, so that no line is missed or seen twice where they are put aside meanwhile.
        let read = move || lines::newest(locked(&desk.book).files(), last.min(NEWEST), entry.as_deref());
        timeout(DISK, tokio::task::spawn_blocking(read)).await.ok()?.ok()
    }

    /// Returns when what was put into the queue is on the disk, and whether it is; `None` where the disk does not answer.
    async fn settle(&self) -> Option<bool> {
        let (sender, is_written) = oneshot::channel();
        self.put(None, Some(sender), None);
        self.answer_of_the_disk(is_written).await
    }

    async fn answer_of_the_disk(&self, is_written: oneshot::Receiver<bool>) -> Option<bool> {
        let Ok(is_written) = timeout(DISK, is_written).await else {
            self.0.say(Some("the disk does not answer".to_owned()));
            return None;
        };
        Some(is_written.unwrap_or(false))
    }

    /// Why lines are being lost, where they are.
    pub fn trouble(&self) -> Option<String> {
        locked(&self.0.trouble).clone()
    }

    async fn hand_in(
        &self,
        asker: &Asker,
        deed: Deed,
        ending: Ending,
        is_written: Option<oneshot::Sender<bool>>,
    ) {
        let _coming = Coming::begin(&self.0);
        let asking = timeout(LOOK, asker.report()).await;
        let unseen = asking.is_err().then(|| "who asked could not be seen in time".to_owned());
        let line = LedgerLine {
            at: String::new(),
            act: deed.act.to_owned(),
            outcome: ending.outcome,
            entry: deed.entry.map(|entry| entry.to_string()),
            target: deed.target,
            code: ending.code,
            asking: asking.ok().filter(|asking| *asking != Asking::default()),
            note: deed.note.or(unseen),
        };
        // Whoever waits here holds a connection that others need.
        let Ok(place) = timeout(PLACE, self.0.places.clone().acquire_owned()).await else {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // It fails where it is closed, which nobody does.
        self.put(Some(line), is_written, place.ok());
    }

    fn put(
        &self,
        line: Option<LedgerLine>,
        is_written: Option<oneshot::Sender<bool>>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let mut queue = locked(&self.0.queue);
        // Within the turn, so that lines stand in the order of their times.
        let at = moment(self.0.clock.now());
        let line = line.map(|line| LedgerLine { at, ..line });
        queue.waiting.push_back(Job { line, is_written, _place: place });
        if !std::mem::replace(&mut queue.is_served, true) {
            let desk = self.0.clone();
            drop(tokio::task::spawn_blocking(move || desk.serve()));
        }
    }
}

impl Desk {
    /// Writes until nothing waits any more.
    fn serve(&self) {
        let _turn = Serving(self);
        let mut book = locked(&self.book);
        loop {
            book.missing = book.missing.saturating_add(self.lost.swap(0, Ordering::Relaxed));
            let mut batch = Batch::after(book.missing, self.clock.now());
            let mut told = Vec::new();
            let jobs: Vec<Job> = {
                let mut queue = locked(&self.queue);
                if queue.waiting.is_empty() {
                    queue.is_served = false;
                    return;
                }
                let count = queue.waiting.len().min(Batch::LINES);
                queue.waiting.drain(..count).collect()
            };
            for Job { line, is_written, _place } in jobs {
                told.extend(is_written);
                if let Some(line) = line {
                    batch.push(line);
                }
            }
            let outcome = book.append(&batch, !told.is_empty());
            for line in batch.written(outcome.lines) {
                self.watchers.ledger(line);
            }
            let is_written = outcome.error.is_none();
            self.say(outcome.error.map(|error| error.to_string()));
            for told in told {
                // Nobody may wait any more.
                let _ = told.send(is_written);
            }
        }
    }

    /// Says once that something is wrong, and once that it is not any more.
    fn say(&self, trouble: Option<String>) {
        let mut known = locked(&self.trouble);
        match (&*known, &trouble) {
            (None, Some(error)) => tracing::warn!(error, "the ledger cannot be written"),
            (Some(_), None) => tracing::info!("the ledger can be written again"),
            _ => {}
        }
        *known = trouble;
    }
}

/// A line on its way to the queue.
struct Coming<'a>(&'a Desk);

impl<'a> Coming<'a> {
    fn begin(desk: &'a Desk) -> Self {
        desk.coming.send_modify(|count| *count += 1);
        Self(desk)
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.coming.send_modify(|count| *count -= 1);
    }
}

/// A writer at work. One that fails makes room for the next one.
struct Serving<'a>(&'a Desk);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            locked(&self.0.queue).is_served = false;
        }
    }
}

/// `2026-11-21T08:00:00.700Z`: cut to milliseconds.
fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
