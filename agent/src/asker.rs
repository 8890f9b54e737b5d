//! Who asks: the caller of a connection and the programs behind it.
//!
//! The kernel tells who is at the other end of a connection ([`keyfob_ipc::Caller`]); that is nearly always `keyfob` itself. Who it asks
//! for stands among its ancestors, which are read once for a connection, and only when somebody wants to know.
//!
//! What a process says of itself is read from its own memory, and its files may lie where reading takes for ever: the look
//! has threads of its own and a deadline ([`look`]). One that never ends costs its caller the answer, and nobody else anything.

mod look;
mod origin;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keyfob_ipc::Caller;
use keyfob_ipc::reply::Asking;

pub(crate) use look::{Errand, aside, file_at};
pub use origin::Origin;

use crate::policy::Chain;

/// Most programs of a chain. A build tool under a shell in a terminal has about eight.
pub const ANCESTORS: usize = 32;

/// Who asks, on one connection. Clones are the same.
#[derive(Clone)]
pub struct Asker(Arc<Seen>);

#[derive(Default)]
struct Seen {
    origin: Option<Arc<dyn Origin>>,
    chain: OnceLock<Arc<Chain>>,
    /// How many programs of the chain the last answer rests on.
    rests_on: AtomicUsize,
    /// The answer of the person's that it rests on, by its id.
    grant: Mutex<Option<String>>,
}

impl Asker {
    /// Whoever is at the other end of a connection.
    pub fn of(caller: Arc<Caller>) -> Self {
        Self::behind(caller)
    }

    /// Somebody of whom the system tells so much.
    pub fn behind(origin: Arc<dyn Origin>) -> Self {
        Self(Arc::new(Seen { origin: Some(origin), ..Seen::default() }))
    }

    /// Nobody that can be named: no policy allows it anything.
    pub fn unknown() -> Self {
        Self(Arc::default())
    }

    /// Whether the process that connected still runs.
    pub fn is_alive(&self) -> bool {
        self.0.origin.as_ref().is_some_and(|origin| origin.is_alive())
    }

    /// Whether the process that connected has a controlling terminal, and stands in its foreground now.
    pub fn has_terminal(&self) -> bool {
        self.0.origin.as_ref().is_some_and(|origin| origin.has_terminal())
    }

    /// The programs behind it, as they were at the first look. Empty where nothing can be told.
    pub async fn chain(&self) -> Arc<Chain> {
        if let Some(chain) = self.0.chain.get() {
            return Arc::clone(chain);
        }
        let seen = Arc::clone(&self.0);
        aside(Errand::Ledger, move || seen.look()).await.unwrap_or_default()
    }

    /// Begins to look, and waits for nothing: a helper ends as soon as it has its answer, and the ledger asks later who it was.
    pub fn look_meanwhile(&self) {
        if self.0.chain.get().is_none() && self.0.origin.is_some() {
            let seen = Arc::clone(&self.0);
            drop(tokio::spawn(aside(Errand::Ledger, move || drop(seen.look()))));
        }
    }

    /// As [`Asker::chain`], together with another look: one wait for both. `None` where that takes too long.
    pub(crate) async fn chain_and<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Option<(Arc<Chain>, T)> {
        let seen = Arc::clone(&self.0);
        aside(Errand::Decision, move || (seen.look(), look())).await
    }

    /// The answer rests on so many programs of the chain, from the caller on: [`Asker::is_unchanged`] looks at them again. 0
    /// where no policy has a say.
    pub fn rest_on(&self, count: usize) {
        self.0.rests_on.store(count, Ordering::Relaxed);
    }

    /// The answer rests on this answer of the person's; taken out by whoever gives it.
    pub(crate) fn rest_on_grant(&self, grant: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.0.grant.lock().unwrap_or_else(PoisonError::into_inner), grant)
    }

    /// Whether the process that connected still runs, and the programs on which the answer rests are what they were when it
    /// was decided: a process may have run another one meanwhile.
    pub async fn is_unchanged(&self) -> bool {
        let count = self.0.rests_on.load(Ordering::Relaxed);
        if count == 0 || !self.is_alive() {
            return self.is_alive();
        }
        let seen = Arc::clone(&self.0);
        aside(Errand::Decision, move || seen.is_unchanged(count)).await.unwrap_or(false)
    }

    /// For people and for the ledger; empty where the asker lets nobody look in time.
    pub async fn report(&self) -> Asking {
        self.chain().await.report()
    }
}

impl Seen {
    fn look(&self) -> Arc<Chain> {
        // Not one for all: a look that hangs must not hold the next one.
        match self.chain.get() {
            Some(chain) => Arc::clone(chain),
            None => {
                let seen = Arc::new(self.read(ANCESTORS));
                Arc::clone(self.chain.get_or_init(|| seen))
            }
        }
    }

    fn is_unchanged(&self, count: usize) -> bool {
        let Some(before) = self.chain.get() else { return false };
        let is_same = self.read(count).begins_like(before, count);
        // What was read was about the caller only if that one still runs.
        is_same && self.origin.as_ref().is_some_and(|origin| origin.is_alive())
    }

    fn read(&self, at_most: usize) -> Chain {
        self.origin.as_ref().map(|origin| origin.chain(at_most)).unwrap_or_default()
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Asker").field("chain", &self.0.chain.get()).finish_non_exhaustive()
    }
}
