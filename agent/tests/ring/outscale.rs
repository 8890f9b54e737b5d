//! Access keys of OUTSCALE: made, renewed, put away, and what stands in the way.

#[path = "outscale/bootstrap.rs"]
mod bootstrap;
#[path = "outscale/copies.rs"]
mod copies;
#[path = "outscale/life.rs"]
mod life;
#[path = "outscale/permissions.rs"]
mod permissions;
#[path = "outscale/removal.rs"]
mod removal;
#[path = "outscale/said.rs"]
mod said;
#[path = "outscale/trouble.rs"]
mod trouble;
#[path = "outscale/users.rs"]
mod users;

use keyfob_ipc::reply::AwsCredentials;
use keyfob_ipc::{Code, Refusal};
use keyfob_sandbox::{AccessKey, Outscale};

use crate::company::{Company, HOUR, MINUTE, eventually};

pub const CONFIG: &str = r#"
[outscale.monitoring]
region = "eu-west-2"
user = "monitoring"
endpoint_url = "OUTSCALE"
"#;

pub const NAME: &str = "outscale.monitoring";
/// What the user needs for its own keys.
pub const RENEWAL: &[&str] =
    &["api:CreateAccessKey", "api:ReadAccessKeys", "api:UpdateAccessKey", "api:DeleteAccessKey"];

/// A company whose person has a user at OUTSCALE.
pub async fn company() -> (Company, AccessKey) {
    let company = Company::with(CONFIG, |_| {}).await;
    let key = company.sandbox.outscale().add_user("monitoring", RENEWAL, None);
    (company, key)
}

/// The same, and the key is given.
pub async fn at_work() -> (Company, AccessKey) {
    let (company, key) = company().await;
    add(&company, &key).await.unwrap();
    (company, key)
}

pub async fn add(company: &Company, key: &AccessKey) -> Result<String, Refusal> {
    company.add_token(NAME, &format!("{}:{}", key.id, key.secret)).await
}

pub async fn keys(company: &Company) -> Result<AwsCredentials, Refusal> {
    company.keys_patiently(NAME).await
}

pub fn there(company: &Company) -> &Outscale {
    company.sandbox.outscale()
}

/// Ids of the user's keys beside the one that the person gave.
pub fn made(company: &Company, bootstrap: &AccessKey) -> Vec<String> {
    let keys = there(company).keys_of("monitoring").into_iter().map(|key| key.id);
    keys.filter(|id| *id != bootstrap.id).collect()
}

/// The background of this agent goes on from here.
pub fn mend(company: &Company) -> tokio::task::JoinHandle<()> {
    tokio::spawn(std::sync::Arc::clone(&company.agent).mend_outscale())
}
