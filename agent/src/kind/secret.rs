//! `[secret.…]`: values for programs, in the keychain or behind a role in AWS Secrets Manager.
//!
//! One in the keychain is a holding whose value is a JSON object ([`kept`]). One in AWS is a lease that is obtained through an
//! `[aws.…]` entry ([`read`]): policy, lock, and the word on a new endpoint follow from that.

mod kept;
mod members;
mod read;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob_ipc::reply::{Teller, ToldFact};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

pub use kept::{LONGEST, Values, fits, of as kept_in, written};

use super::{Kind, Source, told, wrong_kind};
use crate::agent::Agent;
use crate::config::{Entry, EntryName, nearest};
use crate::footing::Footing;
use crate::holding::{Facts, Holding};
use crate::keychain::Pending;
use crate::lease::{Body, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::secrets_manager;

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "secret", read: table::read };

/// The kind of what reads one in AWS.
const AWS: &str = "aws";

/// What `from` says of one in AWS Secrets Manager.
const SECRETS_MANAGER: &str = "aws-secrets-manager";

/// A secret, as configured.
#[derive(Debug, Clone)]
pub struct SecretEntry {
    /// The names of its values. Empty: whatever there is in AWS.
    keys: Vec<String>,
    /// `None`: in the keychain.
    aws: Option<InAws>,
}

/// Where a secret is in AWS.
#[derive(Debug, Clone)]
struct InAws {
    /// Its name or ARN.
    id: String,
    /// The entry whose keys read it.
    reader: EntryName,
    /// `None` until that of the reader is known.
    region: Option<String>,
    /// Another address than the region's own.
    endpoint: Option<String>,
    use_fips: bool,
}

impl SecretEntry {
    /// Whether a person keeps its values in the keychain.
    pub fn is_kept(&self) -> bool {
        self.aws.is_none()
    }

    /// The names of the values that a person keeps.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// For one in AWS: the name or the ARN there.
    pub fn id(&self) -> Option<&str> {
        Some(&self.aws.as_ref()?.id)
    }

    /// The same, read by another entry.
    pub fn read_by(&self, reader: EntryName) -> Option<Box<dyn Source>> {
        let aws = Some(InAws { reader, ..self.aws.clone()? });
        Some(Box::new(Self { aws, keys: self.keys.clone() }))
    }

    /// Its values.
    ///
    /// # Errors
    /// Why there are none: not all of them have been given, or AWS gives none.
    pub async fn values(
        &self,
        agent: &Arc<Agent>,
        entry: &Arc<Entry>,
        _permit: &Permit,
    ) -> Result<Values, Refusal> {
        if self.aws.is_some() {
            let lease = agent.lease(entry, Need::Tool).await?;
            let Body::Secret(values) = &lease.body else { return Err(wrong_kind(&entry.name, "values")) };
            return Ok(values.clone());
        }
        let holding = agent.usable_holding(&agent.footing()?, entry).await?;
        let mut values = kept::of(&holding, &entry.name)?;
        values.retain(|name, _| self.keys.contains(name));
        match self.missing(&entry.name, &values) {
            None => Ok(values),
            Some(refusal) => Err(refusal),
        }
    }

    /// The names that have no value.
    fn without<'a>(&'a self, values: &'a Values) -> impl Iterator<Item = &'a String> {
        self.keys.iter().filter(|name| !values.contains_key(*name))
    }

    fn missing(&self, name: &EntryName, values: &Values) -> Option<Refusal> {
        let missing: Vec<&String> = self.without(values).collect();
        let first = missing.first()?;
        let say =
            format!("`{name}` has no value yet for {}", listed(missing.iter().map(|name| name.as_str())));
        Some(Refusal::new(Code::TokenNeeded, say).hint(format!("keyfob secret set {} {first}", name.name)))
    }

    /// Whether a value of that name belongs here.
    ///
    /// # Errors
    /// [`Code::BadRequest`] with the name that was meant.
    pub fn check_key(&self, name: &EntryName, key: &str) -> Result<(), Refusal> {
        if self.keys.iter().any(|known| known == key) {
            return Ok(());
        }
        let known: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let meant = match nearest(key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", listed(known.into_iter())),
        };
        let say = format!("`{name}` has no value `{}`; {meant}", escape(key));
        Err(Refusal::new(Code::BadRequest, say)
            .hint(format!("add the name to `keys` under [{name}], or run: keyfob secret set {}", name.name)))
    }
}

