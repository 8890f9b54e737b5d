//! An encrypted file keychain, for hosts without one of their own.
//!
//! `identity.age` is one X25519 identity sealed by the passphrase; each item is a file of its own, sealed to that
//! identity. So a save costs no key derivation and needs no passphrase, none is kept, and changing the passphrase
//! would touch one file. A new value replaces the old one by a rename: a crash leaves one of the two, whole.

mod folder;
#[cfg(unix)]
mod inherit;
mod passphrase;
mod seal;

use std::path::PathBuf;
use std::sync::Arc;

use age::x25519::{Identity, Recipient};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;
use tokio::sync::Mutex;

use self::folder::Folder;
pub use self::passphrase::Passphrase;
use super::{Keychain, KeychainError, Pending, Still, Stirring, check_item, check_value, without_capitals};

/// The item name that belongs to the keychain itself.
const IDENTITY: &str = "identity";

/// Items in a folder, each encrypted; opened once per start by a passphrase.
pub struct FileKeychain {
    /// One call at a time, in the order in which they came: a save whose caller gave up still precedes the next one.
    vault: Arc<Mutex<Vault>>,
}

impl FileKeychain {
    /// The work factor of a person's keychain (base two logarithm of scrypt's N): 32 MiB and a third of a second.
    pub const WORK_FACTOR: u8 = 15;

    /// A keychain in `folder` (made when first opened, for this user alone), sealed with scrypt at `work_factor`
    /// (base two logarithm of N, 1 to 18). Nothing is read before the first call.
    pub fn new(folder: PathBuf, passphrase: Passphrase, work_factor: u8) -> Self {
        let vault = Vault {
            folder: Folder::new(folder),
            passphrase,
            work_factor: work_factor.clamp(1, seal::MAX_WORK_FACTOR),
            door: Door::Unopened,
        };
        Self { vault: Arc::new(Mutex::new(vault)) }
    }

    /// Runs `act` where blocking is fine.
    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Vault) -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        let mut vault = Arc::clone(&self.vault).lock_owned().await;
        tokio::task::spawn_blocking(move || act(&mut vault)).await.unwrap_or_else(|_| {
            Err(KeychainError::Failed("a call on the encrypted file broke off".to_owned()))
        })
    }
}

impl Keychain for FileKeychain {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(async {
            match self.with(|vault| vault.opened().map(|_| ())).await {
                Ok(()) => KeychainState::Present,
                Err(error) => error.state(),
            }
        })
    }

    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        Box::pin(async { Some(Box::new(Still) as Box<dyn Stirring>) })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        let item = item.to_owned();
        Box::pin(self.with(move |vault| vault.load(&item)))
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        let (item, value) = (item.to_owned(), value.clone());
        Box::pin(self.with(move |vault| vault.store(&item, &value)))
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        let item = item.to_owned();
        Box::pin(self.with(move |vault| vault.remove(&item)))
    }

    /// Without the passphrase, too: whoever may remove the files needs none.
    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.with(|vault| {
            vault.door = Door::Unopened;
            vault.folder.empty()
        }))
    }

    fn unlock<'a>(&'a self, passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        let passphrase = passphrase.clone();
        Box::pin(self.with(move |vault| vault.unlock(&passphrase)))
    }

    fn open(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.with(Vault::open))
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            // It fails at nothing.
            let _ = self
                .with(|vault| {
                    vault.close();
                    Ok(())
                })
                .await;
        })
    }

    fn opens_by_itself(&self) -> Pending<'_, bool> {
        Box::pin(async { self.with(|vault| Ok(vault.opens_by_itself())).await.unwrap_or(false) })
    }
}

struct Vault {
    folder: Folder,
    passphrase: Passphrase,
    work_factor: u8,
    door: Door,
}

enum Door {
    Unopened,
    /// The passphrase that lies ready is a wrong one: trying it again for every caller would cost each the derivation.
    Refused,
    /// On the heap: what is freed is wiped, what is replaced in place may not be.
    Open(Box<Identity>),
    /// Until it is opened again. What it was opened to is known, so that a value that comes now is not lost.
    Closed(Option<Recipient>),
}

