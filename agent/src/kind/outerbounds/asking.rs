//! What a deployment is asked with, and what its refusals mean.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal, Secret};
use serde_json::{Map, Value};

use super::{Origin, Outerbounds, Settings};
use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::{Jwt, Machine, Source};
use crate::lease::{Body, Lease};
use crate::renew::Need;
use crate::upstream::http::Http;
use crate::upstream::outerbounds::{Deployment, OuterboundsError, Principal, WebIdentity};

/// A key that does not say when it ends is used for so long.
const CAUTIOUS: Duration = Duration::from_secs(3600);

/// A key that serves now.
#[derive(Debug)]
pub struct ServiceKey {
    /// With it.
    pub settings: Settings,
    /// Its end, where one is known.
    pub until: Option<Timestamp>,
}

/// One thing that a deployment can be asked with a key.
trait Question {
    type Answer;
    fn ask(
        &self,
        at: Deployment<'_>,
        key: &Secret<String>,
    ) -> impl Future<Output = Result<Self::Answer, OuterboundsError>> + Send;
}

struct OfConfig<'a>(&'a str);

impl Question for OfConfig<'_> {
    type Answer = Map<String, Value>;

    async fn ask(&self, at: Deployment<'_>, key: &Secret<String>) -> Result<Self::Answer, OuterboundsError> {
        at.config(key, self.0).await
    }
}

struct OfAws;

impl Question for OfAws {
    type Answer = WebIdentity;

    async fn ask(&self, at: Deployment<'_>, key: &Secret<String>) -> Result<WebIdentity, OuterboundsError> {
        at.web_identity(key).await
    }
}

/// Whether it takes a key at all.
struct OfKey<'a> {
    perimeter: &'a str,
    /// There is no address to have the configuration from: asked as the client tries a key.
    is_whole: bool,
}

impl Question for OfKey<'_> {
    type Answer = ();

    async fn ask(&self, at: Deployment<'_>, key: &Secret<String>) -> Result<(), OuterboundsError> {
        if self.is_whole {
            return at.try_key(key).await.map(drop);
        }
        at.config(key, self.perimeter).await.map(drop)
    }
}

impl Outerbounds {
    /// The service key: what is held, if it may go there, or what the identity of the job gets.
    ///
    /// # Errors
    /// The refusal; [`Code::TokenNeeded`] where a person has to paste one.
    pub async fn service_key(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        footing: &Footing,
        need: Need,
    ) -> Result<ServiceKey, Refusal> {
        if self.machine().is_some() {
            let lease = agent.lease(entry, need).await?;
            let Body::Key(settings) = &lease.body else {
                return Err(crate::kind::wrong_kind(&entry.name, "service key"));
            };
            return Ok(ServiceKey { settings: settings.clone(), until: Some(lease.until) });
        }
        let holding = agent.usable_holding(footing, entry).await?;
        let (until, is_assumed) = (holding.facts.ends, holding.facts.ends_assumed);
        if until.is_some_and(|until| !is_assumed && until <= agent.clock.now()) {
            let say = format!("the service key of `{}` has ended", entry.name);
            return Err(Refusal::new(Code::TokenNeeded, say).hint(again(&entry.name)));
        }
        Ok(ServiceKey { settings: held(&holding, &entry.name)?, until })
    }

    /// Gets a key with the identity of the job.
    pub(super) async fn get_key(
        &self,
        agent: &Arc<Agent>,
        entry: &Entry,
        footing: &Footing,
    ) -> Result<Lease, Refusal> {
        let named = |name: &EntryName| {
            footing.config.entry(name).ok_or_else(|| {
                let say = format!("there is no entry `{name}` any more");
                Refusal::new(Code::UnknownEntry, say).hint("keyfob status")
            })
        };
        let settings = match &self.origin {
            Origin::Held { .. } => return Err(crate::kind::wrong_kind(&entry.name, "leases")),
            Origin::Principal { machine, name } => {
                let machine = named(machine)?;
                let source = machine.source.as_machine().ok_or_else(|| no_machine(entry, &machine.name))?;
                let key = self.key_of_principal(agent, &machine, source, footing, (entry, name)).await?;
                Settings::of_key(&key)
            }
            Origin::Secret { machine } => {
                let machine = named(machine)?;
                let role = machine.source.as_machine().and_then(Machine::role);
                let role = role.ok_or_else(|| no_machine(entry, &machine.name))?;
                let secret = role.secret(agent, &machine.name, footing).await;
                let secret = secret.map_err(|refusal| behind(entry, &machine.name, refusal))?;
                self.in_secret(&entry.name, secret.expose())?
            }
        };
        let now = agent.clock.now();
        let until = Jwt::end_of(settings.key().expose()).unwrap_or_else(|| after(now, CAUTIOUS));
        if until <= now {
            let say = format!("the key that `{}` gets has ended by this machine's clock", entry.name);
            return Err(Refusal::new(Code::ProviderRefused, say).hint("set this machine's clock"));
        }
        Ok(Lease::key(settings, now, until))
    }

