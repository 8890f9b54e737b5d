//! GitLab, as far as a personal access token sees itself: `/personal_access_tokens/self` (introspect, rotate, revoke) and
//! `/user`, after `lib/api` of gitlab-org/gitlab.
//!
//! A rotation with a value that has been rotated already is taken for a theft, and ends the whole family of that value.

use std::sync::{Arc, Mutex};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::common::{Common, locked, random_text};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;

/// The base of the API, on a port of its own.
pub(crate) const API: &str = "/api/v4";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Clone, Debug)]
struct Token {
    id: u64,
    value: String,
    owner: String,
    scopes: Vec<String>,
    created: Timestamp,
    expires: Option<Date>,
    used: Option<Timestamp>,
    is_revoked: bool,
    /// The first token of the line that this one comes from by rotation.
    family: u64,
}

impl Token {
    fn has_one_of(&self, scopes: &[&str]) -> bool {
        self.scopes.iter().any(|scope| scopes.contains(&scope.as_str()))
    }

    fn is_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|expires| expires <= today)
    }

    fn json(&self, today: Date) -> Value {
        json!({
            "id": self.id,
            "name": "keyfob",
            "revoked": self.is_revoked,
            "created_at": milliseconds(self.created),
            "description": null,
            "scopes": self.scopes,
            "user_id": user_id(&self.owner),
            "last_used_at": self.used.map(milliseconds),
            "active": !self.is_revoked && !self.is_expired(today),
            "expires_at": self.expires.map(|date| date.to_string()),
        })
    }
}

/// The running GitLab.
#[derive(Debug)]
pub struct Gitlab {
    common: Common,
    tokens: Mutex<Vec<Token>>,
}

impl Gitlab {
    pub(crate) fn new(common: Common) -> Self {
        Self { common, tokens: Mutex::default() }
    }

    /// A new token, `glpat-…`. It stops to work as the day `expires` begins in UTC; a company's own GitLab may give one
    /// without. `api`, or `self_rotate` beside others, lets it rotate itself; `read_user` lets it see whose it is.
    pub fn issue_token(&self, owner: &str, scopes: &[&str], expires: Option<Date>) -> String {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let mut tokens = locked(&self.tokens);
        let family = tokens.len() as u64 + 1;
        self.make(&mut tokens, owner.to_owned(), scopes, expires, family).value.clone()
    }

    /// Whether a value is taken now.
    #[must_use]
    pub fn is_live(&self, value: &str) -> bool {
        let today = self.today();
        let tokens = locked(&self.tokens);
        tokens.iter().any(|token| token.value == value && !token.is_revoked && !token.is_expired(today))
    }

    /// The value of an owner's newest live token.
    #[must_use]
    pub fn newest_token(&self, owner: &str) -> Option<String> {
        let tokens = locked(&self.tokens);
        let newest = tokens.iter().rev().find(|token| token.owner == owner && !token.is_revoked);
        newest.map(|token| token.value.clone())
    }

    /// Revokes a token, as its owner does on the page.
    pub fn revoke(&self, value: &str) {
        for token in locked(&self.tokens).iter_mut().filter(|token| token.value == value) {
            token.is_revoked = true;
        }
    }

    fn today(&self) -> Date {
        self.common.now().to_zoned(TimeZone::UTC).date()
    }

