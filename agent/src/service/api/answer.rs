//! An answer of a service, and what it means for the token that it was asked with.

use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use keyfob_ipc::{Secret, text};
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

use super::ServiceError;
use crate::upstream::repeats;

/// Longest piece of a service's own words that is repeated to a person, in characters.
const WORDS: usize = 200;

/// No word of a sentence is that long, in characters; tokens are.
const SECRET: usize = 24;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// 2xx where it comes from [`super::Api::call`], any where it comes from [`super::Api::ask`].
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; may hold a new token.
    body: Secret<Vec<u8>>,
    /// What it was asked with.
    credential: Option<Secret<String>>,
}

impl Answer {
    pub(super) fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
        credential: Option<Secret<String>>,
    ) -> Self {
        Self { status, headers, body: Secret::new(body), credential }
    }

    /// The body as JSON. Unknown members are ignored.
    ///
    /// # Errors
    /// [`ServiceError::Unsure`]: the service acted, and what it said cannot be read.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        let body = self.body.expose();
        // A list would be taken for the members of an object, in their order.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if is_object { serde_json::from_slice(body).map_err(|_| unreadable()) } else { Err(unreadable()) }
    }

    /// A new value: `T` names what holds the secret and nothing else, so that no other odd member costs the only value that
    /// is good.
    ///
    /// # Errors
    /// [`ServiceError::Unsure`]: the service acted, and kept the value to itself.
    pub fn minted<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        let without = "the token service answered without the new token";
        self.json().map_err(|_| ServiceError::Unsure(without.to_owned()))
    }

    /// Length of the body in bytes.
    pub fn size(&self) -> usize {
        self.body.expose().len()
    }

    /// One header, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Nothing, where the status is one of those that the service documents for having done it: a page in between answers
    /// 200 to anything.
    ///
    /// # Errors
    /// [`ServiceError::Unsure`] for any other one.
    pub fn done(&self, statuses: &[u16]) -> Result<(), ServiceError> {
        if statuses.contains(&self.status.as_u16()) { Ok(()) } else { Err(unreadable()) }
    }

    /// The answer, if it is no refusal; else what the refusal means for the token.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn accepted(self) -> Result<Self, ServiceError> {
        match self.status.as_u16() {
            200..300 => Ok(self),
            // Who gives up on the rest of a request may have read it all.
            status @ 408 => Err(ServiceError::Unsure(format!("the token service failed ({status})"))),
            429 => Err(ServiceError::Later { seconds: retry_after(&self.headers) }),
            400..500 if self.is_page() => Err(self.strange()),
            401 if self.is_own_word() => Err(ServiceError::Dead),
            401 => Err(self.strange()),
            status @ 400..500 => Err(ServiceError::Refused { status, say: self.own_words() }),
            status => Err(ServiceError::Unsure(format!("the token service failed ({status})"))),
        }
    }

    /// That somebody else answers: a gateway, or the company's own proxy.
    pub fn strange(&self) -> ServiceError {
        let status = self.status.as_u16();
        ServiceError::Strange(format!("something answers for the token service, but not as one ({status})"))
    }

    /// Whether it is a page for people, which no API has: whatever its head says.
    pub fn is_page(&self) -> bool {
        self.kind().contains("html") || self.body.expose().trim_ascii_start().starts_with(b"<")
    }

    /// Whether a 401 can be the service's.
    fn is_own_word(&self) -> bool {
        let (kind, body) = (self.kind(), self.body.expose().trim_ascii());
        let is_plain = kind.is_empty() || kind.contains("json") || kind.starts_with("text/plain");
        is_plain || body.is_empty() || body.starts_with(b"{") || self.headers.contains_key(WWW_AUTHENTICATE)
    }

    fn kind(&self) -> String {
        self.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase()
    }

    /// What the service says about a refusal, where it says it in JSON: `detail` and `title` (RFC 9457), `message`
    /// (GitLab, GitHub, JupyterHub), `errors` (JFrog), `error_description` and `error` (RFC 6749). Nothing where it repeats
    /// what it was asked with.
    fn own_words(&self) -> String {
        if !self.kind().contains("json") {
            return String::new();
        }
        let Ok(Value::Object(members)) = serde_json::from_slice(self.body.expose()) else {
            return String::new();
        };
        ["detail", "message", "error_description", "error", "title"]
            .iter()
            .find_map(|name| members.get(*name)?.as_str())
            .or_else(|| members.get("errors")?.get(0)?.get("message")?.as_str())
            .filter(|words| !self.repeats(words))
            .map(|words| text::escape(&masked(words).chars().take(WORDS).collect::<String>()))
            .unwrap_or_default()
    }

    fn repeats(&self, words: &str) -> bool {
        let Some(credential) = &self.credential else { return false };
        // What comes after the scheme.
        repeats(words, credential.expose().rsplit(' ').next().unwrap_or_default())
    }
}

/// For `#[serde(default, deserialize_with)]`: a fact that has not the documented form is unknown. Never for a secret, which would
/// be copied.
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

/// That the service acted, and what it said cannot be read.
pub fn unreadable() -> ServiceError {
    ServiceError::Unsure("the answer of the token service cannot be read".to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// A service may repeat the token that it was asked with, or another secret: what is long enough to be one is left out,
/// before anything is cut.
fn masked(words: &str) -> String {
    let mask = |word: &'_ str| if word.chars().count() < SECRET { word.to_owned() } else { "...".to_owned() };
    words.split_whitespace().map(mask).collect::<Vec<_>>().join(" ")
}
