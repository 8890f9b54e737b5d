//! An open keychain outlives the program that opened it, where another version takes over (`crate::upgrade`).

use age::secrecy::ExposeSecret as _;
use keyfob_ipc::Secret;

use super::super::KeychainError;
use super::{Door, FileKeychain};

impl FileKeychain {
    /// The same, open to an identity ([`FileKeychain::identity`]). What is no identity leaves it as it is.
    #[must_use]
    pub fn opened_to(self, identity: &Secret<String>) -> Self {
        // Nobody else has it yet, so the lock is free.
        if let (Ok(mut vault), Ok(identity)) = (self.vault.try_lock(), identity.expose().parse()) {
            vault.door = Door::Open(Box::new(identity));
        }
        self
    }

    /// What it is open to; `None` where it is not open.
    ///
    /// # Errors
    /// [`KeychainError::Slow`] while a call is under way.
    pub fn identity(&self) -> Result<Option<Secret<String>>, KeychainError> {
        let vault = self.vault.try_lock().map_err(|_| KeychainError::Slow)?;
        Ok(match &vault.door {
            Door::Open(identity) => Some(Secret::from(identity.to_string().expose_secret())),
            Door::Unopened | Door::Refused | Door::Closed(_) => None,
        })
    }
}