    fn make<'tokens>(
        &self,
        tokens: &'tokens mut Vec<Token>,
        owner: String,
        scopes: Vec<String>,
        expires: Option<Date>,
        family: u64,
    ) -> &'tokens Token {
        let token = Token {
            id: tokens.len() as u64 + 1,
            value: format!("glpat-{}", random_text(LETTERS, 20)),
            owner,
            scopes,
            created: self.common.now(),
            expires,
            used: None,
            is_revoked: false,
            family,
        };
        tokens.push(token);
        &tokens[tokens.len() - 1]
    }

    /// Where the live token is that came along.
    fn bearer(&self, tokens: &mut [Token], call: &Call) -> Result<usize, Refusal> {
        let value = call.header("private-token").or_else(|| call.bearer()).ok_or(Refusal::Unauthorized)?;
        let at = tokens.iter().position(|token| token.value == value).ok_or(Refusal::Unauthorized)?;
        if tokens[at].is_revoked {
            return Err(Refusal::Revoked { family: tokens[at].family });
        }
        if tokens[at].is_expired(self.today()) {
            return Err(Refusal::Expired);
        }
        tokens[at].used = Some(self.common.now());
        Ok(at)
    }

    fn show(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.bearer(&mut tokens, call) {
            Ok(at) => Json(tokens[at].json(self.today())).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn user(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.bearer(&mut tokens, call) {
            Ok(at) if tokens[at].has_one_of(&["api", "read_api", "read_user"]) => {
                let owner = &tokens[at].owner;
                let id = user_id(owner);
                Json(json!({"id": id, "username": owner, "state": "active", "bot": false})).into_response()
            }
            Ok(_) => Refusal::Scope("api read_user").into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn revoke_itself(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.bearer(&mut tokens, call) {
            Ok(at) => {
                tokens[at].is_revoked = true;
                StatusCode::NO_CONTENT.into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    fn rotate(&self, call: &Call) -> Response {
        let mut tokens = locked(&self.tokens);
        match self.rotated(&mut tokens, call) {
            Ok(shown) => Json(shown).into_response(),
            Err(refusal) => {
                if let Refusal::Revoked { family } = refusal {
                    for token in tokens.iter_mut().filter(|token| token.family == family) {
                        token.is_revoked = true;
                    }
                }
                refusal.into_response()
            }
        }
    }

    fn rotated(&self, tokens: &mut Vec<Token>, call: &Call) -> Result<Value, Refusal> {
        let at = self.bearer(tokens, call)?;
        if !tokens[at].has_one_of(&["api", "self_rotate"]) {
            return Err(Refusal::Scope("api self_rotate"));
        }
        let today = self.today();
        let furthest = today.saturating_add(365.days());
        let expires = match asked(call)? {
            Some(date) if date > furthest => return Err(Refusal::TooFar(furthest)),
            Some(date) => date,
            None => today.saturating_add(1.week()),
        };
        tokens[at].is_revoked = true;
        let Token { owner, scopes, family, .. } = tokens[at].clone();
        let made = self.make(tokens, owner, scopes, Some(expires), family);
        let mut shown = made.json(today);
        shown["token"] = made.value.clone().into();
        Ok(shown)
    }
}

/// The number of a user: the same for the same name.
fn user_id(owner: &str) -> u64 {
    owner.bytes().fold(0, |number, byte| (number * 31 + u64::from(byte)) % 1_000_000)
}

/// As GitLab writes times: always three digits of a fraction.
fn milliseconds(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

/// `expires_at`, from a JSON body or a form.
fn asked(call: &Call) -> Result<Option<Date>, Refusal> {
    let text = match call.form() {
        Some(form) => form.get("expires_at").map(str::to_owned),
        None if call.body.is_empty() => None,
        None => {
            let body: Value = serde_json::from_slice(&call.body).map_err(|_| Refusal::Unreadable)?;
            body["expires_at"].as_str().map(str::to_owned)
        }
    };
    text.map(|text| text.parse().map_err(|_| Refusal::NoDate)).transpose()
}

#[derive(Clone, Copy, Debug)]
enum Refusal {
    Unauthorized,
    Revoked { family: u64 },
    Expired,
    Scope(&'static str),
    TooFar(Date),
    NoDate,
    Unreadable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let invalid = |why: &str| {
            let body = json!({"error": "invalid_token", "error_description": why});
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"The API\"")], Json(body))
                .into_response()
        };
        let bad = |body: Value| (StatusCode::BAD_REQUEST, Json(body)).into_response();
        match self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, Json(json!({"message": "401 Unauthorized"}))).into_response()
            }
            Self::Revoked { .. } => invalid("Token was revoked. You have to re-authorize from the user."),
            Self::Expired => {
                invalid("Token is expired. You can either do re-authorization or token refresh.")
            }
            Self::Scope(scope) => {
                let why = "The request requires higher privileges than provided by the access token.";
                let body = json!({"error": "insufficient_scope", "error_description": why, "scope": scope});
                (StatusCode::FORBIDDEN, Json(body)).into_response()
            }
            Self::TooFar(furthest) => {
                let why = format!("400 Bad request - Expiration date must be before {furthest}");
                bad(json!({"message": why}))
            }
            Self::NoDate => bad(json!({"error": "expires_at is invalid"})),
            Self::Unreadable => bad(json!({"error": "Problems parsing JSON"})),
        }
    }
}

pub(crate) fn routes(common: &Common, gitlab: &Arc<Gitlab>) -> Router {
    macro_rules! door {
        ($endpoint:ident, $handler:path) => {
            plain_door(common, Endpoint::$endpoint, gitlab, $handler)
        };
    }
    let own = get(door!(GitlabSelf, Gitlab::show)).delete(door!(GitlabDelete, Gitlab::revoke_itself));
    let api = Router::new()
        .route("/personal_access_tokens/self", own)
        .route("/personal_access_tokens/self/rotate", post(door!(GitlabRotate, Gitlab::rotate)))
        .route("/user", get(door!(GitlabUser, Gitlab::user)))
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({"error": "404 Not Found"}))));
    Router::new().nest(API, api)
}
