//! Where secrets rest: one trait over the platforms' keychains.
//!
//! A leaf: it knows items of bytes, not what is in them. States of a keychain are ordinary answers with a way out, not
//! faults: a laptop's keychain is locked before the first sign-in, and a server has none at all.

mod deadline;
mod file;
mod memory;
mod system;

use std::future::Future;
use std::pin::Pin;

use keyfob_ipc::reply::KeychainState;
use keyfob_ipc::{Code, Refusal, Secret};

pub use deadline::Deadline;
pub use file::{FileKeychain, Passphrase};
pub use memory::MemoryKeychain;
#[cfg(target_os = "linux")]
pub use system::SecretService;
pub use system::system;

/// The largest value of an item, in bytes.
pub const MAX_VALUE: usize = 256 * 1024;

/// An answer that takes a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A keychain. Every call may take long (a person may be typing a password elsewhere): callers put a [`Deadline`] around
/// it. No call opens a prompt.
pub trait Keychain: Send + Sync {
    /// `system`, `file` or `memory`, for people.
    fn kind(&self) -> &'static str;

    /// Its state, found out without a prompt.
    fn state(&self) -> Pending<'_, KeychainState>;

    /// The bytes of an item; `None` where there is no such item.
    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>>;

    /// Stores an item, replacing what was there. When it returns `Ok`, the item outlives this process.
    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>>;

    /// Removes an item; an absent one is as good as removed.
    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>>;

    /// Removes every item of this profile, also of entries that no configuration has any more.
    fn clear(&self) -> Pending<'_, Result<(), KeychainError>>;

    /// Opens a keychain that has a passphrase of its own for as long as this process runs.
    ///
    /// # Errors
    /// [`KeychainError::Denied`] for a wrong passphrase; [`KeychainError::Failed`] where this kind has none.
    fn unlock<'a>(&'a self, passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>>;

    /// Opens it with what lies ready, or by the keychain's own prompt, which a person may take a while to answer: up to
    /// [`keyfob_ipc::limits::PROMPT`]. The one call that may open a prompt, and only for somebody who asked for it.
    ///
    /// # Errors
    /// [`KeychainError::Denied`] where the person dismissed the prompt; else what stands in the way.
    fn open(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(async move {
            match self.state().await {
                KeychainState::Present => Ok(()),
                KeychainState::Missing => Err(KeychainError::Missing),
                KeychainState::Locked => Err(KeychainError::Locked),
                KeychainState::Denied => Err(KeychainError::Denied),
                KeychainState::Failing => Err(KeychainError::Slow),
            }
        })
    }

    /// Who tells of what other hands do to it, from here on; `None` where nobody does.
    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        Box::pin(std::future::ready(None))
    }

    /// Forgets whatever opens it, until it is opened again. What is to be stored is taken even so, where that can be.
    fn close(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Whether [`Keychain::open`] would open it without asking anybody anything.
    fn opens_by_itself(&self) -> Pending<'_, bool> {
        Box::pin(async { self.state().await == KeychainState::Present })
    }
}

/// Tells of what other hands do to a keychain.
pub trait Stirring: Send {
    /// Returns when its state may have changed; `false` where nobody tells any more. Nothing is lost where the wait is given
    /// up.
    fn next(&mut self) -> Pending<'_, bool>;
}

/// For a keychain that no other hand reaches.
struct Still;

impl Stirring for Still {
    fn next(&mut self) -> Pending<'_, bool> {
        Box::pin(std::future::pending())
    }
}

/// What every keychain demands of an item's name: 1 to 100 of `[A-Za-z0-9._-]`, no dot first. It becomes a file's name,
/// and part of names that keychains without structure know.
fn check_item(item: &str) -> Result<(), KeychainError> {
    let plain = item.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if plain && (1..=100).contains(&item.len()) && !item.starts_with('.') {
        Ok(())
    } else {
        Err(KeychainError::Failed(format!("`{item}` cannot name an item")))
    }
}

/// An item's name for where `Dev` and `dev` are the same (Windows, and file systems elsewhere): capitals are marked.
fn without_capitals(item: &str) -> String {
    let mut marked = String::with_capacity(item.len());
    for letter in item.chars() {
        if letter.is_ascii_uppercase() {
            marked.push('+');
        }
        marked.push(letter.to_ascii_lowercase());
    }
    marked
}

fn check_value(value: &Secret<Vec<u8>>) -> Result<(), KeychainError> {
    let length = value.expose().len();
    if length <= MAX_VALUE {
        Ok(())
    } else {
        Err(KeychainError::Failed(format!("{length} bytes are more than an item can hold ({MAX_VALUE})")))
    }
}

/// Why a keychain did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// This machine has none, or an encrypted file that nobody has chosen a passphrase for.
    #[error("this machine has no keychain that keyfob can use")]
    Missing,
    /// It waits for the person.
    #[error("the keychain is locked")]
    Locked,
    /// It refuses this program, or the passphrase.
    #[error("the keychain refused")]
    Denied,
    /// It did not answer within the deadline.
    #[error("the keychain does not answer")]
    Slow,
    /// Something else; the text is the keychain's own, without secrets.
    #[error("the keychain failed: {0}")]
    Failed(String),
}

impl KeychainError {
    /// The state that this error shows.
    pub fn state(&self) -> KeychainState {
        match self {
            Self::Missing => KeychainState::Missing,
            Self::Locked => KeychainState::Locked,
            Self::Denied => KeychainState::Denied,
            Self::Slow | Self::Failed(_) => KeychainState::Failing,
        }
    }

    /// What a person is told. `kind` is [`Keychain::kind`].
    pub fn refusal(&self, kind: &str) -> Refusal {
        let say = self.to_string();
        match self {
            Self::Missing if kind == "file" => {
                let say = "no passphrase has been chosen for the encrypted keychain file yet";
                Refusal::new(Code::KeychainLocked, say).hint("keyfob unlock")
            }
            Self::Missing => Refusal::new(Code::KeychainMissing, say)
                .hint("set `keychain = \"file\"` under [agent] in the configuration"),
            Self::Locked if kind == "file" => {
                Refusal::new(Code::KeychainLocked, "the encrypted keychain file is locked")
                    .hint("keyfob unlock")
            }
            Self::Locked => Refusal::new(Code::KeychainLocked, say)
                .hint("unlock your login keychain (sign in to the desktop), then try again"),
            Self::Denied if kind == "file" => {
                Refusal::new(Code::KeychainDenied, "the passphrase is not the right one")
                    .hint("keyfob unlock")
            }
            Self::Denied => Refusal::new(Code::KeychainDenied, say)
                .hint("allow keyfobd in your keychain program, then try again"),
            Self::Slow => Refusal::new(Code::KeychainFailed, say)
                .hint("look for a keychain prompt on your desktop, then try again"),
            Self::Failed(text) => Refusal::new(
                Code::KeychainFailed,
                format!("the keychain failed: {}", keyfob_ipc::text::escape(text)),
            )
            .hint("keyfob status"),
        }
    }
}
