//! `[sso.…]`: an SSO session with an OpenID Connect provider.
//!
//! The holding is the refresh token. Only a renewal spends it ([`Session::refresh`]), one at a time; a new one is in the
//! keychain before anything that it bought is handed out. A provider that gives no refresh token gives a session that
//! lasts as long as its tokens; then these are the holding.

mod machine;
mod said;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Headers, ToldFact};
use keyfob_ipc::secret::{exposed, exposed_option};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use super::aws::session_name;
use super::{IdentityToken, Kind, Proof, Source};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName, HostPattern, Problem, Reading};
use crate::footing::Footing;
use crate::holding::{Destination, Facts, Holding};
use crate::keychain::Pending;
use crate::lease::{Body, Freshness, Lease, SessionTokens};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::oidc::{Grant, OidcError, Registration, Spent};

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "sso", read };

const SUBJECT: &str = "subject";

#[derive(Deserialize)]
struct Table {
    issuer: Spanned<String>,
    client_id: Spanned<String>,
    scopes: Option<Vec<Spanned<String>>>,
    redirect_ports: Option<Spanned<Vec<u16>>>,
    hosts: Option<Vec<Spanned<String>>>,
    present: Option<Present>,
}

/// Which token hosts get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Present {
    AccessToken,
    IdToken,
}

/// An SSO session as configured.
#[derive(Debug, Clone)]
pub struct SsoSession {
    /// Who we are to which provider.
    pub registration: Registration,
    /// Fixed loopback ports to come back to; any port where empty.
    pub redirect_ports: Vec<u16>,
    hosts: Vec<HostPattern>,
    present: Present,
}

fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    if machine::is_one(&value) {
        return machine::read(value, reading);
    }
    let place = reading.place;
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    // The issuer is compared to the letter with what tokens say, so the text as written is what counts.
    let issuer = reading.address(&table.issuer).map(|_| table.issuer.get_ref().clone());
    let client_id = reading.plain(&table.client_id);
    let usual = ["openid", "profile", "email", "offline_access"].map(str::to_owned).to_vec();
    let mut scopes = match &table.scopes {
        Some(texts) => texts.iter().filter_map(|text| reading.plain(text)).collect(),
        None => usual,
    };
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    if let Some(ports) = &table.redirect_ports
        && (ports.get_ref().is_empty() || ports.get_ref().contains(&0))
    {
        reading
            .problems
            .push(Problem::at(ports, format!("{place}: redirect_ports lists ports from 1 to 65535")));
    }
    let hosts = reading.hosts(&table.hosts.unwrap_or_default());
    Some(Box::new(SsoSession {
        registration: Registration { issuer: issuer?, client_id: client_id?, scopes },
        redirect_ports: table.redirect_ports.map(Spanned::into_inner).unwrap_or_default(),
        hosts,
        present: table.present.unwrap_or(Present::AccessToken),
    }))
}

/// The value of the holding.
#[derive(Serialize, Deserialize)]
struct Session {
    #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret<String>>,
    /// Only where there is no refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
}

#[derive(Serialize, Deserialize)]
struct Tokens {
    #[serde(serialize_with = "exposed")]
    access_token: Secret<String>,
    #[serde(serialize_with = "exposed_option")]
    id_token: Option<Secret<String>>,
    until: Timestamp,
}

impl Session {
    fn to_value(&self) -> Secret<String> {
        // Strings and a moment: writing them cannot fail.
        Secret::new(serde_json::to_string(self).unwrap_or_default())
    }

    fn of(holding: &Holding, entry: &EntryName) -> Result<Self, Refusal> {
        serde_json::from_str(holding.value.expose()).map_err(|_| {
            Refusal::new(Code::KeychainFailed, format!("the keychain item of `{entry}` is damaged"))
                .hint(format!("keyfob login {}", entry.name))
        })
    }
}

impl SsoSession {
    /// The holding of a new sign-in, and the lease that came with it.
    ///
    /// # Errors
    /// [`Code::ProviderUntrusted`] where the grant does not say who it is about.
    pub fn signed_in(
        &self,
        name: &EntryName,
        config: &Config,
        grant: Grant,
        now: Timestamp,
    ) -> Result<(Holding, Lease), Refusal> {
        let Some(person) = grant.person.clone() else {
            return Err(Refusal::new(
                Code::ProviderUntrusted,
                "the identity provider did not say who signed in",
            ));
        };
        let until = ends(&grant);
        let session = match &grant.refresh_token {
            Some(token) => Session { refresh_token: Some(token.clone()), tokens: None },
            None => Session {
                refresh_token: None,
                tokens: Some(Tokens {
                    access_token: grant.access_token.clone(),
                    id_token: grant.id_token.as_ref().map(|(token, _)| token.clone()),
                    until,
                }),
            },
        };
        let facts = Facts {
            owner: Some(person.name.clone()),
            ends: session.tokens.as_ref().map(|tokens| tokens.until),
            ends_assumed: false,
            added: Some(now),
            proven: Some(now),
            more: BTreeMap::from([(SUBJECT.to_owned(), person.subject)])
                .into_iter()
                .chain(said::said(&self.registration, &grant, now))
                .collect(),
            ..Facts::default()
        };
        let holding = Holding::new(session.to_value(), facts, self.destination(name, config));
        Ok((holding, lease(grant, &person.name, now)))
    }

