//! Events, for whoever watches the control door, and what a window says on the same connection.

use std::sync::Arc;

use keyfob_ipc::reply::{Event, Reply};
use keyfob_ipc::{Code, ControlAsk, Refusal};

use super::connection::{Connection, Incoming};
use crate::agent::Agent;
use crate::watch::Wants;

/// Until the watcher leaves; it may be silent for as long as it likes. One that does not take what it is sent within the
/// time that every answer has is let go.
pub(super) async fn converse(agent: &Arc<Agent>, mut connection: Connection, wants: Wants) {
    let mut watch = match agent.watchers.sit(wants) {
        Ok(watch) => watch,
        Err(refusal) => {
            connection.answer(Reply::Refused(refusal)).await;
            return;
        }
    };
    let seat = watch.seat();
    let mut reply = Reply::Event(Event::Watching);
    if wants.questions {
        agent.ask_again(seat);
    }
    while connection.answer(reply).await {
        reply = tokio::select! {
            event = watch.next() => match event {
                Some(event) => Reply::Event(event),
                None => break,
            },
            incoming = connection.next_at_leisure::<ControlAsk>() => match incoming {
                Incoming::Ask(ask, _) if wants.questions => {
                    agent.window(ask, seat, &connection.asker).await.unwrap_or_else(Reply::Refused)
                }
                // A client in a conversation says nothing: a word ends it as the end does.
                Incoming::Ask(..) | Incoming::Bad(_) | Incoming::Closed => break,
            },
        };
    }
    agent.leave(seat);
}

impl Agent {
    /// What a window may say on the connection on which it watches.
    async fn window(
        self: &Arc<Self>,
        ask: ControlAsk,
        seat: crate::consent::Seat,
        asker: &crate::asker::Asker,
    ) -> Result<Reply, Refusal> {
        match ask {
            ControlAsk::Answer { .. } | ControlAsk::Lock | ControlAsk::Unlock { .. } => {
                self.control_of(ask, seat, asker, true).await
            }
            _ => Err(Refusal::new(
                Code::BadRequest,
                "a window answers, locks and unlocks here; ask for the rest on another connection",
            )),
        }
    }
}
