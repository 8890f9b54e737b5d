//! What is said about machine users, and about the user that the agent makes keys for at OUTSCALE.

use serde::{Deserialize, Serialize};

/// What the token of a job says, beside what whoever trusts it must name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsReport {
    /// The `machine` entry.
    pub entry: String,
    /// The identity that counts here: `github-actions`, `circleci`, `aws-iam`, `web-identity-file`.
    pub identity: String,
    /// The claims that matter, the issuer first. Texts from outside, escaped.
    pub claims: Vec<Claim>,
    /// A trust policy for an AWS role that lets in this job and nobody else, as JSON text, where the identity is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<String>,
    /// What else a person should know who creates the machine user: one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// For people: `organisation`.
    pub name: String,
    /// In the token: `repository_owner`.
    pub claim: String,
    /// Its value.
    pub value: String,
    /// How a trust policy names it, where it can: `token.actions.githubusercontent.com:sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// Longest action of a policy that is taken, in bytes.
const ACTION: usize = 128;

/// Whether a policy of EIM can name this as an action: `ec2:Describe*`, a service, a colon, and a name in which `*` stands for
/// anything.
pub fn is_eim_action(text: &str) -> bool {
    let parts = text.split_once(':').filter(|(service, name)| !service.is_empty() && !name.is_empty());
    text.len() <= ACTION
        && parts.is_some_and(|(service, name)| {
            service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*')
        })
}

/// One step of making the user that an `outscale` entry makes keys for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapStep {
    /// What it is about: `group`, `policy`, `attach`, `user`, `membership`, `key`.
    pub what: String,
    /// In words, lower case start. To be done: `create the group keyfob-monitoring`. So already: `the group keyfob-monitoring`.
    pub say: String,
    /// The policy document, as JSON text, where the step writes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Whether it is so.
    pub is_done: bool,
    /// Whether this run made it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
}
