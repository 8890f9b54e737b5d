//! `[aws.…] outerbounds`: the roles that a deployment of Outerbounds has for the key that is held there.
//!
//! Three hops, as the public client of the platform makes them. The deployment gives a web identity and says which role it is for;
//! with that AWS gives keys of the **task role**. Where the deployment names a role of the customer as well, those keys assume it,
//! and that is what the entry gives; else it gives the task role's. Other roles (`may_assume`) are assumed with the task role's keys, never with
//! the customer's. Nothing of it is on disk.
//!
//! The task role is an entry behind this one that nobody configures ([`TASK_ROLE`]), so its keys are bought once for all of them,
//! and the policy of this entry holds for it.

mod table;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{AwsCredentials, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal};

use super::USUAL;
use super::arn::{RoleArn, RolePattern, partition_of};
use super::role::{LONGEST_CHAINED, Role, answer, iam_endpoint, no_such_role, session_of};
use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::console::ConsoleRole;
use crate::footing::Footing;
use crate::holding::Facts;
use crate::keychain::Pending;
use crate::kind::{Proof, Source, TASK_ROLE, told, wrong_kind};
use crate::lease::{About, AwsKeys, Body, Chosen, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::sts::{self, At, By, RoleAsk, StsError};
use task::Task;

pub(super) use table::read;

/// An entry of this sort, as configured.
#[derive(Debug, Clone)]
struct Deployed {
    behind: EntryName,
    /// Else what the deployment says.
    region: Option<String>,
    duration: Duration,
    session_name: Option<String>,
    may_assume: Vec<RolePattern>,
    endpoint: Option<String>,
    signin: Option<String>,
    use_fips: bool,
}

impl Source for Deployed {
    fn through(&self) -> Option<&EntryName> {
        Some(&self.behind)
    }

    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn sends_identity_to(&self) -> Vec<&str> {
        self.endpoint.iter().chain(&self.signin).map(String::as_str).collect()
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn complete(&self, _behind: &[&Entry]) -> Result<Option<Box<dyn Source>>, String> {
        let Some(region) = &self.region else { return Ok(None) };
        let partition = partition_of(region);
        match self.may_assume.iter().find(|pattern| pattern.partition() != partition) {
            None => Ok(None),
            Some(pattern) => Err(format!(
                "`may_assume` is of the partition {}, and the region {region} is of {partition}",
                keyfob_ipc::text::escape(pattern.partition())
            )),
        }
    }

    fn derive(&self, name: &EntryName, role_arn: &str) -> Option<Box<dyn Source>> {
        if role_arn == TASK_ROLE {
            return Some(Box::new(Task { of: name.clone(), deployed: self.clone() }));
        }
        let is_allowed = self.may_assume.iter().any(|pattern| pattern.matches(role_arn));
        is_allowed.then(|| -> Box<dyn Source> {
            Box::new(Role {
                behind: name.of_role(TASK_ROLE),
                role_arn: role_arn.to_owned(),
                // Where the keys that sign for it come from.
                region: self.region.clone(),
                duration: USUAL,
                session_name: self.session_name.clone(),
                session_tags: BTreeMap::new(),
                external_id: None,
                policy_arns: Vec::new(),
                may_assume: Vec::new(),
                endpoint: self.endpoint.clone(),
                signin: self.signin.clone(),
                use_fips: self.use_fips,
            })
        })
    }

    fn no_role(&self, name: &EntryName, role_arn: &str) -> Refusal {
        no_such_role(name, role_arn, &self.may_assume)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::from([("duration".to_owned(), self.duration.as_secs().to_string())]);
        facts.extend(self.region.clone().map(|region| ("region".to_owned(), region)));
        if !self.may_assume.is_empty() {
            let patterns: Vec<String> = self.may_assume.iter().map(ToString::to_string).collect();
            facts.insert("may_assume".to_owned(), patterns.join(", "));
        }
        if self.use_fips {
            facts.insert("use_fips".to_owned(), "true".to_owned());
        }
        facts
    }

    fn told(&self, agent: &Agent, entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > agent.clock.now());
        let by_service = |name: &str, text: Option<&String>| {
            let since = lease.as_ref().map(|lease| lease.since);
            told(name, text.cloned().as_slice(), Teller::TokenService, since)
        };
        let owner = held
            .owner
            .as_ref()
            .and_then(|owner| told("owner", std::slice::from_ref(owner), Teller::TokenService, held.proven));
        let chosen = lease.as_ref().and_then(|lease| lease.about.chosen.as_ref());
        let assumed = lease.as_ref().and_then(|lease| match &lease.body {
            Body::Aws(keys) => told("assumed", &[keys.assumed.clone()?], Teller::Aws, Some(lease.since)),
            _ => None,
        });
        let patterns: Vec<String> = self.may_assume.iter().map(ToString::to_string).collect();
        let facts = [
            owner,
            by_service("role", chosen.map(|chosen| &chosen.role_arn)),
            lease.as_ref().and_then(|lease| {
                told("session_tags", &lease.about.session_tags, Teller::IdentityProvider, Some(lease.since))
            }),
            told("may_assume", &patterns, Teller::Configuration, None),
            assumed,
        ];
        facts.into_iter().flatten().chain(agent.asked.statements(&entry.name)).collect()
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(given(agent, entry))
    }

    fn console(&self) -> Option<ConsoleRole<'_>> {
        let (region, endpoint) = (self.region.as_deref()?, self.signin.as_deref());
        Some(ConsoleRole { partition: partition_of(region), region, endpoint })
    }

    fn iam_endpoint<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        iam_endpoint(self.endpoint.as_deref(), own)
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move { agent.lease(entry, need).await.map(Proof::Keys) })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            match self.by_task(agent, entry, footing, Need::Chain).await {
                // Our clock and AWS' differ, or they aged on the way: new keys, one more try.
                Err(StsError::Expired) => self.by_task(agent, entry, footing, Need::New).await,
                outcome => outcome,
            }
            .map_err(|error| plain(entry, error))
        })
    }
}

