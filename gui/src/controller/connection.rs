//! The connection on which the agent tells what happens.
//!
//! There is one at most, each with a number; what an earlier one still brings is nobody's business. One that breaks is made
//! again at once, as after an upgrade in place, and after a growing pause where that fails or it goes on breaking. Only where
//! nobody listens, and has not for a while, this waits for word of an agent ([`crate::beacon`]) or for the person.
//!
//! What comes is paid for: the thread that hears has so many credits, and each is given back once the controller has taken
//! what it was paid for. Without one it hears nothing, so that an agent that says too much fills its own queue.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use keyfob_ipc::{Heard, Refusal, Speaking, limits};

use super::owed::Owed;
use super::reach::{Way, is_absence};
use super::speaking::Waiting;
use super::threads::{Said, apart};
use super::{Back, Input, Running};
use crate::shell::Shell;

/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// Before the next try after one that was not.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long an agent that was there is looked for where nobody listens: an upgrade or a restart takes no longer.
const MISSED: Duration = Duration::from_secs(120);
/// What may have been heard and not been taken yet.
const CREDITS: usize = 256;

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
    /// Until when an agent that was there is missed.
    missed_until: Option<Instant>,
    /// Whether the try under way may start an agent.
    starts: bool,
    /// Whether an agent could not be started: why not is worth more than that none runs.
    is_not_started: bool,
}

/// A connection.
pub(super) struct Open {
    pub(super) speaking: Speaking,
    /// What was asked on it and is not answered yet, the oldest first.
    pub(super) waiting: VecDeque<Waiting>,
    since: Instant,
    /// Of what was heard.
    credits: Receiver<()>,
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

    /// Something that was heard has been taken.
    pub(super) fn give_credit_back(&self) {
        if let Some(open) = &self.open {
            // A test brings what nobody has paid for.
            let _ = open.credits.try_recv();
        }
    }

    /// When to try after a connection broke that had lasted so long.
    fn broke_after(&mut self, lasted: Duration, now: Instant) -> Instant {
        if lasted >= STEADY {
            self.pause = Duration::ZERO;
        }
        self.missed_until = Some(now + MISSED);
        let at = now + self.pause;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        at
    }