    fn provider_places(&self) -> [String; 2] {
        [format!("issuer {}", self.registration.issuer), format!("client {}", self.registration.client_id)]
    }

    /// The refresh token of a holding, to be revoked.
    pub fn refresh_token(holding: &Holding, name: &EntryName) -> Option<Secret<String>> {
        Session::of(holding, name).ok()?.refresh_token
    }

    async fn refresh(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        footing: &Footing,
        holding: Arc<Holding>,
        epoch: u64,
    ) -> Result<Lease, Refusal> {
        let sign_in = sign_in(&entry.name);
        let session = Session::of(&holding, &entry.name)?;
        let owner = holding.facts.owner.clone().unwrap_or_default();
        let now = agent.clock.now();
        let Some(refresh_token) = session.refresh_token else {
            return match session.tokens.filter(|tokens| tokens.until > now) {
                Some(tokens) => {
                    let id_token = tokens.id_token.map(|token| (token, tokens.until));
                    let body = SessionTokens {
                        access_token: tokens.access_token,
                        id_token,
                        session_name: session_name(&owner),
                    };
                    Ok(Lease::session(body, now, tokens.until))
                }
                None => Err(ended(&entry.name)),
            };
        };
        let mut provider = agent.provider(&self.registration, agent.http(footing)?, &sign_in).await?;
        let Some(spending) = agent.begin_spending() else {
            return Err(agent.check_lock().err().unwrap_or_else(ending));
        };
        let (holding, spent) = match provider.spend(&refresh_token).await {
            Err(OidcError::Dead(_)) => {
                // Another hand may have renewed it: only the same token still in the keychain is the end.
                let stored = footing.holdings.read_again(&entry.name).await?;
                let other = stored.filter(|stored| stored.value != holding.value);
                let Some(other) = other else { return Err(ended(&entry.name)) };
                let token =
                    Session::of(&other, &entry.name)?.refresh_token.ok_or_else(|| ended(&entry.name))?;
                (other, provider.spend(&token).await.map_err(|error| error.refusal(&sign_in))?)
            }
            spent => (holding, spent.map_err(|error| error.refusal(&sign_in))?),
        };
        // The old token may be worthless by now: the new one is stored before anything else can go wrong.
        let kept = keep(agent, footing, entry, &holding, &spent).await;
        drop(spending);
        let subject = holding.facts.more.get(SUBJECT).map(String::as_str).unwrap_or_default();
        let grant = provider
            .prove(spent, subject, agent.clock.now())
            .await
            .map_err(|error| error.refusal(&sign_in))?;
        agent.learn(provider).await;
        if kept.is_ok() {
            said::note(agent, footing, entry, &self.registration, (&grant, subject)).await;
        }
        let lease = lease(grant, &owner, agent.clock.now());
        match kept {
            Ok(()) => Ok(lease),
            // The value moved on: so did the session, and this belongs to the one before.
            Err(refusal) if refusal.code == Code::Pending => Err(refusal),
            Err(refusal) => {
                // Not before the keychain has taken the new token, and then without spending that too.
                agent.withheld.put(entry.name.clone(), Arc::new(lease.of_epoch(epoch)));
                Err(refusal)
            }
        }
    }
}

/// Stores the refresh token that a refresh brought, where it is another one.
async fn keep(
    agent: &Agent,
    footing: &Footing,
    entry: &Entry,
    holding: &Holding,
    spent: &Spent,
) -> Result<(), Refusal> {
    let Some(token) = spent.refresh_token() else { return Ok(()) };
    if Session::of(holding, &entry.name)?.refresh_token.as_ref() == Some(&token) {
        return Ok(());
    }
    let value = Session { refresh_token: Some(token), tokens: None }.to_value();
    let now = agent.clock.now();
    let renewed = move |renewed: &mut Holding| {
        renewed.value = value;
        renewed.facts.proven = Some(now);
    };
    footing.holdings.change(&entry.name, &holding.value, renewed).await
}

/// The end of what was granted: of the access token, and of the ID token where there is one.
fn ends(grant: &Grant) -> Timestamp {
    grant.id_token.as_ref().map_or(grant.access_until, |(_, until)| grant.access_until.min(*until))
}