impl Deployed {
    fn at<'a>(&'a self, region: &'a str) -> At<'a> {
        At { region, endpoint: self.endpoint.as_deref(), use_fips: self.use_fips }
    }

    /// The customer's role with the task role's keys; where there is none, those keys.
    async fn by_task(
        &self,
        agent: &Arc<Agent>,
        entry: &Entry,
        footing: &Footing,
        need: Need,
    ) -> Result<Lease, StsError> {
        let name = entry.name.of_role(TASK_ROLE);
        let task = footing.config.entry(&name).ok_or_else(|| gone(&name))?;
        // Keys that are in memory go to an endpoint of the configuration's own choosing, too.
        may_go(agent, footing, entry).await.map_err(StsError::Refused)?;
        let lease = agent.lease(&task, need).await.map_err(StsError::Refused)?;
        let (Body::Aws(keys), Some(chosen)) = (&lease.body, &lease.about.chosen) else {
            return Err(StsError::Refused(wrong_kind(&name, "keys")));
        };
        let Some(role_arn) = &chosen.customer_role else {
            let same = Lease::aws(keys.clone(), agent.clock.now(), lease.until, self.duration);
            return Ok(same.with(lease.about.clone()));
        };
        let duration = self.duration.min(LONGEST_CHAINED);
        let of = format!("the task role of {}", entry.name);
        let look = format!("keyfob permissions {}", entry.name);
        let by = By::Keys { keys, of: &of, look: &look, external_id: None, tags: &BTreeMap::new() };
        let about = About {
            capped: (duration < self.duration).then_some(self.duration),
            chosen: Some(Chosen { role_arn: role_arn.clone(), customer_role: None, ..chosen.clone() }),
            ..About::default()
        };
        let session = self.session_name.clone().unwrap_or_else(|| session_of(keys));
        let ask = Hop { role_arn, session: &session, duration, by };
        self.assume(agent, footing, &chosen.region, ask).await.map(|lease| lease.with(about))
    }

    async fn assume(
        &self,
        agent: &Agent,
        footing: &Footing,
        region: &str,
        hop: Hop<'_>,
    ) -> Result<Lease, StsError> {
        let ask = RoleAsk {
            at: self.at(region),
            role_arn: hop.role_arn,
            session_name: hop.session,
            duration: hop.duration,
            policy_arns: &[],
            by: hop.by,
            now: agent.clock.now(),
        };
        let http = agent.http(footing).map_err(StsError::Refused)?;
        let (keys, until): (AwsKeys, _) = sts::assume_role(&http, &ask).await?;
        let now = agent.clock.now();
        if until <= now {
            let say = format!("AWS gave keys for `{}` that have ended by this machine's clock", hop.role_arn);
            let refusal = Refusal::new(Code::RoleRefused, say).hint("set this machine's clock");
            return Err(StsError::Refused(refusal));
        }
        Ok(Lease::aws(keys, now, until, hop.duration))
    }
}

/// One role on the way.
struct Hop<'a> {
    role_arn: &'a str,
    session: &'a str,
    duration: Duration,
    by: By<'a>,
}

async fn given(agent: &Arc<Agent>, entry: &Arc<Entry>) -> Result<AwsCredentials, Refusal> {
    let lease = agent.lease(entry, Need::Tool).await?;
    let chosen = lease.about.chosen.as_ref().and_then(|chosen| RoleArn::parse(&chosen.role_arn));
    answer(entry, &lease, chosen.map(|role| role.account))
}

/// Whether what pays for an entry may go where the entry goes now.
async fn may_go(agent: &Agent, footing: &Footing, entry: &Entry) -> Result<(), Refusal> {
    let root = Agent::root_of(&footing.config, entry)?;
    match footing.config.entry(&root) {
        Some(root) if root.source.holds() => agent.usable_holding(footing, &root).await.map(drop),
        _ => Ok(()),
    }
}

fn gone(name: &EntryName) -> StsError {
    let say = format!("there is no entry `{name}` any more");
    StsError::Refused(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"))
}

fn plain(entry: &Entry, error: StsError) -> Refusal {
    match error {
        StsError::Refused(refusal) => refusal,
        StsError::Expired => {
            let say = format!("AWS takes new keys of the task role of `{}` for expired", entry.name);
            Refusal::new(Code::RoleRefused, say).hint("set this machine's clock")
        }
    }
}
