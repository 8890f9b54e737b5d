//! What Metaflow gets of a deployment of Outerbounds.

use std::sync::Arc;

use keyfob_ipc::reply::Reply;
use keyfob_ipc::{Refusal, Secret};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::Ask;
use crate::kind::wrong_kind;
use crate::ledger::Deed;

/// Shorter values hide nothing, and would hide half of a log with them.
const SHORTEST: usize = 6;

impl Agent {
    /// The configuration of a deployment, for a tool.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) async fn metaflow_config(
        self: &Arc<Self>,
        name: &str,
        asker: &Asker,
        deed: &mut Deed,
    ) -> Result<Reply, Refusal> {
        self.check_lock()?;
        let config = self.config()?;
        let entry = config.find(name, Ask::Outerbounds)?.clone();
        deed.entry = Some(entry.name.clone());
        let permit = self.permit(&config, &entry, asker, deed).await?;
        let deployment =
            entry.source.as_outerbounds().ok_or_else(|| wrong_kind(&entry.name, "configuration"))?;
        deployment
            .metaflow_config(self, &entry, &permit)
            .await
            .map(|config| Reply::Metaflow(Box::new(config)))
    }
}

/// The values of a configuration that must be in no log: its key, and whatever by its name is one.
pub(crate) fn secrets_in(config: &Secret<String>) -> Vec<Zeroizing<String>> {
    let members: Map<String, Value> = serde_json::from_str(config.expose()).unwrap_or_default();
    let mut found = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| is_secret(name)) {
        gather(value, &mut found);
        // Headers are written as a text of JSON in it.
        if let Some(nested) = value.as_str().filter(|_| name.ends_with("HEADERS")) {
            serde_json::from_str(nested).iter().for_each(|nested: &Value| gather(nested, &mut found));
        }
    }
    found
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["_KEY", "_TOKEN", "_SECRET", "PASSWORD", "HEADERS", "CREDENTIALS"].iter().any(|end| name.ends_with(end))
        || ["AUTH_KEY", "AUTH_TOKEN", "API_KEY"].iter().any(|part| name.contains(part))
}

fn gather(value: &Value, found: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::String(text) if text.len() >= SHORTEST => found.push(Zeroizing::new(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| gather(value, found)),
        Value::Object(members) => members.values().for_each(|value| gather(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_hides_the_key_and_what_is_called_like_one() {
        let config = Secret::from(
            r#"{"METAFLOW_SERVICE_AUTH_KEY":"obk_marked","METAFLOW_SERVICE_URL":"https://x.acme.test/",
                "METAFLOW_SERVICE_HEADERS":"{\"x-api-key\":\"in-header\"}","SOME_TOKEN":["in-list"],
                "OTHER_PASSWORD":{"deep":"in-object"},"SHORT_KEY":"ab","METAFLOW_DEFAULT_METADATA":"service"}"#,
        );
        let found: Vec<String> = secrets_in(&config).iter().map(|value| value.to_string()).collect();
        for hidden in ["obk_marked", "in-header", "in-list", "in-object"] {
            assert!(found.iter().any(|value| value == hidden), "{hidden}");
        }
        for shown in ["https://x.acme.test/", "service", "ab"] {
            assert!(!found.iter().any(|value| value == shown), "{shown}");
        }
        assert!(secrets_in(&Secret::from("no json")).is_empty());
    }
}
