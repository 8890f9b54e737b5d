//! What each entry may do, and who says so.
//!
//! Everything shown has a source and an age, and what nobody said is unknown. Clusters and token services are asked for a
//! report alone, at most once an hour each, all at once, and in tasks of their own: nothing a tool asks waits for them.

mod clusters;
mod compare;
mod statements;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::EntryPermissions;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::config::{Ask, Entry};
use crate::footing::Footing;
use crate::holding::{ClusterAnswer, Destination, Facts, Holding};
use crate::kind::Token;
use crate::service::{Introspection, ServiceError};
use clusters::{answer_of, is_fresh, rows};

pub use clusters::Asked;
pub use compare::{Difference, compare};

/// How long a report waits for whoever it asks: longer than any of them may take, and well within a client's patience.
const PATIENCE: Duration = Duration::from_secs(12);

impl Agent {
    /// What entries may do, one of them or all. What is older than an hour is asked for anew, and everything with `again`.
    ///
    /// # Errors
    /// Where there is no such entry. Whoever cannot be asked is named in the report.
    pub async fn permissions(
        self: &Arc<Self>,
        name: Option<&str>,
        again: bool,
    ) -> Result<Vec<EntryPermissions>, Refusal> {
        let footing = self.footing()?;
        let entries = match name {
            Some(name) => vec![footing.config.find(name, Ask::Anything)?.clone()],
            None => footing.config.entries.clone(),
        };
        let tasks: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let (agent, footing) = (self.clone(), footing.clone());
                tokio::spawn(async move { agent.entry_permissions(&footing, &entry, again).await })
            })
            .collect();
        let mut all = Vec::with_capacity(tasks.len());
        for task in tasks {
            all.extend(task.await);
        }
        Ok(all)
    }

    /// What one entry may do, from what is held and remembered: nobody is asked.
    pub async fn known_permissions(self: &Arc<Self>, entry: &Arc<Entry>) -> EntryPermissions {
        match self.footing() {
            Ok(footing) => self.known(&footing, entry, News::default()).await,
            Err(refusal) => report(entry, vec![refusal]),
        }
    }

    async fn entry_permissions(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        again: bool,
    ) -> EntryPermissions {
        // A task of its own: what is learned is kept, even where nobody waits for it any more.
        let asking = {
            let (agent, footing, entry) = (self.clone(), footing.clone(), entry.clone());
            tokio::spawn(async move { agent.ask_about(&footing, &entry, again).await })
        };
        let news = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(news)) => news,
            Ok(Err(_)) => News::refused(Refusal::new(Code::Internal, "the agent failed at asking")),
            Err(_) => News::refused(
                Refusal::new(Code::Pending, format!("asking about `{}` takes longer than usual", entry.name))
                    .hint("ask again in a moment"),
            ),
        };
        self.known(footing, entry, news).await
    }

    /// Puts together what is held, what has just been learned, and what stands in the way.
    async fn known(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>, news: News) -> EntryPermissions {
        let holder = Self::root_of(&footing.config, entry)
            .ok()
            .and_then(|root| footing.config.entry(&root))
            .unwrap_or_else(|| entry.clone());
        let mut report = report(entry, Vec::new());
        let held = match news.unusable.clone() {
            // A keychain that does not answer is not asked a second time.
            Some(refusal) => Err(refusal),
            // The identity of a job and another program leave nothing there.
            None if !holder.source.holds() => holder.source.ready(self, &holder.name).map(|()| None),
            None => self.usable_holding(footing, &holder).await.map(Some),
        };
        let held = held.unwrap_or_else(|refusal| {
            report.refusals.push(refusal);
            footing.holdings.at_hand(&holder.name)
        });
        let is_absent =
            held.is_none() && report.refusals.iter().any(|refusal| refusal.code == Code::TokenNeeded);
        let mut facts = held.as_ref().map(|held| held.facts.clone()).unwrap_or_default();
        let now = holder.source.destination(&holder.name, &footing.config);
        // The service that is configured now may be another one than that which spoke, and not be confirmed yet.
        if held.as_ref().is_some_and(|held| !apis(&now).is_empty() && apis(&held.destination) != apis(&now)) {
            facts.token.told = None;
        }
        // The keychain may not have taken what was learned; and a value that came meanwhile is another one.
        if held.is_some_and(|held| news.value.as_ref() == Some(&held.value)) {
            news.apply(&mut facts);
        }
        // Whoever was to be asked may have been refused for the same reason.
        let known = report.refusals.clone();
        report.refusals.extend(news.refusals.into_iter().filter(|refusal| !known.contains(refusal)));
        report.facts = entry.source.told(self, entry, &facts);
        // Of nothing there is nothing to be known.
        if let Some(token) = entry.source.as_token().filter(|_| !is_absent) {
            report.clusters = rows(token, &facts);
        }
        report
    }

    /// Asks whoever has not said anything for an hour, and keeps what they say.
    async fn ask_about(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>, again: bool) -> News {
        let Some(token) = entry.source.as_token() else {
            let refusals = self.ask_statements(footing, entry, again).await.into_iter().collect();
            return News { refusals, ..News::default() };
        };
        let turn = self.asked.turn(&entry.name);
        let _turn = turn.lock().await;
        let holding = match self.usable_holding(footing, entry).await {
            Ok(holding) => holding,
            Err(refusal) => return News { unusable: Some(refusal), ..News::default() },
        };
        let (service, clusters) = tokio::join!(
            self.ask_service(footing, entry, token, &holding, again),
            self.ask_stale_clusters(footing, entry, token, &holding, again),
        );
        let mut news = News { value: Some(holding.value.clone()), ..News::default() };
        match service {
            Some(Ok(told)) => news.told = Some(told),
            Some(Err(refusal)) => news.refusals.push(refusal),
            None => {}
        }
        for (name, answer) in clusters {
            match answer {
                Ok(answer) => drop(news.clusters.insert(name, answer)),
                Err(refusal) => {
                    let address = token.clusters.get(&name).map(url::Url::as_str).unwrap_or_default();
                    if self.asked.is_dead(&entry.name, address, &holding.value) {
                        news.dead.push(name);
                    }
                    news.refusals.push(refusal);
                }
            }
        }
        self.keep_news(footing, entry, &holding, &news).await;
        news
    }

    async fn ask_service(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        token: &Token,
        holding: &Holding,
        again: bool,
    ) -> Option<Result<(Introspection, Timestamp), Refusal>> {
        let place = token.api.as_ref()?.as_str();
        let now = self.clock.now();
        if !again {
            if holding.facts.token.told.as_ref().is_some_and(|(_, at)| is_fresh(*at, now)) {
                return None;
            }
            if let Some(refusal) = self.asked.recent(&entry.name, place, &holding.value, now) {
                return Some(Err(refusal));
            }
        }
        let told = self.introspect(footing, token, &holding.value).await?;
        let told = told.map_err(|error| {
            let refusal = error.refusal(&entry.name);
            // That is the state of the token until there is another one. Tools get it still: clusters may remember it.
            if matches!(error, ServiceError::Dead) {
                self.states.failed(&entry.name, &refusal);
            }
            refusal
        });
        let now = self.clock.now();
        let failure = told.as_ref().err().map(|refusal| (refusal, false));
        self.asked.note(&entry.name, place, &holding.value, now, failure);
        Some(told.map(|told| (told, now)))
    }

    async fn ask_stale_clusters(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        token: &Token,
        holding: &Holding,
        again: bool,
    ) -> BTreeMap<String, Result<ClusterAnswer, Refusal>> {
        let now = self.clock.now();
        let is_stale = |name: &str, address: &url::Url| {
            again || !answer_of(&holding.facts, name, address).is_some_and(|answer| is_fresh(answer.at, now))
        };
        let recent = |address: &url::Url| {
            let recent = || self.asked.recent(&entry.name, address.as_str(), &holding.value, now);
            if again { None } else { recent() }
        };
        let wanted = |name: &str, address: &url::Url| is_stale(name, address) && recent(address).is_none();
        let mut answers = self.ask_each(footing, &entry.name, token, &holding.value, &wanted).await;
        for (name, address) in token.clusters.iter().filter(|(name, address)| is_stale(name, address)) {
            if let Some(refusal) = recent(address) {
                answers.entry(name.clone()).or_insert(Err(refusal));
            }
        }
        answers
    }

    async fn keep_news(&self, footing: &Footing, entry: &Entry, holding: &Holding, news: &News) {
        if !news.changes(&holding.facts) {
            return;
        }
        let (kept, names) = (news.clone(), entry.source.as_token().map(|token| token.clusters.clone()));
        let asked = holding.destination.clone();
        let note = move |holding: &mut Holding| {
            // Another service may have been confirmed while this one was asked.
            if apis(&holding.destination) == apis(&asked) {
                kept.apply(&mut holding.facts);
            }
            let names = names.unwrap_or_default();
            holding.facts.token.clusters.retain(|name, _| names.contains_key(name));
        };
        // Where the keychain does not take it, it is asked for again next time: no reason to trouble anybody.
        let _ = footing.holdings.note(&entry.name, &holding.value, note).await;
        self.watchers.changed([&entry.name]);
    }
}

