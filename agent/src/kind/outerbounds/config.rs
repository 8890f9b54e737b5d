//! The configuration of Metaflow that a deployment has for a perimeter.
//!
//! It is bought and kept like keys of a role, as an entry that nobody can name: so many callers are one call, and whatever changes
//! the entry itself (an edit, another key, a removal) drops it.

use std::sync::Arc;

use keyfob_ipc::reply::MetaflowConfig;
use keyfob_ipc::{Code, Refusal, Secret, limits};
use serde_json::{Map, Value};

use super::pasted::drop_ours;
use super::{CONFIGURATION, KEY, KIND, Outerbounds};
use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::keychain::Pending;
use crate::kind::{Source, wrong_kind};
use crate::lease::{Body, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::outerbounds::config_url;

/// What an answer has beside the configuration, in bytes, with the key.
const BESIDE: usize = 24 * 1024;

/// The configuration of one deployment.
#[derive(Debug)]
pub(super) struct Configuration {
    of: EntryName,
}

impl Configuration {
    pub(super) fn of(name: &EntryName) -> Self {
        Self { of: name.clone() }
    }
}

impl Source for Configuration {
    fn through(&self) -> Option<&EntryName> {
        Some(&self.of)
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> std::collections::BTreeMap<String, String> {
        std::collections::BTreeMap::new()
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        _entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            let missing = || wrong_kind(&self.of, "configuration");
            let entry = footing.config.entry(&self.of).ok_or_else(missing)?;
            let deployment = entry.source.as_outerbounds().ok_or_else(missing)?;
            let mut config = deployment.fetch_config(agent, &entry, footing).await?;
            // The key that serves is put there when it is asked for.
            config.remove(KEY);
            let text = written(config);
            check_size(&self.of, &text)?;
            Ok(Lease::config(text, agent.clock.now()))
        })
    }
}

impl Outerbounds {
    /// The configuration, with the key that serves now in it.
    ///
    /// # Errors
    /// The refusal.
    pub async fn metaflow_config(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        _permit: &Permit,
    ) -> Result<MetaflowConfig, Refusal> {
        let footing = agent.footing()?;
        let key = self.service_key(agent, entry, &footing, Need::Tool).await?;
        if let Some(whole) = key.settings.whole() {
            let config = written(whole.clone());
            check_size(&entry.name, &config)?;
            return Ok(self.answer(entry, config, None));
        }
        let name = EntryName { kind: KIND.name, name: format!("{}/{CONFIGURATION}", entry.name.name) };
        let source = footing.config.entry(&name).ok_or_else(|| wrong_kind(&entry.name, "configuration"))?;
        let lease = agent.lease(&source, Need::Tool).await?;
        let Body::Config(text) = &lease.body else { return Err(wrong_kind(&entry.name, "configuration")) };
        // It may have been bought with another key than the one before it.
        let key = self.service_key(agent, entry, &footing, Need::Tool).await?.settings.key();
        let mut config: Map<String, Value> = serde_json::from_str(text.expose())
            .map_err(|_| Refusal::new(Code::Internal, "a configuration was kept that cannot be read"))?;
        config.insert(KEY.to_owned(), Value::String(key.expose().clone()));
        let url = config_url(&self.own("api"), self.perimeter());
        Ok(self.answer(entry, written(config), Some(url)))
    }

    fn answer(&self, entry: &Entry, config: Secret<String>, url: Option<String>) -> MetaflowConfig {
        MetaflowConfig { entry: entry.name.to_string(), config, perimeter: self.perimeter().to_owned(), url }
    }
}

/// Without what would steer our own extension, wherever the configuration has come from.
fn written(mut config: Map<String, Value>) -> Secret<String> {
    drop_ours(&mut config);
    // Values by their names: writing them cannot fail.
    Secret::new(serde_json::to_string(&config).unwrap_or_default())
}

/// It is a text within the JSON of a frame, and must fit there.
fn check_size(name: &EntryName, config: &Secret<String>) -> Result<(), Refusal> {
    let quoted = Secret::new(serde_json::to_string(config.expose()).unwrap_or_default());
    if quoted.expose().len() <= limits::TOOL_FRAME - BESIDE {
        return Ok(());
    }
    let say =
        format!("the configuration that Outerbounds has for `{name}` is too large to be handed to a tool");
    Err(Refusal::new(Code::ProviderUntrusted, say)
        .hint(format!("check `domain` and `endpoint_url` under [{name}]")))
}
