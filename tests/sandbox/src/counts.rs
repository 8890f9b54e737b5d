//! What was called how often, so that a test can say "one refresh".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::common::locked;
use crate::faults::Endpoint;

/// A picture of the counters; `GET /sandbox/counts` answers it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Every request that arrived, also those that a fault ate.
    pub arrived: BTreeMap<Endpoint, u64>,
    /// Token requests that the issuer processed, by `grant_type`, refused ones too.
    pub grants: BTreeMap<String, u64>,
    /// STS requests that were processed, by `Action`, refused ones too.
    pub sts_actions: BTreeMap<String, u64>,
    /// Requests for keys of a role that were processed, by role ARN, refused ones too.
    pub sts_roles: BTreeMap<String, u64>,
    /// The `RoleSessionName` of the last of those.
    pub last_role_session_name: Option<String>,
    /// The same requests by action and role: `AssumeRole arn:aws:iam::…`.
    #[serde(default)]
    pub sts_role_actions: BTreeMap<String, u64>,
    /// The last request that each role was given for, by its ARN.
    #[serde(default)]
    pub assumed: BTreeMap<String, AssumedRole>,
    /// Tokens that the token API gave another value, also where the answer was lost.
    pub rotations: u64,
    /// Refresh tokens that were taken again within the time that the issuer allows for that.
    #[serde(default)]
    pub reused: u64,
    /// Requests whose caller went away before the answer.
    #[serde(default)]
    pub abandoned: BTreeMap<Endpoint, u64>,
}

/// A request that a role was given for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssumedRole {
    /// The ARN of whoever signed, or the subject of the web identity.
    pub by: String,
    /// The access key that signed; empty for a web identity.
    pub access_key_id: String,
    /// `RoleSessionName`.
    pub session_name: String,
    /// `DurationSeconds`.
    pub seconds: u32,
    /// `ExternalId`.
    pub external_id: Option<String>,
    /// `Tags`.
    pub tags: BTreeMap<String, String>,
    /// `PolicyArns`.
    pub policy_arns: Vec<String>,
}

impl Counts {
    /// Requests that arrived at one endpoint.
    #[must_use]
    pub fn arrived(&self, endpoint: Endpoint) -> u64 {
        self.arrived.get(&endpoint).copied().unwrap_or_default()
    }

    /// Requests at one endpoint whose caller went away before the answer.
    #[must_use]
    pub fn abandoned(&self, endpoint: Endpoint) -> u64 {
        self.abandoned.get(&endpoint).copied().unwrap_or_default()
    }

    /// Token requests of one grant type that were processed.
    #[must_use]
    pub fn grant(&self, grant_type: &str) -> u64 {
        self.grants.get(grant_type).copied().unwrap_or_default()
    }

    /// Refreshes that were processed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.grant("refresh_token")
    }

    /// Calls for keys of one role.
    #[must_use]
    pub fn role(&self, arn: &str) -> u64 {
        self.sts_roles.get(arn).copied().unwrap_or_default()
    }

    /// Calls of one action for keys of one role.
    #[must_use]
    pub fn role_by(&self, action: &str, arn: &str) -> u64 {
        self.sts_role_actions.get(&format!("{action} {arn}")).copied().unwrap_or_default()
    }
}

/// The counters themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<Mutex<Counts>>);

impl Counter {
    pub(crate) fn snapshot(&self) -> Counts {
        locked(&self.0).clone()
    }

    pub(crate) fn reset(&self) {
        *locked(&self.0) = Counts::default();
    }

    pub(crate) fn arrived(&self, endpoint: Endpoint) {
        *locked(&self.0).arrived.entry(endpoint).or_default() += 1;
    }

    pub(crate) fn grant(&self, grant_type: &str) {
        *locked(&self.0).grants.entry(grant_type.into()).or_default() += 1;
    }

    pub(crate) fn action(&self, action: &str) {
        *locked(&self.0).sts_actions.entry(action.into()).or_default() += 1;
    }

    pub(crate) fn rotation(&self) {
        locked(&self.0).rotations += 1;
    }

    pub(crate) fn reused(&self) {
        locked(&self.0).reused += 1;
    }

    pub(crate) fn abandoned(&self, endpoint: Endpoint) {
        *locked(&self.0).abandoned.entry(endpoint).or_default() += 1;
    }

    pub(crate) fn assumed(&self, arn: &str, role: AssumedRole) {
        locked(&self.0).assumed.insert(arn.into(), role);
    }

    pub(crate) fn role(&self, action: &str, arn: &str, session_name: &str) {
        let mut counts = locked(&self.0);
        *counts.sts_role_actions.entry(format!("{action} {arn}")).or_default() += 1;
        *counts.sts_roles.entry(arn.into()).or_default() += 1;
        counts.last_role_session_name = Some(session_name.into());
    }
}
