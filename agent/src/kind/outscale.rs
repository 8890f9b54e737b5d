//! `[outscale.…]`: access keys of a user at OUTSCALE, made anew again and again ([`crate::outscale`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Refusal;
use keyfob_ipc::reply::{AwsCredentials, Teller, ToldFact};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::{Kind, Source};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName, Problem, Reading};
use crate::footing::Footing;
use crate::holding::{Destination, Facts};
use crate::keychain::Pending;
use crate::lease::{Body, Lease};
use crate::outscale::life;
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::outscale::Api;

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "outscale", read };

/// AWS SDKs want more than a quarter of an hour to be left, always.
const SHORTEST: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
const USUAL: Duration = Duration::from_secs(12 * 3600);

#[derive(Deserialize)]
struct Table {
    region: Spanned<String>,
    user: Spanned<String>,
    lifetime: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
}

/// A user whose keys the agent makes, as configured.
#[derive(Debug, Clone)]
pub struct Outscale {
    /// `eu-west-2`.
    pub region: String,
    /// The EIM user.
    pub user: String,
    /// Life of a key that the agent makes.
    pub lifetime: Duration,
    /// Another address than the region's own, for the API and EIM both.
    pub endpoint: Option<Url>,
}

fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let region = reading.check(read_region(place, &table.region));
    let user = reading.check(read_user(place, &table.user));
    let lifetime = table.lifetime.map_or(Some(USUAL), |text| {
        let lifetime = reading.duration(&text)?;
        reading.check(if (SHORTEST..=LONGEST).contains(&lifetime) {
            Ok(lifetime)
        } else {
            Err(Problem::at(&text, format!("{place}: a key lives from 30m to 365d")))
        })
    });
    let endpoint = table.endpoint_url.and_then(|text| reading.address(&text));
    Some(Box::new(Outscale { region: region?, user: user?, lifetime: lifetime?, endpoint }))
}

/// The region becomes part of a host name.
fn read_region(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    let region = text.get_ref();
    let is_region = region.split('-').count() >= 3
        && region.split('-').all(|part| !part.is_empty())
        && region.len() <= 32
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_region {
        Ok(region.clone())
    } else {
        Err(Problem::at(text, format!("{place}: this is not a region of OUTSCALE, such as eu-west-2")))
    }
}

/// The names that EIM allows: letters, digits and `+=,.@-_`, up to 64 of them.
fn read_user(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    let user = text.get_ref();
    if is_name(user) {
        Ok(user.clone())
    } else {
        Err(Problem::at(text, format!("{place}: a user's name has 1 to 64 letters, digits and +=,.@-_")))
    }
}

/// Whether EIM takes it for the name of a user, a group or a policy.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "+=,.@-_".contains(letter))
}

impl Outscale {
    /// Base of the OUTSCALE API: no slash at the end.
    pub fn api_base(&self) -> String {
        self.base("api")
    }

    /// Base of EIM: no slash at the end.
    pub fn eim_base(&self) -> String {
        self.base("eim")
    }

    fn base(&self, service: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{}.outscale.com", self.region),
        }
    }

    /// The OUTSCALE API, for this user.
    ///
    /// # Errors
    /// As for [`Agent::http`].
    pub fn api(&self, agent: &Agent, footing: &Footing) -> Result<Api, Refusal> {
        Ok(Api {
            http: agent.http(footing)?,
            clock: agent.clock.clone(),
            region: self.region.clone(),
            base: self.api_base(),
            user: self.user.clone(),
        })
    }
}

impl Source for Outscale {
    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn takes_value(&self) -> bool {
        true
    }

    fn ends_with_lease(&self) -> bool {
        true
    }

    fn as_outscale(&self) -> Option<&Outscale> {
        Some(self)
    }

    fn destination(&self, _name: &EntryName, config: &Config) -> Destination {
        let (api, eim) = (self.api_base(), self.eim_base());
        let eim = Some(format!("eim {eim}")).filter(|_| eim != api);
        // Another user is another reach: an edit of it waits for the person's word.
        let user = format!("user {}", self.user);
        // Tools are told the region with the keys, whatever the endpoints are.
        let region = format!("region {}", self.region);
        let places = std::iter::once(format!("api {api}")).chain(eim).chain([region, user]);
        Destination { hosts: Vec::new(), places: places.chain(super::readers(&config.network)).collect() }
    }

    /// The key that makes keys has an end of its own, and often none.
    fn end(&self, facts: &Facts) -> (Option<Timestamp>, bool) {
        (facts.ends, facts.ends_assumed)
    }

    fn sign_in(&self, name: &EntryName) -> Option<String> {
        Some(format!("keyfob token add {name}"))
    }

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("region".to_owned(), self.region.clone()),
            ("user".to_owned(), self.user.clone()),
            ("lifetime".to_owned(), self.lifetime.as_secs().to_string()),
        ])
    }

    fn told(&self, agent: &Agent, entry: &Entry, _held: &Facts) -> Vec<ToldFact> {
        let user = super::told("user", std::slice::from_ref(&self.user), Teller::Configuration, None);
        user.into_iter().chain(agent.asked.statements(&entry.name)).collect()
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(async move {
            let lease = agent.lease(entry, Need::Tool).await?;
            let Body::Aws(keys) = &lease.body else {
                return Err(super::wrong_kind(&entry.name, "access keys"));
            };
            Ok(AwsCredentials {
                version: 1,
                access_key_id: keys.access_key_id.clone(),
                secret_access_key: keys.secret_access_key.clone(),
                session_token: None,
                expiration: Some(rfc3339(lease.until)),
                account_id: None,
            })
        })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(life::renew(agent, entry, self, footing))
    }
}
