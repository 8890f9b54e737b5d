//! `keyfob doctor`: what must hold for a credential to be served, looked at from the agent's side.

use std::sync::Arc;

use keyfob_ipc::reply::Check;

use crate::agent::Agent;

impl Agent {
    /// From the process outwards: hardening, state folder, doors, keychain, configuration, entries.
    pub async fn doctor(self: &Arc<Self>) -> Vec<Check> {
        Vec::new()
    }
}