    /// When to try after a try has failed; `None` where only word of an agent can help.
    fn failed(&mut self, is_absence: bool, now: Instant) -> Option<Instant> {
        let pause = self.pause.max(FIRST_PAUSE);
        let mut at = now + pause;
        if is_absence {
            let Some(until) = self.missed_until.filter(|until| now < *until) else {
                (self.missed_until, self.pause) = (None, Duration::ZERO);
                return None;
            };
            at = at.min(until);
        }
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(at)
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
        let (number, way, sender) = (self.link.number, Arc::clone(&self.way), self.sender.clone());
        (self.link.is_trying, self.link.starts) = (true, starts);
        if !apart("connection", move || converse(number, starts, &way, &sender)) {
            self.gone(number, self.way.busy());
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

    pub(super) fn connected(&mut self, number: u64, speaking: Speaking, credits: Receiver<()>) {
        if number != self.link.number || !self.link.is_trying {
            return;
        }
        tracing::info!("connected to the agent");
        self.link.is_trying = false;
        self.link.then = None;
        self.link.absent = None;
        (self.link.missed_until, self.link.is_not_started) = (None, false);
        self.link.open = Some(Open { speaking, waiting: VecDeque::new(), since: Instant::now(), credits });
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
        let keeps_words = broken.is_none() && self.link.is_not_started && is_absence(&refusal);
        match broken {
            Some(open) => self.broke(open, &refusal),
            None => self.tried(&refusal),
        }
        if !keeps_words {
            self.link.absent = Some(refusal);
        }
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
        self.link.is_not_started |= self.link.starts;
        match then {
            Some(starts) => self.connect(starts),
            None => self.link.next_try = self.link.failed(is_absence(refusal), Instant::now()),
        }
    }
}

/// The life of one connection.
fn converse(number: u64, starts: bool, way: &Way, sender: &Sender<Input>) {
    let life = AssertUnwindSafe(|| listen(number, starts, way, sender));
    let end = catch_unwind(life).unwrap_or_else(|_| Some(way.fault("say.fault-connection")));
    if let Some(refusal) = end {
        // Nobody listens any more where the program ends.
        let _ = sender.send(Input::Gone(number, refusal));
    }
}

/// Why it is over; `None` where nobody wants to know any more.
fn listen(number: u64, starts: bool, way: &Way, sender: &Sender<Input>) -> Option<Refusal> {
    let opened = way.again_where_it_broke(starts, |client| client.window(limits::CONTROL_PATIENCE));
    let (mut listening, speaking) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return Some(refusal),
    };
    let (pay, credits) = sync_channel(CREDITS);
    sender.send(Input::Back(Back(Said::Connected(number, speaking, credits)))).ok()?;
    pass_on(number, || listening.hear(), &pay, sender)
}

/// Passes on what is heard as fast as it is taken.
fn pass_on(
    number: u64,
    mut hear: impl FnMut() -> Result<Heard, Refusal>,
    pay: &SyncSender<()>,
    sender: &Sender<Input>,
) -> Option<Refusal> {
    loop {
        match hear() {
            Ok(heard) => {
                pay.send(()).ok()?;
                sender.send(Input::Heard(number, heard)).ok()?;
            }
            Err(refusal) => return Some(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use keyfob_ipc::Code;
    use keyfob_ipc::reply::Event;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn what_breaks_again_and_again_is_tried_ever_more_seldom() {
        let (mut link, now) = (Link::default(), Instant::now());
        let mut pause = |lasted: u64| link.broke_after(Duration::from_secs(lasted), now) - now;
        let pauses: Vec<u64> = (0..9).map(|_| pause(0).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(3600), Duration::ZERO, "a good one that ends is an upgrade, or a restart");
    }

    #[test]
    fn an_agent_that_was_there_is_looked_for_for_two_minutes() {
        let (mut link, begun) = (Link::default(), Instant::now());
        let mut now = link.broke_after(Duration::from_secs(3600), begun);
        let mut tried = vec![now];
        while let Some(at) = link.failed(true, now) {
            tried.push(at);
            now = at;
        }
        let seconds: Vec<u64> = tried.into_iter().map(|at| (at - begun).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 63, 120]);
        assert_eq!(link.failed(true, now), None, "the beacon tells where one is there again");
    }

    #[test]
    fn what_refuses_is_tried_ever_more_seldom_and_for_ever_and_what_never_was_is_not() {
        let (mut link, now) = (Link::default(), Instant::now());
        assert_eq!(link.failed(true, now), None);
        let pauses: Vec<u64> = (0..9).map(|_| (link.failed(false, now).unwrap() - now).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn no_more_is_heard_than_is_taken() {
        let (sender, inputs) = channel();
        let (pay, credits) = sync_channel(CREDITS);
        let mut left = 10 * CREDITS;
        let hear = move || {
            left -= 1;
            let gone = || Refusal::new(Code::AgentUnreachable, "gone");
            if left == 0 { Err(gone()) } else { Ok(Heard::Event(Event::Watching)) }
        };
        let hearing = std::thread::spawn(move || pass_on(1, hear, &pay, &sender));
        let take = || assert!(matches!(inputs.recv_timeout(PATIENCE), Ok(Input::Heard(1, _))));
        // What is taken makes room.
        for _ in 0..CREDITS {
            take();
            credits.recv_timeout(PATIENCE).unwrap();
        }
        (0..CREDITS).for_each(|_| take());
        // Nobody takes any more, and nobody will: what it waits with is not passed on.
        drop(credits);
        assert_eq!(hearing.join().unwrap(), None);
        assert_eq!(inputs.iter().count(), 0);
    }
}
