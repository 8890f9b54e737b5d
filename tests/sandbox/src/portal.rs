//! A token portal: the page where a person generates a personal access token (PAT), shown once, and beside it the open
//! token API (`docs/token-api/`).

mod api;
mod body;
mod problem;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cluster::NAMES;
use crate::common::{Common, locked, random_text};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;
use crate::net::escaped;

pub(crate) use problem::Problem;
use tokens::Tokens;

/// What every token begins with.
pub const PREFIX: &str = "aw_";

/// Where the token API is, on the portal's own port.
pub(crate) const API: &str = "/api/v1";

/// How long a token lives where nobody says otherwise.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What a token may do at a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Read the cache.
    pub read: bool,
    /// Write to the cache.
    pub write: bool,
    /// Run actions remotely.
    pub execute: bool,
}

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, execute: true };
    /// Reading alone, as a portal gives it to people.
    pub const READ: Self = Self { read: true, write: false, execute: false };

    /// The same for every cluster of the company.
    #[must_use]
    pub fn everywhere(self) -> BTreeMap<String, Self> {
        NAMES.into_iter().map(|name| (name.to_owned(), self)).collect()
    }
}

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Whose it is; `bot-…` is a machine's.
    pub owner: String,
    /// Whether it may do what administrators do in the token API.
    pub admin: bool,
    /// What it may do, by cluster; nothing at a cluster that is not there.
    pub permissions: BTreeMap<String, Permissions>,
    /// When it ends; `None` for one whose end the service does not tell, and that never comes.
    pub ends: Option<Timestamp>,
}

/// The running portal.
#[derive(Debug)]
pub struct Portal {
    common: Common,
    person: String,
    cache_seconds: u32,
    tokens: Mutex<Tokens>,
}

impl Portal {
    /// `cache_seconds` is how long clusters take a token without asking.
    pub(crate) fn new(common: Common, person: String, cache_seconds: u32) -> Self {
        Self { common, person, cache_seconds, tokens: Mutex::default() }
    }

    /// A new token for every cluster, beside all others: `aw_` and 40 characters of visible ASCII, any of them.
    pub fn issue_token(&self, owner: &str, permissions: Permissions, ends: Timestamp) -> String {
        let permissions = permissions.everywhere();
        self.issue(Issue { owner: owner.into(), admin: false, permissions, ends: Some(ends) })
    }

    /// A new token beside all others, and its value.
    pub fn issue(&self, issue: Issue) -> String {
        locked(&self.tokens).issue(issue, self.common.now()).value.clone()
    }

    /// Ends a token; a cluster that saw it may take it for another hour.
    pub fn revoke(&self, token: &str) {
        locked(&self.tokens).forget_value(token);
    }

    /// Gives a token other permissions; a cluster that saw it may keep to the earlier ones for another hour.
    pub fn permit(&self, token: &str, permissions: BTreeMap<String, Permissions>) {
        if let Some(known) = locked(&self.tokens).of_value_mut(token) {
            known.permissions = permissions;
        }
    }

    /// The present value of the token with this id: another one after each rotation.
    #[must_use]
    pub fn token_of_id(&self, id: &str) -> Option<String> {
        locked(&self.tokens).get(id).map(|token| token.value.clone())
    }

    /// The id of a token: the same after a rotation.
    #[must_use]
    pub fn id_of_token(&self, token: &str) -> Option<String> {
        locked(&self.tokens).of_value(token).map(|known| known.id.clone())
    }

    /// Whether the portal knows this value now, and its end has not come.
    #[must_use]
    pub fn is_live(&self, token: &str) -> bool {
        locked(&self.tokens).of_value(token).is_some_and(|known| known.is_live(self.common.now()))
    }

    /// What a live token may do at one cluster, as that cluster asks; `None` for one that is not known or has ended.
    #[must_use]
    pub fn permissions(&self, token: &str, cluster: &str) -> Option<Permissions> {
        let now = self.common.now();
        let mut tokens = locked(&self.tokens);
        let known = tokens.of_value_mut(token).filter(|known| known.is_live(now))?;
        known.used = Some(now);
        Some(known.permissions.get(cluster).copied().unwrap_or_default())
    }

    /// Generating a token ends the person's earlier ones: the page rotates.
    fn page(&self, _: &Call) -> Response {
        let now = self.common.now();
        let ends = now.saturating_add(YEAR).unwrap_or(Timestamp::MAX);
        let permissions = Permissions::READ.everywhere();
        let issue = Issue { owner: self.person.clone(), admin: false, permissions, ends: Some(ends) };
        let mut tokens = locked(&self.tokens);
        tokens.forget_owner(&self.person);
        let token = &tokens.issue(issue, now).value;
        let html = format!(
            "<!DOCTYPE html><html><head><title>Personal access token</title></head><body>\
             <h1>Personal access token for {}</h1><p><code id=\"token\">{}</code></p>\
             <p>Copy it now, it is not shown again. Earlier tokens have ended. Ends: {}</p></body></html>\n",
            escaped(&self.person),
            escaped(token),
            tokens::whole_seconds(ends),
        );
        ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
    }
}

/// A value that was never there before.
fn new_value() -> String {
    let visible: Vec<u8> = (b'!'..=b'~').collect();
    format!("{PREFIX}{}", random_text(&visible, 40))
}

pub(crate) fn routes(common: &Common, portal: &Arc<Portal>) -> Router {
    Router::new()
        .route("/token", get(plain_door(common, Endpoint::Portal, portal, Portal::page)))
        .nest(API, api::routes(common, portal))
}
