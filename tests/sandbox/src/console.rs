//! The sign-in of the AWS console: a sign-in token for keys that the sandbox's own STS gave, and the page that it opens.
//!
//! `Action=getSigninToken` with `Session` (JSON of the keys) answers `{"SigninToken":…}`; `Action=login` with that token opens
//! the console, once and within a quarter of an hour. Both are taken as `GET` and as `POST`, as AWS takes them. Keys in an
//! address are counted ([`Console::keys_in_addresses`]): they end up in logs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use serde::Deserialize;
use serde_json::json;

use crate::common::{Common, locked, random_text};
use crate::door::{Call, Parameters, plain_door};
use crate::faults::Endpoint;
use crate::net::escaped;
use crate::sts::Sts;

/// The path of the federation endpoint.
pub(crate) const PATH: &str = "/federation";

/// How long a sign-in token is good, in seconds.
const TOKEN_SECONDS: i64 = 15 * 60;

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The running sign-in.
#[derive(Debug)]
pub struct Console {
    common: Common,
    sts: Arc<Sts>,
    tokens: Mutex<HashMap<String, SignInToken>>,
    visits: Mutex<Vec<Visit>>,
    in_addresses: AtomicU64,
}

#[derive(Debug)]
struct SignInToken {
    who: String,
    /// In seconds since 1970.
    ends: i64,
}

/// Somebody whom the console has let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// `arn:aws:sts::…:assumed-role/…`.
    pub who: String,
    /// Where the console would send the browser.
    pub destination: String,
    /// What the browser said about where it comes from.
    pub referer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Session {
    session_id: String,
    session_key: String,
    session_token: String,
}

impl Console {
    pub(crate) fn new(common: Common, sts: &Arc<Sts>) -> Self {
        let (tokens, visits) = (Mutex::default(), Mutex::default());
        Self { common, sts: Arc::clone(sts), tokens, visits, in_addresses: AtomicU64::new(0) }
    }

    /// Everybody who was let in, the first first.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        locked(&self.visits).clone()
    }

    /// How often keys came in an address.
    #[must_use]
    pub fn keys_in_addresses(&self) -> u64 {
        self.in_addresses.load(Ordering::Relaxed)
    }

    fn answer(&self, call: &Call) -> Response {
        let in_address = call.query();
        if in_address.get("Session").is_some() {
            self.in_addresses.fetch_add(1, Ordering::Relaxed);
        }
        let form = match call.method {
            Method::POST => call.form().unwrap_or(in_address),
            Method::GET => in_address,
            _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        };
        let answered = match form.get("Action") {
            Some("getSigninToken") => self.sign_in_token(&form),
            Some("login") => self.login(&form, call),
            _ => None,
        };
        // Every mistake looks the same there.
        answered
            .unwrap_or_else(|| (StatusCode::BAD_REQUEST, Html("<h1>400 Bad Request</h1>")).into_response())
    }

    fn sign_in_token(&self, form: &Parameters) -> Option<Response> {
        // What was assumed with keys of another role takes none, and the sandbox cannot tell which was.
        if form.get("SessionDuration").is_some() {
            return None;
        }
        let session: Session = serde_json::from_str(form.get("Session")?).ok()?;
        let Session { session_id, session_key, session_token } = session;
        let (who, ends) = self.sts.holder(&session_id, &session_key, &session_token)?;
        let now = self.common.second();
        if ends <= now {
            return None;
        }
        let token = random_text(BASE64, 800);
        locked(&self.tokens).insert(token.clone(), SignInToken { who, ends: now + TOKEN_SECONDS });
        let answer = json!({ "SigninToken": token }).to_string();
        Some(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
    }

    fn login(&self, form: &Parameters, call: &Call) -> Option<Response> {
        let token = locked(&self.tokens).remove(form.get("SigninToken")?)?;
        let destination = form.get("Destination")?.to_owned();
        if token.ends <= self.common.second() {
            return None;
        }
        let page = format!(
            "<!DOCTYPE html><title>AWS console</title><p>Signed in as {}, on the way to {}.</p>\n",
            escaped(&token.who),
            escaped(&destination)
        );
        let referer = call.header("referer").map(str::to_owned);
        locked(&self.visits).push(Visit { who: token.who, destination, referer });
        Some(Html(page).into_response())
    }
}

pub(crate) fn routes(common: &Common, console: &Arc<Console>) -> Router {
    let door = plain_door(common, Endpoint::Console, console, Console::answer);
    Router::new().route(PATH, any(door)).fallback(async || StatusCode::NOT_FOUND)
}
