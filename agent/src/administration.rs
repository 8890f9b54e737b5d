//! What an administrator of a token service does there, through the agent that holds the administrator's token.

use std::sync::Arc;

use keyfob_ipc::reply::Reply;
use keyfob_ipc::{AdminAct, Refusal};

use crate::agent::Agent;

impl Agent {
    /// Does it.
    ///
    /// # Errors
    /// The service's, or why it was not asked.
    pub async fn administrate(
        self: &Arc<Self>,
        _name: Option<&str>,
        _act: AdminAct,
    ) -> Result<Reply, Refusal> {
        Err(Refusal::new(keyfob_ipc::Code::Internal, "not built yet"))
    }
}
