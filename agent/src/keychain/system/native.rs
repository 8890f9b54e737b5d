//! macOS' login keychain and Windows' Credential Manager, by `keyring-core`'s stores.
//!
//! Their calls block: each runs on a thread of its own, one at a time (Credential Manager does not promise the order of
//! calls on several threads).

use std::collections::HashMap;
use std::sync::Arc;

use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;
use keyring_core::api::CredentialStoreApi;
use tokio::sync::Mutex;

use super::super::{Keychain, KeychainError, Pending, check_item, check_value, without_capitals};

/// The platform's own keychain.
pub(super) struct Native {
    vault: Arc<Mutex<Vault>>,
}

impl Native {
    pub(super) fn new(namespace: Option<&str>) -> Self {
        let service =
            namespace.map_or_else(|| "keyfob".to_owned(), |namespace| format!("keyfob/{namespace}"));
        Self { vault: Arc::new(Mutex::new(Vault { service })) }
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Vault) -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        let vault = Arc::clone(&self.vault).lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let _silence = platform::no_prompts()?;
            act(&vault)
        })
        .await
        .unwrap_or_else(|_| Err(KeychainError::Failed("a call on the keychain broke off".to_owned())))
    }
}

impl Keychain for Native {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(async {
            match self.with(platform::probe).await {
                Ok(()) => KeychainState::Present,
                Err(error) => error.state(),
            }
        })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        let item = item.to_owned();
        Box::pin(self.with(move |vault| {
            check_item(&item)?;
            platform::load(vault, &item)
        }))
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        let (item, value) = (item.to_owned(), value.clone());
        Box::pin(self.with(move |vault| {
            check_item(&item)?;
            check_value(&value)?;
            platform::store(vault, &item, value.expose())
        }))
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        let item = item.to_owned();
        Box::pin(self.with(move |vault| {
            check_item(&item)?;
            platform::remove(vault, &item)
        }))
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.with(|vault| {
            let found = platform::list(vault).map_err(|error| platform::translate(&error))?;
            for entry in found {
                match entry.delete_credential() {
                    Ok(()) | Err(keyring_core::Error::NoEntry) => {}
                    Err(error) => return Err(platform::translate(&error)),
                }
            }
            Ok(())
        }))
    }

    fn unlock<'a>(&'a self, _passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(std::future::ready(Err(KeychainError::Failed(
            "the desktop's keychain opens when you sign in to the desktop".to_owned(),
        ))))
    }
}

/// Entries of one profile.
#[derive(Clone)]
struct Vault {
    service: String,
}

impl Vault {
    fn entry(&self, name: &str) -> keyring_core::Result<keyring_core::Entry> {
        let modifiers = HashMap::from(platform::MODIFIERS);
        platform::open()?.build(&self.service, &without_capitals(name), Some(&modifiers))
    }

    fn get(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
        match self.entry(name).and_then(|entry| entry.get_secret()) {
            Ok(bytes) => Ok(Some(Secret::new(bytes))),
            Err(keyring_core::Error::NoEntry) => Ok(None),
            Err(error) => Err(platform::translate(&error)),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), KeychainError> {
        self.entry(name)
            .and_then(|entry| entry.set_secret(bytes))
            .map_err(|error| platform::translate(&error))
    }

    fn delete(&self, name: &str) -> Result<(), KeychainError> {
        match self.entry(name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(keyring_core::Error::NoEntry) => Ok(()),
            Err(error) => Err(platform::translate(&error)),
        }
    }
}

/// A sentence for an error without a state of its own. Some carry bytes of the entry: those are left out.
fn failed(error: &keyring_core::Error) -> KeychainError {
    use keyring_core::Error;
    KeychainError::Failed(match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "an entry is malformed".to_owned(),
        error => error.to_string(),
    })
}

#[cfg(target_os = "macos")]
mod platform {
    use security_framework::os::macos::keychain::{KeychainUserInteractionLock, SecKeychain};

    use super::{CredentialStoreApi as _, KeychainError, Secret, Vault, failed};

    pub(super) const MODIFIERS: [(&str, &str); 0] = [];

    pub(super) fn open() -> keyring_core::Result<std::sync::Arc<apple_native_keyring_store::keychain::Store>>
    {
        apple_native_keyring_store::keychain::Store::new()
    }

    /// As long as this lives, the keychain answers `errSecInteractionNotAllowed` where it would ask the person.
    pub(super) fn no_prompts() -> Result<KeychainUserInteractionLock, KeychainError> {
        SecKeychain::disable_user_interaction().map_err(|error| status(error.code(), &error.to_string()))
    }

