//! A token portal: the page where a person generates a personal access token (PAT), shown once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::common::{Common, locked, random_text};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;
use crate::net::escaped;

/// What every token begins with.
pub const PREFIX: &str = "aw_";

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
}

#[derive(Clone, Debug)]
struct Issued {
    owner: String,
    permissions: Permissions,
    ends: Timestamp,
}

/// The running portal.
#[derive(Debug)]
pub struct Portal {
    common: Common,
    person: String,
    tokens: Mutex<HashMap<String, Issued>>,
}

impl Portal {
    pub(crate) fn new(common: Common, person: String) -> Self {
        Self { common, person, tokens: Mutex::default() }
    }

    /// A new token beside all others: `aw_` and 40 characters of visible ASCII, any of them.
    pub fn issue_token(&self, owner: &str, permissions: Permissions, ends: Timestamp) -> String {
        let visible: Vec<u8> = (b'!'..=b'~').collect();
        let token = format!("{PREFIX}{}", random_text(&visible, 40));
        let issued = Issued { owner: owner.into(), permissions, ends };
        locked(&self.tokens).insert(token.clone(), issued);
        token
    }

    /// Ends a token; a cluster that saw it may take it for another hour.
    pub fn revoke(&self, token: &str) {
        locked(&self.tokens).remove(token);
    }

    /// What a live token may do.
    pub(crate) fn permissions(&self, token: &str) -> Option<Permissions> {
        let tokens = locked(&self.tokens);
        let issued = tokens.get(token)?;
        (self.common.now() < issued.ends).then_some(issued.permissions)
    }

    /// Generating a token ends the person's earlier ones: the page rotates.
    fn page(&self, _: &Call) -> Response {
        locked(&self.tokens).retain(|_, issued| issued.owner != self.person);
        let ends =
            self.common.now().saturating_add(SignedDuration::from_hours(365 * 24)).unwrap_or(Timestamp::MAX);
        let token = self.issue_token(&self.person, Permissions::READ, ends);
        let html = format!(
            "<!DOCTYPE html><html><head><title>Personal access token</title></head><body>\
             <h1>Personal access token for {}</h1><p><code id=\"token\">{}</code></p>\
             <p>Copy it now, it is not shown again. Earlier tokens have ended. Ends: {}</p></body></html>\n",
            escaped(&self.person),
            escaped(&token),
            Timestamp::from_second(ends.as_second()).unwrap_or(ends),
        );
        ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
    }
}

pub(crate) fn routes(common: &Common, portal: &Arc<Portal>) -> Router {
    Router::new().route("/token", get(plain_door(common, Endpoint::Portal, portal, Portal::page)))
}