    async fn key_of_principal(
        &self,
        agent: &Agent,
        machine: &Entry,
        source: &Machine,
        footing: &Footing,
        (entry, principal): (&Entry, &str),
    ) -> Result<Secret<String>, Refusal> {
        let audience = format!("https://{}", self.domain());
        let jwt = source.token_for(agent, machine, footing, &audience).await;
        let jwt = jwt.map_err(|refusal| behind(entry, &machine.name, refusal))?;
        let (http, auth, api) = (agent.http(footing)?, self.base("auth"), self.base("api"));
        let deployment = self.domain().split('.').next().unwrap_or_default();
        let asked = Principal { name: principal, deployment, perimeter: self.perimeter() };
        let at = Deployment { http: &http, auth: &auth, api: &api };
        at.principal_key(&jwt.token, asked).await.map_err(|error| match error {
            OuterboundsError::Key(_) | OuterboundsError::NotThere => {
                let say = format!(
                    "Outerbounds does not take this job for the service principal `{principal}` of the perimeter `{}`: {error}",
                    self.perimeter()
                );
                let hint = format!(
                    "check `principal`, `perimeter` and `domain` under [{}], and whom that principal trusts: keyfob machine claims {}",
                    entry.name, machine.name.name
                );
                Refusal::new(Code::ProviderRefused, say).hint(hint)
            }
            error => error.refusal(&entry.name.to_string()),
        })
    }

    /// What a secret of AWS has.
    ///
    /// # Errors
    /// [`Code::ServiceRefused`] where that is no configuration, or one of another deployment.
    pub fn in_secret(&self, name: &EntryName, secret: &[u8]) -> Result<Settings, Refusal> {
        let other = |say: String| {
            let hint = "have the secret written by the Outerbounds page of the machine user again";
            Err(Refusal::new(Code::ServiceRefused, say).hint(hint))
        };
        match Settings::read(secret) {
            Err(no) => other(format!("the secret that `{name}` gets its key from cannot be used: {no}")),
            Ok(settings) => match settings.check_domain(self.domain(), self.endpoint()) {
                // Whoever wrote the secret need not have said it: the configuration names the deployment, too.
                Ok(()) | Err(None) => Ok(settings),
                Err(Some(host)) => other(format!(
                    "the secret that `{name}` gets its key from is of `{}`, and not of `{}`",
                    keyfob_ipc::text::escape(&host),
                    self.domain()
                )),
            },
        }
    }

    /// The configuration of the perimeter.
    ///
    /// # Errors
    /// The refusal.
    pub(super) async fn fetch_config(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        footing: &Footing,
    ) -> Result<Map<String, Value>, Refusal> {
        self.ask(agent, entry, footing, &OfConfig(self.perimeter())).await
    }

    /// A web identity for AWS.
    ///
    /// # Errors
    /// The refusal.
    pub async fn web_identity(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        footing: &Footing,
    ) -> Result<WebIdentity, Refusal> {
        self.ask(agent, entry, footing, &OfAws).await
    }

    /// Asks with the key that there is. One that a job got may have been taken back: then with another one, once.
    async fn ask<Q: Question + Sync>(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        footing: &Footing,
        question: &Q,
    ) -> Result<Q::Answer, Refusal> {
        let key = self.service_key(agent, entry, footing, Need::Renewal).await?.settings.key();
        let http = agent.http(footing)?;
        let mut outcome = self.ask_with(&http, &key, question).await;
        if matches!(outcome, Err(OuterboundsError::Key(_))) && self.machine().is_some() {
            let key = self.service_key(agent, entry, footing, Need::New).await?.settings.key();
            outcome = self.ask_with(&http, &key, question).await;
        }
        if outcome.is_ok() {
            if agent.states.is_signed_out(&entry.name) {
                agent.states.held(&entry.name, None);
            }
            self.taken(agent, entry, footing, &key).await;
        }
        outcome.map_err(|error| self.judge(agent, &entry.name, &error))
    }

