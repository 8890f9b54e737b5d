//! Holdings in memory, over the keychain.
//!
//! Invariants: an item is read from the keychain once and then served from memory; writes to one entry are one at a time,
//! and a change is applied only to the value that its writer read; a value that the keychain did not take is kept here and
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

/// An item that is never there.
const PROBE: &str = "probe";

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
    /// The last read that failed, and how many have.
    failed: Mutex<(u64, Option<Refusal>)>,
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

    fn failures(&self) -> (u64, Option<Refusal>) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, refusal: &Refusal) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = (failed.0 + 1, Some(refusal.clone()));
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
            // A state has no words: what fails says why when it is used.
            keyfob_ipc::reply::KeychainState::Failing => self.keychain.load(PROBE).await.err(),
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

    /// A value that the keychain has not taken yet.
    pub fn unsaved(&self, name: &EntryName) -> Option<Secret<String>> {
        match self.slot(name).seen() {
            Some(Seen::Unsaved(holding)) => Some(holding.value.clone()),
            _ => None,
        }
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
        let _ = self.get(name).await;
        let slot = self.slot(name);
        self.write(name, move |current| {
            // Within the turn: what is bought from here on is bought with the new value, or does not count.
            slot.epoch.fetch_add(1, Ordering::SeqCst);
            holding.generation = current.holding().map_or(1, |before| before.generation + 1);
            Ok(Some(holding))
        })
        .await
    }

    /// Changes a holding, if it still has the value that was read; whatever else became of it meanwhile stays.
    ///
    /// # Errors
    /// The keychain's, as for [`Holdings::put`]; [`Code::Pending`] where the value is another one by now.
    pub async fn change(
        &self,
        name: &EntryName,
        read: &Secret<String>,
        change: impl FnOnce(&mut Holding) + Send + 'static,
    ) -> Result<(), Refusal> {
        let (read, entry) = (read.clone(), name.clone());
        self.write(name, move |current| {
            let Some(current) = current.holding().filter(|current| current.value == read) else {
                let say = format!("`{entry}` was changed meanwhile");
                return Err(Refusal::new(Code::Pending, say).hint("try again"));
            };
            let mut changed = Holding::clone(&current);
            change(&mut changed);
            changed.generation += 1;
            Ok(Some(changed))
        })
        .await
    }

    /// Stores what the keychain did not take before.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn settle(&self, name: &EntryName) -> Result<(), Refusal> {
        let Some(Seen::Unsaved(_)) = self.slot(name).seen() else { return Ok(()) };
        self.write(name, |current| match current {
            Seen::Unsaved(holding) => Ok(Some(Holding::clone(&holding))),
            Seen::Absent | Seen::Stored(_) => Ok(None),
        })
        .await
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
            let (failures, _) = slot.failures();
            let _turn = slot.turn.lock().await;
            match slot.seen() {
                Some(seen @ Seen::Unsaved(_)) => return Ok(seen.holding()),
                Some(seen) if !again => return Ok(seen.holding()),
                _ => {}
            }
            // A read that failed while this one waited answers it too: a burst asks a locked keychain once.
            if let (now, Some(refusal)) = slot.failures()
                && now > failures
            {
                return Err(refusal);
            }
            let loaded = this.keychain.load(&item(&name)).await.map_err(|error| {
                let refusal = this.refuse(&error);
                slot.fail(&refusal);
                refusal
            })?;
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

    /// Stores what `decide` makes of what is held when it is its turn; `None` leaves it.
    async fn write(
        &self,
        name: &EntryName,
        decide: impl FnOnce(Seen) -> Result<Option<Holding>, Refusal> + Send + 'static,
    ) -> Result<(), Refusal> {
        let (this, name) = (self.clone(), name.clone());
        in_a_task(async move {
            let slot = this.slot(&name);
            let _turn = slot.turn.lock().await;
            let Some(holding) = decide(slot.seen().unwrap_or(Seen::Absent))? else { return Ok(()) };
            let holding = Arc::new(holding);
            slot.see(Seen::Unsaved(holding.clone()));
            let stored = this.keychain.store(&item(&name), &holding.to_item()).await;
            stored.map_err(|error| this.refuse(&error))?;
            slot.see(Seen::Stored(holding));
            Ok(())
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
        // The entry's kind knows the command; it is added where the entry is known.
        ItemError::Damaged => "",
        ItemError::Newer => "install the newer version of keyfob again",
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
