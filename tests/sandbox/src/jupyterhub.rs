//! JupyterHub, as far as a user's tokens go: `/user` and `/users/NAME/tokens`, as version 6 answers with its default
//! database. The real one is in the end-to-end tests; this one fails on demand.
//!
//! Whatever is wrong with a value, the answer is one and the same 403. The number of a deleted token is given again, where
//! it was the highest.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Common, locked, random_text};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;

/// The base of the API, on a port of its own.
pub(crate) const API: &str = "/hub/api";
const WRONG: &str = "Missing or invalid credentials.";

#[derive(Clone, Debug)]
struct Token {
    id: u64,
    value: String,
    owner: String,
    scopes: BTreeSet<String>,
    note: String,
    created: Timestamp,
    expires: Option<Timestamp>,
    used: Option<Timestamp>,
}

impl Token {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn json(&self) -> Value {
        json!({
            "user": self.owner,
            "id": format!("a{}", self.id),
            "kind": "api_token",
            "roles": [],
            "scopes": self.scopes.iter().rev().collect::<Vec<_>>(),
            "created": microseconds(self.created),
            "last_activity": self.used.map(microseconds),
            "expires_at": self.expires.map(microseconds),
            "note": self.note,
            "session_id": null,
            "oauth_client": "JupyterHub",
        })
    }
}

/// The running hub.
#[derive(Debug)]
pub struct Jupyterhub {
    common: Common,
    tokens: Mutex<Vec<Token>>,
}

impl Jupyterhub {
    pub(crate) fn new(common: Common) -> Self {
        Self { common, tokens: Mutex::default() }
    }

    /// A new token of a user that may make and delete that user's tokens: 32 hexadecimal digits.
    pub fn issue_token(&self, owner: &str, life: Option<SignedDuration>) -> String {
        let scopes = expanded(["tokens!user"], owner);
        let mut tokens = locked(&self.tokens);
        let expires = life.map(|life| self.common.now().saturating_add(life).unwrap_or(Timestamp::MAX));
        self.make(&mut tokens, owner, scopes, "by hand", expires).value.clone()
    }

    /// Whether a value is taken now.
    #[must_use]
    pub fn is_live(&self, value: &str) -> bool {
        let now = self.common.now();
        locked(&self.tokens).iter().any(|token| token.value == value && token.is_live(now))
    }

    /// The values of a user's live tokens, the oldest first.
    #[must_use]
    pub fn tokens_of(&self, owner: &str) -> Vec<String> {
        let now = self.common.now();
        let tokens = locked(&self.tokens);
        let own = tokens.iter().filter(|token| token.owner == owner && token.is_live(now));
        own.map(|token| token.value.clone()).collect()
    }

    /// Revokes a token, as its owner does on the page.
    pub fn revoke(&self, value: &str) {
        locked(&self.tokens).retain(|token| token.value != value);
    }

    /// Gives a token to somebody else, which no hub does.
    pub fn hand_over(&self, value: &str, owner: &str) {
        for token in locked(&self.tokens).iter_mut().filter(|token| token.value == value) {
            owner.clone_into(&mut token.owner);
        }
    }

