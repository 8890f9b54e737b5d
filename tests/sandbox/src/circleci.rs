//! CircleCI, as far as a job's ID tokens go: both versions of the token that a job gets at its start, and the keys of its
//! organisation (circleci.com/docs, "OpenID Connect tokens in jobs").

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

use crate::common::Common;
use crate::door::plain_door;
use crate::faults::Endpoint;
use crate::jwt::{KeySet, RsaKey};
use crate::sts::TrustedIssuer;

/// The organisation that jobs are of.
pub const ORGANISATION: &str = "e3a0b5f4-8c1d-4e5f-9a2b-1c3d5e7f9a0b";
const PROJECT: &str = "0d1e2f30-4152-6374-8596-a7b8c9daebfc";
const USER: &str = "11112222-3333-4444-5555-666677778888";
const ORIGIN: &str = "github.com/acme/payments";
const BRANCH: &str = "refs/heads/main";
const LIFE: i64 = 3600;

/// Which token of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `CIRCLE_OIDC_TOKEN`: its subject ends with the user.
    First,
    /// `CIRCLE_OIDC_TOKEN_V2`: its subject also has the source and the branch.
    Second,
}

/// Signs tokens, and shows the keys.
#[derive(Debug)]
pub struct CircleCi {
    common: Common,
    base: String,
    key: RsaKey,
}

impl CircleCi {
    pub(crate) fn new(common: Common, base: String) -> Result<Self, ring::error::Unspecified> {
        Ok(Self { common, base, key: RsaKey::new("circleci")? })
    }

    /// The token of a job that starts now; it is good for an hour.
    #[must_use]
    pub fn token(&self, version: Version) -> String {
        let now = self.common.second();
        let user = format!("org/{ORGANISATION}/project/{PROJECT}/user/{USER}");
        let subject = match version {
            Version::First => user,
            Version::Second => format!("{user}/vcs-origin/{ORIGIN}/vcs-ref/{BRANCH}"),
        };
        let mut claims = json!({
            "iss": issuer(),
            "aud": ORGANISATION,
            "sub": subject,
            "iat": now,
            "exp": now + LIFE,
            "oidc.circleci.com/project-id": PROJECT,
            "oidc.circleci.com/context-ids": ["99990000-aaaa-bbbb-cccc-ddddeeeeffff"],
            "oidc.circleci.com/job-id": "70e9d5a2-0b1c-4d3e-8f5a-6b7c8d9eafb0",
            "oidc.circleci.com/workflow-id": "3c4d5e6f-7081-92a3-b4c5-d6e7f8091a2b",
            "oidc.circleci.com/ssh-rerun": false,
        });
        if version == Version::Second {
            claims["oidc.circleci.com/vcs-origin"] = Value::from(ORIGIN);
            claims["oidc.circleci.com/vcs-ref"] = Value::from(BRANCH);
        }
        self.key.sign(&claims)
    }

    /// What an STS needs that trusts this organisation.
    #[must_use]
    pub fn trust(&self) -> TrustedIssuer {
        let jwks = Url::parse(&format!("{}{}", self.base, jwks())).expect("our own address is one");
        TrustedIssuer { issuer: issuer(), jwks, audience: ORGANISATION.to_owned() }
    }

    fn keys(&self) -> Response {
        Json(KeySet { keys: vec![self.key.public()] }).into_response()
    }
}

fn issuer() -> String {
    format!("https://oidc.circleci.com/org/{ORGANISATION}")
}

fn jwks() -> String {
    format!("/org/{ORGANISATION}/.well-known/jwks-pub.json")
}

pub(crate) fn routes(common: &Common, circleci: &Arc<CircleCi>) -> Router {
    let keys = plain_door(common, Endpoint::CircleciKeys, circleci, |circleci, _| circleci.keys());
    Router::new().route(&jwks(), get(keys)).fallback(async || StatusCode::NOT_FOUND)
}
