//! `[sso.…]` with `machine`: its hosts get the token of the job, in which nobody signs in.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob_ipc::Refusal;
use keyfob_ipc::reply::Headers;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Entry, EntryName, HostPattern, Problem, Reading};
use crate::footing::Footing;
use crate::keychain::Pending;
use crate::kind::{Proof, Source, machine, wrong_kind};
use crate::lease::cache_until;
use crate::policy::Permit;
use crate::renew::Need;

/// The key that makes an entry one of these.
const KEY: &str = "machine";
/// What says how a person signs in.
const OF_PERSONS: [&str; 5] = ["issuer", "client_id", "scopes", "redirect_ports", "present"];

#[derive(Deserialize)]
struct Table {
    machine: Spanned<String>,
    hosts: Option<Vec<Spanned<String>>>,
}

/// A session of a job.
#[derive(Debug)]
struct JobSession {
    machine: EntryName,
    hosts: Vec<HostPattern>,
}

/// Whether a table is one of these.
pub(super) fn is_one(value: &Spanned<DeValue<'_>>) -> bool {
    value.get_ref().as_table().is_some_and(|table| table.keys().any(|key| key.get_ref() == KEY))
}

/// Reads such a table.
pub(super) fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let misplaced = value.get_ref().as_table().into_iter().flat_map(|table| table.keys()).filter_map(|key| {
        let name = OF_PERSONS.into_iter().find(|name| key.get_ref() == name)?;
        let say = format!("{place}: `{name}` does not go with `machine`: its hosts get the job's own token");
        Some(Problem::at(key, say))
    });
    let misplaced: Vec<Problem> = misplaced.collect();
    if !misplaced.is_empty() {
        reading.problems.extend(misplaced);
        return None;
    }
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let bare = table.machine.get_ref();
    let name = bare.strip_prefix("machine.").unwrap_or(bare).to_owned();
    let hosts = reading.hosts(&table.hosts.unwrap_or_default());
    Some(Box::new(JobSession { machine: EntryName { kind: machine::KIND.name, name }, hosts }))
}

impl Source for JobSession {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn through(&self) -> Option<&EntryName> {
        Some(&self.machine)
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        Box::pin(async move {
            let Proof::Token(identity) = self.proof(agent, entry, &agent.footing()?, Need::Tool).await?
            else {
                return Err(machine::no_token(&self.machine));
            };
            Ok(Headers {
                headers: BTreeMap::from([(
                    "Authorization".to_owned(),
                    vec![machine::bearer(&identity.token)],
                )]),
                expires: Some(rfc3339(cache_until(agent.clock.now(), Some(identity.until)))),
            })
        })
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move {
            let Some(machine) = footing.config.entry(&self.machine) else {
                return Err(wrong_kind(&entry.name, "identity"));
            };
            machine.source.proof(agent, &machine, footing, need).await
        })
    }
}
