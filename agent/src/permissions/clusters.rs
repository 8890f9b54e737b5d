//! Clusters and what they say: who is asked, how old an answer may be, how it is shown.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{ClusterRights, Right, Rights, Teller, ToldFact, ToldRights};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use url::Url;

use super::compare::named;
use super::statements::Statements;
use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::{ClusterAnswer, Facts};
use crate::kind::Token;
use crate::service::Introspection;
use crate::upstream::capabilities::{self, ClusterError, Said};

/// An answer is good for this long. Clusters themselves remember a token for as long.
pub(super) const KEPT: Duration = Duration::from_secs(3600);

/// Whoever did not answer is left alone for this long.
const REST: Duration = Duration::from_secs(60);

/// Whether something said at `at` still counts. A clock that was set back says nothing about it.
pub(super) fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < after(at, KEPT)
}

/// Who was asked what tokens may do, and gave no answer.
#[derive(Default)]
pub struct Asked {
    turns: Mutex<HashMap<EntryName, Arc<tokio::sync::Mutex<()>>>>,
    /// By entry and address.
    failed: Mutex<HashMap<(EntryName, String), Failure>>,
    /// What policies say.
    pub(super) statements: Statements,
    /// What fingerprints are made with: of no use to anybody else.
    fingerprints: RandomState,
}

struct Failure {
    at: Timestamp,
    /// Of the value it was asked with, which is not kept here: another one may fare better.
    fingerprint: u64,
    refusal: Refusal,
    /// Whether it was the answer: this token is not accepted.
    is_dead: bool,
}

