//! The connection on which the agent tells what happens.
//!
//! There is one at most, each with a number; what an earlier one still brings is nobody's business. Where none can be had
//! this waits for word of an agent ([`crate::beacon`]) or for the person. Only one that was made and breaks is made again by
//! the time: at once the first time, as after an upgrade in place, and after a growing pause where it goes on breaking.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use keyfob_ipc::{Refusal, Speaking, limits};

use super::owed::Owed;
use super::reach::Reach;
use super::speaking::Waiting;
use super::threads::{Said, apart, fault};
use super::{Back, Input, Running};
use crate::shell::Shell;

/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// Before the next try after one that was not.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The connection, or what there is in its place.
#[derive(Default)]
pub(super) struct Link {
    /// The number of the newest connection, or of the newest try.
    number: u64,
    is_trying: bool,
    /// What to do where the try under way fails: try again, and whether that starts an agent.
    then: Option<bool>,
    pub(super) open: Option<Open>,
    /// Why there is none.
    pub(super) absent: Option<Refusal>,
    /// Who waits for the agent to start.
    starters: Vec<Owed>,
    next_try: Option<Instant>,
    pause: Duration,
}

/// A connection.
pub(super) struct Open {
    pub(super) speaking: Speaking,
    /// What was asked on it and is not answered yet, the oldest first.
    pub(super) waiting: VecDeque<Waiting>,
    since: Instant,
}

impl Link {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn is_open_as(&self, number: u64) -> bool {
        self.is_open() && self.number == number
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        self.next_try
    }

    /// Whether it is time for the next try; it is so once.
    pub(super) fn takes_try(&mut self, now: Instant) -> bool {
        self.next_try.take_if(|at| *at <= now).is_some()
    }

    /// When to try after a connection broke that had lasted so long.
    fn broke_after(&mut self, lasted: Duration, now: Instant) -> Instant {
        if lasted >= STEADY {
            self.pause = Duration::ZERO;
        }
        let at = now + self.pause;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        at
    }
}

impl<S: Shell> Running<S> {
    /// Tries to connect, unless that is done already; an agent is started only where `starts` says so: the person may have
    /// stopped it on purpose.
    pub(super) fn connect(&mut self, starts: bool) {
        if self.link.is_open() {
            return;
        }
        if self.link.is_trying {
            self.link.then = Some(starts || self.link.then == Some(true));
            return;
        }
        self.link.number += 1;
        self.link.next_try = None;
        let (number, reach, sender) = (self.link.number, Arc::clone(&self.reach), self.sender.clone());
        self.link.is_trying = true;
        if !apart("connection", move || converse(number, starts, &reach, &sender)) {
            self.gone(number, fault("the connection to the agent"));
        }
    }

    /// For somebody who waits until the agent has started.
    pub(super) fn start_agent(&mut self, owed: Owed) {
        if self.link.is_open() {
            return owed.done();
        }
        self.link.starters.push(owed);
        self.connect(true);
    }

    pub(super) fn connected(&mut self, number: u64, speaking: Speaking) {
        if number != self.link.number || !self.link.is_trying {
            return;
        }
        tracing::info!("connected to the agent");
        self.link.is_trying = false;
        self.link.then = None;
        self.link.absent = None;
        self.link.open = Some(Open { speaking, waiting: VecDeque::new(), since: Instant::now() });
        for owed in self.link.starters.drain(..) {
            owed.done();
        }
        self.window.is_stale = true;
        self.want_status();
    }

    /// The connection is over, or could not be made.
    pub(super) fn gone(&mut self, number: u64, refusal: Refusal) {
        if number != self.link.number || !(self.link.is_trying || self.link.is_open()) {
            return;
        }
        tracing::info!("no connection to the agent: {refusal}");
        self.link.is_trying = false;
        let broken = self.link.open.take();
        self.status.forget();
        self.lock = None;
        self.forget_questions();
        self.window.is_stale = true;
        match broken {
            Some(open) => self.broke(open, &refusal),
            None => self.tried(&refusal),
        }
        self.link.absent = Some(refusal);
    }

    fn broke(&mut self, open: Open, refusal: &Refusal) {
        for owed in open.waiting.into_iter().filter_map(|waiting| waiting.owed) {
            owed.answer(Err(refusal.clone()));
        }
        let now = Instant::now();
        let at = self.link.broke_after(now.saturating_duration_since(open.since), now);
        if at <= now {
            self.connect(false);
        } else {
            self.link.next_try = Some(at);
        }
    }

    fn tried(&mut self, refusal: &Refusal) {
        let then = self.link.then.take();
        if then != Some(true) {
            for owed in self.link.starters.drain(..) {
                owed.answer(Err(refusal.clone()));
            }
        }
        if let Some(starts) = then {
            self.connect(starts);
        }
    }
}

/// The life of one connection.
fn converse(number: u64, starts: bool, reach: &Reach, sender: &Sender<Input>) {
    let life = AssertUnwindSafe(|| listen(number, starts, reach, sender));
    let end = catch_unwind(life).unwrap_or_else(|_| Some(fault("the connection to the agent")));
    if let Some(refusal) = end {
        // Nobody listens any more where the program ends.
        let _ = sender.send(Input::Gone(number, refusal));
    }
}

/// Why it is over; `None` where nobody wants to know any more.
fn listen(number: u64, starts: bool, reach: &Reach, sender: &Sender<Input>) -> Option<Refusal> {
    let opened = reach.again_where_it_broke(starts, |client| client.window(limits::CONTROL_PATIENCE));
    let (mut listening, speaking) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return Some(refusal),
    };
    sender.send(Input::Back(Back(Said::Connected(number, speaking)))).ok()?;
    loop {
        match listening.hear() {
            Ok(heard) => sender.send(Input::Heard(number, heard)).ok()?,
            Err(refusal) => return Some(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_again_and_again_is_tried_ever_more_seldom() {
        let (mut link, now) = (Link::default(), Instant::now());
        let mut pause = |lasted: u64| link.broke_after(Duration::from_secs(lasted), now) - now;
        let pauses: Vec<u64> = (0..9).map(|_| pause(0).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(3600), Duration::ZERO, "a good one that ends is an upgrade, or a restart");
    }
}
