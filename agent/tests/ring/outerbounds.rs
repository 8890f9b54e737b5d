//! A deployment of Outerbounds: its key, by a person and by a job; what tools get with it; the roles of AWS behind it.

#[path = "outerbounds/held.rs"]
mod held;
#[path = "outerbounds/job.rs"]
mod job;
#[path = "outerbounds/roles.rs"]
mod roles;

use keyfob_ipc::reply::{MetaflowConfig, Reply};
use keyfob_ipc::{Refusal, ToolAsk};
use serde_json::Value;

use crate::company::Company;

pub const CONFIG: &str = r#"
[outerbounds.prod]
domain = "foo.obp.acme.test"
endpoint_url = "DEPLOYMENT"

[aws.prod]
outerbounds = "prod"
endpoint_url = "STS"
"#;

/// A live service header, for one of the deployment's hosts.
pub const SERVICE: &str = "https://metadata.foo.obp.acme.test/";

pub async fn company() -> Company {
    Company::with(CONFIG, |_| {}).await
}

/// The same with a key of Ada's.
pub async fn with_key() -> (Company, String) {
    let company = company().await;
    let key = company.sandbox.outerbounds().issue_key("ada@acme.test");
    company.add_token("prod", &company.sandbox.outerbounds().magic_string(&key)).await.unwrap();
    (company, key)
}

pub async fn metaflow(company: &Company) -> Result<(MetaflowConfig, Value), Refusal> {
    match company.agent.tool(ToolAsk::Metaflow { name: "prod".to_owned() }).await? {
        Reply::Metaflow(answer) => {
            let config = serde_json::from_str(answer.config.expose()).unwrap();
            Ok((*answer, config))
        }
        other => panic!("no configuration: {other:?}"),
    }
}

/// The header for the deployment's hosts.
pub async fn header(company: &Company) -> Result<String, Refusal> {
    let headers = company.get(SERVICE).await?;
    Ok(headers.headers["x-api-key"][0].expose().clone())
}
