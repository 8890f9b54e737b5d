//! What one piece of work stands on.
//!
//! A configuration can be edited between any two steps. Whoever checks where a holding may go and then sends it there takes
//! both from one [`Footing`], so that what was checked is what is used; and a value that a provider has just rotated
//! goes back to the very keychain that its predecessor came from.

use std::sync::Arc;

use crate::agent::Agent;
use crate::config::Config;
use crate::holdings::Holdings;

/// Configuration and keychain of one moment; the network follows from the configuration ([`Agent::http`]).
#[derive(Clone)]
pub struct Footing {
    /// The configuration.
    pub config: Arc<Config>,
    /// The keychain that it names.
    pub holdings: Holdings,
}

/// Holds the agent's end up while a token is being spent: from the moment that a provider may have taken the old one
/// until the keychain has the new one.
pub struct Spending<'a>(&'a Agent);

impl<'a> Spending<'a> {
    pub(crate) fn begin(agent: &'a Agent) -> Self {
        agent.spending.send_modify(|count| *count += 1);
        Self(agent)
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        self.0.spending.send_modify(|count| *count -= 1);
    }
}
