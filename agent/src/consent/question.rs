//! One open question.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::peer::FileId;
use keyfob_ipc::reply::{Approval, Asking, Question};

use super::Seat;
use crate::clock::{after, rfc3339};
use crate::config::EntryName;
use crate::policy::{Confirm, SET_BACK};

/// How long a question is open.
pub(super) const OPEN: Duration = Duration::from_secs(60);

/// Longest time for which something is allowed.
const LONGEST: u64 = 365 * 24 * 3600;

/// What a window proposes: a working day.
const PROPOSED: u64 = 8 * 3600;

/// When a question that was opened then closes unanswered.
pub(super) fn closes(opened: Timestamp) -> Timestamp {
    after(opened, OPEN)
}

/// A question that waits for an answer.
#[derive(Debug)]
pub(super) struct Open {
    pub number: u64,
    pub entry: EntryName,
    /// The program, by its path
    pub program: PathBuf,
    /// and its file.
    pub file: FileId,
    /// The program as a person reads it: `` `terraform` ``.
    pub who: String,
    pub confirm: Confirm,
    pub asking: Asking,
    pub act: &'static str,
    pub target: Option<String>,
    pub count: u64,
    pub opened: Timestamp,
    /// 128 random bits for each connection that was told of it.
    pub ids: HashMap<Seat, String>,
}

impl Open {
    /// Whether its time is up. A clock that was set back since it was opened ends it, too.
    pub fn is_over(&self, now: Timestamp) -> bool {
        closes(self.opened) <= now || after(now, SET_BACK) < self.opened
    }

    /// For one connection, always under the same id. Where the system gives no random numbers it has none, and cannot be
    /// answered there.
    pub fn to(&mut self, seat: Seat) -> Question {
        if let (false, Some(id)) = (self.ids.contains_key(&seat), random(16)) {
            self.ids.insert(seat, id);
        }
        Question {
            id: self.ids.get(&seat).cloned().unwrap_or_default(),
            entry: self.entry.to_string(),
            asking: self.asking.clone(),
            act: self.act.to_owned(),
            target: self.target.clone(),
            count: self.count,
            opened: rfc3339(self.opened),
            closes: rfc3339(closes(self.opened)),
            offers: self.offers(),
        }
    }

    /// What can be said to it besides never, the usual answer first.
    fn offers(&self) -> Vec<Approval> {
        match self.confirm {
            Confirm::Always => vec![Approval::Once],
            Confirm::Never | Confirm::First => {
                vec![Approval::Always, Approval::For { seconds: PROPOSED }, Approval::Once]
            }
        }
    }

    /// Whether this can be said to it. Any time is as good as the proposed one.
    pub fn takes(&self, approval: Approval) -> bool {
        let is_like = |offer: &Approval| match (offer, approval) {
            (Approval::For { .. }, Approval::For { seconds }) => (1..=LONGEST).contains(&seconds),
            (offer, approval) => *offer == approval,
        };
        approval == Approval::Never || self.offers().iter().any(is_like)
    }

    /// Whether this is the entry's name, in full or as people write it.
    pub fn is_called(&self, typed: &str) -> bool {
        typed == self.entry.name || typed == self.entry.to_string()
    }
}

/// So many random bytes, in hexadecimal digits.
pub(super) fn random(bytes: usize) -> Option<String> {
    let mut random = [0; 16];
    let random = random.get_mut(..bytes)?;
    getrandom::fill(random).ok()?;
    Some(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
