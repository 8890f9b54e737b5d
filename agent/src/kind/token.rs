//! `[token.…]`: a personal access token, good for one or several clusters.
//!
//! The token lives a year; what a tool gets says that it ends within ten minutes, so that a rotation or a removal is seen
//! by a running Bazel at its next question.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::Headers;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::{Kind, Source};
use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Config, Entry, EntryName, HostPattern, Problem, Reading};
use crate::holding::{Destination, Facts, Holding};
use crate::keychain::Pending;
use crate::lease::cache_until;

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "token", read };

/// Longest token that is taken, in bytes.
const LONGEST: usize = 8 * 1024;

#[derive(Deserialize)]
struct Table {
    hosts: Vec<Spanned<String>>,
    header: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    portal: Option<Spanned<String>>,
    lifetime: Option<Spanned<String>>,
    service: Option<ServiceName>,
    api: Option<Spanned<String>>,
    clusters: Option<BTreeMap<String, Spanned<String>>>,
}

/// Who made the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ServiceName {
    Manual,
    Keyfob,
    Gitlab,
    Github,
    Jupyterhub,
}

#[derive(Debug)]
struct Token {
    hosts: Vec<HostPattern>,
    header: Header,
    prefix: String,
    portal: Option<String>,
    lifetime: Duration,
    service: ServiceName,
    api: Option<String>,
    clusters: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Header {
    /// `Authorization: Bearer …`
    Bearer,
    /// The token as it is, under this name.
    Named(String),
}

impl Header {
    fn name(&self) -> &str {
        match self {
            Self::Bearer => "Authorization",
            Self::Named(name) => name,
        }
    }
}

fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let hosts = reading.hosts(&table.hosts);
    let header = table.header.and_then(|text| reading.check(read_header(place, &text)));
    let prefix = table.prefix.and_then(|text| reading.plain(&text));
    let portal = table.portal.and_then(|text| reading.address(&text));
    let lifetime = table.lifetime.and_then(|text| reading.duration(&text));
    let service = table.service.unwrap_or(ServiceName::Manual);
    let api = table.api.and_then(|text| {
        let address = reading.address(&text);
        match service {
            ServiceName::Manual => reading.check(Err(Problem::at(
                &text,
                format!("{place}: `api` needs a `service` other than \"manual\""),
            ))),
            _ => address,
        }
    });
    let clusters = read_clusters(reading, table.clusters.unwrap_or_default(), &hosts);
    Some(Box::new(Token {
        hosts,
        header: header.unwrap_or(Header::Bearer),
        prefix: prefix.unwrap_or_default(),
        portal: portal.map(Into::into),
        lifetime: lifetime.unwrap_or(Duration::from_secs(365 * 24 * 3600)),
        service,
        api: api.map(Into::into),
        clusters,
    }))
}

fn read_header(place: &str, text: &Spanned<String>) -> Result<Header, Problem> {
    let name = text.get_ref();
    let parsed: Result<http::HeaderName, _> = name.parse();
    match parsed {
        // gRPC decodes the value of a name that ends in `-bin` as base64.
        Ok(parsed) if parsed.as_str().ends_with("-bin") => {
            Err(Problem::at(text, format!("{place}: a header whose name ends in -bin is binary in gRPC")))
        }
        Ok(parsed) if parsed == http::header::AUTHORIZATION => Ok(Header::Bearer),
        Ok(_) => Ok(Header::Named(name.clone())),
        Err(_) => Err(Problem::at(text, format!("{place}: this is not the name of a header"))),
    }
}

fn read_clusters(
    reading: &mut Reading<'_>,
    clusters: BTreeMap<String, Spanned<String>>,
    hosts: &[HostPattern],
) -> BTreeMap<String, String> {
    let place = reading.place;
    let mut known = BTreeMap::new();
    for (name, text) in clusters {
        let target = crate::target::Target::parse(text.get_ref()).ok();
        let fits = target.is_some_and(|target| hosts.iter().any(|pattern| pattern.matches(&target.host)));
        let checked = if fits {
            Ok(text.get_ref().clone())
        } else {
            Err(Problem::at(
                &text,
                format!("{place}: a cluster is a grpcs:// address with a host of this entry"),
            ))
        };
        if let Some(address) = reading.check(checked) {
            known.insert(name, address);
        }
    }
    known
}

impl Source for Token {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn takes_value(&self) -> bool {
        true
    }

    fn destination(&self, _name: &EntryName, _config: &Config) -> Destination {
        let api = self.api.iter().map(|api| format!("api {api}"));
        let clusters = self.clusters.values().map(|address| format!("cluster {address}"));
        Destination {
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            places: std::iter::once(format!("header {}", self.header.name()))
                .chain(api)
                .chain(clusters)
                .collect(),
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
            ("service", Some(format!("{:?}", self.service).to_lowercase())),
        ];
        facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect()
    }

    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        Box::pin(async move {
            let holding = agent.usable_holding(&agent.footing()?, entry).await?;
            let now = agent.clock.now();
            // An end that is only assumed ends nothing: the service decides.
            let end = holding.facts.ends.filter(|_| !holding.facts.ends_assumed);
            if end.is_some_and(|end| end <= now) {
                return Err(Refusal::new(
                    Code::TokenNeeded,
                    format!("the token of `{}` has ended", entry.name),
                )
                .hint(format!("keyfob token add {}", entry.name.name)));
            }
            let value = match &self.header {
                Header::Bearer => Secret::new(format!("Bearer {}", holding.value.expose())),
                Header::Named(_) => holding.value.clone(),
            };
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
        check_token(&value, &self.prefix, name)?;
        let facts = Facts {
            ends: Some(after(now, self.lifetime)),
            ends_assumed: true,
            added: Some(now),
            ..Facts::default()
        };
        Ok(Holding::new(value, facts, self.destination(name, config)))
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
