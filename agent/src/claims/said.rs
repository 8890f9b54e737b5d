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

/// Whom a policy with this subject and audience lets in: never one job alone.
pub(super) fn lets_in(identity: Identity, jwt: &Jwt) -> String {
    let whom = match identity {
        Identity::GithubActions => of_github(jwt.subject()),
        Identity::CircleCi => of_circleci(jwt.subject()),
        Identity::WebIdentityFile | Identity::AwsIam => None,
    };
    let whom = whom.unwrap_or_else(|| "whoever gets a token with this subject and audience".to_owned());
    format!("the policy lets in {}", keyfob_ipc::text::escape(&whom))
}

/// `repo:OWNER/NAME:CONTEXT`, as GitHub writes it unless an organisation has chosen another form.
fn of_github(subject: &str) -> Option<String> {
    let (repository, context) = subject.strip_prefix("repo:")?.split_once(':')?;
    Some(match context.split_once(':') {
        Some(("environment", name)) => {
            format!("every job of {repository} in the environment {name}, whatever its branch and workflow")
        }
        Some(("ref", name)) => match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/")) {
            (Some(branch), _) => format!("every job of {repository} on the branch {branch}, of any workflow"),
            (None, Some(tag)) => format!("every job of {repository} for the tag {tag}, of any workflow"),
            (None, None) => format!("every job of {repository} for {name}, of any workflow"),
        },
        None if context == "pull_request" => {
            format!(
                "every job of every pull request in {repository}, whoever opens it: what it runs is theirs"
            )
        }
        _ => return None,
    })
}

/// `org/ID/project/ID/user/ID`, and in the second version `/vcs-origin/ORIGIN/vcs-ref/REF` behind it.
fn of_circleci(subject: &str) -> Option<String> {
    let (project, who) = subject.split_once("/user/")?;
    let (_, project) = project.split_once("/project/")?;
    let (user, source) =
        who.split_once("/vcs-origin/").map_or((who, None), |(user, rest)| (user, Some(rest)));
    let place = match source.map(|source| source.split_once("/vcs-ref/").unwrap_or((source, ""))) {
        None => "of any source and branch".to_owned(),
        Some((origin, "")) => format!("from {origin}, of any branch"),
        Some((origin, name)) => format!("from {origin} at {name}"),
    };
    Some(format!("every job of the project {project} that the user {user} starts, {place}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_subject_of_github_lets_in_is_said_exactly() {
        for (subject, expected) in [
            (
                "repo:acme/app:ref:refs/heads/main",
                "every job of acme/app on the branch main, of any workflow",
            ),
            ("repo:acme/app:ref:refs/tags/v1", "every job of acme/app for the tag v1, of any workflow"),
            (
                "repo:acme/app:environment:production",
                "every job of acme/app in the environment production, whatever its branch and workflow",
            ),
            (
                "repo:acme/app:pull_request",
                "every job of every pull request in acme/app, whoever opens it: what it runs is theirs",
            ),
        ] {
            assert_eq!(of_github(subject).as_deref(), Some(expected));
        }
        for other in ["repo:acme/app", "repo:acme/app:job_workflow_ref:x", "repository_owner:acme"] {
            assert_eq!(of_github(other), None, "{other}");
        }
    }

    #[test]
    fn whom_a_subject_of_circleci_lets_in_is_said_exactly() {
        assert_eq!(
            of_circleci("org/o/project/p/user/u").as_deref(),
            Some("every job of the project p that the user u starts, of any source and branch")
        );
        assert_eq!(
            of_circleci("org/o/project/p/user/u/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main")
                .as_deref(),
            Some(
                "every job of the project p that the user u starts, from github.com/acme/app at refs/heads/main"
            )
        );
        assert_eq!(of_circleci("org/o"), None);
    }
}
