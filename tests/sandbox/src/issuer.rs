//! An OpenID provider that answers as Okta does: code + PKCE, device grant, rotating refresh tokens.
//!
//! It approves its one person at once; nobody types a password. Standards: OpenID Connect Core and Discovery 1.0,
//! RFC 6749, 7009, 7636, 8252, 8414, 8628, 9207.

mod authorize;
mod device;
mod grants;
mod refusal;
#[cfg(test)]
mod tests;
mod token;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::common::{Common, locked};
use crate::door::{Call, plain_door};
use crate::faults::{Endpoint, Lie};
use crate::jwt::{KeySet, PublicKey, SigningKey, Unverified};
use grants::Grants;
use refusal::Refusal;

/// How many answers with tokens are remembered.
const REMEMBERED: usize = 32;

/// The person who is always at the keyboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// `sub`: stable, and not a name.
    pub subject: String,
    /// `preferred_username`, and the login typed into foreign forms.
    pub name: String,
    /// `email`.
    pub email: String,
    /// `groups`.
    pub groups: Vec<String>,
    /// What the claim `https://aws.amazon.com/tags` says; the first of them is transitive.
    pub session_tags: BTreeMap<String, String>,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            subject: "00u1ada0demo".into(),
            name: "ada".into(),
            email: "ada@example.com".into(),
            groups: vec!["Everyone".into(), "engineering".into()],
            session_tags: BTreeMap::new(),
        }
    }
}

/// How the issuer behaves; times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerOptions {
    /// The one public client.
    pub client_id: String,
    /// The one person.
    pub person: Person,
    /// What it calls itself where people reach it through a front that passes everything on; no slash at the end.
    pub public_url: Option<String>,
    /// Life of an authorization code.
    pub code_seconds: u32,
    /// Life of an ID token.
    pub id_token_seconds: u32,
    /// Life of an access token.
    pub access_token_seconds: u32,
    /// Life of a refresh token; each rotation starts it anew.
    pub refresh_token_seconds: u32,
    /// A used refresh token is replaced; using it again ends the whole grant. Off: Okta's persistent refresh tokens.
    pub rotate_refresh_tokens: bool,
    /// For so long from its first use a used refresh token is taken again, as where an answer was lost (Okta: 0 to 60).
    pub refresh_reuse_seconds: u32,
    /// Life of a device code.
    pub device_code_seconds: u32,
    /// How long a device waits between polls.
    pub device_interval_seconds: u32,
    /// Loopback ports that a redirect may name; empty: any (RFC 8252 section 7.3).
    pub redirect_ports: Vec<u16>,
}

impl Default for IssuerOptions {
    fn default() -> Self {
        Self {
            client_id: "keyfob-demo".into(),
            person: Person::default(),
            public_url: None,
            code_seconds: 60,
            id_token_seconds: 3600,
            access_token_seconds: 3600,
            refresh_token_seconds: 90 * 24 * 3600,
            rotate_refresh_tokens: true,
            refresh_reuse_seconds: 0,
            device_code_seconds: 600,
            device_interval_seconds: 5,
            redirect_ports: Vec::new(),
        }
    }
}

/// The running issuer.
#[derive(Debug)]
pub struct Issuer {
    common: Common,
    url: String,
    options: IssuerOptions,
    key: SigningKey,
    grants: Mutex<Grants>,
    issued: Mutex<VecDeque<Value>>,
}