fn lease(grant: Grant, owner: &str, now: Timestamp) -> Lease {
    let until = ends(&grant);
    let tokens = SessionTokens {
        access_token: grant.access_token,
        id_token: grant.id_token,
        session_name: session_name(owner),
    };
    Lease::session(tokens, now, until)
}

fn sign_in(name: &EntryName) -> String {
    format!("keyfob login {}", name.name)
}

fn ending() -> Refusal {
    Refusal::new(Code::Pending, "the agent is about to end").hint("try again in a moment")
}

fn ended(name: &EntryName) -> Refusal {
    Refusal::new(Code::SignInNeeded, format!("the session of `{name}` has ended")).hint(sign_in(name))
}

impl Source for SsoSession {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn destination(&self, name: &EntryName, config: &Config) -> Destination {
        // Roles send the ID token to AWS; an endpoint of the configuration's own choosing is a place of its own.
        let endpoints = config.readers_of(name).map(|endpoint| format!("endpoint {endpoint}"));
        // An ID token is good for roles, an access token is not.
        let presented = (self.present == Present::IdToken && !self.hosts.is_empty())
            .then(|| "its hosts, with the ID token".to_owned());
        Destination {
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            places: self
                .provider_places()
                .into_iter()
                .chain(presented)
                .chain(endpoints)
                .chain(super::readers(&config.network))
                .collect(),
        }
    }

    fn given_with_value(&self, _name: &EntryName, _config: &Config) -> Destination {
        Destination { hosts: Vec::new(), places: self.provider_places().into() }
    }

    fn sign_in(&self, name: &EntryName) -> Option<String> {
        Some(sign_in(name))
    }

    fn as_sso(&self) -> Option<&SsoSession> {
        Some(self)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("issuer".to_owned(), self.registration.issuer.clone()),
            ("client_id".to_owned(), self.registration.client_id.clone()),
        ])
    }

    fn told(&self, _agent: &Agent, _entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        said::told(held)
    }

    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        Box::pin(async move {
            let lease = agent.lease(entry, Need::Tool).await?;
            let Body::Session(tokens) = &lease.body else {
                return Err(super::wrong_kind(&entry.name, "headers"));
            };
            let token = match self.present {
                Present::AccessToken => &tokens.access_token,
                Present::IdToken => match &tokens.id_token {
                    Some((token, _)) => token,
                    None => {
                        let say = format!("the provider of `{}` gives no ID token", entry.name);
                        return Err(
                            Refusal::new(Code::ProviderRefused, say).hint("set present = \"access_token\"")
                        );
                    }
                },
            };
            let value = Secret::new(format!("Bearer {}", token.expose()));
            Ok(Headers {
                headers: BTreeMap::from([("Authorization".to_owned(), vec![value])]),
                expires: Some(rfc3339(lease.cache_until(agent.clock.now()))),
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
            // The ID token goes to an endpoint of the configuration: whether it may is asked for a session in memory, too.
            agent.usable_holding(footing, entry).await?;
            let mut lease = agent.lease(entry, need).await?;
            let has_ended = |lease: &Lease| match &lease.body {
                Body::Session(tokens) => {
                    tokens.id_token.as_ref().is_some_and(|(_, until)| *until <= agent.clock.now())
                }
                _ => false,
            };
            if has_ended(&lease) && need != Need::New {
                lease = agent.lease(entry, Need::New).await?;
            }
            let Body::Session(SessionTokens { id_token, session_name, .. }) = &lease.body else {
                return Err(super::wrong_kind(&entry.name, "ID tokens"));
            };
            let Some((token, until)) = id_token.clone() else {
                let say = format!("the provider of `{}` gives no new ID token, which AWS needs", entry.name);
                return Err(Refusal::new(Code::ProviderRefused, say).hint(sign_in(&entry.name)));
            };
            Ok(Proof::Token(IdentityToken { token, session_name: session_name.clone(), until }))
        })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            let epoch = footing.holdings.epoch(&entry.name);
            let holding = agent.usable_holding(footing, entry).await?;
            // The provider has said so: asking again before somebody signs in changes nothing.
            if agent.states.is_signed_out(&entry.name) {
                return Err(ended(&entry.name));
            }
            // The keychain has everything by now: what waited for that is as good as new.
            let withheld = agent.withheld.take(&entry.name);
            // What an earlier session bought may still wait for a moment after somebody has signed in.
            match withheld.filter(|lease| lease.is_of_epoch(epoch)) {
                Some(lease) if lease.freshness(agent.clock.now()) == Freshness::Fresh => Ok(lease),
                _ => self.refresh(agent, entry, footing, holding, epoch).await,
            }
        })
    }
}
