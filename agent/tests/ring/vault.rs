//! A keychain that does what a test tells it to.

use std::sync::{Mutex, MutexGuard};

use keyfob_agent::keychain::{Keychain, KeychainError, MemoryKeychain, Pending, Stirring};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::KeychainState;
use serde_json::Value;
use tokio::sync::watch;

/// Items in memory, with faults on demand and a count of the calls.
pub struct Vault {
    items: MemoryKeychain,
    told: Mutex<Told>,
    /// Whether stores wait.
    held: watch::Sender<bool>,
    /// Whether every call waits.
    silent: watch::Sender<bool>,
    /// How often another hand has done something to it.
    hands: watch::Sender<usize>,
}

/// Tells of other hands.
struct Hands(watch::Receiver<usize>);

impl Stirring for Hands {
    fn next(&mut self) -> Pending<'_, bool> {
        Box::pin(async { self.0.changed().await.is_ok() })
    }
}

#[derive(Default)]
struct Told {
    /// What every call fails with.
    state: Option<KeychainError>,
    /// Which store waits, by count.
    hold_at: Option<usize>,
    /// What every store fails with.
    full: Option<KeychainError>,
    /// What the store after this many more fails with, once.
    bad_store: Option<(usize, KeychainError)>,
    loads: usize,
    stores: usize,
    closes: usize,
    /// Whether nobody is told what other hands do.
    unheard: bool,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            items: MemoryKeychain::default(),
            told: Mutex::default(),
            held: watch::Sender::new(false),
            silent: watch::Sender::new(false),
            hands: watch::Sender::new(0),
        }
    }
}

impl Vault {
    /// From now on every call fails so; `None`: works.
    pub fn set(&self, state: Option<KeychainError>) {
        let is_silent = {
            let mut told = self.told();
            told.state = state;
            told.unheard
        };
        if !is_silent {
            self.hands.send_modify(|count| *count += 1);
        }
    }

    /// Does something to it of which nobody is told.
    pub fn in_silence(&self, act: impl FnOnce(&Self)) {
        self.told().unheard = true;
        act(self);
        self.told().unheard = false;
    }

    /// How many are told what other hands do.
    pub fn listeners(&self) -> usize {
        self.hands.receiver_count()
    }

    /// From now on every store fails so, and what is there can be read; `None`: works.
    pub fn refuse_stores(&self, error: Option<KeychainError>) {
        self.told().full = error;
    }

    /// The `n`-th store from now fails, the others do not.
    pub fn fail_store(&self, n: usize, error: KeychainError) {
        self.told().bad_store = Some((n - 1, error));
    }

    /// Stores that begin now wait.
    pub fn hold_stores(&self) {
        self.held.send_replace(true);
    }

    /// The `n`-th store from now waits, and those after it.
    pub fn hold_store(&self, n: usize) {
        let mut told = self.told();
        told.hold_at = Some(told.stores + n);
    }

    /// They go on.
    pub fn release_stores(&self) {
        self.told().hold_at = None;
        self.held.send_replace(false);
    }

    /// Every call waits, as behind a prompt that nobody answers.
    pub fn be_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// How many calls wait.
    #[cfg(unix)]
    pub fn waiting(&self) -> usize {
        self.silent.receiver_count()
    }

    /// Items that were asked for.
    pub fn loads(&self) -> usize {
        self.told().loads
    }

    /// Stores that began.
    pub fn stores(&self) -> usize {
        self.told().stores
    }

    /// How often it was told to forget what opens it.
    pub fn closes(&self) -> usize {
        self.told().closes
    }

    /// An item as it lies there.
    pub async fn item(&self, name: &str) -> Option<Value> {
        let bytes = self.items.load(name).await.unwrap()?;
        Some(serde_json::from_slice(bytes.expose()).unwrap())
    }

    /// Another hand puts an item there.
    pub async fn put_item(&self, name: &str, item: &Value) {
        let bytes = Secret::new(item.to_string().into_bytes());
        self.items.store(name, &bytes).await.unwrap();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    async fn answers(&self) -> Result<(), KeychainError> {
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
        self.told().state.clone().map_or(Ok(()), Err)
    }
}

impl Keychain for Vault {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn state(&self) -> Pending<'_, KeychainState> {
        Box::pin(async {
            match self.answers().await {
                Ok(()) => KeychainState::Present,
                Err(error) => error.state(),
            }
        })
    }

    fn load<'a>(&'a self, item: &'a str) -> Pending<'a, Result<Option<Secret<Vec<u8>>>, KeychainError>> {
        Box::pin(async move {
            self.told().loads += 1;
            self.answers().await?;
            self.items.load(item).await
        })
    }

    fn store<'a>(
        &'a self,
        item: &'a str,
        value: &'a Secret<Vec<u8>>,
    ) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(async move {
            {
                let mut told = self.told();
                told.stores += 1;
                if told.hold_at == Some(told.stores) {
                    self.held.send_replace(true);
                }
            }
            let _ = self.held.subscribe().wait_for(|held| !held).await;
            self.answers().await?;
            let bad = {
                let mut told = self.told();
                if let Some(error) = &told.full {
                    return Err(error.clone());
                }
                match told.bad_store.take() {
                    Some((0, error)) => Some(error),
                    Some((more, error)) => {
                        told.bad_store = Some((more - 1, error));
                        None
                    }
                    None => None,
                }
            };
            match bad {
                Some(error) => Err(error),
                None => self.items.store(item, value).await,
            }
        })
    }

    fn remove<'a>(&'a self, item: &'a str) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(async move {
            self.answers().await?;
            self.items.remove(item).await
        })
    }

    fn stirring(&self) -> Pending<'_, Option<Box<dyn Stirring>>> {
        let hands = Hands(self.hands.subscribe());
        Box::pin(async { Some(Box::new(hands) as Box<dyn Stirring>) })
    }

    fn close(&self) -> Pending<'_, ()> {
        self.told().closes += 1;
        Box::pin(std::future::ready(()))
    }

    fn clear(&self) -> Pending<'_, Result<(), KeychainError>> {
        Box::pin(async {
            self.answers().await?;
            self.items.clear().await
        })
    }

    fn unlock<'a>(&'a self, passphrase: &'a Secret<String>) -> Pending<'a, Result<(), KeychainError>> {
        Box::pin(async move {
            if passphrase.expose() != "correct horse" {
                return Err(KeychainError::Denied);
            }
            self.set(None);
            self.refuse_stores(None);
            Ok(())
        })
    }
}
