//! `[outerbounds.…]`: a deployment of Outerbounds, and the service key that opens it.
//!
//! The key is one that a person has pasted, or that the identity of a job gets: as a service principal, or out of a secret of AWS.
//! With it come the configuration of Metaflow ([`config`]) and web identities for AWS, which `[aws.…]` entries turn into keys.

mod asking;
mod config;
mod pasted;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Headers, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal, Secret};

use super::{Kind, Source};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName, Host, HostPattern};
use crate::footing::Footing;
use crate::holding::{Destination, Facts, Holding};
use crate::keychain::Pending;
use crate::lease::{Lease, cache_until};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::outerbounds::HEADER;

pub use asking::ServiceKey;
use config::Configuration;
pub(crate) use pasted::KEY;
pub use pasted::{NotPasted, Pasted, Pointer, Settings};

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "outerbounds", read: table::read };

/// What stands in the place of a role's ARN where a caller wants the keys of the platform's own tasks.
pub const TASK_ROLE: &str = "task";

/// What stands there for the configuration of a deployment, which is bought and kept like keys of a role. No caller names it.
pub(crate) const CONFIGURATION: &str = "config";

/// A deployment, as configured.
#[derive(Debug, Clone)]
pub struct Outerbounds {
    domain: Host,
    perimeter: String,
    origin: Origin,
    /// One address in place of those of the domain.
    endpoint: Option<String>,
    hosts: Vec<HostPattern>,
}

/// Where the service key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// A person pastes it.
    Held {
        /// Whose role reads the secret that a pasted pointer names.
        reader: Option<EntryName>,
    },
    /// A job gets it as a service principal.
    Principal {
        /// The identity of the job.
        machine: EntryName,
        /// The name of the principal.
        name: String,
    },
    /// The machine user's role reads it.
    Secret {
        /// The machine user.
        machine: EntryName,
    },
}

impl Outerbounds {
    /// The perimeter that it is asked about.
    pub fn perimeter(&self) -> &str {
        &self.perimeter
    }

    /// `foo.obp.outerbounds.com`.
    pub fn domain(&self) -> &str {
        self.domain.as_str()
    }

    /// Another address than those of the domain.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whose role reads what a pasted pointer names.
    pub fn reader(&self) -> Option<&EntryName> {
        match &self.origin {
            Origin::Held { reader } => reader.as_ref(),
            _ => None,
        }
    }

    fn machine(&self) -> Option<&EntryName> {
        match &self.origin {
            Origin::Held { .. } => None,
            Origin::Principal { machine, .. } | Origin::Secret { machine } => Some(machine),
        }
    }

    fn principal(&self) -> Option<&str> {
        if let Origin::Principal { name, .. } = &self.origin { Some(name) } else { None }
    }

    fn base(&self, service: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| self.own(service))
    }

    fn own(&self, service: &str) -> String {
        format!("https://{service}.{}", self.domain())
    }
}

impl Source for Outerbounds {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn through(&self) -> Option<&EntryName> {
        self.machine()
    }

    fn takes_value(&self) -> bool {
        self.machine().is_none()
    }

    fn as_outerbounds(&self) -> Option<&Outerbounds> {
        Some(self)
    }

    fn sends_identity_to(&self) -> Vec<&str> {
        self.endpoint.as_deref().into_iter().collect()
    }

    fn complete(&self, behind: &[&Entry]) -> Result<Option<Box<dyn Source>>, String> {
        // That there is no such entry has been said.
        let Some(machine) = behind.first() else { return Ok(None) };
        let role = machine.source.as_machine().and_then(|machine| machine.role());
        match (&self.origin, role) {
            (Origin::Principal { .. }, Some(_)) => Err(format!(
                "`principal` is for whoever proves itself with a token, and `{}` is a role of AWS",
                machine.name
            )),
            (Origin::Secret { .. }, None) => Err(format!(
                "`principal` is missing: the name of the service principal that `{}` is",
                machine.name
            )),
            (Origin::Secret { .. }, Some(role)) if role.secret_arn.is_none() => {
                let origin = Origin::Held { reader: Some(machine.name.clone()) };
                Ok(Some(Box::new(Self { origin, ..self.clone() })))
            }
            _ => Ok(None),
        }
    }

