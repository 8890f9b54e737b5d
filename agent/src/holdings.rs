//! Holdings in memory, over the keychain.
//!
//! Invariants: an item is read from the keychain once and then served from memory; writes to one entry are one at a time,
//! and each is applied only to the generation that its writer read; a value that the keychain did not take is kept here and
//! tried again ([`Holdings::settle`]), and nothing that it bought is handed out before.
//! A caller that goes away never stops a read or a write that has begun: both run as tasks of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_ipc::reply::KeychainReport;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::config::EntryName;
use crate::holding::{Holding, ItemError};
use crate::keychain::{Keychain, KeychainError};

/// Every entry's holding.
#[derive(Clone)]
pub struct Holdings {
    keychain: Arc<dyn Keychain>,
    slots: Arc<Mutex<HashMap<EntryName, Arc<Slot>>>>,
}

#[derive(Default)]
struct Slot {
    /// Held while the keychain is read or written for this entry.
    turn: tokio::sync::Mutex<()>,
    seen: Mutex<Option<Seen>>,
    /// Counts sign-ins and removals: what was bought with an earlier one is worthless.
    epoch: AtomicU64,
}

#[derive(Clone)]
enum Seen {
    Absent,
    Stored(Arc<Holding>),
    /// The keychain has not taken it yet.
    Unsaved(Arc<Holding>),
}

impl Seen {
    fn holding(&self) -> Option<Arc<Holding>> {
        match self {
            Self::Absent => None,
            Self::Stored(holding) | Self::Unsaved(holding) => Some(holding.clone()),
        }
    }
}

impl Slot {
    fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn see(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

impl Holdings {
    /// Over a keychain, which already has its deadline.
    pub fn over(keychain: Arc<dyn Keychain>) -> Self {
        Self { keychain, slots: Arc::default() }
    }

    /// Where secrets are kept, and whether it can be reached.
    pub async fn report(&self) -> KeychainReport {
        let state = self.keychain.state().await;
        let error = match state {
            keyfob_ipc::reply::KeychainState::Present => None,
            keyfob_ipc::reply::KeychainState::Missing => Some(KeychainError::Missing),
            keyfob_ipc::reply::KeychainState::Locked => Some(KeychainError::Locked),
            keyfob_ipc::reply::KeychainState::Denied => Some(KeychainError::Denied),
            keyfob_ipc::reply::KeychainState::Failing => Some(KeychainError::Slow),
        };
        KeychainReport {
            kind: self.keychain.kind().to_owned(),
            state,
            refusal: error.map(|error| self.refuse(&error)),
        }
    }

    /// Proves that the keychain is there and open, before a person is sent to a provider.
    ///
    /// # Errors
    /// The keychain's state.
    pub async fn prove(&self) -> Result<(), Refusal> {
        self.report().await.refusal.map_or(Ok(()), Err)
    }

    /// Opens a keychain that has a passphrase of its own.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn unlock(&self, passphrase: &Secret<String>) -> Result<(), Refusal> {
        self.keychain.unlock(passphrase).await.map_err(|error| self.refuse(&error))
    }

    /// What is held for an entry.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn get(&self, name: &EntryName) -> Result<Option<Arc<Holding>>, Refusal> {
        match self.slot(name).seen() {
            Some(seen) => Ok(seen.holding()),
            None => self.read(name, false).await,
        }
    }

    /// What is held, without asking the keychain: `None` where it was not read yet, or nothing is held.
    pub fn at_hand(&self, name: &EntryName) -> Option<Arc<Holding>> {
        self.slot(name).seen().and_then(|seen| seen.holding())
    }

