//! OUTSCALE, as far as access keys go: the API's actions on them (`/api/v1/…`, JSON) and EIM (`/`, a form in, XML out), one account.
//!
//! Written from the public API description. Signatures are verified. As in real life an update of a key's state without an
//! `ExpirationDate` takes the expiry away ([`Outscale::expiries_lost`]), and a key is to be off before it can be deleted.

mod account;
mod api;
mod eim;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::common::{Common, locked, random_text};
use crate::door::plain_door;
use crate::faults::Endpoint;
use account::{Account, Key, Policy, User};

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The running OUTSCALE.
#[derive(Debug)]
pub struct Outscale {
    common: Common,
    account: Mutex<Account>,
}

/// An access key, both halves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret half.
    pub secret: String,
}

/// An access key, as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// Its tag.
    pub tag: Option<String>,
    /// `ACTIVE`, not `INACTIVE`.
    pub is_active: bool,
    /// Its end.
    pub ends: Option<Timestamp>,
}

impl Outscale {
    pub(crate) fn new(common: Common) -> Self {
        Self { common, account: Mutex::new(Account::new()) }
    }

    /// The key of the account itself, which may do everything.
    #[must_use]
    pub fn root(&self) -> AccessKey {
        locked(&self.account).root.pair()
    }

    /// A new user in a group of its own, whose policy allows these actions, and a key of it.
    pub fn add_user(&self, name: &str, actions: &[&str], ends: Option<Timestamp>) -> AccessKey {
        let mut account = locked(&self.account);
        let group = format!("{name}-group");
        let policy = Policy::allowing(&format!("{name}-policy"), actions);
        account.groups.insert(group.clone(), vec![policy.arn()]);
        account.policies.push(policy);
        account.users.push(User { name: name.to_owned(), groups: vec![group], keys: Vec::new() });
        let key = Key::new(name, None, ends, self.common.now());
        let pair = key.pair();
        account
            .users
            .iter_mut()
            .filter(|user| user.name == name)
            .for_each(|user| user.keys.push(key.clone()));
        pair
    }

    /// The keys of a user.
    #[must_use]
    pub fn keys_of(&self, user: &str) -> Vec<KeyView> {
        let account = locked(&self.account);
        account.user(user).map(|user| user.keys.iter().map(Key::view).collect()).unwrap_or_default()
    }

    /// Whether calls that are signed with this key are taken now.
    #[must_use]
    pub fn signs(&self, id: &str) -> bool {
        locked(&self.account).key(id).is_some_and(|key| key.signs(self.common.now()))
    }

    /// Switches a key off and deletes it, as somebody does in the console.
    pub fn delete_key(&self, id: &str) {
        locked(&self.account).users.iter_mut().for_each(|user| user.keys.retain(|key| key.id != id));
    }

    /// Users may have this many keys.
    pub fn set_quota(&self, keys: usize) {
        locked(&self.account).quota = keys;
    }

    /// `MaxAccessKeyExpirationSeconds`; 0 for any.
    pub fn set_longest_life(&self, seconds: u64) {
        locked(&self.account).longest_life = seconds;
    }

    /// A new key is not known to this many calls that it signs.
    pub fn set_propagation(&self, calls: u32) {
        locked(&self.account).propagation = calls;
    }

    /// Whether the API access rules let callers in.
    pub fn let_in(&self, lets: bool) {
        locked(&self.account).lets_in = lets;
    }

    /// How often a key lost its end by an update that did not say one.
    #[must_use]
    pub fn expiries_lost(&self) -> u64 {
        locked(&self.account).expiries_lost
    }

    /// How often each action was processed: `CreateAccessKey`.
    #[must_use]
    pub fn calls(&self, action: &str) -> u64 {
        locked(&self.account).calls.get(action).copied().unwrap_or_default()
    }

    /// How many calls there were that changed something over EIM.
    #[must_use]
    pub fn changes(&self) -> u64 {
        let account = locked(&self.account);
        let changes =
            |action: &&String| ["Create", "Attach", "Add"].iter().any(|verb| action.starts_with(verb));
        account.calls.iter().filter(|(action, _)| changes(action)).map(|(_, count)| count).sum()
    }
}

fn random_key(length: usize) -> String {
    random_text(UPPER, length)
}

pub(crate) fn routes(common: &Common, outscale: &Arc<Outscale>) -> Router {
    let mut router = Router::new();
    for (action, endpoint) in [
        ("ReadAccessKeys", Endpoint::OutscaleRead),
        ("CreateAccessKey", Endpoint::OutscaleCreate),
        ("UpdateAccessKey", Endpoint::OutscaleUpdate),
        ("DeleteAccessKey", Endpoint::OutscaleDelete),
        ("ReadApiAccessPolicy", Endpoint::OutscalePolicy),
    ] {
        let door = plain_door(common, endpoint, outscale, Outscale::api);
        router = router.route(&format!("/api/v1/{action}"), post(door));
    }
    router
        .route("/", post(plain_door(common, Endpoint::Eim, outscale, Outscale::eim)))
        .fallback(async || StatusCode::NOT_FOUND)
}
