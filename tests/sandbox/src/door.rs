//! The way in to every endpoint: counts the call, applies the transport faults, reads the bounded body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;

use crate::common::Common;
use crate::faults::{Endpoint, Fault};
use crate::net::LIMIT;
use crate::portal::Problem;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A header's text; absent if it is not visible ASCII or given twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?;
        if all.next().is_some() { None } else { first.to_str().ok() }
    }

    /// What follows `Bearer ` in `Authorization`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    pub(crate) fn query(&self) -> Parameters {
        Parameters::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The body, if it calls itself a form.
    pub(crate) fn form(&self) -> Option<Parameters> {
        let kind = self.header(header::CONTENT_TYPE.as_str())?;
        let is_form =
            kind.split(';').next()?.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| Parameters::parse(&self.body))
    }
}

/// Form or query parameters, in order.
#[derive(Clone, Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value; an empty one counts as absent (RFC 6749 section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value, also an empty one, of a name that may be there once.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&str>, ()> {
        let mut all = self.0.iter().filter(|(key, _)| key == name);
        let first = all.next().map(|(_, value)| value.as_str());
        if all.next().is_some() { Err(()) } else { Ok(first) }
    }

    /// A name that is there more than once.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let repeats = |at: usize| self.0[..at].iter().any(|(key, _)| *key == self.0[at].0);
        (0..self.0.len()).find(|at| repeats(*at)).map(|at| self.0[at].0.as_str())
    }
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// An axum handler for `endpoint` that calls `handler` with the state and the request.
pub(crate) fn door<S, F, A>(
    common: &Common,
    endpoint: Endpoint,
    state: &Arc<S>,
    handler: F,
) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Call) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let common = common.clone();
    let state = Arc::clone(state);
    move |request| {
        let (common, state) = (common.clone(), Arc::clone(&state));
        Box::pin(async move {
            common.counts.arrived(endpoint);
            let mut wait = Wait { common: &common, endpoint, answered: false };
            if let Some(instead) = before(&common, endpoint).await {
                wait.answered = true;
                return instead;
            }
            let (head, body) = request.into_parts();
            let Ok(body) = axum::body::to_bytes(body, LIMIT).await else {
                wait.answered = true;
                return too_large(endpoint);
            };
            let call = Call { method: head.method, uri: head.uri, headers: head.headers, body };
            let cut = common.faults.take(endpoint, |fault| (*fault == Fault::Reset).then_some(())).is_some();
            let response = handler(state, call).await;
            wait.answered = true;
            if cut { cut_off(response).await } else { response }
        })
    }
}

/// A caller that waits. Where it goes away the request is dropped, and with it this.
struct Wait<'a> {
    common: &'a Common,
    endpoint: Endpoint,
    answered: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.common.counts.abandoned(self.endpoint);
        }
    }
}

/// As [`door`], for a handler that waits for nothing.
pub(crate) fn plain_door<S: Send + Sync + 'static>(
    common: &Common,
    endpoint: Endpoint,
    state: &Arc<S>,
    handler: fn(&S, &Call) -> Response,
) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static {
    door(common, endpoint, state, move |state: Arc<S>, call: Call| std::future::ready(handler(&state, &call)))
}

fn too_large(endpoint: Endpoint) -> Response {
    if endpoint.is_token_api() {
        return Problem::too_large().into_response();
    }
    StatusCode::PAYLOAD_TOO_LARGE.into_response()
}

async fn before(common: &Common, endpoint: Endpoint) -> Option<Response> {
    let slow = |fault: &Fault| if let Fault::Slow(wait) = fault { Some(*wait) } else { None };
    if let Some(wait) = common.faults.take(endpoint, slow) {
        tokio::time::sleep(wait).await;
    }
    common.faults.take(endpoint, |fault| match fault {
        Fault::Status(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some((status, "upstream connect error or disconnect/reset before headers\n").into_response())
        }
        Fault::Busy(seconds) => Some(Problem::busy(*seconds).into_response()),
        Fault::Html => Some(Html(CAPTIVE_PORTAL).into_response()),
        Fault::Endless => {
            Some(([(header::CONTENT_TYPE, "application/json")], Body::new(Endless)).into_response())
        }
        _ => None,
    })
}

/// Promises the whole answer, sends half of it, breaks the connection.
async fn cut_off(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, LIMIT).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len().max(2)));
    Response::from_parts(head, Body::new(Half { bytes: Some(whole.slice(..whole.len() / 2)), sent: false }))
}

struct Half {
    bytes: Option<Bytes>,
    sent: bool,
}

impl http_body::Body for Half {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(half) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.sent {
            // The error drops what is still in the write buffer, so it must come one turn after the half.
            self.sent = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 16 * 1024])))))
    }
}

const CAPTIVE_PORTAL: &str = "<!DOCTYPE html><html><head><title>Welcome to Airport Wi-Fi</title></head>\
    <body><h1>Welcome</h1><p>Accept the terms to go online.</p></body></html>\n";
