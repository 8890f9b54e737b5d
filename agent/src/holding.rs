//! What the keychain keeps for an entry: the long-lived value, its facts, and where it may go. One item, never apart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::secret::exposed;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::HostPattern;

/// Version of the item's format that this build writes.
pub const FORMAT: u16 = 1;

/// One keychain item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holding {
    /// [`FORMAT`].
    pub format: u16,
    /// Counts the states that this item has had, for whoever looks for a fault.
    pub generation: u64,
    /// The long-lived value.
    #[serde(serialize_with = "exposed")]
    pub value: Secret<String>,
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
        Self { format: FORMAT, generation: 1, value, facts, destination }
    }

    /// The bytes of the keychain item.
    pub fn to_item(&self) -> Secret<Vec<u8>> {
        // Maps, strings and numbers: writing them cannot fail.
        Secret::new(serde_json::to_vec(self).unwrap_or_default())
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
            FORMAT => serde_json::from_slice(&bytes).map_err(|_| ItemError::Damaged),
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
        assert_eq!(read(r#"{"format":2,"anything":true}"#), ItemError::Newer);
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
