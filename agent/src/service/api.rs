//! A service's HTTP API: addresses below one base, JSON in and out, and what an answer means for a token.

mod answer;

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

pub use answer::Answer;
pub(super) use answer::{lenient, unreadable};

use crate::config::EntryName;
use crate::upstream::http::{Http, HttpError};

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
    /// What answers is no token service, or not this one: a gateway's page, a list that goes in circles. It is nobody's word
    /// about the token, and nothing was done.
    #[error("{0}")]
    Strange(String),
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
            Self::Strange(_) => Refusal::new(Code::Offline, say)
                .hint("sign in to the network (a gateway may be in between) or check `api`, then try again"),
            Self::NotAsked(error) => error.refusal(),
            Self::Later { .. } | Self::Unsure(_) => {
                Refusal::new(Code::Offline, say).hint("try again in a moment")
            }
        }
    }
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
        Ok(Answer::new(parts.status, parts.headers, body, credential))
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
        | HttpError::Unreachable { .. }
        | HttpError::Untrusted { .. }
        | HttpError::NotEncrypted { .. } => ServiceError::NotAsked(error),
        HttpError::TooLarge(_) | HttpError::Slow(_) | HttpError::Broken(_) => {
            ServiceError::Unsure(error.to_string())
        }
    }
}
