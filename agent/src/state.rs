//! The state of an entry, and what moves it (the table is in `docs/architecture.md`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, Refusal};

use crate::clock::before;
use crate::config::EntryName;
use crate::watch::Watchers;

/// State of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is held, or what was held has ended.
    SignedOut,
    /// It serves; `until` where an end is known.
    Live {
        /// The end of what is held.
        until: Option<Timestamp>,
    },
    /// It serves, and its end is near.
    Ending {
        /// The end of what is held.
        until: Timestamp,
    },
    /// It would serve, but for something that passes.
    Waiting(Refusal),
    /// It does not serve until somebody acts.
    Refused(Refusal),
}

/// From this long before its end, a live entry is ending. Sessions and roles are renewed by the agent, so this is
/// about what a person has to do: the first reminder for a token of a year.
const ENDING: Duration = Duration::from_secs(30 * 24 * 3600);

impl State {
    /// A value came in, or was renewed.
    pub fn held(until: Option<Timestamp>) -> Self {
        Self::Live { until }
    }

    /// A renewal failed.
    #[must_use]
    pub fn failed(self, refusal: &Refusal) -> Self {
        match refusal.code {
            Code::SignInNeeded | Code::TokenNeeded => Self::SignedOut,
            Code::Offline
            | Code::Pending
            | Code::KeychainLocked
            | Code::KeychainMissing
            | Code::KeychainFailed
            | Code::ApprovalPending
            | Code::Locked
            | Code::Busy
            | Code::Internal => Self::Waiting(refusal.clone()),
            _ => Self::Refused(refusal.clone()),
        }
    }

    /// The state as time passes.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Live { until: Some(until) } | Self::Ending { until } if until <= now => Self::SignedOut,
            Self::Live { until: Some(until) } if before(until, ENDING) <= now => Self::Ending { until },
            other => other,
        }
    }

    /// As it crosses the wire.
    pub fn report(&self) -> EntryState {
        match self {
            Self::SignedOut => EntryState::SignedOut,
            Self::Live { .. } => EntryState::Live,
            Self::Ending { .. } => EntryState::Ending,
            Self::Waiting(_) => EntryState::Waiting,
            Self::Refused(_) => EntryState::Refused,
        }
    }

    /// What stands in the way.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Waiting(refusal) | Self::Refused(refusal) => Some(refusal),
            Self::SignedOut | Self::Live { .. } | Self::Ending { .. } => None,
        }
    }
}

/// The state of every entry that something has happened to since the start.
#[derive(Debug, Default)]
pub struct States {
    known: Mutex<HashMap<EntryName, State>>,
    watchers: Watchers,
}

impl States {
    /// Nothing has happened yet; what does is told to these.
    pub fn watched_by(watchers: Watchers) -> Self {
        Self { known: Mutex::default(), watchers }
    }

    /// The state of an entry; `None` where nothing happened to it yet.
    pub fn get(&self, name: &EntryName) -> Option<State> {
        self.with(|states| states.get(name).cloned())
    }

    /// A value came in, or was renewed.
    pub fn held(&self, name: &EntryName, until: Option<Timestamp>) {
        self.with(|states| states.insert(name.clone(), State::held(until)));
        self.watchers.changed([name]);
    }

    /// A renewal failed.
    pub fn failed(&self, name: &EntryName, refusal: &Refusal) {
        self.with(|states| {
            let before = states.remove(name).unwrap_or(State::SignedOut);
            states.insert(name.clone(), before.failed(refusal));
        });
        self.watchers.changed([name]);
    }

    /// Whether it ended by the provider's word.
    pub fn is_signed_out(&self, name: &EntryName) -> bool {
        self.get(name) == Some(State::SignedOut)
    }

    /// Forgets what happened to the entries named.
    pub fn forget_where(&self, gone: impl Fn(&EntryName) -> bool) {
        let forgotten: Vec<EntryName> = self.with(|states| {
            let (forgotten, kept) = std::mem::take(states).into_iter().partition(|(name, _)| gone(name));
            *states = kept;
            HashMap::into_keys(forgotten).collect()
        });
        self.watchers.changed(&forgotten);
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<EntryName, State>) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * 24 * 3600).unwrap()
    }

    #[test]
    fn a_year_passes() {
        let token = State::held(Some(at(365)));
        assert_eq!(token.clone().at(at(300)), State::held(Some(at(365))));
        assert_eq!(token.clone().at(at(335)), State::Ending { until: at(365) });
        assert_eq!(token.at(at(365)), State::SignedOut);
    }

    #[test]
    fn what_passes_waits_and_what_does_not_is_refused() {
        let failed = |code| State::held(None).failed(&Refusal::new(code, "no")).report();
        assert_eq!(failed(Code::Offline), EntryState::Waiting);
        assert_eq!(failed(Code::KeychainLocked), EntryState::Waiting);
        assert_eq!(failed(Code::SignInNeeded), EntryState::SignedOut);
        assert_eq!(failed(Code::RoleRefused), EntryState::Refused);
        assert_eq!(failed(Code::DestinationChanged), EntryState::Refused);
    }
}
