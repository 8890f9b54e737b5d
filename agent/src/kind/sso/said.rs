//! What a provider says beside its tokens: the scopes that it granted, and the groups of the person.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Teller, ToldFact};
use serde::{Deserialize, Serialize};

use super::SUBJECT;
use crate::agent::Agent;
use crate::clock::after;
use crate::config::Entry;
use crate::footing::Footing;
use crate::holding::{Facts, Holding};
use crate::kind::told as fact;
use crate::upstream::oidc::{Grant, Registration};

const SCOPES: &str = "scopes";
const GROUPS: &str = "groups";

/// What is the same is noted again after this long: its age is shown.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// A list, and when the provider said it. As JSON in [`Facts::more`].
#[derive(Serialize, Deserialize)]
struct Said {
    at: Timestamp,
    list: Vec<String>,
}

impl Said {
    fn of(more: &BTreeMap<String, String>, name: &str) -> Option<Self> {
        serde_json::from_str(more.get(name)?).ok()
    }

    /// Whether `self` is worth a write where `held` is known already.
    fn is_news(&self, held: Option<&Self>) -> bool {
        held.is_none_or(|held| {
            held.list != self.list || self.at < held.at || after(held.at, AGAIN) <= self.at
        })
    }
}

/// What came with a grant.
pub(super) fn said(registration: &Registration, grant: &Grant, now: Timestamp) -> Vec<(String, String)> {
    let lists = lists(registration, grant, now);
    // Strings and a moment: writing them cannot fail.
    lists.map(|(name, said)| (name.to_owned(), serde_json::to_string(&said).unwrap_or_default())).collect()
}

fn lists<'a>(
    registration: &'a Registration,
    grant: &'a Grant,
    at: Timestamp,
) -> impl Iterator<Item = (&'static str, Said)> + 'a {
    // What is not named is what was asked for (RFC 6749, section 5.1).
    let scopes = grant.scopes.as_ref().unwrap_or(&registration.scopes);
    let groups = grant.person.as_ref().and_then(|person| person.groups.as_ref());
    let lists = [(SCOPES, Some(scopes)), (GROUPS, groups)];
    lists.into_iter().filter_map(move |(name, list)| Some((name, Said { at, list: list?.clone() })))
}

/// Notes what came with a refresh, where that is news. The refresh itself has been kept before, and does not fail by this.
pub(super) async fn note(
    agent: &Agent,
    footing: &Footing,
    entry: &Entry,
    registration: &Registration,
    (grant, subject): (&Grant, &str),
) {
    let held = footing.holdings.at_hand(&entry.name);
    // Somebody else may have signed in meanwhile.
    let is_theirs = |held: &Holding| held.facts.more.get(SUBJECT).is_some_and(|theirs| *theirs == subject);
    let Some(held) = held.filter(|held| is_theirs(held)) else { return };
    let now = agent.clock.now();
    let more = &held.facts.more;
    if lists(registration, grant, now).any(|(name, said)| said.is_news(Said::of(more, name).as_ref())) {
        let said = said(registration, grant, now);
        let note = move |holding: &mut Holding| holding.facts.more.extend(said);
        let _ = footing.holdings.note(&entry.name, &held.value, note).await;
    }
}

/// All of it, for people.
pub(super) fn told(held: &Facts) -> Vec<ToldFact> {
    let by = Teller::IdentityProvider;
    let list = |name: &str| {
        let said = Said::of(&held.more, name)?;
        fact(name, &said.list, by, Some(said.at))
    };
    let owner = held.owner.as_ref();
    let owner = owner.and_then(|owner| fact("owner", std::slice::from_ref(owner), by, held.proven));
    [owner, list(SCOPES), list(GROUPS)].into_iter().flatten().collect()
}
