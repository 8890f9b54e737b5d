//! GitHub Actions, as far as a job's ID tokens go: the address that a job asks, its metadata and its keys (docs.github.com, "OpenID
//! Connect reference").

use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use url::Url;

use crate::common::{Common, locked, random_name, random_uuid};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;
use crate::jwt::{KeySet, RsaKey};
use crate::sts::TrustedIssuer;

/// The issuer that tokens name, as the real one's do; its keys are here.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
const REQUEST: &str = "/idtoken/3a1f/5b2c";
const JWKS: &str = "/.well-known/jwks";

#[derive(Debug)]
struct State {
    claims: Map<String, Value>,
    life: i64,
    /// Audiences that were asked for, in order.
    asked: Vec<String>,
}

/// The running endpoint, for one job.
#[derive(Debug)]
pub struct GithubActions {
    common: Common,
    base: String,
    token: String,
    key: RsaKey,
    state: Mutex<State>,
}

impl GithubActions {
    pub(crate) fn new(common: Common, base: String) -> Result<Self, ring::error::Unspecified> {
        let state = State { claims: job(), life: 300, asked: Vec::new() };
        Ok(Self {
            common,
            base,
            token: random_name(),
            key: RsaKey::new("github-actions")?,
            state: Mutex::new(state),
        })
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` of the job.
    #[must_use]
    pub fn request(&self) -> (String, String) {
        (format!("{}{REQUEST}?api-version=2.0", self.base), self.token.clone())
    }

    /// What an STS needs that trusts this issuer.
    #[must_use]
    pub fn trust(&self) -> TrustedIssuer {
        let jwks = Url::parse(&format!("{}{JWKS}", self.base)).expect("our own address is one");
        TrustedIssuer { issuer: ISSUER.to_owned(), jwks, audience: "sts.amazonaws.com".to_owned() }
    }

    /// Tokens say this of the job from now on; `null`: nothing.
    pub fn set_claim(&self, name: &str, value: Value) {
        let mut state = locked(&self.state);
        if value.is_null() {
            state.claims.remove(name);
        } else {
            state.claims.insert(name.to_owned(), value);
        }
    }

    /// Tokens that are made from now on live so many seconds; negative: they have ended already.
    pub fn set_life(&self, seconds: i64) {
        locked(&self.state).life = seconds;
    }

    /// Audiences that tokens were made for, in order.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        locked(&self.state).asked.clone()
    }

    fn answer(&self, call: &Call) -> Response {
        let refused = |status: StatusCode| (status, Json(json!({ "message": "denied" }))).into_response();
        if call.bearer() != Some(self.token.as_str()) {
            return refused(StatusCode::UNAUTHORIZED);
        }
        let query = call.query();
        if query.get("api-version").is_none() {
            return refused(StatusCode::BAD_REQUEST);
        }
        let mut state = locked(&self.state);
        let owner = state.claims.get("repository_owner").and_then(Value::as_str).unwrap_or_default();
        let usual = format!("https://github.com/{owner}");
        let Ok(audience) = query.only("audience") else { return refused(StatusCode::BAD_REQUEST) };
        let audience = audience.unwrap_or(&usual).to_owned();
        state.asked.push(audience.clone());
        let now = self.common.second();
        let mut claims = state.claims.clone();
        claims.extend([
            ("jti".to_owned(), json!(random_uuid())),
            ("iss".to_owned(), json!(ISSUER)),
            ("aud".to_owned(), json!(audience)),
            ("nbf".to_owned(), json!(now - 600)),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + state.life)),
        ]);
        drop(state);
        Json(json!({ "count": 1, "value": self.key.sign(&Value::Object(claims)) })).into_response()
    }

    fn keys(&self) -> Response {
        Json(KeySet { keys: vec![self.key.public()] }).into_response()
    }

    fn metadata(&self) -> Value {
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{}{JWKS}", self.base),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "repository", "workflow"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        })
    }
}

/// A push to `main` of `acme/payments`.
fn job() -> Map<String, Value> {
    let claims = json!({
        "sub": "repo:acme/payments:ref:refs/heads/main",
        "ref": "refs/heads/main",
        "sha": "9f2d1b0c6a5e4f3d2c1b0a9f8e7d6c5b4a3f2e1d",
        "repository": "acme/payments",
        "repository_owner": "acme",
        "repository_owner_id": "65",
        "repository_id": "74",
        "repository_visibility": "private",
        "run_id": "11223344556",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "actor": "ada",
        "actor_id": "12",
        "workflow": "deploy",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_type": "branch",
        "job_workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
    });
    if let Value::Object(claims) = claims { claims } else { Map::new() }
}

pub(crate) fn routes(common: &Common, github: &Arc<GithubActions>) -> Router {
    let tokens = plain_door(common, Endpoint::GithubIdToken, github, GithubActions::answer);
    let keys = plain_door(common, Endpoint::GithubKeys, github, |github, _| github.keys());
    let of_metadata = Arc::clone(github);
    let metadata = move |_: Request| {
        let metadata = of_metadata.metadata();
        async move { ([(header::CACHE_CONTROL, "no-store")], Json(metadata)) }
    };
    Router::new()
        .route(REQUEST, get(tokens))
        .route(JWKS, get(keys))
        .route("/.well-known/openid-configuration", get(metadata))
        .fallback(async || StatusCode::NOT_FOUND)
}
