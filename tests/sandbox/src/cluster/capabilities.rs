//! `Capabilities/GetCapabilities` of the Remote Execution API, over gRPC: what a build tool asks a cluster first.
//!
//! The messages are written by hand, field by field as in `build/bazel/remote/execution/v2/remote_execution.proto`
//! (github.com/bazelbuild/remote-apis): no line of them comes from the product that they are to check.

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::door::Call;
use crate::portal::Permissions;

/// `/package.Service/Method`.
const PATH: &str = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities";

/// How the cluster fronts answer `GetCapabilities`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapabilitiesOptions {
    /// The answer follows the token, and there is none without. Off: whoever has a token gets the full one.
    pub tells: bool,
    /// Everybody gets the full answer, also without a token.
    pub anonymous_same: bool,
    /// Whether the cluster can run actions at all; off: no answer speaks of it.
    pub execution: bool,
    /// There is no such service.
    pub unimplemented: bool,
}

impl Default for CapabilitiesOptions {
    fn default() -> Self {
        Self { tells: true, anonymous_same: false, execution: true, unimplemented: false }
    }
}

/// Status codes of gRPC (`doc/statuscodes.md` of github.com/grpc/grpc).
#[derive(Clone, Copy)]
enum Status {
    PermissionDenied = 7,
    Unimplemented = 12,
    Unauthenticated = 16,
}

impl Cluster {
    /// The answer to a gRPC call; `None` for any other.
    pub(super) fn grpc(&self, call: &Call) -> Option<Response> {
        let kind = call.header(header::CONTENT_TYPE.as_str())?;
        if call.method != Method::POST || !kind.starts_with("application/grpc") {
            return None;
        }
        if call.uri.path() != PATH || self.options.capabilities.unimplemented {
            return Some(refused(Status::Unimplemented, "unknown service"));
        }
        Some(self.capabilities(call))
    }

    fn capabilities(&self, call: &Call) -> Response {
        let options = &self.options.capabilities;
        if options.anonymous_same {
            return answer(&message(Permissions::ALL, options.execution));
        }
        match self.permissions(call) {
            None => refused(Status::Unauthenticated, "the token is not known"),
            Some(permissions) if !permissions.read => {
                refused(Status::PermissionDenied, "the token may not read")
            }
            Some(permissions) => {
                let told = if options.tells { permissions } else { Permissions::ALL };
                answer(&message(told, options.execution))
            }
        }
    }
}

/// `ServerCapabilities`: every field that it writes is shorter than 128 bytes, so each length is one byte.
fn message(permissions: Permissions, execution: bool) -> Bytes {
    let mut updates = BytesMut::new();
    flag(&mut updates, 1, permissions.write);
    let mut cache = BytesMut::new();
    // digest_functions: SHA256.
    nested(&mut cache, 1, &[1]);
    nested(&mut cache, 2, &updates);
    let mut all = BytesMut::new();
    nested(&mut all, 1, &cache);
    if execution {
        let mut execution = BytesMut::new();
        // digest_function: SHA256.
        flag(&mut execution, 1, true);
        flag(&mut execution, 2, permissions.execute);
        nested(&mut all, 2, &execution);
    }
    // high_api_version: 2.3.
    nested(&mut all, 5, &[0x08, 2, 0x10, 3]);
    all.freeze()
}

/// A varint field; its default value is left out, as protobuf 3 does.
fn flag(to: &mut BytesMut, field: u8, is_set: bool) {
    if is_set {
        to.put_slice(&[field << 3, 1]);
    }
}

/// A length-delimited field.
fn nested(to: &mut BytesMut, field: u8, content: &[u8]) {
    debug_assert!(content.len() < 128);
    to.put_slice(&[field << 3 | 2, content.len() as u8]);
    to.put_slice(content);
}

/// One message that is not compressed, and `OK` in the trailers.
fn answer(message: &[u8]) -> Response {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(frame.freeze()).with_trailers(ready(Some(Ok::<_, Infallible>(trailers))));
    (grpc(), Body::new(body)).into_response()
}

/// A status alone, in the headers; spaces of its text are escaped as gRPC wants it.
fn refused(status: Status, say: &str) -> Response {
    let code = HeaderValue::from(status as u16);
    let say = HeaderValue::try_from(say.replace(' ', "%20"));
    let mut headers = grpc();
    headers.insert(STATUS, code);
    headers.extend(say.ok().map(|say| (header::HeaderName::from_static("grpc-message"), say)));
    headers.into_response()
}

const STATUS: header::HeaderName = header::HeaderName::from_static("grpc-status");

fn grpc() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))])
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{Options, Sandbox};

    #[tokio::test]
    async fn capabilities_are_asked_for_in_grpc_and_follow_the_token() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let token = sandbox.portal().issue_token("ada", Permissions::READ, Timestamp::MAX);
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().tls_certs_only([]);
        let client = client.build().unwrap();
        let url = format!("{}{PATH}", sandbox.addresses().second_cluster_url);
        let ask = || client.post(&url).header("content-type", "application/grpc").body(vec![0; 5]);

        let refused = ask().send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["grpc-status"]),
            (200, &"16".parse().unwrap())
        );

        let answer = ask().header("X-Aspect", &token).send().await.unwrap();
        assert_eq!(answer.version(), axum::http::Version::HTTP_2);
        let whole = axum::http::Response::<reqwest::Body>::from(answer).into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
        let expected = [
            // cache_capabilities: SHA256, no updates
            0x0a, 5, 0x0a, 1, 1, 0x12, 0, //
            // execution_capabilities: SHA256, not enabled
            0x12, 2, 0x08, 1, //
            0x2a, 4, 0x08, 2, 0x10, 3,
        ];
        assert_eq!(whole.to_bytes(), [&[0, 0, 0, 0, 17], expected.as_slice()].concat());
    }
}
