//! No keychain call waits longer than the callers do.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::KeychainState;
use keyfob_ipc::{Secret, limits};

use super::{Keychain, KeychainError, Pending, Stirring};

/// A keychain that answers [`KeychainError::Slow`] once its time is over.
///
/// What was asked may still happen afterwards: a keychain that wakes up late carries out what it was sent, in the
/// order in which it was sent.
pub struct Deadline {
    inner: Arc<dyn Keychain>,
    limit: Duration,
}

impl Deadline {
    /// The longest wait of a person's agent: half of what Bazel grants its helper.
    pub const USUAL: Duration = Duration::from_secs(5);

    /// Gives every call of `inner` `limit` to answer.
    pub fn new(inner: Arc<dyn Keychain>, limit: Duration) -> Self {
        Self { inner, limit }
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, KeychainError>>,
    ) -> Result<T, KeychainError> {
        tokio::time::timeout(self.limit, call).await.unwrap_or(Err(KeychainError::Slow))
    }
}

impl Keychain for Deadline {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(async {
            tokio::time::timeout(self.limit, self.inner.state()).await.unwrap_or(KeychainError::Slow.state())
        })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        Box::pin(self.within(self.inner.load(item)))
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(self.within(self.inner.store(item, value)))
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(self.within(self.inner.remove(item)))
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(self.within(self.inner.clear()))
    }

    fn unlock<'a>(&'a self, passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(self.within(self.inner.unlock(passphrase)))
    }

    /// A person needs longer than a machine.
    fn open(&self) -> Pending<'_, Result<(), KeychainError>> {
        let limit = self.limit + limits::PROMPT;
        Box::pin(async move {
            tokio::time::timeout(limit, self.inner.open()).await.unwrap_or(Err(KeychainError::Slow))
        })
    }

    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        Box::pin(async { tokio::time::timeout(self.limit, self.inner.stirring()).await.ok().flatten() })
    }

    fn close(&self) -> Pending<'_, ()> {
        // What opens it is forgotten as soon as the call before it has ended, whoever waits for that.
        let inner = self.inner.clone();
        let closing = tokio::spawn(async move { inner.close().await });
        Box::pin(async move {
            let _ = tokio::time::timeout(self.limit, closing).await;
        })
    }

    fn opens_by_itself(&self) -> Pending<'_, bool> {
        Box::pin(async {
            tokio::time::timeout(self.limit, self.inner.opens_by_itself()).await.unwrap_or(false)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryKeychain;
    use super::*;

    /// A keychain whose every call waits for a person who is away.
    struct Silent;

    impl Keychain for Silent {
        fn kind(&self) -> &'static str {
            "system"
        }

        fn state(&self) -> Pending<'_, KeychainState> {
            Box::pin(std::future::pending())
        }

        fn load<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
            Box::pin(std::future::pending())
        }

        fn store<'a>(&'a self, _: &'a str, _: &'a Secret<Vec<u8>>) -> Pending<'a, Result<(), KeychainError>> {
            Box::pin(std::future::pending())
        }

        fn remove<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), KeychainError>> {
            Box::pin(std::future::pending())
        }

        fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
            Box::pin(std::future::pending())
        }

        fn unlock<'a>(&'a self, _: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn every_call_on_a_silent_keychain_ends_as_slow() {
        let keychain = Deadline::new(Arc::new(Silent), Duration::from_millis(5));
        let value = Secret::new(b"value".to_vec());
        assert_eq!(keychain.kind(), "system");
        assert_eq!(keychain.state().await, KeychainState::Failing);
        assert_eq!(keychain.load("token.a").await, Err(KeychainError::Slow));
        assert_eq!(keychain.store("token.a", &value).await, Err(KeychainError::Slow));
        assert_eq!(keychain.remove("token.a").await, Err(KeychainError::Slow));
        assert_eq!(keychain.clear().await, Err(KeychainError::Slow));
        assert_eq!(keychain.unlock(&Secret::from("open")).await, Err(KeychainError::Slow));
    }

    #[tokio::test]
    async fn a_keychain_in_time_answers_for_itself() {
        let keychain = Deadline::new(Arc::new(MemoryKeychain::default()), Deadline::USUAL);
        let value = Secret::new(b"value".to_vec());
        assert_eq!(keychain.state().await, KeychainState::Present);
        keychain.store("token.a", &value).await.unwrap();
        assert_eq!(keychain.load("token.a").await, Ok(Some(value)));
        keychain.remove("token.a").await.unwrap();
        assert_eq!(keychain.load("token.a").await, Ok(None));
    }
}
