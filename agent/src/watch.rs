//! Who watches: what changed goes to everybody who is connected, and waits for nobody.
//!
//! A watcher that is slow sees changes together, not one by one. One that leaves more notices lying than a person could
//! read is let go: it connects anew and looks at everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_ipc::limits::WATCHERS;
use keyfob_ipc::reply::{Event, LedgerLine, LockReport, Notice, Outcome, Question};
use keyfob_ipc::{Code, Refusal};
use tokio::sync::{Notify, watch};

use crate::config::EntryName;
use crate::consent::Seat;

/// Notices that wait for one watcher.
const NOTICES: usize = 32;

/// Lines of the ledger that wait for one watcher. A slow one misses the oldest, and is told how many: they are in the file.
const LINES: usize = 1024;

/// What a watcher is sent beside changes and the lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// Notices, which it shows.
    pub notices: bool,
    /// Questions, which the person answers there.
    pub questions: bool,
    /// Lines of the ledger.
    pub ledger: bool,
}

/// Everybody who watches. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Watchers(Arc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    seats: Mutex<Seats>,
    /// How many watchers show notices.
    showing: watch::Sender<usize>,
    /// How many there are.
    all: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Seats {
    last: u64,
    taken: BTreeMap<u64, Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    wants: Wants,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    changed: BTreeSet<String>,
    /// Whether something about the agent itself changed, which is told even where there are no entries.
    changed_all: bool,
    notices: VecDeque<Notice>,
    /// Questions and what became of them, in order.
    questions: VecDeque<Event>,
    ledger: VecDeque<LedgerLine>,
    /// How many lines were not shown, and when the last of them was written.
    missed: Option<(u64, String)>,
    lock: Option<Option<LockReport>>,
    is_over: bool,
}

impl Watchers {
    /// A number for a connection of the control door.
    pub fn number(&self) -> Seat {
        let mut seats = self.seats();
        seats.last += 1;
        Seat(seats.last)
    }

    /// Takes a seat; what happens from here on is not missed.
    ///
    /// # Errors
    /// [`Code::Busy`] where every seat is taken.
    pub fn watch(&self, notices: bool) -> Result<Watch, Refusal> {
        self.sit(Wants { notices, ..Wants::default() })
    }

    /// As [`Watchers::watch`].
    ///
    /// # Errors
    /// [`Code::Busy`] where every seat is taken.
    pub fn sit(&self, wants: Wants) -> Result<Watch, Refusal> {
        let mut seats = self.seats();
        if seats.taken.len() >= WATCHERS {
            let say = format!("{WATCHERS} programs watch the agent already");
            return Err(Refusal::new(Code::Busy, say).hint("close one of them"));
        }
        seats.last += 1;
        let id = seats.last;
        let seat = Arc::new(Place { wants, queue: Mutex::default(), filled: Notify::new() });
        seats.taken.insert(id, Arc::clone(&seat));
        self.count(&seats);
        Ok(Watch { watchers: self.clone(), id, seat })
    }