    /// Asks the deployment now whether it takes the key that there is.
    ///
    /// # Errors
    /// The refusal.
    pub async fn look(&self, agent: &Arc<Agent>, entry: &Arc<Entry>) -> Result<(), Refusal> {
        let footing = agent.footing()?;
        let key = self.service_key(agent, entry, &footing, Need::Renewal).await?;
        let question = OfKey { perimeter: self.perimeter(), is_whole: key.settings.whole().is_some() };
        let asked = self.ask(agent, entry, &footing, &question).await;
        asked.map_err(|refusal| match refusal.code {
            Code::Offline | Code::ServiceRefused | Code::ProviderUntrusted
                if self.is_untried(agent, entry) =>
            {
                Refusal { say: format!("Outerbounds has not taken this key yet: {}", refusal.say), ..refusal }
            }
            _ => refusal,
        })
    }

    /// Whether a key is held that the deployment has never taken.
    fn is_untried(&self, agent: &Agent, entry: &Entry) -> bool {
        let held = agent.holdings().at_hand(&entry.name);
        self.takes_value() && held.is_some_and(|holding| holding.facts.proven.is_none())
    }

    /// Notes it, once. Where the keychain does not take that, the next answer tells again.
    async fn taken(&self, agent: &Agent, entry: &Entry, footing: &Footing, key: &Secret<String>) {
        let Some(holding) = footing.holdings.at_hand(&entry.name).filter(|_| self.takes_value()) else {
            return;
        };
        let is_it = || held(&holding, &entry.name).is_ok_and(|settings| settings.key() == *key);
        if holding.facts.proven.is_none() && is_it() {
            let now = agent.clock.now();
            let note = move |holding: &mut Holding| holding.facts.proven = Some(now);
            let _ = footing.holdings.note(&entry.name, &holding.value, note).await;
        }
    }

    async fn ask_with<Q: Question + Sync>(
        &self,
        http: &Http,
        key: &Secret<String>,
        question: &Q,
    ) -> Result<Q::Answer, OuterboundsError> {
        let (auth, api) = (self.base("auth"), self.base("api"));
        question.ask(Deployment { http, auth: &auth, api: &api }, key).await
    }

    /// Tries a key that a person has just given: its perimeter first, and then, where the deployment tells, whose it is.
    ///
    /// # Errors
    /// [`OuterboundsError`].
    pub async fn try_key(
        &self,
        http: &Http,
        settings: &Settings,
    ) -> Result<Option<String>, OuterboundsError> {
        let key = settings.key();
        let (auth, api) = (self.base("auth"), self.base("api"));
        let at = Deployment { http, auth: &auth, api: &api };
        if settings.whole().is_some() {
            // There is no address to have the rest from; this is how the client tries a key.
            return at.try_key(&key).await;
        }
        at.config(&key, self.perimeter()).await?;
        Ok(at.try_key(&key).await.ok().flatten())
    }

    fn judge(&self, agent: &Agent, name: &EntryName, error: &OuterboundsError) -> Refusal {
        match (error, &self.origin) {
            (OuterboundsError::Key(_), Origin::Held { .. }) => {
                // Of one that it has never taken it is not known that it ever was good.
                let held = agent.holdings().at_hand(name);
                let was_good = held.is_some_and(|holding| holding.facts.proven.is_some());
                let any_more = if was_good { " any more" } else { "" };
                let say = format!("Outerbounds does not take the service key of `{name}`{any_more}: {error}");
                let refusal = Refusal::new(Code::TokenNeeded, say).hint(again(name));
                // Whatever asked: this is about what is held.
                agent.states.failed(name, &refusal);
                refusal
            }
            (OuterboundsError::Key(_), _) => {
                let say = format!("Outerbounds does not take the key that `{name}` has just got: {error}");
                Refusal::new(Code::ProviderRefused, say)
                    .hint(format!("check `perimeter` under [{name}], and what that machine user may do"))
            }
            _ => error.refusal(&name.to_string()),
        }
    }
}

/// What is held, read.
fn held(holding: &Holding, name: &EntryName) -> Result<Settings, Refusal> {
    Settings::read(holding.value.expose().as_bytes()).map_err(|_| {
        Refusal::new(Code::KeychainFailed, format!("the keychain item of `{name}` is damaged"))
            .hint(again(name))
    })
}

fn again(name: &EntryName) -> String {
    format!("copy a new string from the Outerbounds page, then keyfob token add {}", name.name)
}

fn no_machine(entry: &Entry, machine: &EntryName) -> Refusal {
    Refusal::new(Code::ConfigBroken, format!("`{machine}` is nothing that `{}` could be", entry.name))
        .hint("keyfob config check")
}

/// A refusal from behind names the hop.
fn behind(entry: &Entry, machine: &EntryName, refusal: Refusal) -> Refusal {
    let say = format!("`{}` is obtained with `{machine}`: {}", entry.name, refusal.say);
    Refusal { say, ..refusal }
}
