//! The device grant (RFC 8628): where a device asks, and the page where a person approves.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::Issuer;
use super::grants::{Decision, Device};
use super::refusal::Refusal;
use crate::common::{locked, random_name, random_text};
use crate::door::Call;
use crate::net::escaped;

/// Letters that are hard to mistake and spell no words (RFC 8628 section 6.1).
const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

impl Issuer {
    pub(super) fn device_authorization(&self, call: &Call) -> Response {
        let Some(form) = call.form() else {
            return Refusal::invalid_request("The body must be a form.").into_response();
        };
        if form.get("client_id") != Some(self.client_id()) {
            return Refusal::invalid_client().into_response();
        }
        let scopes: Vec<String> =
            form.get("scope").unwrap_or_default().split_ascii_whitespace().map(Into::into).collect();
        if !scopes.iter().any(|scope| scope == "openid") {
            return Refusal::new("invalid_scope", "The scope must contain openid.").into_response();
        }
        let seconds = self.options.device_code_seconds;
        let interval = self.options.device_interval_seconds;
        let letters = random_text(USER_CODE_LETTERS, 8);
        let device = Device {
            user_code: format!("{}-{}", &letters[..4], &letters[4..]),
            scopes,
            ends: self.common.second() + i64::from(seconds),
            interval,
            polled: None,
            decision: Decision::Pending,
        };
        let device_code = random_name();
        let page = format!("{}/device", self.url());
        let answer = json!({
            "device_code": device_code,
            "user_code": device.user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={}", device.user_code),
            "expires_in": seconds,
            "interval": interval,
        });
        locked(&self.grants).devices.insert(device_code, device);
        ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    }

    /// `GET` shows the form (or approves at once with `auto=yes`), `POST` approves, or denies with `decision=deny`.
    pub(super) fn device_page(&self, call: &Call) -> Response {
        let is_post = call.method == axum::http::Method::POST;
        let Some(parameters) = (if is_post { call.form() } else { Some(call.query()) }) else {
            return problem("The form could not be read.");
        };
        let typed = parameters.get("user_code").unwrap_or_default();
        if !is_post && parameters.get("auto") != Some("yes") {
            return Html(form(typed)).into_response();
        }
        let decision =
            if parameters.get("decision") == Some("deny") { Decision::Denied } else { Decision::Approved };
        let now = self.common.second();
        let mut grants = locked(&self.grants);
        let same = |device: &&mut Device| letters(&device.user_code) == letters(typed);
        match grants.devices.values_mut().find(same) {
            Some(device) if now < device.ends && device.decision == Decision::Pending => {
                device.decision = decision;
                Html(shell("<p>You can close this page and go back to your device.</p>")).into_response()
            }
            Some(_) => problem("The code has expired or was used before."),
            None => problem("The code is not right."),
        }
    }
}

/// A person may type small letters and forget the dash.
fn letters(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

fn form(user_code: &str) -> String {
    let value = escaped(user_code);
    shell(&format!(
        "<form method=\"post\" action=\"/device\">\
         <label>The code that your device shows <input name=\"user_code\" value=\"{value}\" required></label> \
         <button name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></form>"
    ))
}

fn problem(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, Html(shell(&format!("<p>{text}</p>")))).into_response()
}

fn shell(body: &str) -> String {
    format!(
        "<!DOCTYPE html><html><head><title>Activate your device</title></head><body>{body}</body></html>\n"
    )
}