    /// Something about these entries is not as it was.
    pub fn changed<'a>(&self, names: impl IntoIterator<Item = &'a EntryName>) {
        let seats = self.seats();
        if seats.taken.is_empty() {
            return;
        }
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        for seat in seats.taken.values().filter(|_| !names.is_empty()) {
            seat.fill(|queue| queue.changed.extend(names.iter().cloned()));
        }
    }

    /// Something about the agent itself is not as it was: its settings, its keychain, the errors of its configuration. These
    /// are all of its entries.
    pub fn changed_all<'a>(&self, names: impl IntoIterator<Item = &'a EntryName>) {
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        for seat in self.seats().taken.values() {
            seat.fill(|queue| {
                queue.changed.extend(names.iter().cloned());
                queue.changed_all = true;
            });
        }
    }

    /// Offers a notice to those who show notices; `false` where there are none.
    pub fn offer(&self, notice: &Notice) -> bool {
        let mut seats = self.seats();
        let mut is_offered = false;
        seats.taken.retain(|_, seat| {
            if !seat.wants.notices {
                return true;
            }
            let has_room = seat.fill(|queue| {
                queue.is_over = queue.notices.len() >= NOTICES;
                if !queue.is_over {
                    queue.notices.push_back(notice.clone());
                }
            });
            is_offered |= has_room;
            has_room
        });
        self.count(&seats);
        is_offered
    }

    /// Sends a question to every window, with an id of its own for each; `make` gives the same id for the same window again.
    pub fn question(&self, mut make: impl FnMut(Seat) -> Question) {
        for (id, seat) in self.seats().taken.iter().filter(|(_, seat)| seat.wants.questions) {
            let question = make(Seat(*id));
            seat.fill(|queue| {
                // One that is asked again takes the place of what nobody has read yet.
                queue
                    .questions
                    .retain(|event| !matches!(event, Event::Question(known) if known.id == question.id));
                queue.questions.push_back(Event::Question(question));
            });
        }
    }

    /// Tells a window that a question is over.
    pub fn question_closed(&self, seat: Seat, id: String) {
        if let Some(seat) = self.seats().taken.get(&seat.0) {
            seat.fill(|queue| queue.questions.push_back(Event::QuestionClosed { id }));
        }
    }

    /// Sends a line of the ledger to those who follow it.
    pub fn ledger(&self, line: &LedgerLine) {
        for seat in self.seats().taken.values().filter(|seat| seat.wants.ledger) {
            seat.fill(|queue| {
                if queue.ledger.len() >= LINES
                    && let Some(lost) = queue.ledger.pop_front()
                {
                    let before = queue.missed.take().map_or(0, |(count, _)| count);
                    queue.missed = Some((before + 1, lost.at));
                }
                queue.ledger.push_back(line.clone());
            });
        }
    }

    /// Tells everybody about the lock.
    pub fn lock(&self, lock: Option<&LockReport>) {
        for seat in self.seats().taken.values() {
            seat.fill(|queue| queue.lock = Some(lock.cloned()));
        }
    }

    /// How many watchers show notices, now and from here on.
    pub fn showing(&self) -> watch::Receiver<usize> {
        self.0.showing.subscribe()
    }

    /// How many watchers there are, now and from here on.
    pub fn watching(&self) -> watch::Receiver<usize> {
        self.0.all.subscribe()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, seats: &Seats) {
        let count = seats.taken.values().filter(|seat| seat.wants.notices).count();
        self.0.showing.send_if_modified(|before| std::mem::replace(before, count) != count);
        let all = seats.taken.len();
        self.0.all.send_if_modified(|before| std::mem::replace(before, all) != all);
    }
}

