//! What waits to be shown, and what is shown: who makes room, and when the server is asked again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Shown;
use crate::shell::{NotShown, Notification};

/// So many can be clicked; each has a connection to the bus.
const MOST_SHOWN: usize = 16;
/// So many wait for their turn.
const MOST_WAITING: usize = 32;
/// A server that has failed is asked again after this time, or once it is another one.
const PAUSE: Duration = Duration::from_secs(60);

/// In both lists, the oldest come first.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Notification>,
    shown: VecDeque<Known>,
    /// The one that the server is asked for just now.
    asked: Option<Asked>,
    /// When the last try failed, if nothing has changed since.
    failed: Option<Instant>,
    has_ended: bool,
}

/// One that is shown.
struct Known {
    number: u64,
    is_urgent: bool,
    shown: Shown,
}

struct Asked {
    number: u64,
    is_taken_back: bool,
}

impl Queue {
    /// One more.
    pub fn take(&mut self, notification: &Notification, now: Instant) -> Result<(), NotShown> {
        if self.has_ended || self.is_failing(now) {
            return Err(NotShown);
        }
        if let Some(same) = self.waiting.iter_mut().find(|other| other.number == notification.number) {
            *same = notification.clone();
            return Ok(());
        }
        if self.waiting.len() >= MOST_WAITING {
            tracing::warn!("more than {MOST_WAITING} notifications wait to be shown; one is left out");
            let spare = oldest(&self.waiting, notification.is_urgent, |other| other.is_urgent);
            let Some(spare) = spare else { return Ok(()) };
            self.waiting.remove(spare);
        }
        self.waiting.push_back(notification.clone());
        Ok(())
    }