    /// What the keychain itself has now: another hand may have changed it.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn read_again(&self, name: &EntryName) -> Result<Option<Arc<Holding>>, Refusal> {
        self.read(name, true).await
    }

    /// Counts sign-ins and removals of an entry.
    pub fn epoch(&self, name: &EntryName) -> u64 {
        self.slot(name).epoch.load(Ordering::SeqCst)
    }

    /// Takes a new value in, whatever was held before (a sign-in, a pasted token).
    ///
    /// # Errors
    /// The keychain's; the value is kept in memory and stored by the next [`Holdings::settle`].
    pub async fn put(&self, name: &EntryName, mut holding: Holding) -> Result<(), Refusal> {
        // A broken or unreadable item does not stand in the way of a new value.
        let before = self.get(name).await.ok().flatten();
        holding.generation = before.map_or(1, |before| before.generation + 1);
        self.slot(name).epoch.fetch_add(1, Ordering::SeqCst);
        self.write(name, None, holding).await.map(|_| ())
    }

    /// Puts the successor of a value in its place, if that value is still the one held.
    ///
    /// # Errors
    /// The keychain's, as for [`Holdings::put`]; [`Code::SignInNeeded`] where the entry moved on meanwhile.
    pub async fn succeed(
        &self,
        name: &EntryName,
        read: u64,
        mut holding: Holding,
    ) -> Result<Arc<Holding>, Refusal> {
        holding.generation = read + 1;
        self.write(name, Some(read), holding).await
    }

    /// Stores what the keychain did not take before.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn settle(&self, name: &EntryName) -> Result<(), Refusal> {
        let Some(Seen::Unsaved(holding)) = self.slot(name).seen() else { return Ok(()) };
        let generation = holding.generation;
        self.write(name, Some(generation), Holding::clone(&holding)).await.map(|_| ())
    }

    /// Forgets what is held.
    ///
    /// # Errors
    /// The keychain's; then it is still held.
    pub async fn remove(&self, name: &EntryName) -> Result<(), Refusal> {
        let (this, name) = (self.clone(), name.clone());
        in_a_task(async move {
            let slot = this.slot(&name);
            let _turn = slot.turn.lock().await;
            this.keychain.remove(&item(&name)).await.map_err(|error| this.refuse(&error))?;
            slot.epoch.fetch_add(1, Ordering::SeqCst);
            slot.see(Seen::Absent);
            Ok(())
        })
        .await
    }

    fn slot(&self, name: &EntryName) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return slot.clone();
        }
        slots.entry(name.clone()).or_default().clone()
    }

    async fn read(&self, name: &EntryName, again: bool) -> Result<Option<Arc<Holding>>, Refusal> {
        let (this, name) = (self.clone(), name.clone());
        in_a_task(async move {
            let slot = this.slot(&name);
            let _turn = slot.turn.lock().await;
            match slot.seen() {
                Some(seen @ Seen::Unsaved(_)) => return Ok(seen.holding()),
                Some(seen) if !again => return Ok(seen.holding()),
                _ => {}
            }
            let loaded = this.keychain.load(&item(&name)).await.map_err(|error| this.refuse(&error))?;
            let seen = match loaded {
                None => Seen::Absent,
                Some(bytes) => {
                    let holding = Holding::from_item(&bytes).map_err(|error| refuse_item(&name, error))?;
                    Seen::Stored(Arc::new(holding))
                }
            };
            slot.see(seen.clone());
            Ok(seen.holding())
        })
        .await
    }

    async fn write(
        &self,
        name: &EntryName,
        read: Option<u64>,
        holding: Holding,
    ) -> Result<Arc<Holding>, Refusal> {
        let (this, name) = (self.clone(), name.clone());
        in_a_task(async move {
            let slot = this.slot(&name);
            let _turn = slot.turn.lock().await;
            if let Some(read) = read {
                let current = slot.seen().and_then(|seen| seen.holding()).map(|holding| holding.generation);
                if current != Some(read) {
                    return Err(Refusal::new(Code::SignInNeeded, format!("`{name}` was changed meanwhile"))
                        .hint("try again"));
                }
            }
            let holding = Arc::new(holding);
            slot.see(Seen::Unsaved(holding.clone()));
            let stored = this.keychain.store(&item(&name), &holding.to_item()).await;
            stored.map_err(|error| this.refuse(&error))?;
            slot.see(Seen::Stored(holding.clone()));
            Ok(holding)
        })
        .await
    }

    fn refuse(&self, error: &KeychainError) -> Refusal {
        error.refusal(self.keychain.kind())
    }
}

/// The name of an entry's keychain item.
fn item(name: &EntryName) -> String {
    name.to_string()
}

fn refuse_item(name: &EntryName, error: ItemError) -> Refusal {
    let hint = match error {
        ItemError::Damaged => {
            format!("keyfob {} {}", if name.kind == "sso" { "login" } else { "token add" }, name.name)
        }
        ItemError::Newer => "install the newer version of keyfob again".to_owned(),
    };
    Refusal::new(Code::KeychainFailed, format!("{error} (`{name}`)")).hint(hint)
}

/// Runs to the end even where the caller goes away.
async fn in_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "the agent failed at its keychain")))
}
