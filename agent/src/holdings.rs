//! Holdings in memory, over the keychain.
//!
//! Invariants: an item is read from the keychain once and then served from memory; writes to one entry are one at a time,
//! and a change is applied only to the value that its writer read; a value that the keychain did not take is kept here and
//! tried again ([`Holdings::settle`]), and nothing that it bought is handed out before. One exception: a token whose
//! predecessor died with the rotation that made it serves at once ([`Holdings::replace`]).
//! A caller that goes away never stops a read or a write that has begun: both run as tasks of their own.
//! While Keyfob is locked ([`Gate`]) nothing is read, and what the keychain has is not kept here, but for what a renewal or a
//! rotation under way stands on ([`Holdings::pin`]).

mod gate;
mod slot;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_ipc::reply::{KeychainReport, KeychainState};
use keyfob_ipc::{Code, Refusal, Secret};
use tokio::sync::watch;

use crate::config::EntryName;
use crate::holding::{Holding, ItemError};
use crate::keychain::{Keychain, KeychainError, Stirring};
pub use gate::{Gate, Pin};
use slot::{NotTaken, Seen, Slot};

/// An item that is never there.
const PROBE: &str = "probe";

/// Every entry's holding.
#[derive(Clone)]
pub struct Holdings {
    keychain: Arc<dyn Keychain>,
    slots: Arc<Mutex<HashMap<EntryName, Arc<Slot>>>>,
    /// Counts what the keychain did: whoever waits for it to open looks again.
    stirred: Arc<watch::Sender<u64>>,
    /// What the keychain was last found to be.
    state: Arc<watch::Sender<Option<KeychainState>>>,
    gate: Gate,
}

impl Holdings {
    /// Over a keychain, which already has its deadline.
    pub fn over(keychain: Arc<dyn Keychain>) -> Self {
        Self::behind(Gate::default(), keychain)
    }

    /// The same, for as long as this is open.
    pub fn behind(gate: Gate, keychain: Arc<dyn Keychain>) -> Self {
        Self { keychain, slots: Arc::default(), stirred: Arc::default(), state: Arc::default(), gate }
    }

    /// Where secrets are kept, and whether it can be reached.
    pub async fn report(&self) -> KeychainReport {
        // Some are opened by a look at their state.
        let state = if self.gate.is_shut() && self.keychain.kind() == "file" {
            KeychainState::Locked
        } else {
            self.keychain.state().await
        };
        self.found(state);
        let error = match state {
            KeychainState::Present => None,
            KeychainState::Missing => Some(KeychainError::Missing),
            KeychainState::Locked => Some(KeychainError::Locked),
            KeychainState::Denied => Some(KeychainError::Denied),
            // A state has no words: what fails says why when it is used.
            KeychainState::Failing => self.keychain.load(PROBE).await.err(),
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
        self.keychain.unlock(passphrase).await.map_err(|error| self.refuse(&error))?;
        self.found(KeychainState::Present);
        self.stir();
        Ok(())
    }

    /// Whether the keychain can be used now. Nothing is opened, and nobody is asked.
    pub async fn is_open(&self) -> bool {
        !self.gate.is_shut() && self.keychain.state().await == KeychainState::Present
    }

    /// Changes whenever the keychain has done something.
    pub fn stirred(&self) -> watch::Receiver<u64> {
        self.stirred.subscribe()
    }

    /// Changes whenever the keychain is found to be something else than before: open, locked, gone.
    pub(crate) fn state(&self) -> watch::Receiver<Option<KeychainState>> {
        self.state.subscribe()
    }

    /// Who tells of other hands ([`Keychain::stirring`]).
    pub(crate) async fn stirring(&self) -> Option<Box<dyn Stirring>> {
        self.keychain.stirring().await
    }

    fn found(&self, state: KeychainState) {
        self.state.send_if_modified(|before| before.replace(state) != Some(state));
    }

    fn stir(&self) {
        self.stirred.send_modify(|count| *count = count.wrapping_add(1));
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
            Some(Seen::Unsaved { holding, .. }) => Some(holding.value.clone()),
            _ => None,
        }
    }

    /// Whether it is known what is held.
    pub fn is_read(&self, name: &EntryName) -> bool {
        self.slot(name).seen().is_some()
    }

