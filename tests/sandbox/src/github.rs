//! GitHub, as far as a personal access token goes: `/user`, whose headers tell of the token that asks, and
//! `/credentials/revoke`, which wants no token but the one in the body.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::{Common, locked, random_text};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

#[derive(Clone, Debug)]
struct Token {
    value: String,
    owner: String,
    /// Absent for a fine-grained one.
    scopes: Option<Vec<String>>,
    ends: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Token>,
    is_enterprise: bool,
    writes_offsets: bool,
}

/// The running GitHub.
#[derive(Debug)]
pub struct Github {
    common: Common,
    state: Mutex<State>,
}

impl Github {
    pub(crate) fn new(common: Common) -> Self {
        Self { common, state: Mutex::default() }
    }

    /// A new token: a classic one with these scopes, or without them a fine-grained one, whose permissions nobody is told.
    /// Without `ends` it never ends, and no header says so.
    pub fn issue_token(&self, owner: &str, scopes: Option<&[&str]>, ends: Option<Timestamp>) -> String {
        let value = match scopes {
            Some(_) => format!("ghp_{}", random_text(LETTERS, 36)),
            None => format!("github_pat_{}_{}", random_text(LETTERS, 22), random_text(LETTERS, 59)),
        };
        let scopes = scopes.map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect());
        let token = Token { value: value.clone(), owner: owner.to_owned(), scopes, ends };
        locked(&self.state).tokens.push(token);
        value
    }

    /// Whether a value is taken now.
    #[must_use]
    pub fn is_live(&self, value: &str) -> bool {
        locked(&self.state).live(value, self.common.now()).is_some()
    }

    /// Deletes a token, as its owner does on the page.
    pub fn revoke(&self, value: &str) {
        locked(&self.state).tokens.retain(|token| token.value != value);
    }

    /// A company's own GitHub: a revocation wants a token in the head, too.
    pub fn be_enterprise(&self) {
        locked(&self.state).is_enterprise = true;
    }

    /// Ends are written with an offset, `2021-10-07 21:07:53 +0200`, from now on, as GitHub does at times.
    pub fn write_offsets(&self) {
        locked(&self.state).writes_offsets = true;
    }

    fn user(&self, call: &Call) -> Response {
        if let Some(refusal) = refused(call) {
            return refusal;
        }
        let Some(value) = credential(call) else { return unauthorized("Requires authentication") };
        let state = locked(&self.state);
        let Some(token) = state.live(value, self.common.now()) else {
            return unauthorized("Bad credentials");
        };
        let mut response = Json(json!({"login": token.owner, "id": 1, "type": "User"})).into_response();
        let mut say = |name: &'static str, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(name, value);
            }
        };
        if let Some(scopes) = &token.scopes {
            say("x-oauth-scopes", scopes.join(", "));
            say("x-accepted-oauth-scopes", String::new());
        }
        if let Some(ends) = token.ends {
            say("github-authentication-token-expiration", state.written(ends));
        }
        response
    }

    fn revoke_all(&self, call: &Call) -> Response {
        #[derive(Deserialize)]
        struct Revocation {
            credentials: Vec<String>,
        }
        if let Some(refusal) = refused(call) {
            return refusal;
        }
        let now = self.common.now();
        let mut state = locked(&self.state);
        match (credential(call), state.is_enterprise) {
            (Some(_), false) => {
                return refusal(StatusCode::FORBIDDEN, "Authenticated requests are not allowed here");
            }
            (None, true) => return unauthorized("Requires authentication"),
            (Some(value), true) if state.live(value, now).is_none() => {
                return unauthorized("Bad credentials");
            }
            _ => {}
        }
        let Ok(Revocation { credentials }) = serde_json::from_slice(&call.body) else {
            return refusal(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        };
        if credentials.is_empty() || credentials.len() > 1000 {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
        }
        // A value that is not known is accepted as well.
        state.tokens.retain(|token| !credentials.contains(&token.value));
        (StatusCode::ACCEPTED, Json(json!({}))).into_response()
    }
}

impl State {
    fn live(&self, value: &str, now: Timestamp) -> Option<&Token> {
        self.tokens.iter().find(|token| token.value == value && token.ends.is_none_or(|ends| now < ends))
    }

    fn written(&self, ends: Timestamp) -> String {
        let (offset, zone) = if self.writes_offsets { (2, "+0200") } else { (0, "UTC") };
        let local = ends.to_zoned(TimeZone::fixed(Offset::constant(offset)));
        format!("{} {zone}", local.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

fn credential(call: &Call) -> Option<&str> {
    call.bearer().or_else(|| call.header("authorization")?.strip_prefix("token "))
}

/// What no request may lack.
fn refused(call: &Call) -> Option<Response> {
    if call.header("user-agent").is_none_or(str::is_empty) {
        let say = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header\n";
        return Some((StatusCode::FORBIDDEN, say).into_response());
    }
    let is_known = call.header("x-github-api-version").is_none_or(|version| VERSIONS.contains(&version));
    (!is_known).then(|| refusal(StatusCode::BAD_REQUEST, "This version of the API is not supported"))
}

fn unauthorized(say: &str) -> Response {
    refusal(StatusCode::UNAUTHORIZED, say)
}

fn refusal(status: StatusCode, say: &str) -> Response {
    let body: Value = json!({
        "message": say,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_str(),
    });
    (status, Json(body)).into_response()
}

pub(crate) fn routes(common: &Common, github: &Arc<Github>) -> Router {
    Router::new()
        .route("/user", get(plain_door(common, Endpoint::GithubUser, github, Github::user)))
        .route(
            "/credentials/revoke",
            post(plain_door(common, Endpoint::GithubRevoke, github, Github::revoke_all)),
        )
        .fallback(async || refusal(StatusCode::NOT_FOUND, "Not Found"))
}
