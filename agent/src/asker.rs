//! Who asks: the caller of a connection and the programs behind it.
//!
//! The kernel tells who is at the other end of a connection ([`Caller`]); that is nearly always `keyfob` itself. Who it asks
//! for stands among its ancestors, which are read once for a connection, and only when somebody wants to know.

use std::sync::Arc;

use keyfob_ipc::Caller;
use keyfob_ipc::reply::Asking;

/// Who asks, on one connection.
#[derive(Debug, Clone)]
pub struct Asker {
    caller: Option<Arc<Caller>>,
}

impl Asker {
    /// Whoever is at the other end of a connection.
    pub fn of(caller: Arc<Caller>) -> Self {
        Self { caller: Some(caller) }
    }

    /// Nobody that can be named: no policy allows it anything.
    pub fn unknown() -> Self {
        Self { caller: None }
    }

    /// Whether the process that connected still runs.
    pub fn is_alive(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.is_alive())
    }

    /// For people and for the ledger.
    pub fn report(&self) -> Asking {
        Asking::default()
    }
}
