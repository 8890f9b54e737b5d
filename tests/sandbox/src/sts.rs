//! AWS STS: `AssumeRoleWithWebIdentity`, which really verifies the token, `AssumeRole`, which really verifies the signature and the
//! trust of the role, and `GetCallerIdentity` for the keys that both gave out.
//!
//! Query protocol: a form in, XML out (API version 2011-06-15).

mod assume;
mod caller;
mod chain;
mod error;
#[cfg(test)]
mod tests;
mod trust;
mod xml;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::common::{Common, locked};
use crate::door::{Call, door};
use crate::faults::{Endpoint, Fault};
use crate::issuer::Issuer;
use crate::net;
pub use caller::Keys;
use error::Refusal;
pub use error::StsError;
pub use trust::TrustedIssuer;
pub(crate) use trust::fetch;

/// A role, and whom it trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub arn: String,
    /// `MaxSessionDuration`, in seconds: AWS allows 3600 to 43200.
    pub max_session_seconds: u32,
    /// Who may assume it: ARNs of roles and users, or `arn:aws:iam::ACCOUNT:root` for everybody of an account. Empty: everybody of
    /// its own account, and every trusted issuer.
    #[serde(default)]
    pub trusted_principals: Vec<String>,
    /// What `ExternalId` must say in `AssumeRole`.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// How the STS behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StsOptions {
    /// The roles that exist; any other is `AccessDenied`.
    pub roles: Vec<Role>,
    /// Issuers trusted beside the sandbox's own.
    pub trusted: Vec<TrustedIssuer>,
    /// Real life of the credentials in seconds, whatever `DurationSeconds` asked for.
    pub credential_seconds: Option<u32>,
    /// Where a verified request goes on to (a moto server, on loopback); its answer is the answer.
    pub forward: Option<Url>,
}

impl Default for StsOptions {
    fn default() -> Self {
        let role = |name: &str, max_session_seconds| Role {
            arn: format!("arn:aws:iam::123456789012:role/{name}"),
            max_session_seconds,
            ..Role::default()
        };
        Self {
            roles: vec![role("OktaRole", 43200), role("ReadOnlyRole", 3600)],
            trusted: Vec::new(),
            credential_seconds: None,
            forward: None,
        }
    }
}

/// The running STS.
#[derive(Debug)]
pub struct Sts {
    common: Common,
    own: Arc<Issuer>,
    options: Mutex<StsOptions>,
    /// Sessions by access key id.
    sessions: Mutex<HashMap<String, caller::Session>>,
}

impl Sts {
    pub(crate) fn new(common: Common, own: &Arc<Issuer>, options: StsOptions) -> Self {
        Self { common, own: Arc::clone(own), options: Mutex::new(options), sessions: Mutex::default() }
    }

    /// Trusts one more issuer, from now on.
    pub fn trust(&self, issuer: TrustedIssuer) {
        locked(&self.options).trusted.push(issuer);
    }

    /// Makes one more role, or changes the one of that ARN.
    pub fn set_role(&self, role: Role) {
        let mut options = locked(&self.options);
        options.roles.retain(|other| other.arn != role.arn);
        options.roles.push(role);
    }

    /// Changes the real life of credentials that are given out from now on; `None`: what was asked for.
    pub fn set_credential_seconds(&self, seconds: Option<u32>) {
        locked(&self.options).credential_seconds = seconds;
    }

    /// Who holds these keys, and until when (in seconds since 1970), where this STS gave them.
    pub(crate) fn holder(&self, key_id: &str, secret: &str, token: &str) -> Option<(String, i64)> {
        let sessions = locked(&self.sessions);
        let session =
            sessions.get(key_id).filter(|session| session.token == token && session.secret == secret)?;
        Some((session.arn.clone(), session.ends))
    }

    /// The secret half of keys that this STS gave.
    pub(crate) fn secret_of(&self, key_id: &str) -> Option<String> {
        locked(&self.sessions).get(key_id).map(|session| session.secret.clone())
    }

    pub(crate) async fn answer(self: Arc<Self>, call: Call) -> Response {
        match self.answered(&call).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn answered(&self, call: &Call) -> Result<Response, Refusal> {
        let forced = |fault: &Fault| if let Fault::StsError(error) = fault { Some(*error) } else { None };
        if let Some(error) = self.common.faults.take(Endpoint::Sts, forced) {
            return Err(error.refusal(self.own.url()));
        }
        let form = call.form().ok_or_else(Refusal::missing_action)?;
        let action = form.get("Action").ok_or_else(Refusal::missing_action)?;
        let version = form.get("Version").unwrap_or_default();
        if version != "2011-06-15" {
            return Err(Refusal::invalid_action(action, version));
        }
        self.common.counts.action(action);
        match action {
            "AssumeRole" => self.assume_role(call, &form).await,
            "AssumeRoleWithWebIdentity" => self.assume_role_with_web_identity(call, &form).await,
            "GetCallerIdentity" => self.get_caller_identity(call).await,
            _ => Err(Refusal::invalid_action(action, version)),
        }
    }

    /// The next server's answer, if there is a next server.
    async fn forwarded(&self, call: &Call) -> Option<Result<Response, Refusal>> {
        let forward = locked(&self.options).forward.clone()?;
        Some(self.pass_on(&forward, call).await.map_err(|_| StsError::ServiceUnavailable.refusal("")))
    }

    async fn pass_on(&self, to: &Url, call: &Call) -> Result<Response, net::NetError> {
        let mut request = net::client().post(net::loopback(to)?.clone()).body(call.body.clone());
        for name in ["content-type", "authorization", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = call.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await?;
        let mut response = answer.status().into_response();
        for name in [header::CONTENT_TYPE, HeaderName::from_static("x-amzn-requestid")] {
            if let Some(value) = answer.headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        *response.body_mut() = net::body(answer).await?.into();
        Ok(response)
    }
}

pub(crate) fn routes(common: &Common, sts: &Arc<Sts>) -> Router {
    let door = door(common, Endpoint::Sts, sts, Sts::answer);
    Router::new().route("/", post(door)).fallback(async || StatusCode::NOT_FOUND)
}
