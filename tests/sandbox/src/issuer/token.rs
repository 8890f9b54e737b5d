//! The token endpoint: authorization code, refresh token, device code.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::grants::{Decision, Grant, Grants, Spent};
use super::refusal::Refusal;
use super::{Issuer, REMEMBERED};
use crate::common::locked;
use crate::door::{Call, Parameters};
use crate::faults::{Endpoint, Fault, Lie};
use crate::jwt;

/// The grant type of RFC 8628 section 3.4.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

type Answered = Result<Value, Refusal>;

impl Issuer {
    pub(super) fn token(&self, call: &Call) -> Response {
        match self.token_answer(call) {
            Ok(tokens) => {
                let mut issued = locked(&self.issued);
                issued.push_back(tokens.clone());
                let over = issued.len().saturating_sub(REMEMBERED);
                issued.drain(..over);
                let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
                (headers, Json(tokens)).into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    fn token_answer(&self, call: &Call) -> Answered {
        let Some(form) = call.form() else {
            return Err(Refusal::invalid_request("The body must be a form."));
        };
        if let Some(name) = form.repeated() {
            return Err(Refusal::invalid_request(&format!("The parameter {name} is there more than once.")));
        }
        let grant_type = form.get("grant_type").ok_or_else(|| missing("grant_type"))?;
        self.common.counts.grant(grant_type);
        let forced = self.common.faults.take(Endpoint::Token, |fault| match fault {
            Fault::InvalidGrant => Some(dead_refresh_token()),
            Fault::OAuthError(error) => Some(Refusal::new(error, "The request was refused.")),
            _ => None,
        });
        if let Some(refusal) = forced {
            return Err(refusal);
        }
        if form.get("client_id") != Some(self.client_id()) {
            return Err(Refusal::invalid_client());
        }
        match grant_type {
            "authorization_code" => self.by_code(&form),
            "refresh_token" => self.by_refresh_token(&form),
            DEVICE_CODE => self.by_device_code(&form),
            _ => Err(Refusal::new("unsupported_grant_type", "The grant type is not supported.")),
        }
    }

    fn by_code(&self, form: &Parameters) -> Answered {
        let name = form.get("code").ok_or_else(|| missing("code"))?;
        let verifier =
            form.get("code_verifier").ok_or_else(|| Refusal::invalid_grant("PKCE verification failed."))?;
        let redirect_uri = form.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
        let mut grants = locked(&self.grants);
        let invalid = || Refusal::invalid_grant("The authorization code is invalid or has expired.");
        let code = grants.codes.get(name).cloned().ok_or_else(invalid)?;
        if let Some(bought) = code.bought {
            // RFC 6749 section 4.1.2: a code used twice was stolen, so what it bought goes too.
            grants.end(bought);
            return Err(invalid());
        }
        if self.common.second() >= code.ends {
            return Err(invalid());
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refusal::invalid_grant(
                "The redirect URI is not the one of the authorization request.",
            ));
        }
        if jwt::encode(digest(&SHA256, verifier.as_bytes()).as_ref()) != code.challenge {
            return Err(Refusal::invalid_grant("PKCE verification failed."));
        }
        let id = grants.open(code.grant.clone());
        if let Some(code) = grants.codes.get_mut(name) {
            code.bought = Some(id);
        }
        Ok(self.first_tokens(&mut grants, id, &code.grant))
    }

    fn by_refresh_token(&self, form: &Parameters) -> Answered {
        let token = form.get("refresh_token").ok_or_else(|| missing("refresh_token"))?;
        let mut grants = locked(&self.grants);
        let now = self.common.second();
        let (id, grant) = match grants.spend(token, now, self.options.refresh_reuse_seconds) {
            Spent::Good(id, grant) => (id, grant),
            Spent::Again(id, grant) => {
                self.common.counts.reused();
                (id, grant)
            }
            Spent::Unknown | Spent::Ended | Spent::Reused => return Err(dead_refresh_token()),
        };
        let asked: Vec<&str> = form.get("scope").unwrap_or_default().split_ascii_whitespace().collect();
        if asked.iter().any(|scope| !grant.has(scope)) {
            return Err(Refusal::new("invalid_scope", "The scope is wider than what was granted."));
        }
        let refresh_token = if self.options.rotate_refresh_tokens {
            grants.use_up(token, now);
            grants.refresh_token(id, now + i64::from(self.options.refresh_token_seconds))
        } else {
            token.to_owned()
        };
        let mut tokens = self.access(&mut grants, id, &grant);
        tokens.insert("refresh_token".into(), json!(refresh_token));
        if !asked.is_empty() {
            tokens.insert("scope".into(), json!(asked.join(" ")));
        }
        // As Okta: no openid in the scope of the refresh, no new ID token.
        if asked.contains(&"openid") {
            // A refreshed ID token should not carry the nonce (OpenID Connect Core section 12.2).
            let id_token = self.id_token(&Grant { nonce: None, ..grant }, &tokens);
            tokens.insert("id_token".into(), json!(id_token));
        }
        Ok(tokens.into())
    }

    fn by_device_code(&self, form: &Parameters) -> Answered {
        let name = form.get("device_code").ok_or_else(|| missing("device_code"))?;
        let mut grants = locked(&self.grants);
        let now = self.common.now();
        let Some(device) = grants.devices.get_mut(name) else {
            return Err(Refusal::invalid_grant("The device code is invalid."));
        };
        if now.as_second() >= device.ends {
            return Err(Refusal::new("expired_token", "The device code has expired."));
        }
        let interval = f64::from(device.interval);
        let early = device.polled.is_some_and(|polled| now.duration_since(polled).as_secs_f64() < interval);
        device.polled = Some(now);
        if early {
            device.interval += 5;
            return Err(Refusal::new("slow_down", "The client polls too often."));
        }
        match device.decision {
            Decision::Pending => Err(Refusal::new(
                "authorization_pending",
                "The device authorization is pending. Please try again later.",
            )),
            Decision::Denied => Err(Refusal::new("access_denied", "The person said no.")),
            Decision::Approved => {
                let scopes = device.scopes.clone();
                grants.devices.remove(name);
                let grant = Grant { scopes, nonce: None, signed_in: now.as_second() };
                let id = grants.open(grant.clone());
                Ok(self.first_tokens(&mut grants, id, &grant))
            }
        }
    }

    fn first_tokens(&self, grants: &mut Grants, id: u64, grant: &Grant) -> Value {
        let mut tokens = self.access(grants, id, grant);
        if grant.has("offline_access") {
            let ends = self.common.second() + i64::from(self.options.refresh_token_seconds);
            tokens.insert("refresh_token".into(), json!(grants.refresh_token(id, ends)));
        }
        let id_token = self.id_token(grant, &tokens);
        tokens.insert("id_token".into(), json!(id_token));
        tokens.into()
    }

    fn access(&self, grants: &mut Grants, id: u64, grant: &Grant) -> Map<String, Value> {
        let seconds = self.options.access_token_seconds;
        let token = grants.access_token(id, self.common.second() + i64::from(seconds));
        Map::from_iter([
            ("token_type".into(), json!("Bearer")),
            ("expires_in".into(), json!(seconds)),
            ("access_token".into(), json!(token)),
            ("scope".into(), json!(grant.scopes.join(" "))),
        ])
    }

    /// The ID token beside `tokens`, with whatever lie is asked for.
    fn id_token(&self, grant: &Grant, tokens: &Map<String, Value>) -> String {
        let lies = |lie| self.common.faults.take_lie(Endpoint::Token, lie);
        let skew = |fault: &Fault| if let Fault::Skew(seconds) = fault { Some(*seconds) } else { None };
        let skew = self.common.faults.take(Endpoint::Token, skew).unwrap_or_default();
        let life = i64::from(self.options.id_token_seconds);
        let mut issued = self.common.second().saturating_add(skew);
        if lies(Lie::Expired) {
            issued -= life + 3600;
        }
        let mut claims = self.person_claims(&grant.scopes);
        let mut say = |name: &str, value: Value| claims.insert(name.into(), value);
        say("iss", json!(self.url()));
        say("aud", json!(self.client_id()));
        say("iat", json!(issued));
        say("exp", json!(issued.saturating_add(life)));
        say("auth_time", json!(grant.signed_in.saturating_add(skew)));
        if let Some(access_token) = tokens.get("access_token").and_then(Value::as_str) {
            say("at_hash", json!(jwt::encode(&digest(&SHA256, access_token.as_bytes()).as_ref()[..16])));
        }
        if let Some(nonce) = &grant.nonce {
            say("nonce", json!(nonce));
        }
        if lies(Lie::WrongIss) {
            say("iss", json!(format!("{}/somebody-else", self.url())));
        }
        if lies(Lie::WrongAud) {
            say("aud", json!("somebody-else"));
        }
        if lies(Lie::WrongNonce) {
            say("nonce", json!("somebody-else"));
        }
        let claims = Value::Object(claims);
        if lies(Lie::Unsigned) {
            return jwt::unsigned(&claims);
        }
        if lies(Lie::BadSignature) {
            return self.key.sign_badly(&claims);
        }
        self.key.sign(&claims)
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::invalid_request(&format!("The parameter {name} is missing."))
}

/// One text whether it is unknown, ended or reused: a real issuer does not say which.
fn dead_refresh_token() -> Refusal {
    Refusal::invalid_grant("The refresh token is invalid or expired.")
}
