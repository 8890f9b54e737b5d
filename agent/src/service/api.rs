//! A service's HTTP API: addresses below one base, JSON in and out, and what an answer means for a token.

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use keyfob_ipc::{Code, Refusal, Secret, text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::config::EntryName;
use crate::upstream::http::{Http, HttpError};

/// Longest piece of a service's own words that is repeated to a person, in characters.
const WORDS: usize = 200;

/// Words with so many characters of the token in a row are not repeated.
const PIECE: usize = 8;

/// No word of a sentence is that long, in characters; tokens are.
const SECRET: usize = 24;

/// A service at an address.
#[derive(Debug, Clone)]
pub struct Api {
    http: Http,
    base: Url,
}

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It does not know the token: revoked, ended, or never made there. Nothing was done.
    #[error("the token service does not accept the token")]
    Dead,
    /// It refused, in its own words. Nothing was done.
    #[error("the token service refused ({status}){}", said(.say))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its own words, escaped; may be empty.
        say: String,
    },
    /// It wants to be asked later. Nothing was done.
    #[error("the token service has too much to do{}", later(*.seconds))]
    Later {
        /// Seconds that it asks for (`Retry-After`).
        seconds: Option<u64>,
    },
    /// It was not reached, or the address may not be called. Nothing was done.
    #[error("{0}")]
    NotAsked(HttpError),
    /// The call went out and its answer is lost or makes no sense: it may have acted.
    #[error("{0}")]
    Unsure(String),
    /// It has no such call.
    #[error("the token service cannot do that")]
    Unable,
}

fn said(say: &str) -> String {
    if say.is_empty() { String::new() } else { format!(": {say}") }
}

fn later(seconds: Option<u64>) -> String {
    seconds.map(|seconds| format!(" and asks for {seconds} s of patience")).unwrap_or_default()
}

impl ServiceError {
    /// Whether the service may have done what it was asked, so that asking again could do harm.
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure(_))
    }

    /// What a person is told.
    pub fn refusal(&self, name: &EntryName) -> Refusal {
        let say = self.to_string();
        match self {
            Self::Dead => Refusal::new(Code::TokenNeeded, format!("{say} of `{name}`"))
                .hint(format!("keyfob token add {}", name.name)),
            Self::Refused { .. } => Refusal::new(Code::ServiceRefused, say)
                .hint(format!("ask who runs the token service of `{name}`, or rotate by hand")),
            Self::Unable => Refusal::new(Code::ServiceRefused, say),
            Self::NotAsked(error) => error.refusal(),
            Self::Later { .. } | Self::Unsure(_) => {
                Refusal::new(Code::Offline, say).hint("try again in a moment")
            }
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// 2xx where it comes from [`Api::call`], any where it comes from [`Api::ask`].
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; may hold a new token.
    body: Secret<Vec<u8>>,
    /// What it was asked with.
    credential: Option<Secret<String>>,
}

impl Answer {
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
            401 => Err(ServiceError::Dead),
            429 => Err(ServiceError::Later { seconds: retry_after(&self.headers) }),
            status @ 400..500 => Err(ServiceError::Refused { status, say: self.own_words() }),
            status => Err(ServiceError::Unsure(format!("the token service failed ({status})"))),
        }
    }

    /// What the service says about a refusal, where it says it in JSON: `detail` and `title` (RFC 9457), `message`
    /// (GitLab, GitHub, JupyterHub), `errors` (JFrog), `error_description` and `error` (RFC 6749). Nothing where it repeats
    /// what it was asked with.
    fn own_words(&self) -> String {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.contains("json") {
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
        let token = credential.expose().rsplit(' ').next().unwrap_or_default().as_bytes();
        let piece = PIECE.min(token.len()).max(1);
        token.windows(piece).any(|piece| words.as_bytes().windows(piece.len()).any(|other| other == piece))
    }
}

fn unreadable() -> ServiceError {
    ServiceError::Unsure("the answer of the token service cannot be read".to_owned())
}

/// One call.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Below the base, each segment as it is: it is escaped here.
    pub path: &'a [&'a str],
    /// After the question mark.
    pub query: &'a [(&'a str, &'a str)],
    /// The header that carries the token, and its value with any scheme; absent for a call that must not be authenticated.
    pub credential: Option<(HeaderName, Secret<String>)>,
    /// What else the service wants in the head, in lower case.
    pub headers: &'a [(&'static str, &'static str)],
    /// A JSON body ([`json_body`]).
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl Api {
    /// A service at `base`.
    pub fn new(http: Http, base: Url) -> Self {
        Self { http, base }
    }

    /// The same, patient: for a call that spends something.
    #[must_use]
    pub fn spending(&self) -> Self {
        Self { http: self.http.spending(), base: self.base.clone() }
    }

    /// Calls, and says what a refusal means for the token.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, ServiceError> {
        self.ask(call).await?.accepted()
    }

    /// Calls; any status is an answer.
    ///
    /// # Errors
    /// [`ServiceError::NotAsked`] and [`ServiceError::Unsure`].
    pub async fn ask(&self, call: Call<'_>) -> Result<Answer, ServiceError> {
        let credential = call.credential.as_ref().map(|(_, value)| value.clone());
        let answer = self.http.send(self.request(call)?).await.map_err(unanswered)?;
        let (parts, body) = answer.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: Secret::new(body), credential })
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Vec<u8>>, ServiceError> {
        let impossible = || ServiceError::NotAsked(HttpError::NotAllowed("the token service".to_owned()));
        let mut address = self.base.clone();
        address.path_segments_mut().map_err(|()| impossible())?.pop_if_empty().extend(call.path);
        if !call.query.is_empty() {
            address.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = Request::builder()
            .method(call.method)
            .uri(address.as_str())
            .header(ACCEPT, "application/json")
            .header(CACHE_CONTROL, "no-store");
        if let Some((name, value)) = call.credential {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| impossible())?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = call.body.map(|body| body.to_vec()).unwrap_or_default();
        request.body(body).map_err(|_| impossible())
    }
}

/// The body of a [`Call`].
pub fn json_body(body: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    // Strings, numbers, lists and flags: writing them cannot fail.
    Some(Zeroizing::new(serde_json::to_vec(body).unwrap_or_default()))
}

/// `Authorization: Bearer …`.
pub fn bearer(token: &Secret<String>) -> Option<(HeaderName, Secret<String>)> {
    Some((AUTHORIZATION, Secret::new(format!("Bearer {}", token.expose()))))
}

fn unanswered(error: HttpError) -> ServiceError {
    match error {
        HttpError::NotAllowed(_)
        | HttpError::Unreachable(_)
        | HttpError::Untrusted { .. }
        | HttpError::NotEncrypted { .. } => ServiceError::NotAsked(error),
        HttpError::TooLarge(_) | HttpError::Slow(_) | HttpError::Broken(_) => {
            ServiceError::Unsure(error.to_string())
        }
    }
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
