//! What the keychain keeps for an entry: the long-lived value, its facts, and where it may go. One item, never apart.

mod bounds;

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::{Rights, Teller};
use keyfob_ipc::secret::{exposed, exposed_option};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::after;
use crate::config::HostPattern;
use crate::service::{CLUSTER_CACHE, Introspection};

pub(crate) use bounds::bounded;

/// Newest version of the item's format that this build reads, and writes where it is needed: [`JOURNAL`].
pub const FORMAT: u16 = JOURNAL;

/// An item without a companion and a rotation: what builds before these can read and write again without a loss.
const PLAIN: u16 = 1;

/// An item with a companion or a rotation, which a build that does not know them must not write again.
const JOURNAL: u16 = 2;

/// One keychain item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holding {
    /// At most [`FORMAT`]; written anew with each item.
    pub format: u16,
    /// Counts the states that this item has had, for whoever looks for a fault.
    pub generation: u64,
    /// The long-lived value.
    #[serde(serialize_with = "exposed")]
    pub value: Secret<String>,
    /// What renews the value where it cannot do so itself: the refresh token of a personal access token.
    #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
    pub companion: Option<Secret<String>>,
    /// A rotation that is not finished ([`crate::rotation`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// What is known about it.
    pub facts: Facts,
    /// Where it may go, as confirmed by the person.
    pub destination: Destination,
}

/// What is known about a value. Unknown is absent, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The person or account, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// Whether `ends` follows from the configured lifetime, not from the service.
    #[serde(default)]
    pub ends_assumed: bool,
    /// When it came here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Timestamp>,
    /// When a service last accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Timestamp>,
    /// The kind's own facts, such as the subject of a session.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, String>,
    /// What is known of a personal access token.
    #[serde(default, skip_serializing_if = "TokenFacts::is_empty")]
    pub token: TokenFacts,
}

impl Facts {
    /// When what is held began, as far as somebody knows: a rotation, its making by the service's word, its coming here. A
    /// clock that was ahead says nothing about when something happened.
    pub fn began(&self, now: Timestamp) -> Option<Timestamp> {
        let past = |moment: &Timestamp| *moment <= now;
        let created = self.token.told.as_ref().and_then(|(told, _)| told.created);
        // A service that rotates may go on to tell when the first value was made.
        self.token.replaced.filter(past).or(created.filter(past)).or(self.added.filter(past))
    }

    /// Takes in what a token's service has just said. What it does not say stays as it was known before.
    pub fn learn(&mut self, told: Introspection, now: Timestamp) {
        let told = bounded(told);
        if told.owner.is_some() {
            self.owner.clone_from(&told.owner);
        }
        if let Some(ends) = told.ends {
            self.ends = Some(ends);
            self.ends_assumed = false;
            self.token.ends_by = told.by.or(Some(Teller::TokenService));
        }
        self.proven = Some(now);
        self.token.told = Some((told, now));
    }
}

/// What is known of a personal access token beyond owner and end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// What its service said last, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<(Introspection, Timestamp)>,
    /// Who told [`Facts::ends`], where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<Teller>,
    /// What clusters said last, by their configured names ([`crate::permissions`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, ClusterAnswer>,
    /// When the value before this one was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// Permissions that the value before this one had and this one has not, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