    /// A locked keychain still tells what it does not have: only an entry that is there shows the lock.
    pub(super) fn probe(vault: &Vault) -> Result<(), KeychainError> {
        match vault.get("#probe")? {
            Some(_) => Ok(()),
            None => vault.put("#probe", b"keyfob"),
        }
    }

    pub(super) fn load(vault: &Vault, item: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
        vault.get(item)
    }

    pub(super) fn store(vault: &Vault, item: &str, value: &[u8]) -> Result<(), KeychainError> {
        vault.put(item, value)
    }

    pub(super) fn remove(vault: &Vault, item: &str) -> Result<(), KeychainError> {
        vault.delete(item)
    }

    /// Every entry of the profile.
    pub(super) fn list(vault: &Vault) -> keyring_core::Result<Vec<keyring_core::Entry>> {
        let ours = std::collections::HashMap::from([("service", vault.service.as_str())]);
        open()?.search(&ours)
    }

    pub(super) fn translate(error: &keyring_core::Error) -> KeychainError {
        use keyring_core::Error;
        let (Error::PlatformFailure(cause) | Error::NoStorageAccess(cause)) = error else {
            return failed(error);
        };
        match cause.downcast_ref::<security_framework::base::Error>() {
            Some(cause) => status(cause.code(), &cause.to_string()),
            None => failed(error),
        }
    }

    /// `OSStatus` codes of Security/SecBase.h.
    fn status(code: i32, text: &str) -> KeychainError {
        match code {
            // errSecInteractionNotAllowed: it would ask for the keychain's password.
            -25308 => KeychainError::Locked,
            // wrPermErr, errSecUserCanceled, errSecInvalidOwnerEdit, errSecAuthFailed
            -61 | -128 | -25244 | -25293 => KeychainError::Denied,
            // errSecNotAvailable, errSecNoSuchKeychain, errSecInvalidKeychain, errSecNoDefaultKeychain
            -25291 | -25294 | -25295 | -25307 => KeychainError::Missing,
            _ => KeychainError::Failed(format!("{text} ({code})")),
        }
    }
}

#[cfg(windows)]
mod platform {
    use super::super::chunks::{Chunks, Entries};
    use super::{CredentialStoreApi as _, KeychainError, Secret, Vault, failed};

    /// On this computer only: a roaming profile would carry the sign-in to others.
    pub(super) const MODIFIERS: [(&str, &str); 1] = [("persistence", "local")];

    /// The size of one credential (`CRED_MAX_CREDENTIAL_BLOB_SIZE` of wincred.h), in bytes.
    const BLOB: usize = 2560;

    /// Targets are named `<item>@<service>`; no item has an `@`.
    pub(super) fn open() -> keyring_core::Result<std::sync::Arc<windows_native_keyring_store::Store>> {
        let configuration = std::collections::HashMap::from([("divider", "@")]);
        windows_native_keyring_store::Store::new_with_configuration(&configuration)
    }

    /// Credential Manager never asks the person.
    pub(super) fn no_prompts() -> Result<Silence, KeychainError> {
        Ok(Silence)
    }

    pub(super) struct Silence;

    pub(super) fn probe(vault: &Vault) -> Result<(), KeychainError> {
        vault.get("#probe").map(|_| ())
    }

    pub(super) fn load(vault: &Vault, item: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
        chunks(vault).load(item)
    }

    pub(super) fn store(vault: &Vault, item: &str, value: &[u8]) -> Result<(), KeychainError> {
        chunks(vault).store(item, value)
    }

    pub(super) fn remove(vault: &Vault, item: &str) -> Result<(), KeychainError> {
        chunks(vault).remove(item)
    }

    fn chunks(vault: &Vault) -> Chunks<Vault> {
        Chunks { entries: vault.clone(), size: BLOB }
    }

    impl Entries for Vault {
        fn get(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
            self.get(name)
        }

        fn put(&self, name: &str, bytes: &[u8]) -> Result<(), KeychainError> {
            self.put(name, bytes)
        }

        fn delete(&self, name: &str) -> Result<(), KeychainError> {
            self.delete(name)
        }
    }

    /// Every entry of the profile, the chunks of values among them. No service has a letter that means something in a pattern.
    pub(super) fn list(vault: &Vault) -> keyring_core::Result<Vec<keyring_core::Entry>> {
        let pattern = format!("@{}$", vault.service);
        open()?.search(&std::collections::HashMap::from([("pattern", pattern.as_str())]))
    }

    pub(super) fn translate(error: &keyring_core::Error) -> KeychainError {
        match error {
            // ERROR_NO_SUCH_LOGON_SESSION: a network logon, such as SSH by key, has no credential set.
            keyring_core::Error::NoStorageAccess(_) => KeychainError::Missing,
            error => failed(error),
        }
    }
}
