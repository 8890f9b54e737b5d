//! What the keychain item of an entry has for a value.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::secret::exposed;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::{Deserialize, Serialize};

use crate::clock::{after, before};
use crate::config::EntryName;
use crate::holding::Holding;
use crate::lease::{AwsKeys, Lease};
use crate::upstream::signed::SigningKeys;

/// A key with less left signs nothing any more.
const LAST: Duration = Duration::from_secs(30);
/// Keys before the one that serves; more than any life of keys leaves.
const WAITING: usize = 64;

/// A person's key, and what the agent made with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kit {
    /// Tells the keys of this item from those of other machines.
    pub mark: String,
    /// The key that the person gave.
    pub bootstrap: Pair,
    /// The key that tools get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Made>,
    /// One that is stored and not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Made>,
    /// Keys before the current one, which somebody may still hold until they end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// A key was about to be asked for then: one may be there that is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub making: Option<Timestamp>,
}

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pair {
    /// Its id.
    pub id: String,
    /// Its secret half.
    #[serde(serialize_with = "exposed")]
    pub secret: Secret<String>,
}

/// An access key that the agent made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// The key.
    #[serde(flatten)]
    pub pair: Pair,
    /// When it was made.
    pub since: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

/// An access key that was replaced. Its secret is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// When it ends, as whoever holds it was told.
    pub ends: Timestamp,
}

impl Pair {
    /// To sign with.
    pub fn keys(&self) -> SigningKeys<'_> {
        SigningKeys { access_key_id: &self.id, secret_access_key: &self.secret, session_token: None }
    }
}

impl Made {
    /// What tools get. It is renewed when a third of its life is left, and in any case while it has the quarter of an hour that
    /// AWS SDKs want.
    pub fn lease(&self) -> Lease {
        let keys = AwsKeys {
            access_key_id: self.pair.id.clone(),
            secret_access_key: self.pair.secret.clone(),
            session_token: None,
            assumed: None,
        };
        let life = Duration::try_from(self.ends.duration_since(self.since)).unwrap_or_default();
        let mut lease = Lease::aws(keys, self.since, self.ends, life);
        lease.renew_from = lease.renew_from.min(before(self.ends, life / 3));
        lease
    }

    /// Whether it can still sign.
    pub fn signs(&self, now: Timestamp) -> bool {
        after(now, LAST) < self.ends
    }
}

impl Kit {
    /// With a key that a person has just given.
    pub fn new(bootstrap: Pair, mark: String) -> Self {
        Self { mark, bootstrap, current: None, next: None, waiting: Vec::new(), making: None }
    }

    /// Reads what is held.
    ///
    /// # Errors
    /// [`Code::KeychainFailed`] where it is damaged.
    pub fn of(holding: &Holding, name: &EntryName) -> Result<Self, Refusal> {
        serde_json::from_str(holding.value.expose()).map_err(|_| {
            Refusal::new(Code::KeychainFailed, format!("the keychain item of `{name}` is damaged"))
                .hint(format!("keyfob token add {name}"))
        })
    }

    /// The value of the holding.
    pub fn to_value(&self) -> Secret<String> {
        // Strings and moments: writing them cannot fail.
        Secret::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// Who may sign, best first: what the agent made has the shorter life.
    pub fn signers(&self, now: Timestamp) -> impl Iterator<Item = &Pair> {
        let current = self.current.as_ref().filter(|current| current.signs(now));
        current.map(|current| &current.pair).into_iter().chain([&self.bootstrap])
    }

    /// Whether it is one of those that are known here.
    pub fn knows(&self, id: &str) -> bool {
        let made = self.current.iter().chain(&self.next).map(|made| made.pair.id.as_str());
        made.chain(self.waiting.iter().map(|waiting| waiting.id.as_str()))
            .chain([self.bootstrap.id.as_str()])
            .any(|known| known == id)
    }

    /// Puts the next key in the place of the current one.
    pub fn swap(&mut self) {
        let Some(next) = self.next.take() else { return };
        if let Some(before) = self.current.replace(next) {
            self.waiting.push(Waiting { id: before.pair.id, ends: before.ends });
        }
        let excess = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..excess);
    }

    /// When the next of those that wait ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|waiting| waiting.ends).min()
    }
}
