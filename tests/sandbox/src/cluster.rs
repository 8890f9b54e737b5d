//! A cluster front: any path, asks for a token, remembers for an hour what the portal said about it and this cluster.

mod capabilities;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::common::{Common, locked};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;
use crate::issuer::Issuer;
use crate::portal::{PREFIX, Permissions, Portal};

pub use capabilities::CapabilitiesOptions;

/// The clusters of the company, as the portal and the token API name them; a front each.
pub const NAMES: [&str; 2] = ["aw-remote-ext", "aw-remote-two"];

/// How the cluster fronts behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterOptions {
    /// How long a token that the portal knew is taken without asking again, in seconds.
    pub cache_seconds: u32,
    /// The header of personal access tokens.
    pub header: String,
    /// What they say about what a token may do.
    pub capabilities: CapabilitiesOptions,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { cache_seconds: 3600, header: "X-Aspect".into(), capabilities: CapabilitiesOptions::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    common: Common,
    name: &'static str,
    portal: Arc<Portal>,
    issuer: Arc<Issuer>,
    options: ClusterOptions,
    /// What a token may do, and until which second that holds.
    remembered: Mutex<HashMap<String, (Permissions, i64)>>,
}

impl Cluster {
    pub(crate) fn new(
        common: Common,
        name: &'static str,
        portal: &Arc<Portal>,
        issuer: &Arc<Issuer>,
        options: &ClusterOptions,
    ) -> Self {
        let (portal, issuer) = (Arc::clone(portal), Arc::clone(issuer));
        Self { common, name, portal, issuer, options: options.clone(), remembered: Mutex::default() }
    }

    /// 401 without a token that is known, 403 with one that may not do this, else 200.
    fn answer(&self, call: &Call) -> Response {
        if let Some(answer) = self.grpc(call) {
            return answer;
        }
        let Some(permissions) = self.permissions(call) else {
            return (StatusCode::UNAUTHORIZED, "unauthenticated\n").into_response();
        };
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        let allowed = if call.uri.path().starts_with("/execute") {
            permissions.execute
        } else if reads {
            permissions.read
        } else {
            permissions.write
        };
        if allowed {
            (StatusCode::OK, "ok\n").into_response()
        } else {
            (StatusCode::FORBIDDEN, "permission denied\n").into_response()
        }
    }

    fn permissions(&self, call: &Call) -> Option<Permissions> {
        if let Some(token) = call.header(&self.options.header) {
            return self.of_token(token);
        }
        let bearer = call.bearer()?;
        if bearer.starts_with(PREFIX) {
            return self.of_token(bearer);
        }
        self.issuer.accepts_bearer(bearer).then_some(Permissions::ALL)
    }

    fn of_token(&self, token: &str) -> Option<Permissions> {
        let now = self.common.second();
        let mut remembered = locked(&self.remembered);
        if let Some((permissions, until)) = remembered.get(token)
            && now < *until
        {
            return Some(*permissions);
        }
        remembered.remove(token);
        let permissions = self.portal.permissions(token, self.name)?;
        let until = now + i64::from(self.options.cache_seconds);
        remembered.insert(token.into(), (permissions, until));
        Some(permissions)
    }
}

pub(crate) fn routes(common: &Common, endpoint: Endpoint, cluster: &Arc<Cluster>) -> Router {
    Router::new().fallback(plain_door(common, endpoint, cluster, Cluster::answer))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;

    use crate::net::client;
    use crate::{Options, Permissions, Sandbox};

    #[tokio::test]
    async fn a_revoked_token_works_for_another_hour() {
        let second = Arc::new(AtomicI64::new(1_800_000_000));
        let hand = Arc::clone(&second);
        let clock = Arc::new(move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap());
        let sandbox = Sandbox::start(Options { clock, ..Options::default() }).await.unwrap();
        let ends = Timestamp::from_second(1_900_000_000).unwrap();
        let token = sandbox.portal().issue_token("ada", Permissions::READ, ends);
        assert_eq!(token.len(), 43);
        let url = format!("{}/cache/ac", sandbox.addresses().cluster_url);
        let status = async |request: reqwest::RequestBuilder| {
            request.header("X-Aspect", &token).send().await.unwrap().status().as_u16()
        };
        assert_eq!(client().get(&url).send().await.unwrap().status().as_u16(), 401);
        assert_eq!(status(client().get(&url)).await, 200);
        assert_eq!(status(client().put(&url)).await, 403);
        sandbox.portal().revoke(&token);
        second.fetch_add(3599, Ordering::Relaxed);
        assert_eq!(status(client().get(&url)).await, 200);
        second.fetch_add(1, Ordering::Relaxed);
        assert_eq!(status(client().get(&url)).await, 401);
    }
}