impl Issuer {
    pub(crate) fn new(
        common: Common,
        url: String,
        options: IssuerOptions,
    ) -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            common,
            url,
            options,
            key: SigningKey::generate()?,
            grants: Mutex::default(),
            issued: Mutex::default(),
        })
    }

    /// Ends every session, as an administrator does: all refresh and access tokens are dead.
    pub fn end_all_sessions(&self) {
        *locked(&self.grants) = Grants::default();
    }

    /// The last answers of the token endpoint that had tokens in them, oldest first: for those who look for these elsewhere.
    pub fn issued(&self) -> Vec<Value> {
        locked(&self.issued).iter().cloned().collect()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.options.client_id
    }

    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        vec![self.key.public()]
    }

    /// Whether a resource server takes this: a live access token, or an ID token of ours.
    pub(crate) fn accepts_bearer(&self, token: &str) -> bool {
        let now = self.common.second();
        if locked(&self.grants).of_access_token(token, now).is_some() {
            return true;
        }
        Unverified::parse(token).is_some_and(|token| {
            token.verify(&self.public_keys()).is_ok()
                && token.text("iss") == Some(self.url())
                && token.is_for(self.client_id())
                && token.claims["exp"].as_i64().is_some_and(|end| now < end)
        })
    }

    fn discovery(&self, _: &Call) -> Response {
        let at = |path: &str| format!("{}{path}", self.url);
        let lie = self.common.faults.take_lie(Endpoint::Discovery, Lie::WrongIss);
        let issuer = if lie { at("/somebody-else") } else { self.url.clone() };
        Json(json!({
            "issuer": issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "revocation_endpoint": at("/revoke"),
            "device_authorization_endpoint": at("/device_authorization"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", token::DEVICE_CODE],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "at_hash", "name",
                "preferred_username", "email", "email_verified", "groups"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        }))
        .into_response()
    }

    fn jwks(&self, _: &Call) -> Response {
        Json(KeySet { keys: self.public_keys() }).into_response()
    }

    fn userinfo(&self, call: &Call) -> Response {
        let grants = locked(&self.grants);
        let now = self.common.second();
        let Some(grant) = call.bearer().and_then(|token| grants.of_access_token(token, now)) else {
            let challenge =
                r#"Bearer error="invalid_token", error_description="The access token is invalid.""#;
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
        };
        Json(self.person_claims(&grant.scopes)).into_response()
    }

    /// RFC 7009: a token that nobody knows is as revoked as can be.
    fn revoke(&self, call: &Call) -> Response {
        let Some(form) = call.form() else {
            return Refusal::invalid_request("The body must be a form.").into_response();
        };
        if form.get("client_id") != Some(self.client_id()) {
            return Refusal::invalid_client().into_response();
        }
        let Some(token) = form.get("token") else {
            return Refusal::invalid_request("The parameter token is missing.").into_response();
        };
        locked(&self.grants).revoke(token);
        StatusCode::OK.into_response()
    }

    fn person_claims(&self, scopes: &[String]) -> Map<String, Value> {
        let person = &self.options.person;
        let has = |scope: &str| scopes.iter().any(|one| one == scope);
        let mut claims = Map::from_iter([("sub".into(), json!(person.subject))]);
        if has("profile") {
            claims.insert("name".into(), json!(person.name));
            claims.insert("preferred_username".into(), json!(person.name));
        }
        if has("email") {
            claims.insert("email".into(), json!(person.email));
            claims.insert("email_verified".into(), json!(true));
        }
        if has("groups") || has("profile") {
            claims.insert("groups".into(), json!(person.groups));
        }
        if let Some(first) = person.session_tags.keys().next() {
            let tags: Map<String, Value> =
                person.session_tags.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
            let tags = json!({"principal_tags": tags, "transitive_tag_keys": [first]});
            claims.insert("https://aws.amazon.com/tags".into(), tags);
        }
        claims
    }
}

pub(crate) fn routes(common: &Common, issuer: &Arc<Issuer>) -> Router {
    let door =
        |endpoint, handler: fn(&Issuer, &Call) -> Response| plain_door(common, endpoint, issuer, handler);
    let userinfo = door(Endpoint::Userinfo, Issuer::userinfo);
    let page = door(Endpoint::DevicePage, Issuer::device_page);
    Router::new()
        .route("/.well-known/openid-configuration", get(door(Endpoint::Discovery, Issuer::discovery)))
        .route("/jwks", get(door(Endpoint::Jwks, Issuer::jwks)))
        .route("/authorize", get(door(Endpoint::Authorize, Issuer::authorize)))
        .route("/token", post(door(Endpoint::Token, Issuer::token)))
        .route("/device_authorization", post(door(Endpoint::Device, Issuer::device_authorization)))
        .route("/device", get(page.clone()).post(page))
        .route("/revoke", post(door(Endpoint::Revoke, Issuer::revoke)))
        .route("/userinfo", get(userinfo.clone()).post(userinfo))
}
