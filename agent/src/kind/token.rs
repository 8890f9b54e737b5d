//! `[token.…]`: a personal access token, good for one or several clusters.
//!
//! The token lives a year; what a tool gets says that it ends within ten minutes, so that a rotation or a removal is seen
//! by a running Bazel at its next question.

mod table;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Headers, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;
use url::Url;

use super::{Kind, Source};
use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Config, Entry, EntryName, HostPattern};
use crate::footing::Footing;
use crate::holding::{Destination, Facts, Holding, TokenFacts};
use crate::keychain::Pending;
use crate::lease::cache_until;
use crate::policy::Permit;
use crate::service::{Api, Pasted, Service};

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "token", read: table::read };

/// Longest token that is taken, in bytes.
const LONGEST: usize = 8 * 1024;

/// What is done as the end of a token comes near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotate {
    /// The person is reminded.
    Remind,
    /// The agent rotates it through the service's API, and tells.
    Auto,
}

/// A personal access token, as configured.
#[derive(Debug)]
pub struct Token {
    /// Hosts that it is sent to.
    pub hosts: Vec<HostPattern>,
    /// How it is sent there.
    pub header: Header,
    /// What it begins with; may be empty.
    pub prefix: String,
    /// The page where a person makes one.
    pub portal: Option<String>,
    /// Its life, where the service does not tell.
    pub lifetime: Duration,
    /// Who makes it.
    pub service: &'static dyn Service,
    /// Where that is asked; absent for a service without an API.
    pub api: Option<Url>,
    /// What is done as its end comes near.
    pub rotate: Rotate,
    /// Whose token it must be, where the configuration says so.
    pub owner: Option<String>,
    /// Clusters that are asked what it may do: `grpcs://host:port`, with the instance name as path.
    pub clusters: BTreeMap<String, Url>,
}

/// How a token is sent.
#[derive(Debug)]
pub enum Header {
    /// `Authorization: Bearer …`
    Bearer,
    /// The token as it is, under this name.
    Named(String),
}

impl Header {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Bearer => "Authorization",
            Self::Named(name) => name,
        }
    }

    /// Its value.
    pub fn value(&self, token: &Secret<String>) -> Secret<String> {
        match self {
            Self::Bearer => Secret::new(format!("Bearer {}", token.expose())),
            Self::Named(_) => token.clone(),
        }
    }
}

impl Token {
    /// The service's API, where it has one.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where the network settings cannot be used.
    pub fn api(&self, agent: &Agent, footing: &Footing) -> Result<Option<Api>, Refusal> {
        let Some(base) = &self.api else { return Ok(None) };
        Ok(Some(Api::new(agent.http(footing)?, base.clone())))
    }

    /// The end to ask for, or to assume, for a token made now.
    pub fn end_from(&self, now: Timestamp) -> Timestamp {
        after(now, self.lifetime)
    }
}

impl Source for Token {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn takes_value(&self) -> bool {
        true
    }

    fn destination(&self, _name: &EntryName, config: &Config) -> Destination {
        let api = self.api.iter().map(|api| format!("api {api}"));
        let clusters = self.clusters.values().map(|address| format!("cluster {address}"));
        // Tools bring a token to its hosts themselves; to these it goes through the agent's own network.
        let is_sent = self.api.is_some() || !self.clusters.is_empty();
        let readers = is_sent.then(|| super::readers(&config.network)).into_iter().flatten();
        Destination {
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            places: std::iter::once(format!("header {}", self.header.name()))
                .chain(api)
                .chain(clusters)
                .chain(readers)
                .collect(),
        }
    }

    fn as_token(&self) -> Option<&Token> {
        Some(self)
    }

    fn end(&self, facts: &Facts) -> (Option<Timestamp>, bool) {
        match (facts.ends_assumed, facts.added) {
            // An edit of `lifetime` counts for the token that is held, too.
            (true, Some(added)) => (Some(after(added, self.lifetime)), true),
            (is_assumed, _) => (facts.ends, is_assumed),
        }
    }

