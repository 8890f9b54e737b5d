//! The claims that matter, by whose token it is, each with a name for people.
//!
//! GitHub: docs.github.com, "OpenID Connect reference". CircleCI: circleci.com/docs, "OpenID Connect tokens in jobs".

use keyfob_ipc::reply::Claim;
use serde_json::Value;

use super::policy::provider;
use crate::kind::{Identity, Jwt};

/// A name for people, and the claim.
type Known = (&'static str, &'static str);

const EVERYBODYS: [Known; 3] = [("issuer", "iss"), ("audience", "aud"), ("subject", "sub")];

const GITHUB: [Known; 14] = [
    ("organisation", "repository_owner"),
    ("repository", "repository"),
    ("visibility", "repository_visibility"),
    ("ref", "ref"),
    ("base branch", "base_ref"),
    ("branch of the pull request", "head_ref"),
    ("environment", "environment"),
    ("workflow", "workflow"),
    ("workflow file", "job_workflow_ref"),
    ("event", "event_name"),
    ("actor", "actor"),
    ("runner", "runner_environment"),
    ("commit", "sha"),
    ("run", "run_id"),
];

const CIRCLECI: [Known; 7] = [
    ("project", "oidc.circleci.com/project-id"),
    ("source URL", "oidc.circleci.com/vcs-origin"),
    ("branch", "oidc.circleci.com/vcs-ref"),
    ("contexts", "oidc.circleci.com/context-ids"),
    ("rerun with SSH", "oidc.circleci.com/ssh-rerun"),
    ("workflow", "oidc.circleci.com/workflow-id"),
    ("job", "oidc.circleci.com/job-id"),
];

/// What an IAM trust policy can name of any OIDC provider's token (IAM user guide, "Available keys for AWS OIDC federation").
const CONDITIONS: [&str; 2] = ["aud", "sub"];

/// The claims of a token, the issuer first.
pub(super) fn claims(identity: Identity, jwt: &Jwt) -> Vec<Claim> {
    let more: &[Known] = match identity {
        Identity::GithubActions => &GITHUB,
        Identity::CircleCi => &CIRCLECI,
        Identity::WebIdentityFile | Identity::AwsIam => &[],
    };
    let provider = provider(jwt);
    let mut claims: Vec<Claim> = EVERYBODYS
        .iter()
        .chain(more)
        .filter_map(|(name, claim)| {
            let value = words(jwt.claims.get(*claim)?)?;
            let condition = CONDITIONS.contains(claim).then(|| format!("{provider}:{claim}"));
            Some(super::claim(name, claim, &value, condition.as_deref()))
        })
        .collect();
    if let Some(organisation) = (identity == Identity::CircleCi).then(|| organisation(jwt)).flatten() {
        let after_subject = claims.len().min(EVERYBODYS.len());
        claims.insert(after_subject, super::claim("organisation", "iss", organisation, None));
    }
    claims
}

/// What a person should know besides.
pub(super) fn notes(identity: Identity, jwt: &Jwt) -> Vec<String> {
    match identity {
        Identity::GithubActions => vec![
            "the subject is another one for each branch, environment and pull request: a policy for several has \
             StringLike with * in place of StringEquals"
                .to_owned(),
            "the account needs an IAM OIDC provider https://token.actions.githubusercontent.com once".to_owned(),
        ],
        Identity::CircleCi => vec![
            "the subject names who started the job: a policy for everybody has StringLike with user/* in its place"
                .to_owned(),
            format!("the account needs an IAM OIDC provider {} once", keyfob_ipc::text::escape(jwt.issuer())),
        ],
        Identity::WebIdentityFile | Identity::AwsIam => {
            vec![format!(
                "the account needs an IAM OIDC provider {} once",
                keyfob_ipc::text::escape(jwt.issuer())
            )]
        }
    }
}

/// The organisation's id, which only the issuer has.
fn organisation(jwt: &Jwt) -> Option<&str> {
    jwt.issuer().rsplit_once("/org/").map(|(_, id)| id).filter(|id| !id.is_empty())
}

/// A claim as one line of text.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(several) => {
            let all: Vec<String> = several.iter().filter_map(words).collect();
            (!all.is_empty()).then(|| all.join(", "))
        }
        Value::Null | Value::Object(_) => None,
    }
}
