//! What policies say: of the user of an OUTSCALE entry, read over EIM, and of an AWS role, read over IAM with its own keys.
//!
//! Read for a report alone, at most once an hour, and kept in memory only: it is soon asked for again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Teller, ToldFact};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use super::clusters::is_fresh;
use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::lease::{Body, Lease};
use crate::upstream::iam::{EIM, Holder, Iam, IamError, Rights, Statement};
use crate::upstream::signed::SigningKeys;

/// How long whoever could not be asked is left alone.
const REST: Duration = Duration::from_secs(60);

/// What was read, by entry.
#[derive(Debug, Default)]
pub struct Statements(Mutex<HashMap<EntryName, Known>>);

#[derive(Debug, Clone)]
struct Known {
    /// Of which policies: an edit may point an entry at others.
    of: String,
    at: Timestamp,
    by: Teller,
    read: Result<Rights, Refusal>,
}

/// Whom to ask about whom.
struct Question {
    iam: Iam,
    /// The name of a user or a role.
    name: String,
    by: Teller,
    lease: Arc<Lease>,
}

impl Statements {
    fn get(&self, name: &EntryName) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn put(&self, name: &EntryName, known: Known) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), known);
    }

    /// As facts: `groups`, `allows`, `denies`, one value a statement.
    pub(super) fn facts(&self, name: &EntryName) -> Vec<ToldFact> {
        let Some(Known { at, by, read: Ok(rights), .. }) = self.get(name) else { return Vec::new() };
        let of = |allows: bool| {
            let are = move |one: &&Statement| one.allows == allows;
            rights.statements.iter().filter(are).map(|one| escape(&one.words)).collect::<Vec<_>>()
        };
        let groups: Vec<String> = rights.groups.iter().map(|group| escape(group)).collect();
        [("groups", groups), ("allows", of(true)), ("denies", of(false))]
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| ToldFact { name: name.to_owned(), values, by, when: Some(rfc3339(at)) })
            .collect()
    }
}

impl Agent {
    /// Reads what the policies of an entry's user or role say, where that is not known.
    pub(super) async fn ask_statements(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        again: bool,
    ) -> Option<Refusal> {
        let question = match self.question(footing, entry).await {
            Ok(question) => question?,
            Err(refusal) => return Some(refusal),
        };
        let of = format!("{} {} {}", question.iam.base, question.iam.region, question.name);
        let turn = self.asked.turn(&entry.name);
        let _turn = turn.lock().await;
        let now = self.clock.now();
        let known = self.asked.statements.get(&entry.name).filter(|known| known.of == of);
        if let Some(known) = known.filter(|_| !again) {
            match known.read {
                Ok(rights) if rights.missing.is_empty() && is_fresh(known.at, now) => return None,
                // Somebody may be adding what is missing.
                Ok(rights) if is_recent(known.at, now) => return hidden(entry, &rights),
                Err(refusal) if is_recent(known.at, now) => return Some(refusal),
                _ => {}
            }
        }
        let Question { iam, name, by, lease } = &question;
        let Body::Aws(keys) = &lease.body else { return None };
        let keys = SigningKeys {
            access_key_id: &keys.access_key_id,
            secret_access_key: &keys.secret_access_key,
            session_token: keys.session_token.as_ref(),
        };
        let holder = if *by == Teller::Aws { Holder::Role(name) } else { Holder::User(name) };
        let read = iam.rights(&keys, holder).await.map_err(|error| refuse(&entry.name, *by, &error));
        let refusal = match &read {
            Ok(rights) => hidden(entry, rights),
            Err(refusal) => Some(refusal.clone()),
        };
        self.asked.statements.put(&entry.name, Known { of, at: self.clock.now(), by: *by, read });
        self.watchers.changed([&entry.name]);
        refusal
    }

    async fn question(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
    ) -> Result<Option<Question>, Refusal> {
        let http = || self.http(footing);
        // Only keys that are at hand: no report has any made.
        let now = self.clock.now();
        let lease = || self.leases.get(&entry.name).filter(|lease| lease.until > now);
        if let Some(source) = entry.source.as_outscale() {
            // What is held may not go to a place that nobody has confirmed.
            self.usable_holding(footing, entry).await?;
            let lease = match lease() {
                Some(lease) => lease,
                None => match self.kept_key(footing, entry).await {
                    Some(lease) => lease,
                    None => return Ok(None),
                },
            };
            let iam = Iam {
                http: http()?,
                clock: self.clock.clone(),
                base: source.eim_base(),
                region: source.region.clone(),
                service: "eim",
            };
            let name = source.user.clone();
            return Ok(Some(Question { iam, name, by: Teller::Eim, lease }));
        }
        let Some(lease) = lease() else { return Ok(None) };
        let facts = entry.source.facts();
        let chosen = lease.about.chosen.as_ref().map(|chosen| &chosen.role_arn);
        let role = facts.get("role_arn").or(chosen).and_then(|arn| Some((arn, arn.rsplit('/').next()?)));
        let Some((arn, name)) = role.map(|(arn, name)| (arn.clone(), name.to_owned())) else {
            return Ok(None);
        };
        let Some((own, region)) = home_of(&arn) else { return Ok(None) };
        let Some(base) = entry.source.iam_endpoint(own) else { return Ok(None) };
        let root = footing.config.entry(&Self::root_of(&footing.config, entry)?);
        // The keys go where the identity behind them may go, and nowhere else.
        if let Some(root) = root.filter(|root| root.source.holds()) {
            self.usable_holding(footing, &root).await?;
        }
        let (base, region, clock) = (base.to_owned(), region.to_owned(), self.clock.clone());
        let iam = Iam { http: http()?, clock, base, region, service: "iam" };
        Ok(Some(Question { iam, name, by: Teller::Aws, lease }))
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < after(at, REST)
}

/// IAM is one for a partition, with one region for its signatures
/// (<https://docs.aws.amazon.com/general/latest/gr/iam-service.html>).
fn home_of(role_arn: &str) -> Option<(&'static str, &'static str)> {
    match role_arn.split(':').nth(1)? {
        "aws" => Some(("https://iam.amazonaws.com", "us-east-1")),
        "aws-cn" => Some(("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")),
        "aws-us-gov" => Some(("https://iam.us-gov.amazonaws.com", "us-gov-west-1")),
        _ => None,
    }
}

/// What the user of an OUTSCALE entry may not read of its own rights, so that what is shown is not all.
fn hidden(entry: &Entry, rights: &Rights) -> Option<Refusal> {
    let source = entry.source.as_outscale().filter(|_| !rights.missing.is_empty())?;
    let missing: Vec<String> = rights.missing.iter().map(|action| format!("{EIM}:{action}")).collect();
    let say = format!(
        "OUTSCALE does not let the user `{}` read all of its own rights: its policy lacks {}",
        source.user,
        missing.join(", ")
    );
    // `bootstrap` gives the rights to read whatever the actions are.
    let hint = format!("keyfob outscale bootstrap {} --actions ACTIONS", entry.name.name);
    Some(Refusal::new(Code::ServiceRefused, say).hint(hint))
}

fn refuse(name: &EntryName, by: Teller, error: &IamError) -> Refusal {
    let again = format!("keyfob permissions {name} --again");
    match (error, by) {
        (IamError::Network(error), _) => error.refusal(),
        (IamError::Denied, Teller::Aws) => {
            Refusal::new(Code::ServiceRefused, "AWS does not let this role read its own policies")
        }
        (error, by) => {
            let say = format!("{} does not say what `{name}` may do: {error}", by.words());
            Refusal::new(Code::ServiceRefused, say).hint(again)
        }
    }
}
