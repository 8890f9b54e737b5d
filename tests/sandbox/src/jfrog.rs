//! The JFrog Platform, as far as an access token goes: `/access/api/v1/tokens`, where a refresh token is spent for the next
//! pair, and `/access/api/v1/tokens/me`.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Common, locked, random_name, random_uuid};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;
use crate::jwt::SigningKey;

/// The base of the API, on a port of its own.
pub(crate) const API: &str = "/access/api/v1";
const ISSUER: &str = "jfac@01sandbox";

/// An access token and what renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// A JSON Web Token, or for a reference token an opaque text.
    pub access_token: String,
    /// Absent where it cannot be refreshed.
    pub refresh_token: Option<String>,
}

/// What token is to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// A user.
    pub owner: String,
    /// Words such as `applied-permissions/user`, with a space between them.
    pub scope: String,
    /// How long it lives; `None` never ends. A refreshed one lives as long.
    pub life: Option<SignedDuration>,
    /// Whether a refresh token comes along.
    pub is_refreshable: bool,
    /// Whether the value is a reference, that nobody can read.
    pub is_reference: bool,
}

impl NewToken {
    /// A refreshable one of a user for a year.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            scope: "applied-permissions/user".to_owned(),
            life: Some(SignedDuration::from_hours(365 * 24)),
            is_refreshable: true,
            is_reference: false,
        }
    }
}

#[derive(Clone, Debug)]
struct Token {
    id: String,
    made_as: NewToken,
    pair: Pair,
    issued: Timestamp,
    expiry: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Token>,
    is_old: bool,
}

/// The running JFrog.
#[derive(Debug)]
pub struct Jfrog {
    common: Common,
    key: SigningKey,
    state: Mutex<State>,
}

impl Jfrog {
    pub(crate) fn new(common: Common) -> Result<Self, ring::error::Unspecified> {
        Ok(Self { common, key: SigningKey::generate()?, state: Mutex::default() })
    }

    /// A new token.
    pub fn issue_token(&self, new: NewToken) -> Pair {
        let token = self.make(new);
        let pair = token.pair.clone();
        locked(&self.state).tokens.push(token);
        pair
    }

    /// Whether a value is taken now.
    #[must_use]
    pub fn is_live(&self, access_token: &str) -> bool {
        locked(&self.state).live(access_token, self.common.now()).is_some()
    }

    /// Whether a refresh token can still be spent.
    #[must_use]
    pub fn is_refreshable(&self, refresh_token: &str) -> bool {
        locked(&self.state).of_refresh(refresh_token).is_some()
    }

    /// An owner's newest pair.
    #[must_use]
    pub fn newest_pair(&self, owner: &str) -> Option<Pair> {
        let state = locked(&self.state);
        let newest = state.tokens.iter().rev().find(|token| token.made_as.owner == owner);
        newest.map(|token| token.pair.clone())
    }

    /// Revokes a token, as an administrator does on the page.
    pub fn revoke(&self, access_token: &str) {
        locked(&self.state).tokens.retain(|token| token.pair.access_token != access_token);
    }

    /// A version before 7.53.1: `me` is the id of no token.
    pub fn be_old(&self) {
        locked(&self.state).is_old = true;
    }

    fn make(&self, made_as: NewToken) -> Token {
        let (id, issued) = (random_uuid(), self.common.now());
        let expiry = made_as.life.map(|life| issued.saturating_add(life).unwrap_or(Timestamp::MAX));
        let mut claims = json!({
            "sub": format!("{ISSUER}/users/{}", made_as.owner),
            "scp": made_as.scope,
            "aud": "*@*",
            "iss": format!("{ISSUER}/users/admin"),
            "iat": issued.as_second(),
            "jti": id,
        });
        if let Some(expiry) = expiry {
            claims["exp"] = expiry.as_second().into();
        }
        let access_token = if made_as.is_reference { random_name() } else { self.key.sign(&claims) };
        let refresh_token = made_as.is_refreshable.then(random_uuid);
        Token { id, made_as, pair: Pair { access_token, refresh_token }, issued, expiry }
    }

    /// Where the live token is that came along.
    fn bearer(&self, state: &State, call: &Call) -> Result<usize, Refusal> {
        let value = call.bearer().ok_or(Refusal(StatusCode::UNAUTHORIZED, "HTTP 401 Unauthorized"))?;
        let at = state.tokens.iter().position(|token| token.pair.access_token == value);
        let at = at.ok_or(Refusal(StatusCode::UNAUTHORIZED, "Token failed verification: revoked"))?;
        if state.tokens[at].is_live(self.common.now()) {
            Ok(at)
        } else {
            Err(Refusal(StatusCode::UNAUTHORIZED, "Invalid token, expired"))
        }
    }

    /// The token that the path names, for a caller whose token is of the same user.
    fn named(&self, state: &State, call: &Call) -> Result<Option<usize>, Refusal> {
        let bearer = self.bearer(state, call)?;
        let id = call.uri.path().rsplit('/').next().unwrap_or_default();
        if id == "me" && !state.is_old {
            return Ok(Some(bearer));
        }
        let at = state.tokens.iter().position(|token| token.id == id);
        match at {
            Some(at) if state.tokens[at].made_as.owner != state.tokens[bearer].made_as.owner => {
                Err(Refusal(StatusCode::FORBIDDEN, "The user is not permitted to handle this token"))
            }
            at => Ok(at),
        }
    }

