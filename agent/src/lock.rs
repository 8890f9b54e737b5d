//! The lock: nothing is given, and what can be dropped is dropped from memory, until a person unlocks it.

use std::sync::Arc;

use keyfob_ipc::reply::{LockReport, LockedBy};
use keyfob_ipc::{Refusal, Secret};

use crate::agent::Agent;
use crate::asker::Asker;

impl Agent {
    /// Locks; locking again changes nothing.
    ///
    /// # Errors
    /// Where the state folder does not take it: it is locked all the same, until the agent ends.
    pub async fn lock(self: &Arc<Self>, by: LockedBy) -> Result<String, Refusal> {
        let _ = by;
        Err(Refusal::new(keyfob_ipc::Code::Internal, "the lock is not there yet"))
    }

    /// Opens the keychain, and lifts the lock. The lock is lifted for a terminal or a window alone.
    ///
    /// # Errors
    /// The keychain's, and [`keyfob_ipc::Code::Locked`] where the asker is neither.
    pub async fn unlock(
        self: &Arc<Self>,
        asker: &Asker,
        is_window: bool,
        passphrase: Option<Secret<String>>,
    ) -> Result<String, Refusal> {
        let _ = (asker, is_window);
        // An edit may have named another keychain since the last question.
        self.config()?;
        if let Some(passphrase) = passphrase {
            self.holdings().unlock(&passphrase).await?;
        }
        self.states.forget_where(|_| true);
        self.flights.forget_failures();
        Ok("the keychain is open".to_owned())
    }

    /// Refuses where it is locked.
    ///
    /// # Errors
    /// [`keyfob_ipc::Code::Locked`].
    pub fn check_lock(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// The lock, where it is on.
    pub fn lock_report(&self) -> Option<LockReport> {
        None
    }
}