impl Asked {
    /// Held while an entry's clusters and its service are asked for a report: who comes second finds the answers.
    pub(super) fn turn(&self, name: &EntryName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = locked(&self.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(name.clone()).or_default().clone()
    }

    /// What the policies of an entry's user or role say, as facts.
    pub fn statements(&self, name: &EntryName) -> Vec<ToldFact> {
        self.statements.facts(name)
    }

    /// Why an address gave no answer a moment ago, where it is not to be asked again yet.
    pub(super) fn recent(
        &self,
        name: &EntryName,
        address: &str,
        value: &Secret<String>,
        now: Timestamp,
    ) -> Option<Refusal> {
        let failed = locked(&self.failed);
        let failure = failed.get(&(name.clone(), address.to_owned()))?;
        let counts = failure.fingerprint == self.fingerprint(value) && failure.rests(now);
        counts.then(|| failure.refusal.clone())
    }

    /// Whether a cluster has just said that it does not accept this value.
    pub(super) fn is_dead(&self, name: &EntryName, address: &str, value: &Secret<String>) -> bool {
        let failed = locked(&self.failed);
        let failure = failed.get(&(name.clone(), address.to_owned()));
        failure.is_some_and(|failure| failure.is_dead && failure.fingerprint == self.fingerprint(value))
    }

    /// Notes how it went.
    pub(super) fn note(
        &self,
        name: &EntryName,
        address: &str,
        value: &Secret<String>,
        now: Timestamp,
        refusal: Option<(&Refusal, bool)>,
    ) {
        let mut failed = locked(&self.failed);
        failed.retain(|_, failure| failure.rests(now));
        let key = (name.clone(), address.to_owned());
        match refusal {
            Some((refusal, is_dead)) => {
                let (fingerprint, refusal) = (self.fingerprint(value), refusal.clone());
                failed.insert(key, Failure { at: now, fingerprint, refusal, is_dead });
            }
            None => drop(failed.remove(&key)),
        }
    }

    #[cfg(test)]
    pub(super) fn failures(&self) -> usize {
        locked(&self.failed).len()
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        locked(&self.turns).len()
    }

    fn fingerprint(&self, value: &Secret<String>) -> u64 {
        self.fingerprints.hash_one(value.expose())
    }
}

impl Failure {
    fn rests(&self, now: Timestamp) -> bool {
        self.at <= now && now < after(self.at, REST)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// Asks every configured cluster of a token entry what this value may do there; clusters that do not answer are left out.
    /// Never from within a tool's call: a cluster may take its time.
    pub async fn ask_clusters(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        value: &Secret<String>,
    ) -> BTreeMap<String, ClusterAnswer> {
        let Some(token) = entry.source.as_token() else { return BTreeMap::new() };
        // Callers have looked where the value may go. An edit that nobody has confirmed is reason enough to look again.
        if let Ok(Some(held)) = footing.holdings.get(&entry.name).await {
            let now = entry.source.destination(&entry.name, &footing.config);
            if !held.destination.widened_by(&now).is_empty() {
                return BTreeMap::new();
            }
        }
        let asked = self.ask_each(footing, &entry.name, token, value, &|_, _| true).await;
        asked.into_iter().filter_map(|(name, answer)| Some((name, answer.ok()?))).collect()
    }

    /// Asks the clusters that `wanted` names, all at once.
    pub(super) async fn ask_each(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &EntryName,
        token: &Token,
        value: &Secret<String>,
        wanted: &(dyn Fn(&str, &Url) -> bool + Sync),
    ) -> BTreeMap<String, Result<ClusterAnswer, Refusal>> {
        let wanted: Vec<_> = token.clusters.iter().filter(|(name, address)| wanted(name, address)).collect();
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let http = match self.http(footing) {
            Ok(http) => http,
            Err(refusal) => {
                return wanted.into_iter().map(|(name, _)| (name.clone(), Err(refusal.clone()))).collect();
            }
        };
        let tasks: Vec<_> = wanted
            .into_iter()
            .map(|(name, address)| {
                let (http, address) = (http.clone(), address.clone());
                let (header, sent) = (token.header.name().to_owned(), token.header.value(value));
                let task = {
                    let address = address.clone();
                    tokio::spawn(async move { capabilities::ask(&http, &address, (&header, &sent)).await })
                };
                (name, address, task)
            })
            .collect();
        let mut answers = BTreeMap::new();
        for (name, address, task) in tasks {
            let now = self.clock.now();
            let answer = match task.await {
                Ok(Ok(said)) => Ok(answer(said, now, &address)),
                Ok(Err(error)) => Err((error.refusal(entry, name), matches!(error, ClusterError::Dead))),
                Err(_) => Err((Refusal::new(Code::Internal, "the agent failed at asking a cluster"), false)),
            };
            let failure = answer.as_ref().err().map(|(refusal, is_dead)| (refusal, *is_dead));
            self.asked.note(entry, address.as_str(), value, now, failure);
            answers.insert(name.clone(), answer.map_err(|(refusal, _)| refusal));
        }
        answers
    }
}

fn answer(said: Said, at: Timestamp, address: &Url) -> ClusterAnswer {
    let (rights, tells) = match said {
        Said::OfToken(rights) => (rights, true),
        Said::ToEverybody(rights) => (rights, false),
        Said::Nothing => (Rights::default(), false),
    };
    ClusterAnswer { rights, tells, at, address: address.to_string() }
}

/// What a cluster has said at this very address.
pub(super) fn answer_of<'a>(facts: &'a Facts, name: &str, address: &Url) -> Option<&'a ClusterAnswer> {
    facts.token.clusters.get(name).filter(|answer| answer.address == address.as_str())
}

/// What is known of clusters: a row by each cluster, and one by the token's service.
pub(super) fn rows(token: &Token, facts: &Facts) -> Vec<ToldRights> {
    let service = facts.token.told.as_ref().map(|(told, when)| ByService::of(token, told, *when));
    let mut rows = Vec::new();
    for (name, address) in &token.clusters {
        let by_service = service.as_ref().and_then(|service| service.clusters.get(name).copied());
        let answer = answer_of(facts, name, address);
        let (rights, note) = shown(answer, by_service);
        rows.push(ToldRights {
            at: ClusterRights { cluster: escape(name), rights },
            by: Teller::Cluster,
            when: answer.map(|answer| rfc3339(answer.at)),
            note,
        });
        if let Some((service, rights)) = service.as_ref().zip(by_service) {
            rows.push(service.row(name, rights, contradiction("the cluster", answer, by_service)));
        }
    }
    if let Some(service) = &service {
        let others = service.clusters.iter().filter(|(name, _)| !token.clusters.contains_key(*name));
        rows.extend(others.map(|(name, rights)| service.row(name, *rights, None)));
    }
    rows
}