    fn show(&self, call: &Call) -> Response {
        let state = locked(&self.state);
        match self.named(&state, call) {
            Ok(Some(at)) => Json(state.tokens[at].json()).into_response(),
            Ok(None) => Refusal(StatusCode::NOT_FOUND, "Token not found").into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn delete(&self, call: &Call) -> Response {
        let mut state = locked(&self.state);
        match self.named(&state, call) {
            Ok(Some(at)) => {
                state.tokens.remove(at);
                StatusCode::OK.into_response()
            }
            Ok(None) if call.uri.path().ends_with("/me") => {
                Refusal(StatusCode::NOT_FOUND, "Token not found").into_response()
            }
            // Documented: for an id that is not found.
            Ok(None) => StatusCode::NO_CONTENT.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn grant(&self, call: &Call) -> Response {
        let mut state = locked(&self.state);
        match self.refreshed(&mut state, call) {
            Ok(shown) => Json(shown).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    fn refreshed(&self, state: &mut State, call: &Call) -> Result<Value, Refusal> {
        let bearer = self.bearer(state, call)?;
        let asked = asked(call)?;
        let text = |name: &str| asked[name].as_str();
        if text("grant_type") != Some("refresh_token") {
            return Err(Refusal(StatusCode::BAD_REQUEST, "The sandbox only refreshes"));
        }
        let spent = text("refresh_token").and_then(|value| state.of_refresh(value));
        let none = Refusal(StatusCode::NOT_FOUND, "Token matching the provided refresh token was not found.");
        let spent = spent.ok_or(none)?;
        if state.tokens[spent].made_as.owner != state.tokens[bearer].made_as.owner {
            return Err(Refusal(StatusCode::FORBIDDEN, "The token is of another user"));
        }
        let is_refreshable = asked["refreshable"] == true || text("refreshable") == Some("true");
        let Token { made_as, .. } = state.tokens.remove(spent);
        let made = self.make(NewToken { is_refreshable, ..made_as });
        let mut shown = json!({
            "token_id": made.id,
            "access_token": made.pair.access_token,
            "scope": made.made_as.scope,
            "token_type": "Bearer",
        });
        if let Some(life) = made.made_as.life {
            shown["expires_in"] = life.as_secs().into();
        }
        if let Some(refresh_token) = &made.pair.refresh_token {
            shown["refresh_token"] = refresh_token.clone().into();
        }
        state.tokens.push(made);
        Ok(shown)
    }
}

impl State {
    fn live(&self, access_token: &str, now: Timestamp) -> Option<&Token> {
        self.tokens.iter().find(|token| token.pair.access_token == access_token && token.is_live(now))
    }

    fn of_refresh(&self, refresh_token: &str) -> Option<usize> {
        self.tokens.iter().position(|token| token.pair.refresh_token.as_deref() == Some(refresh_token))
    }
}

impl Token {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expiry.is_none_or(|expiry| now < expiry)
    }

    fn json(&self) -> Value {
        let mut shown = json!({
            "token_id": self.id,
            "subject": format!("{ISSUER}/users/{}", self.made_as.owner),
            "issued_at": self.issued.as_second(),
            "issuer": format!("{ISSUER}/users/admin"),
            "description": "keyfob",
            "refreshable": self.made_as.is_refreshable,
        });
        if let Some(expiry) = self.expiry {
            shown["expiry"] = expiry.as_second().into();
        }
        shown
    }
}

/// A JSON body, or a form as an object of texts.
fn asked(call: &Call) -> Result<Value, Refusal> {
    let Some(form) = call.form() else {
        let unreadable = |_| Refusal(StatusCode::BAD_REQUEST, "Failed to parse the request body");
        return serde_json::from_slice(&call.body).map_err(unreadable);
    };
    let names = ["grant_type", "refresh_token", "access_token", "refreshable"];
    Ok(names.iter().filter_map(|&name| Some((name.to_owned(), Value::from(form.get(name)?)))).collect())
}

/// In the form of JFrog's errors: a code that follows from the status, and a sentence.
#[derive(Clone, Copy, Debug)]
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = match self.0 {
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "FORBIDDEN",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            _ => "BAD_REQUEST",
        };
        (self.0, Json(json!({"errors": [{"code": code, "message": self.1}]}))).into_response()
    }
}

pub(crate) fn routes(common: &Common, jfrog: &Arc<Jfrog>) -> Router {
    macro_rules! door {
        ($endpoint:ident, $handler:path) => {
            plain_door(common, Endpoint::$endpoint, jfrog, $handler)
        };
    }
    let api = Router::new()
        .route("/tokens", post(door!(JfrogTokens, Jfrog::grant)))
        .route("/tokens/{id}", get(door!(JfrogSelf, Jfrog::show)).delete(door!(JfrogDelete, Jfrog::delete)))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "HTTP 404 Not Found"));
    Router::new().nest(API, api)
}
