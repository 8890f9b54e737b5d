//! Steering from another process.
//!
//! * `PUT /sandbox/faults` with `{"endpoint":"token","fault":{"status":500},"times":1}` (`times` may be absent);
//!   `GET` lists; `DELETE` clears all, `DELETE …?endpoint=token` one endpoint.
//! * `GET /sandbox/counts` answers [`crate::Counts`]; `DELETE` starts them anew.
//! * `PUT /sandbox/trust` with a [`crate::TrustedIssuer`].
//! * `PUT /sandbox/sts` with `{"credential_seconds":1200}` or `null` in its place.
//! * `POST /sandbox/tokens` with `{"owner":"ada","permissions":{"read":true},"seconds":3600}` answers `{"token":…,"id":…}`.
//!   `permissions` hold for every cluster, `"clusters":{"aw-remote-two":{"read":true}}` for one and instead; without
//!   `seconds` nobody tells the end; `"admin":true` makes the token of an administrator. `DELETE` with `{"token":…}` revokes.
//! * `DELETE /sandbox/sessions` ends every session at the issuer.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::Common;
use crate::faults::{Active, Endpoint, Fault};
use crate::issuer::Issuer;
use crate::portal::{Issue, Permissions, Portal};
use crate::sts::{Sts, TrustedIssuer};

type Told = (StatusCode, Json<Value>);

#[derive(Clone, Debug)]
struct Admin {
    common: Common,
    sts: Arc<Sts>,
    portal: Arc<Portal>,
    issuer: Arc<Issuer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFault {
    endpoint: Endpoint,
    fault: Fault,
    times: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    endpoint: Option<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetSts {
    credential_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    owner: String,
    #[serde(default)]
    admin: bool,
    permissions: Option<Permissions>,
    #[serde(default)]
    clusters: BTreeMap<String, Permissions>,
    seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OldToken {
    token: String,
}

impl Admin {
    fn set_fault(&self, set: SetFault) -> Told {
        if !set.fault.fits(set.endpoint) {
            let error = json!({"error": "that fault cannot happen at that endpoint"});
            return (StatusCode::BAD_REQUEST, Json(error));
        }
        self.common.faults.put(set.endpoint, Active { fault: set.fault, times: set.times });
        done()
    }

    fn clear_faults(&self, at: &Where) -> Told {
        match at.endpoint {
            Some(endpoint) => self.common.faults.clear(endpoint),
            None => self.common.faults.clear_all(),
        }
        done()
    }

    fn new_token(&self, new: NewToken) -> Told {
        let life = new.seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
        let ends = life.map(|life| self.common.now().saturating_add(life).unwrap_or(Timestamp::MAX));
        let mut permissions = new.permissions.map(Permissions::everywhere).unwrap_or_default();
        permissions.extend(new.clusters);
        let token = self.portal.issue(Issue { owner: new.owner, admin: new.admin, permissions, ends });
        let id = self.portal.id_of_token(&token);
        (StatusCode::OK, Json(json!({"token": token, "id": id})))
    }
}

fn done() -> Told {
    (StatusCode::OK, Json(json!({})))
}

/// A handler that waits for nothing, from the state and what one extractor gives.
macro_rules! told {
    ($extract:ident, |$admin:ident, $given:ident| $answer:expr) => {
        |State($admin): State<Admin>, $extract($given): $extract<_>| std::future::ready($answer)
    };
    (|$admin:ident| $answer:expr) => {
        |State($admin): State<Admin>| std::future::ready($answer)
    };
}

pub(crate) fn routes(common: &Common, sts: &Arc<Sts>, portal: &Arc<Portal>, issuer: &Arc<Issuer>) -> Router {
    let state = Admin {
        common: common.clone(),
        sts: Arc::clone(sts),
        portal: Arc::clone(portal),
        issuer: Arc::clone(issuer),
    };
    let faults = put(told!(Json, |admin, set| admin.set_fault(set)))
        .get(told!(|admin| Json(admin.common.faults.active())))
        .delete(told!(Query, |admin, at| admin.clear_faults(&at)));
    let counts = get(told!(|admin| Json(admin.common.counts.snapshot()))).delete(told!(|admin| {
        admin.common.counts.reset();
        done()
    }));
    let trust = put(|State(admin): State<Admin>, Json(issuer): Json<TrustedIssuer>| {
        admin.sts.trust(issuer);
        std::future::ready(done())
    });
    let life = put(|State(admin): State<Admin>, Json(set): Json<SetSts>| {
        admin.sts.set_credential_seconds(set.credential_seconds);
        std::future::ready(done())
    });
    let tokens = axum::routing::post(told!(Json, |admin, new| admin.new_token(new))).delete(
        |State(admin): State<Admin>, Json(old): Json<OldToken>| {
            admin.portal.revoke(&old.token);
            std::future::ready(done())
        },
    );
    let sessions = axum::routing::delete(told!(|admin| {
        admin.issuer.end_all_sessions();
        done()
    }));
    Router::new()
        .route("/sandbox/faults", faults)
        .route("/sandbox/counts", counts)
        .route("/sandbox/trust", trust)
        .route("/sandbox/sts", life)
        .route("/sandbox/tokens", tokens)
        .route("/sandbox/sessions", sessions)
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::net::client;
    use crate::{Counts, Endpoint, Options, Sandbox};

    #[tokio::test]
    async fn another_process_can_steer() {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let at = |path: &str| format!("{}/sandbox/{path}", sandbox.addresses().admin_url);
        let send = async |request: reqwest::RequestBuilder, body: Value| {
            let request = request.header("content-type", "application/json").body(body.to_string());
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).unwrap_or_default())
        };
        let fault = json!({"endpoint": "cluster", "fault": {"status": 503}, "times": 1});
        assert_eq!(send(client().put(at("faults")), fault).await.0, 200);
        let misfit = json!({"endpoint": "cluster", "fault": "invalid_grant"});
        assert_eq!(send(client().put(at("faults")), misfit).await.0, 400);
        let new = json!({"owner": "ada", "permissions": {"read": true}, "seconds": 60});
        let (_, answer) = send(client().post(at("tokens")), new).await;
        let token = answer["token"].as_str().unwrap();
        let one = json!({"owner": "root", "admin": true, "clusters": {"aw-remote-two": {"write": true}}});
        let (_, answer) = send(client().post(at("tokens")), one).await;
        let show = format!("{}/tokens/{}", sandbox.addresses().token_api_url, answer["id"].as_str().unwrap());
        let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
        let (_, shown) = send(client().get(show).header("authorization", bearer), json!(null)).await;
        let there = json!([{"cluster": "aw-remote-two", "read": false, "write": true, "execute": false}]);
        assert_eq!((&shown["permissions"], &shown["expires_at"]), (&there, &json!(null)));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let request = client().get(&sandbox.addresses().cluster_url).header("X-Aspect", token);
            seen.push(request.send().await.unwrap().status().as_u16());
        }
        assert_eq!(seen, [503, 200]);
        let (_, counts) = send(client().get(at("counts")), json!(null)).await;
        let counts: Counts = serde_json::from_value(counts).unwrap();
        assert_eq!(counts.arrived(Endpoint::Cluster), 2);
    }
}
