//! The authorization endpoint: checks what a real one checks, approves the person at once.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::Url;

use super::Issuer;
use super::grants::{Code, Grant};
use super::refusal::Refusal;
use crate::common::{locked, random_name};
use crate::door::{Call, Parameters};
use crate::faults::{Endpoint, Fault, Lie};

impl Issuer {
    pub(super) fn authorize(&self, call: &Call) -> Response {
        let query = call.query();
        // RFC 6749 section 4.1.2.1: who is asking and where to must be right before anyone is sent anywhere.
        if query.get("client_id") != Some(self.client_id()) {
            return page("The client is not known here.");
        }
        let Some(redirect) = query.get("redirect_uri").and_then(|uri| self.redirect(uri)) else {
            return page("The 'redirect_uri' parameter must be a Login redirect URI of the client.");
        };
        let forced = self.common.faults.take(Endpoint::Authorize, |fault| match fault {
            Fault::OAuthError(error) => Some(Refusal::new(error, "The request was refused.")),
            _ => None,
        });
        let result = match forced {
            Some(refusal) => Err(refusal),
            None => self.grant_code(&query),
        };
        self.send_back(redirect, query.get("state"), result)
    }

    /// A loopback address literal, any port unless ports are fixed, path `/callback` (RFC 8252 section 7.3).
    fn redirect(&self, uri: &str) -> Option<Url> {
        let url = Url::parse(uri).ok()?;
        let port = url.port_or_known_default()?;
        let ports = &self.options.redirect_ports;
        let fits = url.scheme() == "http"
            && matches!(url.host_str(), Some("127.0.0.1" | "[::1]"))
            && url.path() == "/callback"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && (ports.is_empty() || ports.contains(&port));
        fits.then_some(url)
    }

    fn grant_code(&self, query: &Parameters) -> Result<String, Refusal> {
        if let Some(name) = query.repeated() {
            return Err(Refusal::invalid_request(&format!("The parameter {name} is there more than once.")));
        }
        if query.get("response_type") != Some("code") {
            return Err(Refusal::new("unsupported_response_type", "The response type must be code."));
        }
        let scopes: Vec<String> =
            query.get("scope").unwrap_or_default().split_ascii_whitespace().map(Into::into).collect();
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err(Refusal::new("invalid_scope", "The scope must contain openid."));
        }
        if query.get("code_challenge_method") != Some("S256") {
            return Err(Refusal::invalid_request("PKCE is required: code_challenge_method must be S256."));
        }
        let challenge = query.get("code_challenge").filter(|challenge| is_challenge(challenge));
        let Some(challenge) = challenge else {
            return Err(Refusal::invalid_request("PKCE is required: code_challenge must be 43 characters."));
        };
        let now = self.common.second();
        let code = Code {
            grant: Grant { scopes, nonce: query.get("nonce").map(Into::into), signed_in: now },
            redirect_uri: query.get("redirect_uri").unwrap_or_default().into(),
            challenge: challenge.into(),
            ends: now + i64::from(self.options.code_seconds),
            bought: None,
        };
        let name = random_name();
        locked(&self.grants).codes.insert(name.clone(), code);
        Ok(name)
    }

    fn send_back(&self, mut to: Url, state: Option<&str>, result: Result<String, Refusal>) -> Response {
        let lies = |lie| self.common.faults.take_lie(Endpoint::Authorize, lie);
        let wrong_state = lies(Lie::WrongState);
        let iss = if lies(Lie::MissingIss) {
            None
        } else if lies(Lie::WrongIss) {
            Some(format!("{}/somebody-else", self.url()))
        } else {
            Some(self.url().to_owned())
        };
        {
            let mut query = to.query_pairs_mut();
            match result {
                Ok(code) => {
                    query.append_pair("code", &code);
                }
                Err(refusal) => {
                    query.append_pair("error", &refusal.error);
                    query.append_pair("error_description", &refusal.description);
                }
            }
            if let Some(state) = state {
                query.append_pair("state", if wrong_state { "somebody-else" } else { state });
            }
            if let Some(iss) = iss {
                query.append_pair("iss", &iss);
            }
        }
        let headers = [(header::LOCATION, to.as_str()), (header::CACHE_CONTROL, "no-store")];
        (StatusCode::FOUND, headers).into_response()
    }
}

fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn page(problem: &str) -> Response {
    let html =
        format!("<!DOCTYPE html><title>400 Bad Request</title><h1>400 Bad Request</h1><p>{problem}</p>\n");
    (StatusCode::BAD_REQUEST, Html(html)).into_response()
}
