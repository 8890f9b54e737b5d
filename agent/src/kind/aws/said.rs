//! What is told of a role: by the configuration, by AWS, and by the ID token that it was assumed with.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob_ipc::reply::{Teller, ToldFact};
use serde_json::Value;

use super::role::Role;
use super::{TAG_KEY, TAG_VALUE, TAGS};
use crate::agent::Agent;
use crate::config::{Entry, duration_text};
use crate::holding::Facts;
use crate::kind::{Source as _, told as fact};
use crate::lease::{Body, Lease};

/// Why session tags are not configured for them.
pub(super) const TAGS_OF_WEB_IDENTITIES: &str =
    "AWS takes session tags from the ID token (its claim https://aws.amazon.com/tags), not from here";

/// The claim of session tags (IAM user guide, "Passing session tags using AssumeRoleWithWebIdentity").
const CLAIM: &str = "https://aws.amazon.com/tags";
/// Longest ID token that STS takes.
const TOKEN: usize = 20_000;

pub(super) fn told(role: &Role, agent: &Agent, entry: &Entry, held: &Facts) -> Vec<ToldFact> {
    let configured = |name: &str, texts: &[String]| fact(name, texts, Teller::Configuration, None);
    let lease = agent.leases.get(&entry.name).filter(|lease| lease.until > agent.clock.now());
    let assumed = lease.as_ref().and_then(|lease| match &lease.body {
        Body::Aws(keys) => fact("assumed", &[keys.assumed.clone()?], Teller::Aws, Some(lease.since)),
        _ => None,
    });
    let owner = held
        .owner
        .as_ref()
        .and_then(|owner| fact("owner", std::slice::from_ref(owner), Teller::IdentityProvider, held.proven));
    let own_tags: Vec<String> =
        role.session_tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let facts = [
        owner,
        configured("account", role.account().map(str::to_owned).as_slice()),
        configured("role", std::slice::from_ref(&role.role_arn)),
        configured("hops", &hops(role, agent, entry)),
        configured("duration_capped", capped(role, lease.as_deref()).as_slice()),
        configured("external_id", role.external_id.as_slice()),
        configured("session_tags", &own_tags),
        tags_of_identity(role, agent, lease.as_deref()),
        configured("policy_arns", &role.policy_arns),
        configured("may_assume", &role.patterns()),
        assumed,
    ];
    facts.into_iter().flatten().chain(agent.asked.statements(&entry.name)).collect()
}

/// The entries behind a chained role, the first one first, with itself.
fn hops(role: &Role, agent: &Agent, entry: &Entry) -> Vec<String> {
    if !role.is_chained() {
        return Vec::new();
    }
    let Ok(config) = agent.config() else { return Vec::new() };
    let next = |name: &_| config.entry(name)?.source.through().cloned();
    let mut hops: Vec<String> = std::iter::once(entry.name.to_string())
        .chain(std::iter::successors(role.through().cloned(), next).map(|name| name.to_string()))
        .collect();
    hops.reverse();
    hops
}

/// That sessions are shorter than configured.
fn capped(role: &Role, lease: Option<&Lease>) -> Option<String> {
    let known = (role.longest() < role.duration).then_some(role.duration);
    let asked: Duration = known.or_else(|| lease?.about.capped)?;
    let cap = duration_text(super::role::LONGEST_CHAINED);
    Some(format!("{cap} instead of {}: AWS gives a chained role no longer session", duration_text(asked)))
}

/// Tags of the token that the keys were bought with, else of the one in memory that the next ones will be.
fn tags_of_identity(role: &Role, agent: &Agent, lease: Option<&Lease>) -> Option<ToldFact> {
    let of_keys = lease.map(|lease| (lease.about.session_tags.clone(), lease.since));
    let of_session = || {
        let lease = agent.leases.get(&role.behind)?;
        let Body::Session(tokens) = &lease.body else { return None };
        let (token, _) = tokens.id_token.as_ref()?;
        Some((tags_of(token.expose()), lease.since))
    };
    let (tags, since) = of_keys.or_else(of_session)?;
    fact("session_tags", &tags, Teller::IdentityProvider, Some(since))
}

/// The session tags in an ID token, as far as AWS takes them: `team=infra`, `team=infra (transitive)`. Who made the token is not asked
/// here: AWS does that. What cannot be read has none.
pub(super) fn tags_of(token: &str) -> Vec<String> {
    claims(token).map(|claims| tags(&claims)).unwrap_or_default()
}

fn claims(token: &str) -> Option<serde_json::Map<String, Value>> {
    let payload = token.split('.').nth(1).filter(|_| token.len() <= TOKEN)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn tags(claims: &serde_json::Map<String, Value>) -> Vec<String> {
    let nested = claims.get(CLAIM);
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    let principal = nested.and_then(|claim| claim.get("principal_tags")?.as_object());
    for (key, value) in principal.into_iter().flatten() {
        all.extend(text(value).map(|value| (key.as_str(), value)));
    }
    // For providers that nest no claims.
    let flat = claims.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix(CLAIM)?.strip_prefix("/principal_tags/")?, text(value)?))
    });
    all.extend(flat);
    let transitive = nested
        .and_then(|claim| claim.get("transitive_tag_keys"))
        .or_else(|| claims.get(&format!("{CLAIM}/transitive_tag_keys")))
        .and_then(Value::as_array);
    let is_transitive = |key: &str| transitive.is_some_and(|keys| keys.iter().any(|other| other == key));
    let fits = |(key, value): &(&str, &str)| {
        (1..=TAG_KEY).contains(&key.chars().count()) && value.chars().count() <= TAG_VALUE
    };
    let shown = |(key, value): (&str, &str)| {
        let more = if is_transitive(key) { " (transitive)" } else { "" };
        format!("{key}={value}{more}")
    };
    all.into_iter().filter(fits).take(TAGS).map(shown).collect()
}

/// AWS takes a text, or a list with one.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(list) => match list.as_slice() {
            [Value::String(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn session_tags_are_read_in_both_of_their_forms() {
        let nested = json!({"sub": "ada", CLAIM: {
            "principal_tags": {"team": ["infra"], "cost": ["7", "8"], "stage": "dev"},
            "transitive_tag_keys": ["team"],
        }});
        assert_eq!(tags_of(&token(&nested)), ["stage=dev", "team=infra (transitive)"]);
        let flat = json!({
            "https://aws.amazon.com/tags/principal_tags/team": "infra",
            "https://aws.amazon.com/tags/transitive_tag_keys": ["team"],
        });
        assert_eq!(tags_of(&token(&flat)), ["team=infra (transitive)"]);
    }

    #[test]
    fn what_is_no_token_or_too_much_has_no_tags() {
        for none in ["", "a", "a.b.c", "a.e30.c", "a.W10.c"] {
            assert!(tags_of(none).is_empty(), "{none}");
        }
        let many: serde_json::Map<String, Value> =
            (0..80).map(|number| (format!("k{number}"), json!("v"))).collect();
        assert_eq!(tags_of(&token(&json!({CLAIM: {"principal_tags": many}}))).len(), TAGS);
        let long = json!({CLAIM: {"principal_tags": {"k": "v".repeat(TAG_VALUE + 1)}}});
        assert!(tags_of(&token(&long)).is_empty());
        assert!(
            tags_of(&token(&json!({"x": "y".repeat(TOKEN), CLAIM: {"principal_tags": {"k": "v"}}})))
                .is_empty()
        );
    }
}
