//! An open keychain outlives the program that opened it, where another version takes over (`crate::upgrade`).

use std::iter;

use age::Decryptor;
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use keyfob_ipc::Secret;

use super::super::KeychainError;
use super::{Door, FileKeychain, IDENTITY, Vault};

impl FileKeychain {
    /// The same, open to an identity ([`FileKeychain::identity`]). What is no identity, or one that opens nothing of what is
    /// here, leaves it as it is.
    #[must_use]
    pub fn opened_to(self, identity: &Secret<String>) -> Self {
        // Nobody else has it yet, so the lock is free.
        if let (Ok(mut vault), Ok(identity)) = (self.vault.try_lock(), identity.expose().parse())
            && vault.is_sealed_to(&identity)
        {
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

impl Vault {
    /// Whether an identity opens an item, where there is any. One that is damaged says nothing about the others.
    fn is_sealed_to(&self, identity: &Identity) -> bool {
        let files = std::fs::read_dir(self.folder.path(".")).into_iter().flatten().flatten();
        let items = files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let names = items.filter_map(|entry| entry.file_name().into_string().ok());
        let mut items = names
            .filter(|name| {
                !name.starts_with('.') && name.ends_with(".age") && *name != format!("{IDENTITY}.age")
            })
            .peekable();
        items.peek().is_none()
            || items
                .any(|name| self.folder.read(&name).is_ok_and(|sealed| opens(identity, sealed.as_deref())))
    }
}

/// Looks at the header alone, which the identity proves (age-encryption.org/v1).
fn opens(identity: &Identity, sealed: Option<&[u8]>) -> bool {
    let key: &dyn age::Identity = identity;
    sealed
        .and_then(|sealed| Decryptor::new_buffered(sealed).ok())
        .is_some_and(|sealed| sealed.decrypt(iter::once(key)).is_ok())
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::KeychainState;

    use super::*;
    use crate::keychain::{Keychain as _, Passphrase};

    #[tokio::test]
    async fn an_identity_that_opens_nothing_of_what_is_there_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = || FileKeychain::new(folder.path().join("keychain"), Passphrase::Prompt, 1);
        let foreign = Secret::from(Identity::generate().to_string().expose_secret());
        let first = file();
        first.unlock(&Secret::from("correct horse")).await.unwrap();
        let own = first.identity().unwrap().unwrap();
        // Where nothing is sealed, nothing can be said against it.
        assert_eq!(file().opened_to(&foreign).state().await, KeychainState::Present);
        first.store("token.a", &Secret::new(b"value".to_vec())).await.unwrap();
        assert_eq!(file().opened_to(&foreign).state().await, KeychainState::Locked);
        // A damaged item does not keep the right one out.
        std::fs::write(folder.path().join("keychain/sso.b.age"), b"damaged").unwrap();
        assert_eq!(file().opened_to(&own).state().await, KeychainState::Present);
        assert_eq!(file().opened_to(&foreign).state().await, KeychainState::Locked);
    }
}
