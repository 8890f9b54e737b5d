//! Events, for whoever watches the control door.

use std::sync::Arc;

use keyfob_ipc::reply::{Event, Reply};

use super::Conversation as _;
use super::connection::Connection;
use crate::agent::Agent;

/// Until the watcher leaves; it may be silent for as long as it likes. One that does not take what it is sent within the
/// time that every answer has is let go.
pub(super) async fn converse(agent: &Arc<Agent>, mut connection: Connection, notices: bool) {
    let mut watch = match agent.watchers.watch(notices) {
        Ok(watch) => watch,
        Err(refusal) => {
            connection.answer(Reply::Refused(refusal)).await;
            return;
        }
    };
    let mut event = Event::Watching;
    while connection.answer(Reply::Event(event)).await {
        event = tokio::select! {
            event = watch.next() => match event {
                Some(event) => event,
                None => return,
            },
            () = connection.gone() => return,
        };
    }
}