    fn sign_in(&self, name: &EntryName) -> Option<String> {
        Some(format!("keyfob token add {}", name.name))
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let facts = [
            ("header", Some(self.header.name().to_owned())),
            ("prefix", Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty())),
            ("portal", self.portal.clone()),
            ("service", Some(self.service.name().to_owned())),
            ("rotation", Some(self.service.shape().name().to_owned())),
            ("rotate", (self.rotate == Rotate::Auto).then(|| "auto".to_owned())),
        ];
        facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect()
    }

    fn told(&self, _agent: &Agent, _entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        told::told(self, held)
    }

    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        Box::pin(async move {
            let holding = agent.usable_holding(&agent.footing()?, entry).await?;
            let now = agent.clock.now();
            // An end that is only assumed ends nothing: the service decides.
            let (end, is_assumed) = self.end(&holding.facts);
            let end =
                end.filter(|_| !is_assumed).into_iter().chain(holding.dead_but_remembered_until()).min();
            if end.is_some_and(|end| end <= now) {
                return Err(Refusal::new(
                    Code::TokenNeeded,
                    format!("the token of `{}` has ended", entry.name),
                )
                .hint(format!("keyfob token add {}", entry.name.name)));
            }
            let value = self.header.value(&holding.value);
            Ok(Headers {
                headers: BTreeMap::from([(self.header.name().to_owned(), vec![value])]),
                expires: Some(rfc3339(cache_until(now, end))),
            })
        })
    }

    fn accept_value(
        &self,
        name: &EntryName,
        value: Secret<String>,
        config: &Config,
        now: Timestamp,
    ) -> Result<Holding, Refusal> {
        let Pasted { value, companion } = self.service.read_pasted(value)?;
        check_token(&value, &self.prefix, name)?;
        let facts = Facts {
            ends: Some(self.end_from(now)),
            ends_assumed: true,
            added: Some(now),
            token: TokenFacts { ends_by: Some(Teller::Configuration), ..TokenFacts::default() },
            ..Facts::default()
        };
        let holding = Holding::new(value, facts, self.destination(name, config));
        Ok(Holding { companion, ..holding })
    }
}

/// Whether a pasted value can be the token: its prefix, visible ASCII, a sane length. The value is never repeated.
///
/// # Errors
/// [`Code::TokenInvalid`].
pub fn check_token(value: &Secret<String>, prefix: &str, name: &EntryName) -> Result<(), Refusal> {
    let text = value.expose();
    let invalid = |say: String| {
        Err(Refusal::new(Code::TokenInvalid, say)
            .hint(format!("copy it again, then keyfob token add {}", name.name)))
    };
    if text.is_empty() {
        return invalid("no token was given".to_owned());
    }
    if text.len() > LONGEST {
        return invalid(format!("this is no token: it has more than {LONGEST} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid(
            "this is no token: it contains spaces, line breaks or characters that are not ASCII".to_owned(),
        );
    }
    if !text.starts_with(prefix) {
        return invalid(format!("a token of `{name}` begins with `{prefix}`, this one does not"));
    }
    if text.len() == prefix.len() {
        return invalid(format!("this is only the prefix `{prefix}`, not a token"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_token_is_taken_and_nothing_of_it_is_repeated() {
        let name = EntryName { kind: "token", name: "aspect".to_owned() };
        let check = |text: &str| check_token(&Secret::from(text), "aw_", &name);
        assert!(check("aw_0123456789").is_ok());
        for text in
            ["", "aw_", "ghp_marked", "aw_mar ked", "aw_mark\u{e9}d", "aw_marked\n", &"aw_x".repeat(5000)]
        {
            let refusal = check(text).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid, "{text}");
            assert!(!refusal.say.contains("marked"), "{refusal}");
        }
    }
}
