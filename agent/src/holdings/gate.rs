//! What is forgotten while Keyfob is locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyfob_ipc::reply::KeychainState;
use keyfob_ipc::{Code, Refusal};

use super::Holdings;
use super::slot::{Seen, Slot};
use crate::config::EntryName;

/// Whether Keyfob is locked. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Whether it is shut: locked.
    pub fn is_shut(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Refuses where it is shut.
    ///
    /// # Errors
    /// [`Code::Locked`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.is_shut() { Err(Self::refusal()) } else { Ok(()) }
    }

    /// What everybody is told while it is shut.
    pub(crate) fn refusal() -> Refusal {
        Refusal::new(Code::Locked, "keyfob is locked").hint("keyfob unlock")
    }

    pub(crate) fn set(&self, is_shut: bool) {
        self.0.store(is_shut, Ordering::SeqCst);
    }
}

/// Somebody who needs what is known of an entry to its end: a token of it is being spent.
pub struct Pin {
    slot: Arc<Slot>,
    gate: Gate,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.slot.pins.fetch_sub(1, Ordering::SeqCst);
        if self.gate.is_shut() {
            self.slot.forget();
        }
    }
}

impl Holdings {
    /// What is known of this entry stays until this is dropped, locked or not.
    pub fn pin(&self, name: &EntryName) -> Pin {
        let slot = self.slot(name);
        slot.pins.fetch_add(1, Ordering::SeqCst);
        Pin { slot, gate: self.gate.clone() }
    }

    /// Forgets what the keychain has, and what opens the keychain; to be called once the gate is shut. What the keychain has not
    /// taken yet stays, and so does what is pinned, for as long as it is.
    pub(crate) async fn forget(&self) {
        for slot in self.all_slots() {
            slot.forget();
        }
        self.keychain.close().await;
    }

    /// Opens the keychain with what lies ready, or by its own prompt.
    ///
    /// # Errors
    /// The keychain's; [`Code::KeychainDenied`] where the person dismissed the prompt.
    pub(crate) async fn open(&self) -> Result<(), Refusal> {
        self.keychain.open().await.map_err(|error| self.refuse(&error))?;
        self.found(KeychainState::Present);
        self.stir();
        Ok(())
    }

    /// Whether it would be opened without asking anybody anything.
    pub(crate) async fn opens_by_itself(&self) -> bool {
        self.keychain.opens_by_itself().await
    }

    /// Whether this is the same keychain.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slots, &other.slots)
    }

    /// Takes note of what the keychain has, unless that is to be forgotten.
    pub(super) fn see(&self, slot: &Slot, seen: Seen) {
        slot.see(seen);
        if self.gate.is_shut() {
            slot.forget();
        }
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values().cloned().collect()
    }
}
