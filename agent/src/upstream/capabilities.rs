//! What a token may really do at a cluster: `Capabilities/GetCapabilities` of the Remote Execution API, over gRPC.
//!
//! A cluster is asked twice, with the token and without. Whoever gets an answer may read; its action cache may be updated:
//! may write; execution is enabled: may execute. A cluster that says the same to everybody says nothing about the token, be it
//! an answer or a refusal.
//!
//! The protocol is `tonic`'s: frames, trailers, a status in the headers, percent-encoded messages, deadlines. Its transport is
//! not used, every byte goes through [`Http::send_grpc`] and so has the proxy, the trust and the limits of everything else. That
//! adds 80 KiB to `keyfobd`, and no second HTTP or TLS stack.

mod message;
#[cfg(test)]
mod tests;

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use keyfob_ipc::reply::{Right, Rights};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use tonic::Code as Status;
use tonic::metadata::MetadataMap;
use tower_service::Service;
use url::Url;

use super::http::{Http, HttpError, origin};
use crate::config::EntryName;
use crate::keychain::Pending;
use message::{Ask, ServerCapabilities};

/// A cluster answers this at once, or something is wrong with it. Both calls together.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Longest piece of a cluster's own words that is repeated to a person, in characters.
const WORDS: usize = 200;

const METHOD: &str = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities";

/// What a cluster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// What the token may do there. [`Right::WithoutEffect`] where there is nothing to execute with, whoever asks.
    OfToken(Rights),
    /// What it says to everybody, with the token and without.
    ToEverybody(Rights),
    /// It has no such service.
    Nothing,
}

/// Why a cluster says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It does not accept the token.
    #[error("it does not accept the token")]
    Dead,
    /// It refuses whoever has no token just the same: often a gateway that does not like where the call comes from.
    #[error("it refuses everybody, with a token or without")]
    Everybody,
    /// The network.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Something answers that is no gRPC service: a gateway's error page, a web server.
    #[error("{origin} answers, but not as a Remote Execution cluster (status {status})")]
    Strange {
        /// Scheme, host and port.
        origin: String,
        /// HTTP status.
        status: u16,
    },
    /// It has an error of its own.
    #[error("it failed ({status}{say})")]
    Failed {
        /// What gRPC calls it.
        status: &'static str,
        /// Its own words with a leading `: `, escaped; or empty.
        say: String,
    },
}

impl ClusterError {
    /// What a person is told; `cluster` is its configured name.
    pub fn refusal(&self, entry: &EntryName, cluster: &str) -> Refusal {
        let cluster = escape(cluster);
        match self {
            Self::Dead => {
                let say = format!("the cluster `{cluster}` does not accept the token of `{entry}`");
                Refusal::new(Code::TokenNeeded, say).hint(format!("keyfob token add {}", entry.name))
            }
            Self::Http(error) => {
                let Refusal { code, say, hint } = error.refusal();
                Refusal::new(code, format!("the cluster `{cluster}` cannot be asked: {say}")).hint(hint)
            }
            Self::Everybody => {
                let say = format!("the cluster `{cluster}` does not say what the token may do: {self}");
                Refusal::new(Code::Offline, say)
                    .hint("check the VPN and its address under `clusters`, or try again later")
            }
            Self::Strange { .. } | Self::Failed { .. } => {
                let say = format!("the cluster `{cluster}` does not say what the token may do: {self}");
                Refusal::new(Code::Offline, say)
                    .hint("check its address under `clusters`, or try again later")
            }
        }
    }
}

/// Asks a cluster at `grpcs://host[:port][/instance]` (or `grpc://`, where the client allows plain loopback) what a token may
/// do; `header` is what carries it there, and its value with any scheme.
///
/// # Errors
/// [`ClusterError`]; only [`ClusterError::Dead`] is the cluster's word about the token.
pub async fn ask(http: &Http, address: &Url, header: (&str, &Secret<String>)) -> Result<Said, ClusterError> {
    let cluster = Cluster::at(http, address)?;
    let headers = carrying(header).ok_or_else(|| cluster.not_allowed())?;
    // What comes after the scheme.
    let token = header.1.expose().rsplit(' ').next().unwrap_or_default();
    let both = async { tokio::join!(cluster.call(headers, token), cluster.call(HeaderMap::new(), token)) };
    let (with, without) =
        tokio::time::timeout(PATIENCE, both).await.map_err(|_| HttpError::Slow(origin(&cluster.origin)))?;
    judge(with, without)
}

