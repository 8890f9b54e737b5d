//! The tokens that the portal knows. One lock over all of them makes every change atomic: no moment in which both the
//! old and the new value of a rotation are good, or neither.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;

use super::{Issue, Permissions, YEAR, new_value};

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: String,
    pub(super) value: String,
    pub(super) owner: String,
    pub(super) admin: bool,
    pub(super) permissions: BTreeMap<String, Permissions>,
    pub(super) created: Timestamp,
    pub(super) ends: Option<Timestamp>,
    pub(super) rotated: Option<Timestamp>,
    /// When a cluster last asked about it.
    pub(super) used: Option<Timestamp>,
}

impl Token {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }

    pub(super) fn is_machine(&self) -> bool {
        self.owner.starts_with("bot-")
    }

    /// A new value; the old one is dead. It lives as long as the old one was made for, unless `ends` says otherwise.
    pub(super) fn rotate(&mut self, ends: Option<Timestamp>, now: Timestamp) {
        let made_for =
            self.ends.map(|ends| ends.duration_since(self.rotated.unwrap_or(self.created)).min(YEAR));
        self.value = new_value();
        self.ends = ends.or_else(|| now.saturating_add(made_for?).ok());
        self.rotated = Some(now);
    }
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    made: u64,
    by_id: BTreeMap<String, Token>,
}

impl Tokens {
    pub(super) fn issue(&mut self, issue: Issue, now: Timestamp) -> &Token {
        self.made += 1;
        // They sort as they were made, so that who turns pages misses none.
        let id = format!("token-{:06}", self.made);
        let Issue { owner, admin, permissions, ends } = issue;
        let token = Token {
            id: id.clone(),
            value: new_value(),
            owner,
            admin,
            permissions,
            created: now,
            ends,
            rotated: None,
            used: None,
        };
        self.by_id.entry(id).or_insert(token)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Token> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Token> {
        self.by_id.get_mut(id)
    }

    pub(super) fn of_value(&self, value: &str) -> Option<&Token> {
        self.by_id.values().find(|token| token.value == value)
    }

    pub(super) fn of_value_mut(&mut self, value: &str) -> Option<&mut Token> {
        self.by_id.values_mut().find(|token| token.value == value)
    }

    pub(super) fn forget(&mut self, id: &str) -> bool {
        self.by_id.remove(id).is_some()
    }

    pub(super) fn forget_value(&mut self, value: &str) {
        self.by_id.retain(|_, token| token.value != value);
    }

    pub(super) fn forget_owner(&mut self, owner: &str) {
        self.by_id.retain(|_, token| token.owner != owner);
    }

    /// In the order of their making, those that come after an id.
    pub(super) fn after(&self, id: &str) -> impl Iterator<Item = &Token> {
        self.by_id.range::<str, _>((Bound::Excluded(id), Bound::Unbounded)).map(|(_, token)| token)
    }
}

/// RFC 3339 without a fraction, as the API shows every time.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