/// What a token's service says about clusters, by their configured names where they have some.
struct ByService {
    clusters: BTreeMap<String, Rights>,
    by: Teller,
    when: Timestamp,
}

impl ByService {
    fn of(token: &Token, told: &Introspection, when: Timestamp) -> Self {
        let listed = told.clusters.iter().flatten();
        let clusters = listed.map(|(name, rights)| (configured(token, name).to_owned(), *rights)).collect();
        Self { clusters, by: told.by.unwrap_or(Teller::TokenService), when }
    }

    fn row(&self, cluster: &str, rights: Rights, note: Option<String>) -> ToldRights {
        ToldRights {
            at: ClusterRights { cluster: escape(cluster), rights },
            by: self.by,
            when: Some(rfc3339(self.when)),
            note,
        }
    }
}

/// Services call clusters by the same name as the configuration, or by their host, with or without a port.
fn configured<'a>(token: &'a Token, theirs: &'a str) -> &'a str {
    if token.clusters.contains_key(theirs) {
        return theirs;
    }
    let is_it = |address: &Url| {
        let Some(host) = address.host_str() else { return false };
        let port = address.port().unwrap_or(443);
        theirs.eq_ignore_ascii_case(host) || theirs.eq_ignore_ascii_case(&format!("{host}:{port}"))
    };
    let mut fitting = token.clusters.iter().filter(|(_, address)| is_it(address));
    match (fitting.next(), fitting.next()) {
        (Some((name, _)), None) => name,
        // None, or several instances behind one host.
        _ => theirs,
    }
}

/// What a cluster's answer means beside what the service says, and what to add to it.
fn shown(answer: Option<&ClusterAnswer>, by_service: Option<Rights>) -> (Rights, Option<String>) {
    let note = |text: &str| Some(text.to_owned());
    let Some(answer) = answer else {
        return (Rights::default(), note("has not told what this token may do"));
    };
    let mut rights = answer.rights;
    let is_idle = rights.execute == Right::WithoutEffect;
    // Without anything to execute with, a permission to do so is worth nothing; without the permission, nothing is lost.
    if is_idle && by_service.is_none_or(|service| service.execute != Right::Yes) {
        rights.execute = Right::No;
    }
    if !answer.tells {
        if answer.rights == Rights::default() {
            return (rights, note("has no capabilities service, so it does not tell what this token may do"));
        }
        let execute = if is_idle { rights.execute } else { Right::Unknown };
        let unknown = Rights { execute, ..Rights::default() };
        let text = "answers the same without a token, so it does not tell what this one may do";
        return (unknown, note(text));
    }
    let idle = (rights.execute == Right::WithoutEffect).then(|| "has no remote execution".to_owned());
    (rights, contradiction("the token service", Some(answer), by_service).or(idle))
}

/// Where a cluster and the service do not agree, what to say about `other`.
fn contradiction(other: &str, answer: Option<&ClusterAnswer>, by_service: Option<Rights>) -> Option<String> {
    let (cluster, service) = (answer.filter(|answer| answer.tells)?.rights, by_service?);
    let differ = |(one, other): (Right, Right)| {
        matches!((one, other), (Right::Yes, Right::No) | (Right::No, Right::Yes))
    };
    let about: Vec<&str> = named(&cluster)
        .into_iter()
        .zip(named(&service))
        .filter(|((_, cluster), (_, service))| differ((*cluster, *service)))
        .map(|((name, _), _)| name)
        .collect();
    (!about.is_empty()).then(|| {
        format!(
            "{other} says otherwise about {} (a cluster may be up to an hour behind)",
            about.join(" and ")
        )
    })
}
