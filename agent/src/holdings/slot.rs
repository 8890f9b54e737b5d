//! What is known of one entry's item.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_ipc::Refusal;

use crate::holding::Holding;

/// One entry's place.
#[derive(Default)]
pub(super) struct Slot {
    /// Held while the keychain is read or written for this entry.
    pub(super) turn: tokio::sync::Mutex<()>,
    seen: Mutex<Option<Seen>>,
    /// The last read that failed, and how many have.
    failed: Mutex<(u64, Option<Refusal>)>,
    /// Counts sign-ins and removals: what was bought with an earlier one is worthless.
    pub(super) epoch: AtomicU64,
    /// How many need what is known here, also where everything else is forgotten.
    pub(super) pins: AtomicUsize,
}

#[derive(Clone)]
pub(super) enum Seen {
    Absent,
    Stored(Arc<Holding>),
    /// The keychain has not taken it yet.
    Unsaved {
        holding: Arc<Holding>,
        /// Whether it is used all the same.
        serves: bool,
    },
}

/// What becomes of a new state that the keychain does not take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is kept here, and used once it is stored.
    Keep,
    /// It is kept here, and used at once.
    Serve,
    /// What was there before stays.
    Leave,
}

impl Seen {
    pub(super) fn holding(&self) -> Option<Arc<Holding>> {
        match self {
            Self::Absent => None,
            Self::Stored(holding) | Self::Unsaved { holding, .. } => Some(holding.clone()),
        }
    }

    pub(super) fn serves_unsaved(&self) -> bool {
        matches!(self, Self::Unsaved { serves: true, .. })
    }
}

impl Slot {
    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn failures(&self) -> (u64, Option<Refusal>) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn fail(&self, refusal: &Refusal) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = (failed.0 + 1, Some(refusal.clone()));
    }

    pub(super) fn see(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Forgets what the keychain has, unless somebody needs it.
    pub(super) fn forget(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.pins.load(Ordering::SeqCst) == 0 && !matches!(*seen, Some(Seen::Unsaved { .. })) {
            *seen = None;
        }
    }
}
