//! What the issuer remembers: codes, device codes, grants and their tokens. Pure over the time that is passed in.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::common::random_name;

/// What a person granted once; every token belongs to one and dies with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
    /// When the person signed in, in seconds.
    pub(super) signed_in: i64,
}

impl Grant {
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|one| one == scope)
    }
}

/// An authorization code and what it is bound to.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    /// base64url of the SHA-256 of the verifier (RFC 7636).
    pub(super) challenge: String,
    pub(super) ends: i64,
    /// The grant that it bought, once used.
    pub(super) bought: Option<u64>,
}

/// What the person did on the device page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Pending,
    Approved,
    Denied,
}

/// A device code (RFC 8628).
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) user_code: String,
    pub(super) scopes: Vec<String>,
    pub(super) ends: i64,
    pub(super) interval: u32,
    pub(super) polled: Option<Timestamp>,
    pub(super) decision: Decision,
}

#[derive(Clone, Debug)]
struct Refresh {
    grant: u64,
    ends: i64,
    /// When it was used for the first time.
    used: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    pub(super) codes: HashMap<String, Code>,
    pub(super) devices: HashMap<String, Device>,
    alive: HashMap<u64, Grant>,
    /// Access token to grant and end.
    access: HashMap<String, (u64, i64)>,
    refresh: HashMap<String, Refresh>,
    opened: u64,
}

/// What a refresh token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// It opens this grant.
    Good(u64, Grant),
    /// It was used before, but a short while ago: it opens this grant once more.
    Again(u64, Grant),
    /// Nobody knows it, or its grant has ended.
    Unknown,
    /// Its time is over.
    Ended,
    /// It was used before; the whole grant has been ended.
    Reused,
}

impl Grants {
    pub(super) fn open(&mut self, grant: Grant) -> u64 {
        self.opened += 1;
        self.alive.insert(self.opened, grant);
        self.opened
    }

    pub(super) fn end(&mut self, id: u64) {
        self.alive.remove(&id);
        self.access.retain(|_, (grant, _)| *grant != id);
    }

    pub(super) fn access_token(&mut self, id: u64, ends: i64) -> String {
        let token = format!("at_{}", random_name());
        self.access.insert(token.clone(), (id, ends));
        token
    }

    pub(super) fn refresh_token(&mut self, id: u64, ends: i64) -> String {
        let token = format!("rt_{}", random_name());
        self.refresh.insert(token.clone(), Refresh { grant: id, ends, used: None });
        token
    }

    /// Looks at a refresh token without using it up, except that one used over `grace` seconds ago ends its grant.
    pub(super) fn spend(&mut self, token: &str, now: i64, grace: u32) -> Spent {
        let Some(refresh) = self.refresh.get(token).cloned() else { return Spent::Unknown };
        if refresh.used.is_some_and(|used| now >= used.saturating_add(grace.into())) {
            self.end(refresh.grant);
            return Spent::Reused;
        }
        if now >= refresh.ends {
            return Spent::Ended;
        }
        match self.alive.get(&refresh.grant).cloned() {
            Some(grant) if refresh.used.is_some() => Spent::Again(refresh.grant, grant),
            Some(grant) => Spent::Good(refresh.grant, grant),
            None => Spent::Unknown,
        }
    }

    pub(super) fn use_up(&mut self, token: &str, now: i64) {
        if let Some(refresh) = self.refresh.get_mut(token) {
            refresh.used.get_or_insert(now);
        }
    }

    pub(super) fn of_access_token(&self, token: &str, now: i64) -> Option<&Grant> {
        let (grant, ends) = self.access.get(token)?;
        if now < *ends { self.alive.get(grant) } else { None }
    }

    /// A refresh token takes its grant with it, an access token goes alone.
    pub(super) fn revoke(&mut self, token: &str) {
        if let Some(refresh) = self.refresh.get(token) {
            self.end(refresh.grant);
        }
        self.access.remove(token);
    }
}