/// What was learned for a report.
#[derive(Debug, Clone, Default)]
struct News {
    /// Of which value.
    value: Option<Secret<String>>,
    /// Why nobody was asked about it.
    unusable: Option<Refusal>,
    told: Option<(Introspection, Timestamp)>,
    clusters: BTreeMap<String, ClusterAnswer>,
    /// Clusters that do not accept the token any more.
    dead: Vec<String>,
    refusals: Vec<Refusal>,
}

impl News {
    fn refused(refusal: Refusal) -> Self {
        Self { refusals: vec![refusal], ..Self::default() }
    }

    fn changes(&self, facts: &Facts) -> bool {
        let forgets = self.dead.iter().any(|name| facts.token.clusters.contains_key(name));
        self.told.is_some() || !self.clusters.is_empty() || forgets
    }

    fn apply(&self, facts: &mut Facts) {
        if let Some((told, at)) = &self.told {
            facts.learn(told.clone(), *at);
        }
        // What a cluster said of a token that it does not accept any more is no longer true.
        facts.token.clusters.retain(|name, _| !self.dead.contains(name));
        facts
            .token
            .clusters
            .extend(self.clusters.iter().map(|(name, answer)| (name.clone(), answer.clone())));
    }
}

/// Lets a holding go where the person has confirmed. What one service said is not the word of the next.
pub fn confirmed(holding: &mut Holding, destination: Destination) {
    if apis(&holding.destination) != apis(&destination) {
        holding.facts.token.told = None;
    }
    holding.destination = destination;
}

/// The token services of a destination.
fn apis(destination: &Destination) -> Vec<&String> {
    destination.places.iter().filter(|place| place.starts_with("api ")).collect()
}

fn report(entry: &Entry, refusals: Vec<Refusal>) -> EntryPermissions {
    EntryPermissions {
        name: entry.name.to_string(),
        kind: entry.name.kind.to_owned(),
        clusters: Vec::new(),
        facts: Vec::new(),
        refusals,
    }
}