/// `A, B and C`.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", escape(name))).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

impl Source for SecretEntry {
    fn through(&self) -> Option<&EntryName> {
        self.aws.as_ref().map(|aws| &aws.reader)
    }

    fn sends_identity_to(&self) -> Vec<&str> {
        self.aws.iter().filter_map(|aws| aws.endpoint.as_deref()).collect()
    }

    fn as_secret(&self) -> Option<&SecretEntry> {
        Some(self)
    }

    /// A secret has none, whatever it is read with.
    fn end(&self, _facts: &Facts) -> (Option<jiff::Timestamp>, bool) {
        (None, false)
    }

    fn ends_with_lease(&self) -> bool {
        false
    }

    fn sign_in(&self, name: &EntryName) -> Option<String> {
        self.is_kept().then(|| format!("keyfob secret set {}", name.name))
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        if !self.keys.is_empty() {
            facts.insert("keys".to_owned(), self.keys.join(", "));
        }
        if let Some(aws) = &self.aws {
            facts.insert("from".to_owned(), SECRETS_MANAGER.to_owned());
            facts.insert("id".to_owned(), aws.id.clone());
            facts.insert("aws".to_owned(), aws.reader.name.clone());
            facts.extend(aws.region.clone().map(|region| ("region".to_owned(), region)));
        }
        facts
    }

    fn incomplete(&self, name: &EntryName, holding: &Holding) -> Option<Refusal> {
        if !self.is_kept() {
            return None;
        }
        match kept::of(holding, name) {
            Ok(values) => self.missing(name, &values),
            Err(refusal) => Some(refusal),
        }
    }

    fn told(&self, agent: &Agent, entry: &Entry, _held: &Facts) -> Vec<ToldFact> {
        let configured = |name: &str, text: Option<String>| told(name, &[text?], Teller::Configuration, None);
        let aws = self.aws.as_ref();
        let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > agent.clock.now());
        let keys = match lease.as_deref() {
            _ if !self.keys.is_empty() => told("keys", &self.keys, Teller::Configuration, None),
            Some(Lease { body: Body::Secret(values), since, .. }) => {
                told("keys", &values.keys().cloned().collect::<Vec<_>>(), Teller::Aws, Some(*since))
            }
            _ => None,
        };
        let facts = [
            keys,
            configured("from", aws.map(|_| SECRETS_MANAGER.to_owned())),
            configured("id", aws.map(|aws| aws.id.clone())),
            configured("aws", aws.map(|aws| aws.reader.name.clone())),
            configured("region", aws.and_then(|aws| aws.region.clone())),
        ];
        facts.into_iter().flatten().collect()
    }

    fn complete(&self, behind: &[&Entry]) -> Result<Option<Box<dyn Source>>, String> {
        let (Some(aws), Some(reader)) = (&self.aws, behind.first()) else { return Ok(None) };
        let mut facts = reader.source.facts();
        let inherited = || facts.remove("region");
        let of_arn = || secrets_manager::region_of(&aws.id).map(str::to_owned);
        let region = aws.region.clone().or_else(of_arn).or_else(inherited);
        let region = region.ok_or_else(|| format!("`region` is missing, and `{}` has none", reader.name))?;
        // What a program gives has no holding that remembers where it may go, so it goes to AWS itself. Plain `http` is read for
        // loopback alone, and only in a profile of its own.
        let root = behind.last().filter(|root| root.name.kind == AWS && !root.source.holds());
        if let Some(root) = root
            && aws.endpoint.as_deref().is_some_and(|address| !address.starts_with("http://"))
        {
            return Err(format!(
                "`endpoint_url` does not go with the keys of `{}`: nothing remembers where those may go, so they go to AWS alone",
                root.name
            ));
        }
        let use_fips = facts.contains_key("use_fips") && aws.endpoint.is_none();
        let aws = Some(InAws { region: Some(region), use_fips, ..aws.clone() });
        Ok(Some(Box::new(Self { aws, keys: self.keys.clone() })))
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            let Some(aws) = &self.aws else { return Err(wrong_kind(&entry.name, "leases")) };
            let values = read::values(agent, entry, aws, &self.keys, footing).await?;
            Ok(Lease::secret(values, agent.clock.now()))
        })
    }
}
