//! What the agent says about everything, asked for whenever something has changed: never twice at once, and once more where
//! something changed meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob_ipc::reply::Status;
use keyfob_ipc::{ControlAsk, Refusal, Reply};

use super::Running;
use super::threads::Said;
use crate::shell::Shell;

/// Between two asks. A build changes something at every call; nobody sees more than ten pictures a second.
const GAP: Duration = Duration::from_millis(100);
/// So many entries are said and drawn well within that.
const FEW: usize = 100;
/// Between two asks where there are more.
const GAP_OF_MANY: Duration = Duration::from_secs(1);
/// Before the next ask after one that failed although the agent is connected.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The newest status, and the way to the next.
#[derive(Default)]
pub(super) struct Taking {
    pub(super) status: Option<Box<Status>>,
    /// Why the newest ask failed.
    pub(super) failed: Option<Refusal>,
    is_under_way: bool,
    is_due: bool,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Taking {
    /// With the agent that said it.
    pub(super) fn forget(&mut self) {
        let is_under_way = self.is_under_way;
        *self = Self { is_under_way, ..Self::default() };
    }

    /// When the next ask is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.is_due && !self.is_under_way)
    }
}

impl<S: Shell> Running<S> {
    /// Something may have changed.
    pub(super) fn want_status(&mut self) {
        self.status.is_due = true;
        self.look_if_due();
    }

    pub(super) fn look_if_due(&mut self) {
        let now = Instant::now();
        let taking = &mut self.status;
        let is_early = taking.not_before.is_some_and(|at| now < at);
        if !taking.is_due || taking.is_under_way || is_early || !self.link.is_open() {
            return;
        }
        let entries = taking.status.as_ref().map_or(0, |status| status.entries.len());
        (taking.is_due, taking.is_under_way, taking.not_before) = (false, true, Some(now + gap(entries)));
        let (number, way) = (self.link.number(), Arc::clone(&self.way));
        let failed = move |refusal| Said::Status(number, Err(refusal));
        self.bring_back("status", "say.fault-status", failed, move || {
            let status = way.look(|| ControlAsk::Status).and_then(|reply| match reply {
                Reply::Status(status) => Ok(status),
                _ => Err(way.unexpected()),
            });
            Said::Status(number, status)
        });
    }

    pub(super) fn status_taken(&mut self, number: u64, status: Result<Box<Status>, Refusal>) {
        self.status.is_under_way = false;
        if self.link.is_open_as(number) {
            self.window.is_stale = true;
            match status {
                Ok(status) => self.keep_status(status),
                Err(refusal) => self.status_failed(refusal),
            }
        }
        self.look_if_due();
    }

    fn keep_status(&mut self, status: Box<Status>) {
        // Where something changed meanwhile, what was heard about the lock is newer than what was asked for.
        if !self.status.is_due {
            self.lock.clone_from(&status.lock);
        }
        self.status.status = Some(status);
        self.status.failed = None;
        self.status.pause = Duration::ZERO;
    }

    /// The connection stands, and yet the agent does not say how things are.
    fn status_failed(&mut self, refusal: Refusal) {
        tracing::warn!("the agent does not say how things are: {refusal}");
        let taking = &mut self.status;
        taking.failed = Some(refusal);
        taking.pause = (taking.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        (taking.is_due, taking.not_before) = (true, Some(Instant::now() + taking.pause));
    }
}

fn gap(entries: usize) -> Duration {
    if entries <= FEW { GAP } else { GAP_OF_MANY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_entries_are_asked_for_less_often() {
        for (entries, milliseconds) in [(0, 100), (100, 100), (101, 1000), (4000, 1000)] {
            assert_eq!(gap(entries), Duration::from_millis(milliseconds), "{entries}");
        }
    }
}