impl Vault {
    fn load(&mut self, item: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
        let file = file_name(item)?;
        let identity = self.opened()?.clone();
        let Some(sealed) = self.folder.read(&file)? else { return Ok(None) };
        seal::open_item(&identity, item, &sealed).map(Some)
    }

    fn store(&mut self, item: &str, value: &Secret<Vec<u8>>) -> Result<(), KeychainError> {
        let file = file_name(item)?;
        check_value(value)?;
        let recipient = match &self.door {
            Door::Closed(Some(recipient)) => recipient.clone(),
            _ => self.opened()?.to_public(),
        };
        let sealed = seal::close_item(&recipient, item, value)?;
        self.folder.write(&file, &sealed)
    }

    fn remove(&mut self, item: &str) -> Result<(), KeychainError> {
        let file = file_name(item)?;
        self.opened()?;
        self.folder.remove(&file)
    }

    /// The identity, opened by the passphrase that lies ready where there is one.
    fn opened(&mut self) -> Result<&Identity, KeychainError> {
        if let Door::Unopened = self.door {
            let passphrase = self.passphrase.ready()?.ok_or_else(|| self.waiting())?;
            if let Err(error) = self.unlock(&passphrase) {
                if error == KeychainError::Denied {
                    self.door = Door::Refused;
                }
                return Err(error);
            }
        }
        match &self.door {
            Door::Open(identity) => Ok(identity),
            Door::Refused => Err(KeychainError::Denied),
            Door::Unopened => Err(KeychainError::Locked),
            Door::Closed(_) => Err(self.waiting()),
        }
    }

    /// With what lies ready, also where it was closed, or that was a wrong one before.
    fn open(&mut self) -> Result<(), KeychainError> {
        if let Door::Open(_) = self.door {
            return Ok(());
        }
        let passphrase = self.passphrase.ready()?.ok_or_else(|| self.waiting())?;
        self.unlock(&passphrase)
    }

    fn close(&mut self) {
        let recipient = match &self.door {
            Door::Open(identity) => Some(identity.to_public()),
            Door::Closed(recipient) => recipient.clone(),
            Door::Unopened | Door::Refused => None,
        };
        self.door = Door::Closed(recipient);
    }

    fn opens_by_itself(&self) -> bool {
        matches!(self.door, Door::Open(_)) || self.passphrase.lies_ready()
    }

    /// What waits for a person: a passphrase to be typed, or to be chosen.
    fn waiting(&self) -> KeychainError {
        let begun = self.folder.path(&format!("{IDENTITY}.age")).exists();
        if begun { KeychainError::Locked } else { KeychainError::Missing }
    }

    /// Opens with `passphrase`, which becomes the one of a folder that has none yet. A wrong one closes nothing.
    fn unlock(&mut self, passphrase: &Secret<String>) -> Result<(), KeychainError> {
        if passphrase.expose().is_empty() {
            return Err(KeychainError::Failed("an empty passphrase protects nothing".to_owned()));
        }
        self.folder.prepare()?;
        let file = format!("{IDENTITY}.age");
        let identity = match self.folder.read(&file)? {
            Some(sealed) => seal::open_identity(&sealed, passphrase)?,
            None => self.begin(&file, passphrase)?,
        };
        self.door = Door::Open(Box::new(identity));
        Ok(())
    }

    /// A new identity, for a folder that never had one: beside items it would hide that theirs is gone.
    fn begin(&self, file: &str, passphrase: &Secret<String>) -> Result<Identity, KeychainError> {
        if self.folder.holds_items()? {
            return Err(KeychainError::Failed(format!(
                "`{}` is gone, and the items beside it cannot be read without it; restore it from a backup",
                self.folder.path(file).display()
            )));
        }
        let identity = Identity::generate();
        let sealed = seal::close_identity(&identity, passphrase, self.work_factor)?;
        self.folder.write(file, &sealed)?;
        Ok(identity)
    }
}

fn file_name(item: &str) -> Result<String, KeychainError> {
    check_item(item)?;
    if item == IDENTITY {
        return Err(KeychainError::Failed(format!("`{item}` cannot name an item")));
    }
    Ok(format!("{}.age", without_capitals(item)))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
