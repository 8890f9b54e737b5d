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
/// Keys that were asked for, and may be there without being here. What is forgotten ends by itself.
const MAKINGS: usize = 16;
/// How long a key that was asked for may take to show in the list.
const SETTLED: Duration = Duration::from_secs(300);

/// A person's key, and what the agent made with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kit {
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
    /// What was asked for without an answer that is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makings: Vec<Making>,
}

/// A key was about to be asked for: it may be there, and nobody has its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Making {
    /// When.
    pub since: Timestamp,
    /// Whose key.
    pub user: String,
    /// The last part of its tag. Drawn for this one key: an item that was copied to another machine knows none of the keys that
    /// are made there.
    pub mark: String,
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
    /// Whose it is.
    #[serde(default)]
    pub user: String,
}

/// An access key that was replaced. Its secret is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// When it ends, as whoever holds it was told.
    pub ends: Timestamp,
    /// Whose it is.
    #[serde(default)]
    pub user: String,
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

impl Making {
    /// Of a key that is about to be asked for.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(user: &str, since: Timestamp) -> Result<Self, Refusal> {
        let mut bytes = [0_u8; 4];
        getrandom::fill(&mut bytes)
            .map_err(|_| Refusal::new(Code::Internal, "the system's random source does not answer"))?;
        let mark = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { since, user: user.to_owned(), mark })
    }

    /// Whether a tag is of this key. The name of the machine in it may have changed since.
    pub fn is_of(&self, tag: &str) -> bool {
        tag.starts_with("keyfob:") && tag.rsplit(':').next() == Some(&self.mark)
    }

    /// When the key shows, if it is there; a clock that was set back says nothing.
    pub fn settles(&self, now: Timestamp) -> Option<Timestamp> {
        let end = after(self.since, SETTLED);
        (self.since <= now && now < end).then_some(end)
    }
}

impl Kit {
    /// With a key that a person has just given.
    pub fn new(bootstrap: Pair) -> Self {
        Self { bootstrap, current: None, next: None, waiting: Vec::new(), makings: Vec::new() }
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

    /// The key that tools get, where it is one of this user.
    pub fn current_of(&self, user: &str) -> Option<&Made> {
        self.current.as_ref().filter(|current| current.user == user)
    }

    /// Who may sign for a user's keys, best first: what the agent made has the shorter life, another user's may do less.
    pub fn signers(&self, now: Timestamp, user: &str) -> impl Iterator<Item = &Pair> {
        let good = self.current.as_ref().filter(|current| current.signs(now));
        let (own, other) = (good.filter(|good| good.user == user), good.filter(|good| good.user != user));
        let (own, other) = (own.map(|own| &own.pair), other.map(|other| &other.pair));
        own.into_iter().chain([&self.bootstrap]).chain(other)
    }

    /// Notes what is about to be asked for.
    pub fn begin(&mut self, making: Making) {
        self.makings.push(making);
        let excess = self.makings.len().saturating_sub(MAKINGS);
        self.makings.drain(..excess);
    }

    /// Its answer is here, or nothing was made.
    pub fn end(&mut self, making: &Making) {
        self.makings.retain(|other| other != making);
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
            self.waiting.push(Waiting { id: before.pair.id, ends: before.ends, user: before.user });
        }
        let excess = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..excess);
    }

    /// When the next of those that wait ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|waiting| waiting.ends).min()
    }
}