    /// Takes one back, wherever it is.
    pub fn withdraw(&mut self, number: u64) {
        self.waiting.retain(|waiting| waiting.number != number);
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.number == number) {
            asked.is_taken_back = true;
        }
        if let Some(known) = self.remove(number) {
            close(known.shown);
        }
    }

    /// The next to ask the server for, and the server's number of the one in whose place it comes.
    pub fn next(&mut self, now: Instant) -> Option<(Notification, Option<u32>)> {
        if self.is_failing(now) {
            return None;
        }
        self.shown.retain(|known| !known.shown.close.is_closed());
        loop {
            let next = self.waiting.pop_front()?;
            let before = self.shown.iter().find(|known| known.number == next.number);
            let before = before.map(|known| known.shown.id);
            if before.is_some() || self.make_room(next.is_urgent) {
                self.asked = Some(Asked { number: next.number, is_taken_back: false });
                return Some((next, before));
            }
        }
    }

    /// What came of asking for it.
    pub fn tried(&mut self, notification: &Notification, shown: Result<Shown, NotShown>, now: Instant) {
        let is_taken_back = self.asked.take().is_some_and(|asked| asked.is_taken_back);
        self.failed = shown.is_err().then_some(now);
        let Ok(shown) = shown else { return };
        if is_taken_back {
            return close(shown);
        }
        let (number, is_urgent) = (notification.number, notification.is_urgent);
        // Nobody listens for the one before, in whose place this is.
        drop(self.remove(number));
        self.shown.push_back(Known { number, is_urgent, shown });
    }

    /// There is another server, or none any more.
    #[cfg(target_os = "linux")]
    pub fn server_changed(&mut self, one_has_gone: bool) {
        self.failed = None;
        if one_has_gone {
            self.shown.clear();
        }
    }

    /// Nothing more is shown.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn is_failing(&self, now: Instant) -> bool {
        self.failed.is_some_and(|failed| now.saturating_duration_since(failed) < PAUSE)
    }

    /// `false` where everything that is there matters more.
    fn make_room(&mut self, for_urgent: bool) -> bool {
        while self.shown.len() >= MOST_SHOWN {
            let spare = oldest(&self.shown, for_urgent, |known| known.is_urgent);
            let Some(known) = spare.and_then(|spare| self.shown.remove(spare)) else { return false };
            close(known.shown);
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Known> {
        let index = self.shown.iter().position(|known| known.number == number)?;
        self.shown.remove(index)
    }
}

/// Which makes room: the oldest that is not urgent. An urgent one does so for an urgent one alone.
fn oldest<T>(all: &VecDeque<T>, for_urgent: bool, is_urgent: impl Fn(&T) -> bool) -> Option<usize> {
    all.iter().position(|one| !is_urgent(one)).or(for_urgent.then_some(0))
}

/// It may be gone by now.
fn close(shown: Shown) {
    let _ = shown.close.send(());
}

#[cfg(test)]
pub mod samples {
    use super::*;

    pub fn notification(number: u64, is_urgent: bool) -> Notification {
        let text = number.to_string();
        Notification { number, title: text.clone(), body: text, is_urgent }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, Receiver};

    use super::samples::notification;
    use super::*;

    /// Shows all that wait; each gets its own number from the server.
    fn show_all(queue: &mut Queue, now: Instant) -> Vec<(u64, Receiver<()>)> {
        let mut all = Vec::new();
        while let Some((next, _)) = queue.next(now) {
            let (close, closed) = oneshot::channel();
            let id = u32::try_from(next.number).unwrap();
            queue.tried(&next, Ok(Shown { id, close }), now);
            all.push((next.number, closed));
        }
        all
    }

    #[cfg(target_os = "linux")]
    fn numbers(shown: &[(u64, Receiver<()>)]) -> Vec<u64> {
        shown.iter().map(|(number, _)| *number).collect()
    }

    /// Those that were closed.
    fn closed(shown: &mut [(u64, Receiver<()>)]) -> Vec<u64> {
        shown.iter_mut().filter_map(|(number, closed)| closed.try_recv().is_ok().then_some(*number)).collect()
    }

    #[test]
    fn the_oldest_by_arrival_makes_room_and_no_urgent_one_while_another_is_there() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let mut shown = Vec::new();
        // Numbers fall, so that they say nothing about the arrival.
        for number in (1..=16).rev() {
            queue.take(&notification(number, number == 16), now).unwrap();
            shown.extend(show_all(&mut queue, now));
        }
        for (number, gone) in [(100, 15), (101, 14)] {
            queue.take(&notification(number, true), now).unwrap();
            shown.extend(show_all(&mut queue, now));
            assert_eq!(closed(&mut shown), [gone]);
        }
        for number in 200..213 {
            queue.take(&notification(number, true), now).unwrap();
            shown.extend(show_all(&mut queue, now));
        }
        assert_eq!(closed(&mut shown), (1..=13).rev().collect::<Vec<_>>());
        queue.take(&notification(300, false), now).unwrap();
        assert!(show_all(&mut queue, now).is_empty(), "all that are there are urgent");
        queue.take(&notification(301, true), now).unwrap();
        shown.extend(show_all(&mut queue, now));
        assert_eq!(closed(&mut shown), [16]);
    }

    #[test]
    fn of_those_that_wait_the_oldest_that_is_not_urgent_is_left_out() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..40 {
            queue.take(&notification(number, number < 2), now).unwrap();
        }
        let waiting: Vec<_> = queue.waiting.iter().map(|waiting| waiting.number).collect();
        assert_eq!(waiting, [0, 1].into_iter().chain(10..40).collect::<Vec<_>>());
        queue.withdraw(0);
        queue.take(&Notification { title: "again".to_owned(), ..notification(1, true) }, now).unwrap();
        assert_eq!((queue.waiting.len(), queue.waiting[0].title.as_str()), (31, "again"));
    }

    #[test]
    fn one_comes_in_the_place_of_the_one_with_its_number_until_that_has_gone() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.take(&notification(5, false), now).unwrap();
        let shown = show_all(&mut queue, now);
        queue.take(&notification(5, false), now).unwrap();
        let (again, before) = queue.next(now).unwrap();
        assert_eq!((again.number, before), (5, Some(5)));
        queue.tried(&again, Err(NotShown), now);
        assert_eq!(queue.shown.len(), 1, "the one before is still there");
        drop(shown);
        queue.failed = None;
        queue.take(&notification(5, false), now).unwrap();
        assert_eq!(queue.next(now).unwrap().1, None);
    }

    #[test]
    fn a_server_that_failed_is_asked_again_after_a_while_or_once_it_is_another() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 1..=3 {
            queue.take(&notification(number, false), now).unwrap();
        }
        let (first, _) = queue.next(now).unwrap();
        queue.tried(&first, Err(NotShown), now);
        assert!(queue.take(&notification(4, false), now).is_err());
        assert!(queue.next(now).is_none());
        let later = now + PAUSE;
        let (second, _) = queue.next(later).unwrap();
        assert_eq!(second.number, 2);
        queue.tried(&second, Err(NotShown), later);
        #[cfg(target_os = "linux")]
        {
            assert!(queue.take(&notification(4, false), later).is_err());
            queue.server_changed(false);
            queue.take(&notification(4, false), later).unwrap();
            assert_eq!(numbers(&show_all(&mut queue, later)), [3, 4]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_server_has_shown_that_is_gone_is_in_nobodys_place() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.take(&notification(1, false), now).unwrap();
        let shown = show_all(&mut queue, now);
        queue.server_changed(false);
        assert_eq!((numbers(&shown), queue.shown.len()), (vec![1], 1));
        queue.server_changed(true);
        queue.take(&notification(1, false), now).unwrap();
        assert_eq!(queue.next(now).unwrap().1, None);
    }
}