impl Place {
    /// Puts something into the queue; `false` where that is over.
    fn fill(&self, fill: impl FnOnce(&mut Queue)) -> bool {
        let mut queue = self.queue();
        fill(&mut queue);
        self.filled.notify_one();
        !queue.is_over
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who watches. The seat is free again when this is dropped.
#[derive(Debug)]
pub struct Watch {
    watchers: Watchers,
    id: u64,
    seat: Arc<Place>,
}

impl Watch {
    /// The number of its connection.
    pub fn seat(&self) -> Seat {
        Seat(self.id)
    }

    /// The next event; `None` where this watcher was too slow. Nothing is lost where the wait is given up.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let filled = self.seat.filled.notified();
            {
                let mut queue = self.seat.queue();
                if queue.is_over {
                    return None;
                }
                // A window knows a question before it hears word of it.
                if let Some(question) = queue.questions.pop_front() {
                    return Some(question);
                }
                if let Some(notice) = queue.notices.pop_front() {
                    return Some(Event::Notice(notice));
                }
                if let Some(lock) = queue.lock.take() {
                    return Some(Event::Lock(lock));
                }
                if let Some((count, at)) = queue.missed.take() {
                    return Some(Event::Ledger(missed(count, at)));
                }
                if let Some(line) = queue.ledger.pop_front() {
                    return Some(Event::Ledger(line));
                }
                if std::mem::take(&mut queue.changed_all) || !queue.changed.is_empty() {
                    let entries = std::mem::take(&mut queue.changed).into_iter().collect();
                    return Some(Event::Changed { entries });
                }
            }
            filled.await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut seats = self.watchers.seats();
        seats.taken.remove(&self.id);
        self.watchers.count(&seats);
    }
}

/// Stands where lines are missing.
fn missed(count: u64, at: String) -> LedgerLine {
    let note = match count {
        1 => "1 line was not shown to this watcher; it is in the file".to_owned(),
        count => format!("{count} lines were not shown to this watcher; they are in the file"),
    };
    LedgerLine {
        at,
        act: "ledger".to_owned(),
        outcome: Outcome::Done,
        entry: None,
        target: None,
        code: None,
        asking: None,
        note: Some(note),
    }
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Weight;

    use super::*;

    fn name(name: &str) -> EntryName {
        EntryName { kind: "token", name: name.to_owned() }
    }

    fn notice(id: u64) -> Notice {
        let text = String::new;
        Notice { id, entry: text(), weight: Weight::Due, title: text(), body: text(), is_question: false }
    }

    #[tokio::test]
    async fn a_slow_watcher_sees_changes_together() {
        let watchers = Watchers::default();
        watchers.changed([&name("before")]);
        let mut watch = watchers.watch(false).unwrap();
        for changed in ["b", "a", "b"] {
            watchers.changed([&name(changed)]);
        }
        watchers.changed([]);
        let entries = vec!["token.a".to_owned(), "token.b".to_owned()];
        assert_eq!(watch.next().await, Some(Event::Changed { entries }));
        assert!(watch.seat.queue().changed.is_empty());
    }

    #[tokio::test]
    async fn notices_go_to_those_who_show_them_and_to_nobody_later() {
        let watchers = Watchers::default();
        let deaf = watchers.watch(false).unwrap();
        assert!(!watchers.offer(&notice(1)));
        let mut showing = watchers.watch(true).unwrap();
        assert!(watchers.offer(&notice(2)));
        assert_eq!(showing.next().await, Some(Event::Notice(notice(2))));
        assert!(deaf.seat.queue().notices.is_empty());
        assert_eq!(*watchers.showing().borrow(), 1);
        drop(showing);
        assert_eq!(*watchers.showing().borrow(), 0);
        assert!(!watchers.offer(&notice(3)));
    }

    #[tokio::test]
    async fn who_leaves_notices_lying_is_let_go_and_the_others_are_not() {
        let watchers = Watchers::default();
        let (mut slow, mut quick) = (watchers.watch(true).unwrap(), watchers.watch(true).unwrap());
        for id in 0..=u64::try_from(NOTICES).unwrap() {
            assert!(watchers.offer(&notice(id)));
            assert_eq!(quick.next().await, Some(Event::Notice(notice(id))));
        }
        assert_eq!(slow.next().await, None);
        assert_eq!(*watchers.showing().borrow(), 1);
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_many_lines_it_missed() {
        let watchers = Watchers::default();
        let mut watch = watchers.sit(Wants { ledger: true, ..Wants::default() }).unwrap();
        let line = |at: usize| LedgerLine { note: None, ..missed(0, at.to_string()) };
        for (lost, said) in [(1, "1 line was not shown"), (5, "5 lines were not shown")] {
            (0..LINES + lost).for_each(|at| watchers.ledger(&line(at)));
            let Some(Event::Ledger(marker)) = watch.next().await else { panic!("no line") };
            assert_eq!((marker.act.as_str(), marker.at), ("ledger", (lost - 1).to_string()));
            assert!(marker.note.as_ref().is_some_and(|note| note.starts_with(said)), "{:?}", marker.note);
            for at in lost..LINES + lost {
                assert_eq!(watch.next().await, Some(Event::Ledger(line(at))));
            }
        }
    }

    #[test]
    fn seats_are_few_and_come_free() {
        let watchers = Watchers::default();
        let mut all: Vec<Watch> = (0..WATCHERS).map(|_| watchers.watch(true).unwrap()).collect();
        assert_eq!(watchers.watch(false).unwrap_err().code, Code::Busy);
        all.pop();
        assert!(watchers.watch(false).is_ok());
    }
}