/// The token is marked sensitive: HTTP/2 then keeps it out of its compression tables, and `Debug` out of sight.
fn carrying((name, value): (&str, &Secret<String>)) -> Option<HeaderMap> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(HeaderMap::from_iter([(name.parse::<HeaderName>().ok()?, value)]))
}

/// One answer, or what gRPC says instead.
type Outcome = Result<ServerCapabilities, Unanswered>;

#[derive(Debug)]
enum Unanswered {
    Status(Status, String),
    Error(ClusterError),
}

/// What the two answers say about the token.
fn judge(with: Outcome, without: Outcome) -> Result<Said, ClusterError> {
    const NOTHING: Rights = Rights { read: Right::No, write: Right::No, execute: Right::No };
    let with = match with {
        Ok(with) => with,
        Err(Unanswered::Status(Status::Unauthenticated, _)) => return Err(ClusterError::Dead),
        Err(Unanswered::Status(Status::PermissionDenied, _)) => {
            return match without {
                Err(without) if without.is_denial() => Err(ClusterError::Everybody),
                Err(without) if !without.is_refusal() => Err(without.into()),
                // It knows the token, and lets it do nothing.
                _ => Ok(Said::OfToken(NOTHING)),
            };
        }
        Err(Unanswered::Status(Status::Unimplemented, _)) => return Ok(Said::Nothing),
        Err(other) => return Err(other.into()),
    };
    let rights = |answer: &ServerCapabilities, executes: bool| Rights {
        read: Right::Yes,
        write: right(answer.may_update()),
        execute: if executes { right(answer.may_execute()) } else { Right::WithoutEffect },
    };
    match without {
        Ok(without) => {
            let executes = with.execution.is_some() || without.execution.is_some();
            let (with, without) = (rights(&with, executes), rights(&without, executes));
            Ok(if with == without { Said::ToEverybody(with) } else { Said::OfToken(with) })
        }
        Err(unanswered) if unanswered.is_refusal() => {
            Ok(Said::OfToken(rights(&with, with.execution.is_some())))
        }
        // Whether it tells is not known: that is no answer.
        Err(other) => Err(other.into()),
    }
}

fn right(is: bool) -> Right {
    if is { Right::Yes } else { Right::No }
}

/// A cluster at its address.
struct Cluster<'a> {
    http: &'a Http,
    /// `https` or `http`, host and port.
    origin: Uri,
    instance: String,
}

impl<'a> Cluster<'a> {
    fn at(http: &'a Http, address: &Url) -> Result<Self, HttpError> {
        let not_allowed = || HttpError::NotAllowed(escape(address.host_str().unwrap_or_default()));
        let scheme = match address.scheme() {
            "grpcs" => Scheme::HTTPS,
            "grpc" => Scheme::HTTP,
            _ => return Err(not_allowed()),
        };
        let host = address.host_str().ok_or_else(not_allowed)?;
        let port = address.port().map(|port| format!(":{port}")).unwrap_or_default();
        let authority: Authority = format!("{host}{port}").parse().map_err(|_| not_allowed())?;
        let origin = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        let instance = percent_encoding::percent_decode_str(address.path().trim_matches('/'));
        Ok(Self {
            http,
            origin: origin.map_err(|_| not_allowed())?,
            instance: instance.decode_utf8().map_err(|_| not_allowed())?.into_owned(),
        })
    }

    fn not_allowed(&self) -> HttpError {
        HttpError::NotAllowed(origin(&self.origin))
    }