impl TokenFacts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a cluster answered to the token ([`crate::upstream::capabilities`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAnswer {
    /// What the token may do there; where the cluster does not tell, what it says to everybody, which is nothing about the
    /// token, or all unknown where it has no such service.
    pub rights: Rights,
    /// Whether the cluster answers differently without the token: if not, it does not tell.
    pub tells: bool,
    /// When it was asked.
    pub at: Timestamp,
    /// Where. An edit may give the name to another cluster.
    #[serde(default)]
    pub address: String,
}

/// How far a rotation has got. It is stored before the service is asked, and after each step that cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it began; also names what it creates at the service.
    pub began: Timestamp,
    /// What was done last.
    pub step: RotationStep,
    /// Until when a call that was given up on may still arrive. The old value was good when it was last asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubtful_until: Option<Timestamp>,
}

/// Steps of a rotation, whatever its shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotationStep {
    /// The service is about to be asked, or was: whether it acted is not known.
    Asking,
    /// A second token exists at the service; the first one still serves.
    Created {
        /// The second one.
        #[serde(serialize_with = "exposed")]
        value: Secret<String>,
        /// What the service told of it.
        told: Introspection,
    },
    /// The second one serves; the first one is still to be deleted.
    Deleting {
        /// Its id at the service.
        id: String,
    },
    /// The new value serves and is still to be proven.
    Proving {
        /// What was known of the value before it, to compare with.
        before: Box<Facts>,
    },
    /// The service acted, its answer is lost, and the value held is dead: only a person can make another one.
    Lost,
}

impl Rotation {
    /// One that begins now.
    pub fn asking(began: Timestamp) -> Self {
        Self::at(began, RotationStep::Asking)
    }

    /// One that has got so far.
    pub fn at(began: Timestamp, step: RotationStep) -> Self {
        Self { began, step, doubtful_until: None }
    }
}

/// Why an item cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Not written by this program, or damaged.
    #[error("the keychain item is damaged")]
    Damaged,
    /// Written by a newer version.
    #[error("the keychain item was written by a newer version of keyfob")]
    Newer,
}

impl Holding {
    /// A value that has just come.
    pub fn new(value: Secret<String>, facts: Facts, destination: Destination) -> Self {
        Self { format: PLAIN, generation: 1, value, companion: None, rotation: None, facts, destination }
    }

    /// Until when clusters may still accept a value that its service has ended; `None` for one that is not known to be dead.
    pub fn dead_but_remembered_until(&self) -> Option<Timestamp> {
        let rotation = self.rotation.as_ref().filter(|rotation| rotation.step == RotationStep::Lost)?;
        let cache = self.facts.token.told.as_ref().map_or(CLUSTER_CACHE, |(told, _)| told.cluster_cache());
        Some(after(rotation.began, cache))
    }

    /// The bytes of the keychain item.
    pub fn to_item(&self) -> Secret<Vec<u8>> {
        let is_plain = self.companion.is_none() && self.rotation.is_none();
        let format = if is_plain { PLAIN } else { JOURNAL };
        let written = Self { format, ..self.clone() };
        // Maps, strings and numbers: writing them cannot fail.
        Secret::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// Reads a keychain item.
    ///
    /// # Errors
    /// [`ItemError`]; the item is left as it is.
    pub fn from_item(item: &Secret<Vec<u8>>) -> Result<Self, ItemError> {
        #[derive(Deserialize)]
        struct Format {
            format: u16,
        }
        let bytes = Zeroizing::new(item.expose().clone());
        let Format { format } = serde_json::from_slice(&bytes).map_err(|_| ItemError::Damaged)?;
        match format {
            PLAIN..=FORMAT => serde_json::from_slice(&bytes).map_err(|_| ItemError::Damaged),
            0 => Err(ItemError::Damaged),
            _ => Err(ItemError::Newer),
        }
    }
}

/// Where a holding may go. A configuration file alone never widens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Host patterns that get it as a header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Everything else, in the words that a person is shown: `header X-Aspect`, `issuer https://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

impl Destination {
    /// Allows all of `more`, too.
    pub fn allow(&mut self, more: &Self) {
        self.hosts
            .extend(more.hosts.iter().filter(|host| !self.hosts.contains(host)).cloned().collect::<Vec<_>>());
        self.places.extend(
            more.places.iter().filter(|place| !self.places.contains(place)).cloned().collect::<Vec<_>>(),
        );
    }

