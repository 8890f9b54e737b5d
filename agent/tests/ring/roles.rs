//! Roles behind roles, with what they are assumed with, and keys that another program gives.

#[path = "roles/chain.rs"]
mod chain;
#[cfg(unix)]
#[path = "roles/command.rs"]
mod command;
#[path = "roles/named.rs"]
mod named;
#[path = "roles/parameters.rs"]
mod parameters;
#[path = "roles/written.rs"]
mod written;

use keyfob_ipc::ControlAsk;
use keyfob_ipc::reply::{Reply, ToldFact};
use keyfob_sandbox::{Options, Role};

use crate::company::{Company, ROLE};

pub const B: &str = "arn:aws:iam::123456789012:role/team/Deploy";
pub const C: &str = "arn:aws:iam::210987654321:role/Foreign";

/// Three roles, each behind the one before.
pub const CHAIN: &str = r#"
[sso.okta]
issuer = "ISSUER"
client_id = "keyfob-demo"
hosts = ["*.cache.acme.dev"]

[aws.a]
sso = "okta"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"

[aws.b]
source = "a"
role_arn = "arn:aws:iam::123456789012:role/team/Deploy"
endpoint_url = "STS"

[aws.c]
source = "aws.b"
role_arn = "arn:aws:iam::210987654321:role/Foreign"
endpoint_url = "STS"
"#;

/// A role that trusts these, and nobody else.
pub fn role(arn: &str, trusted: &[&str]) -> Role {
    Role {
        arn: arn.to_owned(),
        max_session_seconds: 43200,
        trusted_principals: trusted.iter().map(|arn| (*arn).to_owned()).collect(),
        external_id: None,
    }
}

/// The roles of [`CHAIN`]: each trusts the one before and nobody else.
pub fn trusting(options: &mut Options) {
    options.sts.roles.extend([role(B, &[ROLE]), role(C, &[B])]);
}

pub async fn chain(config: &str) -> Company {
    let company = Company::with(config, trusting).await;
    company.sign_in().await.unwrap();
    company
}

/// What is told of an entry.
pub async fn told(company: &Company, name: &str) -> Vec<ToldFact> {
    let ask = ControlAsk::Permissions { name: Some(name.to_owned()), again: false };
    match company.control(ask).await.unwrap() {
        Reply::Permissions(mut entries) => entries.remove(0).facts,
        other => panic!("no permissions: {other:?}"),
    }
}

/// The values of one fact; empty where nobody tells it.
pub async fn fact(company: &Company, name: &str, fact: &str) -> Vec<String> {
    told(company, name)
        .await
        .into_iter()
        .find(|told| told.name == fact)
        .map(|told| told.values)
        .unwrap_or_default()
}