    async fn call(&self, headers: HeaderMap, token: &str) -> Outcome {
        let ask = Ask { instance_name: self.instance.clone() };
        let metadata = MetadataMap::from_headers(headers);
        let mut request = tonic::Request::from_parts(metadata, tonic::Extensions::default(), ask);
        request.set_timeout(PATIENCE);
        let seam = Seam { http: self.http.clone(), failed: Arc::default() };
        let failed = seam.failed.clone();
        let mut grpc = tonic::client::Grpc::with_origin(seam, self.origin.clone());
        let answer =
            grpc.unary(request, PathAndQuery::from_static(METHOD), tonic_prost::ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| {
            let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            failed.map_or_else(|| Unanswered::of(&status, token), Unanswered::Error)
        })
    }
}

impl Unanswered {
    fn of(status: &tonic::Status, token: &str) -> Self {
        let words = if super::repeats(status.message(), token) { "" } else { status.message() };
        Self::Status(status.code(), escape(&words.chars().take(WORDS).collect::<String>()))
    }

    /// A refusal of whoever has no token. With the token there was an answer, so it is the cluster's own, whatever it looks like.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(
                status,
                Status::Unauthenticated | Status::PermissionDenied | Status::NotFound | Status::Unimplemented
            ),
            Self::Error(error) => matches!(error, ClusterError::Strange { status: 401 | 403, .. }),
        }
    }

    /// Not let in, whoever it is.
    fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Status(Status::PermissionDenied, _)
                | Self::Error(ClusterError::Strange { status: 403, .. })
        )
    }
}

impl From<Unanswered> for ClusterError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Error(error) => error,
            Unanswered::Status(status, say) if say.is_empty() => {
                Self::Failed { status: status.description(), say }
            }
            Unanswered::Status(status, say) => {
                Self::Failed { status: status.description(), say: format!(": {say}") }
            }
        }
    }
}

/// `tonic`'s HTTP seam. It wraps what fails here into a status, so the failure itself is put aside.
struct Seam {
    http: Http,
    failed: Arc<Mutex<Option<ClusterError>>>,
}

impl Service<Request<tonic::body::Body>> for Seam {
    type Response = Response<tonic::body::Body>;
    type Error = tonic::Status;
    type Future = Pending<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let (http, failed) = (self.http.clone(), self.failed.clone());
        Box::pin(async move {
            send(&http, request).await.map_err(|error| {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                tonic::Status::unavailable("")
            })
        })
    }
}

async fn send(
    http: &Http,
    request: Request<tonic::body::Body>,
) -> Result<Response<tonic::body::Body>, ClusterError> {
    let strange = |uri: &Uri, status: StatusCode| ClusterError::Strange {
        origin: origin(uri),
        status: status.as_u16(),
    };
    let (mut head, body) = request.into_parts();
    // Which version it is follows from the connection, not from the request.
    head.version = Version::default();
    let uri = head.uri.clone();
    let body = body.collect().await.map_err(|_| HttpError::Broken(origin(&uri)))?.to_bytes().to_vec();
    let answer = http.send_grpc(Request::from_parts(head, body)).await?;
    let (mut head, (body, trailers)) = answer.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/grpc") {
        // A gateway in front of the cluster (doc/http-grpc-status-mapping.md of gRPC). Pages for people are also what a company's
        // own proxy shows in a site's place.
        let code = match head.status {
            StatusCode::UNAUTHORIZED => Status::Unauthenticated,
            StatusCode::FORBIDDEN => Status::PermissionDenied,
            StatusCode::NOT_FOUND => Status::Unimplemented,
            status => return Err(strange(&uri, status)),
        };
        if kind.starts_with("text/html") {
            return Err(strange(&uri, head.status));
        }
        return Ok(tonic::Status::new(code, "").into_http());
    }
    // The body is whole: its length has been kept to already.
    head.headers.remove(CONTENT_LENGTH);
    let body = Full::new(Bytes::from(body)).with_trailers(ready(trailers.map(Ok)));
    Ok(Response::from_parts(head, tonic::body::Body::new(body)))
}
