//! Secrets: values that a person keeps in the keychain, and those that are behind a role in AWS.

#[path = "secrets/aws.rs"]
mod aws;
#[path = "secrets/kept.rs"]
mod kept;
#[path = "secrets/left.rs"]
mod left;
#[path = "secrets/named.rs"]
mod named;
#[path = "secrets/unwritten.rs"]
mod unwritten;

use std::collections::BTreeMap;

use keyfob_ipc::reply::{Reply, SecretValues};
use keyfob_ipc::{ControlAsk, Refusal, Secret, ToolAsk};

use crate::company::{CONFIG, Company};

pub const KEPT: &str = "\n[secret.build]\nkeys = [\"SECRET_KEY1\", \"SECRET_KEY2\"]\n";

/// Asks for values as a tool does.
pub fn wanted(name: &str, role_arn: Option<&str>) -> ToolAsk {
    ToolAsk::Secret { name: name.to_owned(), role_arn: role_arn.map(str::to_owned) }
}

pub async fn get_with(
    company: &Company,
    name: &str,
    role_arn: Option<&str>,
) -> Result<SecretValues, Refusal> {
    match company.agent.tool(wanted(name, role_arn)).await? {
        Reply::Secret(values) => Ok(*values),
        other => panic!("no values: {other:?}"),
    }
}

/// `A=1 B=2`.
pub async fn get(company: &Company, name: &str) -> Result<String, Refusal> {
    get_with(company, name, None).await.map(|found| shown(&found))
}

pub fn shown(found: &SecretValues) -> String {
    let shown = found.values.iter().map(|(name, value)| format!("{name}={}", value.expose()));
    shown.collect::<Vec<_>>().join(" ")
}

pub fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret<String>> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect()
}

pub fn setting(name: &str, pairs: &[(&str, &str)], replace: bool) -> ControlAsk {
    ControlAsk::SecretSet { name: name.to_owned(), values: values(pairs), replace }
}

/// What is said of it.
pub async fn done(company: &Company, ask: ControlAsk) -> Result<String, Refusal> {
    match company.control(ask).await? {
        Reply::Done { say } => Ok(say),
        other => panic!("not done: {other:?}"),
    }
}

pub async fn set(company: &Company, pairs: &[(&str, &str)]) -> Result<String, Refusal> {
    done(company, setting("build", pairs, false)).await
}

pub async fn with_kept() -> Company {
    Company::with(&format!("{CONFIG}{KEPT}"), |_| {}).await
}

/// Both values are there.
pub async fn filled() -> Company {
    let company = with_kept().await;
    set(&company, &[("SECRET_KEY1", "one"), ("SECRET_KEY2", "two")]).await.unwrap();
    company
}
