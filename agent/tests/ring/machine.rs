//! The identity of a job: whose it is, how it is asked for, what it gets, and what it never shows.

#[path = "machine/aws_iam.rs"]
mod aws_iam;
#[path = "machine/choice.rs"]
mod choice;
#[path = "machine/claims.rs"]
mod claims;
#[path = "machine/tokens.rs"]
mod tokens;

use std::path::PathBuf;

use keyfob_agent::ambient::{Ambient, GithubRequest};
use keyfob_ipc::Secret;
use keyfob_sandbox::circleci::Version;

use crate::company::Company;

/// What a job has: the identity, hosts, and two roles.
pub const CONFIG: &str = r#"
[machine.ci]

[sso.company]
machine = "ci"
hosts = ["*.cache.acme.dev"]

[aws.deploy]
machine = "ci"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"

[aws.read]
sso = "company"
role_arn = "arn:aws:iam::123456789012:role/ReadOnlyRole"
region = "eu-west-1"
endpoint_url = "STS"
"#;

/// The surroundings of a job of GitHub that may ask for tokens.
pub fn github(company: &Company) -> Ambient {
    let (url, token) = company.sandbox.github_actions().request();
    let github = Some(GithubRequest { url, token: Secret::new(token) });
    Ambient { github, is_github: true, ..Ambient::default() }
}

/// The surroundings of a job of CircleCI that starts now.
pub fn circleci(company: &Company, version: Version) -> Ambient {
    let variable = match version {
        Version::First => "CIRCLE_OIDC_TOKEN",
        Version::Second => "CIRCLE_OIDC_TOKEN_V2",
    };
    let token = Secret::new(company.sandbox.circleci().token(version));
    Ambient { circleci: Some((variable, token)), is_circleci: true, ..Ambient::default() }
}

/// A file with a token in the agent's folder, which a test may write anew.
pub fn token_file(company: &Company) -> PathBuf {
    let path = company.state().join("token");
    write_token(company, &path);
    path
}

/// Another token in its place, as Kubernetes does it: the old file is not touched.
pub fn write_token(company: &Company, path: &PathBuf) {
    let fresh = path.with_extension("new");
    let token = company.sandbox.circleci().token(Version::First);
    std::fs::write(&fresh, format!("{token}\n")).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

pub fn web_identity(path: PathBuf) -> Ambient {
    Ambient { web_identity_file: Some(path), ..Ambient::default() }
}

/// A company whose job is one of GitHub.
pub async fn of_github() -> Company {
    let mut company = Company::with(CONFIG, |_| {}).await;
    company.in_job(github(&company));
    company
}
