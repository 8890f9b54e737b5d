//! Who watches: what changed goes to everybody who is connected, and waits for nobody.
//!
//! A watcher that is slow sees changes together, not one by one. One that leaves more notices lying than a person could
//! read is let go: it connects anew and looks at everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_ipc::limits::WATCHERS;
use keyfob_ipc::reply::{Event, Notice};
use keyfob_ipc::{Code, Refusal};
use tokio::sync::{Notify, watch};

use crate::config::EntryName;

/// Notices that wait for one watcher.
const NOTICES: usize = 32;

/// Everybody who watches. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Watchers(Arc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    seats: Mutex<Seats>,
    /// How many watchers show notices.
    showing: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Seats {
    last: u64,
    taken: BTreeMap<u64, Arc<Seat>>,
}

#[derive(Debug)]
struct Seat {
    notices: bool,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    changed: BTreeSet<String>,
    notices: VecDeque<Notice>,
    is_over: bool,
}

impl Watchers {
    /// Takes a seat; what happens from here on is not missed.
    ///
    /// # Errors
    /// [`Code::Busy`] where every seat is taken.
    pub fn watch(&self, notices: bool) -> Result<Watch, Refusal> {
        let mut seats = self.seats();
        if seats.taken.len() >= WATCHERS {
            let say = format!("{WATCHERS} programs watch the agent already");
            return Err(Refusal::new(Code::Busy, say).hint("close one of them"));
        }
        seats.last += 1;
        let id = seats.last;
        let seat = Arc::new(Seat { notices, queue: Mutex::default(), filled: Notify::new() });
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

    /// Offers a notice to those who show notices; `false` where there are none.
    pub fn offer(&self, notice: &Notice) -> bool {
        let mut seats = self.seats();
        let mut is_offered = false;
        seats.taken.retain(|_, seat| {
            if !seat.notices {
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

    /// How many watchers show notices, now and from here on.
    pub fn showing(&self) -> watch::Receiver<usize> {
        self.0.showing.subscribe()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, seats: &Seats) {
        let count = seats.taken.values().filter(|seat| seat.notices).count();
        self.0.showing.send_if_modified(|before| std::mem::replace(before, count) != count);
    }
}

impl Seat {
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
    seat: Arc<Seat>,
}

impl Watch {
    /// The next event; `None` where this watcher was too slow. Nothing is lost where the wait is given up.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let filled = self.seat.filled.notified();
            {
                let mut queue = self.seat.queue();
                if queue.is_over {
                    return None;
                }
                if let Some(notice) = queue.notices.pop_front() {
                    return Some(Event::Notice(notice));
                }
                if !queue.changed.is_empty() {
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

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Weight;

    use super::*;

    fn name(name: &str) -> EntryName {
        EntryName { kind: "token", name: name.to_owned() }
    }

    fn notice(id: u64) -> Notice {
        let text = String::new;
        Notice { id, entry: text(), weight: Weight::Due, title: text(), body: text() }
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

    #[test]
    fn seats_are_few_and_come_free() {
        let watchers = Watchers::default();
        let mut all: Vec<Watch> = (0..WATCHERS).map(|_| watchers.watch(true).unwrap()).collect();
        assert_eq!(watchers.watch(false).unwrap_err().code, Code::Busy);
        all.pop();
        assert!(watchers.watch(false).is_ok());
    }
}