    /// The entries that the keychain has not everything of.
    pub fn all_unsaved(&self) -> Vec<EntryName> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaved = slots.iter().filter(|(_, slot)| matches!(slot.seen(), Some(Seen::Unsaved { .. })));
        unsaved.map(|(name, _)| name.clone()).collect()
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
    pub async fn put(&self, name: &EntryName, holding: Holding) -> Result<(), Refusal> {
        self.put_or(name, holding, NotTaken::Keep).await
    }

    /// As [`Holdings::put`]; where the keychain does not take it, what was held before serves on.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn exchange(&self, name: &EntryName, holding: Holding) -> Result<(), Refusal> {
        self.put_or(name, holding, NotTaken::Leave).await
    }

    async fn put_or(
        &self,
        name: &EntryName,
        mut holding: Holding,
        not_taken: NotTaken,
    ) -> Result<(), Refusal> {
        // A broken or unreadable item does not stand in the way of a new value.
        let _ = self.get(name).await;
        let (slot, gate) = (self.slot(name), self.gate.clone());
        self.write(name, move |current| {
            // Whoever gives it can give it again; what was held before it is not known now.
            gate.check()?;
            // Within the turn: what is bought from here on is bought with the new value, or does not count.
            slot.epoch.fetch_add(1, Ordering::SeqCst);
            holding.generation = current.holding().map_or(1, |before| before.generation + 1);
            Ok(Some((holding, not_taken)))
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
        self.change_or(name, read, NotTaken::Keep, change).await
    }

    /// As [`Holdings::change`]; where the keychain does not take it, everything stays as it was.
    ///
    /// # Errors
    /// As for [`Holdings::change`].
    pub async fn note(
        &self,
        name: &EntryName,
        read: &Secret<String>,
        change: impl FnOnce(&mut Holding) + Send + 'static,
    ) -> Result<(), Refusal> {
        self.change_or(name, read, NotTaken::Leave, change).await
    }

    /// As [`Holdings::change`], for a value whose predecessor is dead: it serves from here on, stored or not.
    ///
    /// # Errors
    /// As for [`Holdings::change`].
    pub async fn replace(
        &self,
        name: &EntryName,
        read: &Secret<String>,
        change: impl FnOnce(&mut Holding) + Send + 'static,
    ) -> Result<(), Refusal> {
        self.change_or(name, read, NotTaken::Serve, change).await
    }

    async fn change_or(
        &self,
        name: &EntryName,
        read: &Secret<String>,
        not_taken: NotTaken,
        change: impl FnOnce(&mut Holding) + Send + 'static,
    ) -> Result<(), Refusal> {
        let (read, entry) = (read.clone(), name.clone());
        self.write(name, move |current| {
            let serves = current.serves_unsaved();
            let Some(current) = current.holding().filter(|current| current.value == read) else {
                let say = format!("`{entry}` was changed meanwhile");
                return Err(Refusal::new(Code::Pending, say).hint("try again"));
            };
            let mut changed = Holding::clone(&current);
            change(&mut changed);
            changed.generation += 1;
            // What serves without being stored goes on to do so.
            let not_taken = if serves && not_taken == NotTaken::Keep { NotTaken::Serve } else { not_taken };
            Ok(Some((changed, not_taken)))
        })
        .await
    }

    /// Makes a new state of what is held, in its turn: no other hand writes between the look and the write. Where the keychain does
    /// not take it, everything stays as it was. `anyhow`: also where what is held cannot be read, and then from nothing.
    ///
    /// # Errors
    /// The keychain's, and those of `make`.
    pub async fn update<T: Send + 'static>(
        &self,
        name: &EntryName,
        anyhow: bool,
        make: impl FnOnce(Option<&Holding>) -> Result<(Holding, T), Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        match self.get(name).await {
            Err(refusal) if !anyhow => return Err(refusal),
            _ => {}
        }
        let (slot, gate, entry) = (self.slot(name), self.gate.clone(), name.clone());
        let (told, made) = tokio::sync::oneshot::channel();
        let decide = move |current: Seen| {
            gate.check()?;
            // A lock may have come and gone: what is held is not known again yet, which is not that there is nothing.
            if slot.seen().is_none() && !anyhow {
                let say = format!("`{entry}` was locked meanwhile");
                return Err(Refusal::new(Code::Pending, say).hint("try again"));
            }
            let before = current.holding();
            let (mut holding, more) = make(before.as_deref())?;
            slot.epoch.fetch_add(1, Ordering::SeqCst);
            holding.generation = before.map_or(1, |before| before.generation + 1);
            // Nobody may wait for it any more.
            let _ = told.send(more);
            Ok(Some((holding, NotTaken::Leave)))
        };
        self.write(name, decide).await?;
        made.await.map_err(|_| Refusal::new(Code::Internal, "the agent failed at its keychain"))
    }

    /// Stores what the keychain did not take before, where nothing may be handed out until then.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn settle(&self, name: &EntryName) -> Result<(), Refusal> {
        match self.slot(name).seen() {
            Some(Seen::Unsaved { serves: false, .. }) => self.save(name).await,
            _ => Ok(()),
        }
    }

    /// Stores whatever the keychain did not take before.
    ///
    /// # Errors
    /// The keychain's.
    pub async fn save(&self, name: &EntryName) -> Result<(), Refusal> {
        let Some(Seen::Unsaved { .. }) = self.slot(name).seen() else { return Ok(()) };
        self.write(name, |current| match current {
            Seen::Unsaved { holding, serves } => {
                let not_taken = if serves { NotTaken::Serve } else { NotTaken::Keep };
                Ok(Some((Holding::clone(&holding), not_taken)))
            }
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
            this.see(&slot, Seen::Absent);
            this.stir();
            Ok(())
        })
        .await
    }

    /// Forgets everything that is held for this profile, also for entries that are configured no more.
    ///
    /// # Errors
    /// The keychain's; then some of it may still be held, and the next call removes that.
    pub async fn clear(&self) -> Result<(), Refusal> {
        self.gate.check()?;
        let this = self.clone();
        in_a_task(async move {
            let slots: Vec<_> = {
                let slots = this.slots.lock().unwrap_or_else(PoisonError::into_inner);
                slots.values().cloned().collect()
            };
            // What is being written is in the keychain before that is emptied; what comes later finds nothing to go on from.
            let mut turns = Vec::with_capacity(slots.len());
            for slot in &slots {
                turns.push(slot.turn.lock().await);
            }
            this.keychain.clear().await.map_err(|error| this.refuse(&error))?;
            for slot in &slots {
                slot.epoch.fetch_add(1, Ordering::SeqCst);
                this.see(slot, Seen::Absent);
            }
            this.stir();
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
            this.gate.check()?;
            match slot.seen() {
                Some(seen @ Seen::Unsaved { .. }) => return Ok(seen.holding()),
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
                // One that fails may do so with one item alone.
                if error.state() != KeychainState::Failing {
                    this.found(error.state());
                }
                let refusal = this.refuse(&error);
                slot.fail(&refusal);
                refusal
            })?;
            this.found(KeychainState::Present);
            let seen = match loaded {
                None => Seen::Absent,
                Some(bytes) => {
                    let holding = Holding::from_item(&bytes).map_err(|error| refuse_item(&name, error))?;
                    Seen::Stored(Arc::new(holding))
                }
            };
            this.see(&slot, seen.clone());
            this.gate.check()?;
            this.stir();
            Ok(seen.holding())
        })
        .await
    }

    /// Stores what `decide` makes of what is held when it is its turn; `None` leaves it.
    async fn write(
        &self,
        name: &EntryName,
        decide: impl FnOnce(Seen) -> Result<Option<(Holding, NotTaken)>, Refusal> + Send + 'static,
    ) -> Result<(), Refusal> {
        let (this, name) = (self.clone(), name.clone());
        in_a_task(async move {
            let slot = this.slot(&name);
            let _turn = slot.turn.lock().await;
            let decided = decide(slot.seen().unwrap_or(Seen::Absent))?;
            let Some((holding, not_taken)) = decided else { return Ok(()) };
            let holding = Arc::new(holding);
            if not_taken != NotTaken::Leave {
                let serves = not_taken == NotTaken::Serve;
                slot.see(Seen::Unsaved { holding: holding.clone(), serves });
            }
            let stored = match this.keychain.store(&item(&name), &holding.to_item()).await {
                Ok(()) => Ok(holding),
                // It may be too large, and nobody has its value: facts can be asked for again.
                Err(KeychainError::Failed(_)) if not_taken == NotTaken::Serve => {
                    let bare = Arc::new(holding.bare());
                    this.keychain.store(&item(&name), &bare.to_item()).await.map(|()| bare)
                }
                Err(error) => Err(error),
            };
            this.see(&slot, Seen::Stored(stored.map_err(|error| this.refuse(&error))?));
            this.stir();
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
    crate::work::start(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "the agent failed at its keychain")))
}
