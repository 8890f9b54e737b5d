//! Access keys at the OUTSCALE API (<https://docs.outscale.com/api>, `outscale.yaml` of github.com/outscale/osc-api).
//!
//! The trap of that API: an update of a key's state without an expiration date takes the expiration away. So there is no way here
//! to switch a key off without saying when it ends.

mod answer;

use std::time::Duration;

use http::Request;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use serde_json::{Value, json};

use super::http::{Http, HttpError};
use super::signed::{self, SigningKeys};
use crate::clock::{SharedClock, after, rfc3339};

pub use answer::{OutscaleError, read_moment};

/// The name of the service in signatures.
const SERVICE: &str = "api";
/// Most keys of a user that are looked at.
const KEYS: usize = 1000;
/// An end that has passed may be refused; then it is this far ahead, and the key is off anyway.
const SOON: Duration = Duration::from_secs(10 * 60);

/// The API, for one user's keys.
#[derive(Clone)]
pub struct Api {
    /// The network.
    pub http: Http,
    /// Signatures carry the time.
    pub clock: SharedClock,
    /// Region of the signatures.
    pub region: String,
    /// `https://api.eu-west-2.outscale.com`: no slash at the end.
    pub base: String,
    /// The EIM user whose keys these are.
    pub user: String,
}

/// A key as the API lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its tag.
    pub tag: Option<String>,
    /// Its end.
    pub ends: Option<Timestamp>,
    /// Whether it is off, whatever its end.
    pub is_off: bool,
}

/// A key that was just made. Its secret is said this one time.
#[derive(Debug)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// Its secret half.
    pub secret: Secret<String>,
    /// Its end, as the API says it.
    pub ends: Option<Timestamp>,
}

impl Api {
    /// The same for another user's keys; without a name for those of whoever signs.
    pub fn of(&self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self.clone() }
    }

    /// The user's keys.
    ///
    /// # Errors
    /// [`OutscaleError`].
    pub async fn read(&self, by: &SigningKeys<'_>) -> Result<Vec<Listed>, OutscaleError> {
        let is_named = !self.user.is_empty();
        let body = if is_named { json!({"UserName": self.user}) } else { json!({}) };
        let answer = self.call(by, "ReadAccessKeys", &body).await?;
        let keys = answer["AccessKeys"].as_array().ok_or_else(|| unreadable("ReadAccessKeys"))?;
        Ok(keys.iter().take(KEYS).filter_map(listed).collect())
    }

    /// The longest life that the account allows to keys; `None` for any.
    ///
    /// # Errors
    /// [`OutscaleError`]; not everybody may ask.
    pub async fn longest_life(&self, by: &SigningKeys<'_>) -> Result<Option<Duration>, OutscaleError> {
        let answer = self.call(by, "ReadApiAccessPolicy", &json!({})).await?;
        let seconds = answer["ApiAccessPolicy"]["MaxAccessKeyExpirationSeconds"].as_u64().unwrap_or(0);
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`OutscaleError`]; after one that [`OutscaleError::is_unsure`] there may be a key whose secret nobody has.
    pub async fn create(
        &self,
        by: &SigningKeys<'_>,
        tag: &str,
        ends: Timestamp,
    ) -> Result<Created, OutscaleError> {
        let body = json!({"UserName": self.user, "Tag": tag, "ExpirationDate": written(ends)});
        let answer = self.call(by, "CreateAccessKey", &body).await?;
        let key = &answer["AccessKey"];
        let (id, secret) = match (key["AccessKeyId"].as_str(), key["SecretKey"].as_str()) {
            (Some(id), Some(secret)) if is_key_id(id) && is_secret(secret) => (id, secret),
            _ => return Err(unreadable("CreateAccessKey")),
        };
        let ends = key["ExpirationDate"].as_str().and_then(read_moment);
        Ok(Created { id: id.to_owned(), secret: Secret::from(secret), ends })
    }

    /// Switches a key off; it goes on to have an end. One that is not there is off.
    ///
    /// # Errors
    /// [`OutscaleError`].
    pub async fn switch_off(
        &self,
        by: &SigningKeys<'_>,
        id: &str,
        ends: Timestamp,
    ) -> Result<(), OutscaleError> {
        let now = self.clock.now();
        let body = |ends| {
            json!({
                "AccessKeyId": id,
                "State": "INACTIVE",
                "ExpirationDate": written(ends),
                "UserName": self.user,
            })
        };
        let mut off = self.call(by, "UpdateAccessKey", &body(ends)).await;
        if ends <= now && matches!(off, Err(OutscaleError::Refused { .. })) {
            off = self.call(by, "UpdateAccessKey", &body(after(now, SOON))).await;
        }
        gone(off)
    }

    /// Deletes a key, which has to be off. One that is not there is deleted.
    ///
    /// # Errors
    /// [`OutscaleError`].
    pub async fn delete(&self, by: &SigningKeys<'_>, id: &str) -> Result<(), OutscaleError> {
        let body = json!({"AccessKeyId": id, "UserName": self.user});
        gone(self.call(by, "DeleteAccessKey", &body).await)
    }

    async fn call(&self, by: &SigningKeys<'_>, action: &str, body: &Value) -> Result<Value, OutscaleError> {
        let request = Request::post(format!("{}/api/v1/{action}", self.base))
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|_| OutscaleError::Unsent(HttpError::NotAllowed(self.base.clone())))?;
        let scope = (self.region.as_str(), SERVICE);
        let sent = signed::send(&self.http, by, scope, self.clock.now(), request).await;
        let answer = sent.map_err(OutscaleError::of_http)?;
        if !answer.status().is_success() {
            return Err(answer::refused(answer.status(), answer.body(), by.secret_access_key));
        }
        serde_json::from_slice(answer.body()).map_err(|_| unreadable(action))
    }
}

fn gone(done: Result<Value, OutscaleError>) -> Result<(), OutscaleError> {
    match done {
        Ok(_) | Err(OutscaleError::NotThere) => Ok(()),
        Err(error) => Err(error),
    }
}

fn unreadable(action: &str) -> OutscaleError {
    OutscaleError::Unsure(format!("the answer to {action} cannot be read"))
}

fn listed(key: &Value) -> Option<Listed> {
    let id = key["AccessKeyId"].as_str().filter(|id| is_key_id(id))?;
    let tag = key["Tag"].as_str().map(str::to_owned);
    let ends = key["ExpirationDate"].as_str().and_then(read_moment);
    Some(Listed { id: id.to_owned(), tag, ends, is_off: key["State"] == "INACTIVE" })
}

/// As the API's own examples write it.
fn written(moment: Timestamp) -> String {
    rfc3339(moment).replace('Z', ".000Z")
}

/// Whether a text can be the id of an access key.
pub fn is_key_id(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether a text can be the secret half of one.
pub fn is_secret(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