    fn make<'tokens>(
        &self,
        tokens: &'tokens mut Vec<Token>,
        owner: &str,
        scopes: BTreeSet<String>,
        note: &str,
        expires: Option<Timestamp>,
    ) -> &'tokens Token {
        tokens.push(Token {
            id: tokens.iter().map(|token| token.id).max().unwrap_or(0) + 1,
            value: random_text(b"0123456789abcdef", 32),
            owner: owner.to_owned(),
            scopes,
            note: note.to_owned(),
            created: self.common.now(),
            expires,
            used: None,
        });
        &tokens[tokens.len() - 1]
    }

    /// Where the live token is that came along.
    fn bearer(&self, tokens: &mut [Token], call: &Call) -> Option<usize> {
        let value = call.header("authorization")?;
        let value = value.strip_prefix("token ").or_else(|| value.strip_prefix("Bearer "))?;
        let now = self.common.now();
        let at = tokens.iter().position(|token| token.value == value && token.is_live(now))?;
        tokens[at].used = Some(now);
        Some(at)
    }

    fn user(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        let Some(at) = self.bearer(&mut tokens, call) else {
            return refusal(StatusCode::FORBIDDEN, None).into_response();
        };
        let Token { id, owner, scopes, .. } = &tokens[at];
        Json(json!({
            "admin": false, "kind": "user", "name": owner, "groups": [], "user_info": null,
            "token_id": format!("a{id}"), "session_id": null, "scopes": scopes,
        }))
        .into_response()
    }

    /// The bearer's place, if the path is about the bearer's own user.
    fn own(&self, tokens: &mut [Token], call: &Call) -> Result<usize, Refusal> {
        let at = self.bearer(tokens, call).ok_or_else(|| refusal(StatusCode::FORBIDDEN, Some(WRONG)))?;
        if segment(call, 2) == tokens[at].owner {
            Ok(at)
        } else {
            let say = "No access to resources or resources not found";
            Err(refusal(StatusCode::NOT_FOUND, Some(say)))
        }
    }

    /// The place of the token that the path names, among the bearer's own.
    fn named(&self, tokens: &mut [Token], call: &Call) -> Result<usize, Refusal> {
        let bearer = self.own(tokens, call)?;
        let (owner, id) = (&tokens[bearer].owner, segment(call, 4));
        let found = tokens.iter().position(|token| token.owner == *owner && format!("a{}", token.id) == id);
        found.ok_or_else(|| {
            let say = format!("No such token {id} for user {owner}");
            refusal(StatusCode::NOT_FOUND, Some(&say))
        })
    }

    fn show(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.named(&mut tokens, call) {
            Ok(at) => Json(tokens[at].json()).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn list(&self, call: &Call) -> Response {
        let (mut tokens, now) = (locked(&self.tokens), self.common.now());
        match self.own(&mut tokens, call) {
            Ok(at) => {
                let owner = tokens[at].owner.clone();
                tokens.retain(|token| token.is_live(now));
                let own = tokens.iter().filter(|token| token.owner == owner);
                Json(json!({"api_tokens": own.map(Token::json).collect::<Vec<_>>()})).into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    fn create(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        let Some(at) = self.bearer(&mut tokens, call) else {
            return refusal(StatusCode::FORBIDDEN, None).into_response();
        };
        let owner = tokens[at].owner.clone();
        if segment(call, 2) != owner {
            let say = format!("User {} not found or no permissions to generate tokens", segment(call, 2));
            return refusal(StatusCode::FORBIDDEN, Some(&say)).into_response();
        }
        let Ok(Value::Object(asked)) = serde_json::from_slice(&call.body) else {
            return refusal(StatusCode::BAD_REQUEST, Some("Invalid JSON in body of request")).into_response();
        };
        let life = match asked.get("expires_in") {
            None | Some(Value::Null) => None,
            Some(life) => match life.as_i64().filter(|seconds| *seconds > 0) {
                Some(seconds) => Some(SignedDuration::from_secs(seconds)),
                None => {
                    let say = format!("expires_in must be a positive integer or null, not {life}");
                    return refusal(StatusCode::BAD_REQUEST, Some(&say)).into_response();
                }
            },
        };
        let scopes = match asked.get("scopes").and_then(Value::as_array) {
            Some(scopes) => expanded(scopes.iter().filter_map(Value::as_str), &owner),
            None => expanded(["self", "tokens!user"], &owner),
        };
        let note = asked.get("note").and_then(Value::as_str).unwrap_or_default();
        let expires = life.map(|life| self.common.now().saturating_add(life).unwrap_or(Timestamp::MAX));
        let made = self.make(&mut tokens, &owner, scopes, note, expires);
        let mut shown = made.json();
        shown["token"] = made.value.clone().into();
        (StatusCode::CREATED, Json(shown)).into_response()
    }

    fn delete(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.named(&mut tokens, call) {
            Ok(at) => {
                tokens.remove(at);
                StatusCode::NO_CONTENT.into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    }
}

/// As the hub shows scopes: those of the user by name, `tokens` with what it brings along.
fn expanded<'a>(scopes: impl IntoIterator<Item = &'a str>, owner: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for scope in scopes {
        let whole =
            scope.strip_suffix("!user").map_or(scope.to_owned(), |name| format!("{name}!user={owner}"));
        if whole == format!("tokens!user={owner}") {
            for brought in ["read:tokens", "read:users:name", "read:users:groups"] {
                all.insert(format!("{brought}!user={owner}"));
            }
        }
        all.insert(whole);
    }
    all
}

/// Behind the base: 1 is `users`.
fn segment(call: &Call, at: usize) -> &str {
    call.uri.path().split('/').nth(at).unwrap_or_default()
}

fn microseconds(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// The hub's own form; a dead value gets no sentence.
#[derive(Clone, Debug)]
struct Refusal(StatusCode, Option<String>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"status": self.0.as_u16(), "message": self.1}))).into_response()
    }
}

fn refusal(status: StatusCode, message: Option<&str>) -> Refusal {
    Refusal(status, message.map(str::to_owned))
}

pub(crate) fn routes(common: &Common, hub: &Arc<Jupyterhub>) -> Router {
    macro_rules! door {
        ($endpoint:ident, $handler:path) => {
            plain_door(common, Endpoint::$endpoint, hub, $handler)
        };
    }
    let tokens = get(door!(HubList, Jupyterhub::list)).post(door!(HubCreate, Jupyterhub::create));
    let token = get(door!(HubShow, Jupyterhub::show)).delete(door!(HubDelete, Jupyterhub::delete));
    let api = Router::new()
        .route("/user", get(door!(HubUser, Jupyterhub::user)))
        .route("/users/{name}/tokens", tokens)
        .route("/users/{name}/tokens/{id}", token)
        .fallback(async || refusal(StatusCode::NOT_FOUND, None));
    Router::new().nest(API, api)
}
