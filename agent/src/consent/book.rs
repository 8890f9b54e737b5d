//! The questions that are open and the answers in force, as a state that nobody but its caller changes.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Seat;
use super::question::{Open, random};
use crate::clock::after;
use crate::ledger::Deed;
use crate::policy::{Chain, Grant, Rules, SET_BACK, Span, named};

/// Most open questions: more than a person could tell apart.
pub(super) const QUESTIONS: usize = 16;

/// Most answers.
pub(super) const GRANTS: usize = 1000;

/// The state.
#[derive(Debug)]
pub(super) struct Book {
    pub grants: Vec<Grant>,
    open: Vec<Open>,
    /// Ids that are worth nothing any more, for those who were sent them.
    closed: Vec<(Seat, String)>,
    last: u64,
    /// The latest moment that was seen, to notice a clock that is set back.
    latest: Timestamp,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    New(u64),
    /// It is open already.
    Again(u64),
    /// There are too many.
    Full,
    /// It cannot be told who asks.
    Impossible,
}

impl Book {
    pub fn of(grants: Vec<Grant>) -> Self {
        let latest = grants.iter().map(|grant| grant.given).max().unwrap_or(Timestamp::MIN);
        Self { grants, open: Vec::new(), closed: Vec::new(), last: 0, latest }
    }

    /// Ends what has ended, and whatever has an end where the clock was set back. Says whether the file is to be written.
    pub fn sweep(&mut self, now: Timestamp) -> bool {
        let is_set_back = after(now, SET_BACK) < self.latest;
        self.latest = if is_set_back { now } else { self.latest.max(now) };
        let before = self.to_keep().len();
        self.grants.retain(|grant| grant.is_in_force(now) && !(is_set_back && grant.is_timed()));
        let over: Vec<u64> =
            self.open.iter().filter(|open| open.is_over(now)).map(|open| open.number).collect();
        over.into_iter().for_each(|number| self.close(number));
        before != self.to_keep().len()
    }

    /// Counts a use of the answer that decided.
    pub fn use_up(&mut self, id: &str, now: Timestamp) {
        let grant = self.grants.iter_mut().find(|grant| grant.id == id);
        if let Some(Span::Once { used: used @ None }) = grant.map(|grant| &mut grant.span) {
            *used = Some(now);
        }
    }

    /// Opens a question, or counts on.
    pub fn ask(&mut self, rules: &Rules, chain: &Chain, deed: &Deed, now: Timestamp) -> Opening {
        let Some((_, asking)) = chain.asking() else { return Opening::Impossible };
        let Some(file) = asking.file else { return Opening::Impossible };
        let is_same =
            |open: &&mut Open| open.entry == rules.entry && open.program == asking.path && open.file == file;
        if let Some(open) = self.open.iter_mut().find(is_same) {
            open.count += 1;
            // The strictest of those that ask decides what can be said.
            open.confirm = open.confirm.max(rules.confirm);
            return Opening::Again(open.number);
        }
        if self.open.len() >= QUESTIONS {
            return Opening::Full;
        }
        self.last += 1;
        self.open.push(Open {
            number: self.last,
            entry: rules.entry.clone(),
            program: asking.path.clone(),
            file,
            who: named(&asking.path, &asking.role),
            confirm: rules.confirm,
            asking: chain.report(),
            act: deed.act,
            target: deed.target.clone(),
            count: 1,
            opened: now,
            ids: HashMap::new(),
        });
        Opening::New(self.last)
    }

    pub fn questions(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.iter_mut()
    }

    pub fn question(&mut self, number: u64) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.number == number)
    }

    /// The question that was sent to this connection under this id.
    pub fn asked(&self, seat: Seat, id: &str) -> Option<&Open> {
        self.open.iter().find(|open| open.ids.get(&seat).is_some_and(|known| known == id))
    }

    pub fn close(&mut self, number: u64) {
        let Some(place) = self.open.iter().position(|open| open.number == number) else { return };
        self.closed.extend(self.open.remove(place).ids);
    }

    /// Those who are to be told that a question is over.
    pub fn take_closed(&mut self) -> Vec<(Seat, String)> {
        std::mem::take(&mut self.closed)
    }

    /// A connection has closed.
    pub fn leave(&mut self, seat: Seat) {
        self.open.iter_mut().for_each(|open| drop(open.ids.remove(&seat)));
    }

    /// Takes an answer in, in the place of any earlier one about the same; `false` where there are too many.
    pub fn put(&mut self, grant: Grant) -> bool {
        let is_about = |known: &Grant| known.entry == grant.entry && known.program == grant.program;
        if self.grants.len() >= GRANTS && !self.grants.iter().any(is_about) {
            return false;
        }
        self.grants.retain(|known| !is_about(known));
        self.grants.push(grant);
        true
    }

    /// A short name for the next answer; it is no secret.
    pub fn fresh_id(&self) -> Option<String> {
        (0..8).find_map(|_| random(4).filter(|id| self.grants.iter().all(|grant| grant.id != *id)))
    }

    /// Takes answers out: by an id, by an entry's name in full or as people write it, or all.
    pub fn take_out(&mut self, which: Option<&str>) -> Vec<Grant> {
        let is_id = self.grants.iter().any(|grant| which == Some(&grant.id));
        let is_meant = |grant: &mut Grant| match which {
            None => true,
            Some(which) if is_id => grant.id == which,
            Some(which) => grant.entry.name == which || grant.entry.to_string() == which,
        };
        self.grants.extract_if(.., is_meant).collect()
    }

    /// What outlives the agent: a `once` does not.
    pub fn to_keep(&self) -> Vec<Grant> {
        let is_kept = |grant: &&Grant| !matches!(grant.span, Span::Once { .. });
        self.grants.iter().filter(is_kept).cloned().collect()
    }
}