    fn destination(&self, name: &EntryName, config: &Config) -> Destination {
        if self.machine().is_some() {
            return Destination::default();
        }
        let (auth, api) = (self.base("auth"), self.base("api"));
        let auth = Some(format!("auth {auth}")).filter(|_| auth != api);
        // AWS gets a web identity that is bought with the key.
        let endpoints = config.readers_of(name).map(|endpoint| format!("endpoint {endpoint}"));
        Destination {
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            places: [format!("header {HEADER}"), format!("api {api}")]
                .into_iter()
                .chain(auth)
                .chain(endpoints)
                .chain(super::readers(&config.network))
                .collect(),
        }
    }

    fn derive(&self, name: &EntryName, what: &str) -> Option<Box<dyn Source>> {
        (what == CONFIGURATION).then(|| -> Box<dyn Source> { Box::new(Configuration::of(name)) })
    }

    fn sign_in(&self, name: &EntryName) -> Option<String> {
        self.takes_value().then(|| format!("keyfob token add {}", name.name))
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let facts = [
            ("domain", Some(self.domain().to_owned())),
            ("perimeter", Some(self.perimeter.clone())),
            ("principal", self.principal().map(str::to_owned)),
            ("machine", self.reader().map(ToString::to_string)),
        ];
        facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect()
    }

    fn told(&self, _agent: &Agent, _entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        let configured =
            |name: &str, text: &str| super::told(name, &[text.to_owned()], Teller::Configuration, None);
        let owner = held.owner.iter().filter_map(|owner| {
            super::told("owner", std::slice::from_ref(owner), Teller::TokenService, held.proven)
        });
        let facts = [
            configured("domain", self.domain()),
            configured("perimeter", &self.perimeter),
            self.principal().and_then(|name| configured("principal", name)),
        ];
        owner.chain(facts.into_iter().flatten()).collect()
    }

    fn accept_value(
        &self,
        name: &EntryName,
        value: Secret<String>,
        config: &Config,
        now: Timestamp,
    ) -> Result<Holding, Refusal> {
        let settings = Settings::read(value.expose().as_bytes()).map_err(|no| self.not_pasted(name, no))?;
        self.check_domain(name, &settings)?;
        let more = settings
            .perimeter()
            .map(|perimeter| ("perimeter".to_owned(), keyfob_ipc::text::escape(perimeter)));
        let facts = Facts {
            // Where the key says it itself; else nobody has told.
            ends: super::Jwt::end_of(settings.key().expose()),
            added: Some(now),
            more: more.into_iter().collect(),
            ..Facts::default()
        };
        Ok(Holding::new(settings.to_value(), facts, self.destination(name, config)))
    }

    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        Box::pin(async move {
            let key = self.service_key(agent, entry, &agent.footing()?, Need::Tool).await?;
            Ok(Headers {
                headers: BTreeMap::from([(HEADER.to_owned(), vec![key.settings.key()])]),
                expires: Some(rfc3339(cache_until(agent.clock.now(), key.until))),
            })
        })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(self.get_key(agent, entry, footing))
    }
}

impl Outerbounds {
    /// Why a text cannot be kept. None of it is repeated.
    pub fn not_pasted(&self, name: &EntryName, no: NotPasted) -> Refusal {
        Refusal::new(Code::TokenInvalid, no.to_string()).hint(format!(
            "copy the string from the Outerbounds page again, then keyfob token add {}",
            name.name
        ))
    }

    /// The key of another deployment is sent nowhere.
    ///
    /// # Errors
    /// [`Code::TokenInvalid`], with the host that the string names.
    pub fn check_domain(&self, name: &EntryName, settings: &Settings) -> Result<(), Refusal> {
        settings.check_domain(self.domain(), self.endpoint()).map_err(|other| {
            let say = match other {
                Some(host) => format!(
                    "this string is of `{}`, and `{name}` is of `{}`",
                    keyfob_ipc::text::escape(&host),
                    self.domain()
                ),
                None => format!(
                    "this string does not say of which deployment it is; `{name}` is of `{}`",
                    self.domain()
                ),
            };
            Refusal::new(Code::TokenInvalid, say)
                .hint(format!("copy the string of that deployment, or set `domain` under [{name}]"))
        })
    }
}

#[cfg(test)]
mod tests;