    /// What `now` adds to this destination, in words; empty where nothing is added.
    pub fn widened_by(&self, now: &Self) -> Vec<String> {
        let known: Vec<HostPattern> =
            self.hosts.iter().filter_map(|host| HostPattern::parse(host).ok()).collect();
        let is_known = |host: &&String| {
            HostPattern::parse(host).is_ok_and(|pattern| known.iter().any(|known| known.covers(&pattern)))
        };
        let hosts = now.hosts.iter().filter(|host| !is_known(host)).map(|host| format!("host {host}"));
        let places = now.places.iter().filter(|place| !self.places.contains(place)).cloned();
        hosts.chain(places).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(hosts: &[&str], places: &[&str]) -> Destination {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Destination { hosts: owned(hosts), places: owned(places) }
    }

    #[test]
    fn an_item_survives_the_trip_and_debug_does_not_show_it() {
        let holding = Holding::new(Secret::from("aw_1"), Facts::default(), destination(&["a.b"], &[]));
        let read = Holding::from_item(&holding.to_item()).unwrap();
        assert_eq!(read.value, holding.value);
        assert_eq!(read.destination, holding.destination);
        assert!(!format!("{holding:?}").contains("aw_1"));
    }

    #[test]
    fn damaged_and_newer_items_are_told_apart() {
        let read = |text: &str| Holding::from_item(&Secret::new(text.as_bytes().to_vec())).unwrap_err();
        assert_eq!(read("{"), ItemError::Damaged);
        assert_eq!(read(r#"{"format":1}"#), ItemError::Damaged);
        assert_eq!(read(r#"{"format":2}"#), ItemError::Damaged);
        assert_eq!(read(r#"{"format":3,"anything":true}"#), ItemError::Newer);
        assert_eq!(read(r#"{"format":0}"#), ItemError::Damaged);
    }

    /// As builds wrote it before they knew companions and rotations.
    const OLD: &str =
        r#"{"format":1,"generation":7,"value":"aw_1","facts":{"ends_assumed":false},"destination":{}}"#;

    #[test]
    fn what_an_older_build_would_lose_it_cannot_read() {
        let format = |holding: &Holding| {
            let written: serde_json::Value = serde_json::from_slice(holding.to_item().expose()).unwrap();
            written["format"].as_u64().unwrap()
        };
        let old = Holding::from_item(&Secret::new(OLD.as_bytes().to_vec())).unwrap();
        assert_eq!((old.value.expose().as_str(), old.generation, format(&old)), ("aw_1", 7, 1));
        let mut refreshed = old.clone();
        refreshed.companion = Some(Secret::from("re_1"));
        let mut rotating = old;
        rotating.rotation = Some(Rotation::asking(Timestamp::UNIX_EPOCH));
        for newer in [refreshed, rotating] {
            assert_eq!(format(&newer), 2);
            let mut read = Holding::from_item(&newer.to_item()).unwrap();
            assert_eq!((&read.companion, &read.rotation), (&newer.companion, &newer.rotation));
            // Once nothing can be lost any more, older builds read it again.
            (read.companion, read.rotation) = (None, None);
            assert_eq!(format(&read), 1);
        }
        // What the last build wrote as the first format, with a journal in it.
        let journal = r#"{"format":1,"rotation":{"began":"2026-11-21T08:00:00Z","step":"asking"},"#;
        let text = OLD.replace(r#"{"format":1,"#, journal);
        let read = Holding::from_item(&Secret::new(text.into_bytes())).unwrap();
        assert_eq!(read.rotation.unwrap().step, RotationStep::Asking);
    }

    #[test]
    fn only_what_is_new_widens() {
        let bound = destination(&["*.acme.dev", "x.example"], &["header X-Aspect"]);
        assert!(bound.widened_by(&destination(&["a.acme.dev"], &["header X-Aspect"])).is_empty());
        assert_eq!(
            bound.widened_by(&destination(&["*.x.example", "acme.dev.evil.io"], &["header Authorization"])),
            ["host *.x.example", "host acme.dev.evil.io", "header Authorization"]
        );
    }
}
