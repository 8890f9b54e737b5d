//! Nothing at rest: for the demo, for CI, and for tests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;

use super::{Keychain, KeychainError, Pending, Still, Stirring};

/// Keeps items until the process ends.
#[derive(Debug, Default)]
pub struct MemoryKeychain {
    items: Mutex<HashMap<String, Secret<Vec<u8>>>>,
}

impl MemoryKeychain {
    /// One with these items in it (`crate::upgrade`).
    #[cfg(unix)]
    pub fn of(items: HashMap<String, Secret<Vec<u8>>>) -> Self {
        Self { items: Mutex::new(items) }
    }

    /// What is in it.
    #[cfg(unix)]
    pub fn items(&self) -> HashMap<String, Secret<Vec<u8>>> {
        self.with(|items| items.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Secret<Vec<u8>>>) -> T) -> T {
        act(&mut self.items.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keychain for MemoryKeychain {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(std::future::ready(KeychainState::Present))
    }

    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        Box::pin(async { Some(Box::new(Still) as Box<dyn Stirring>) })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        Box::pin(std::future::ready(Ok(self.with(|items| items.get(item).cloned()))))
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        self.with(|items| items.insert(item.to_owned(), value.clone()));
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        self.with(|items| items.remove(item));
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        self.with(HashMap::clear);
        Box::pin(std::future::ready(Ok(())))
    }

    fn unlock<'a>(&'a self, _passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(std::future::ready(Err(KeychainError::Failed(
            "a memory keychain has no passphrase".to_owned(),
        ))))
    }
}
