//! Events, for whoever watches the control door, and what a window says on the same connection.

use std::sync::Arc;

use keyfob_ipc::reply::{Event, Reply};
use keyfob_ipc::{Code, ControlAsk, Refusal};

use super::connection::{Connection, Incoming};
use crate::agent::Agent;
use crate::keychain::Pending;
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
    let asker = connection.asker.clone();
    let mut reply = Some(Reply::Event(Event::Watching));
    // What was asked last. A keychain may ask the person first, and events must not wait for that.
    let mut answering: Option<Pending<'_, Result<Reply, Refusal>>> = None;
    if wants.questions {
        agent.ask_again(seat);
    }
    loop {
        if let Some(reply) = reply.take()
            && !connection.answer(reply).await
        {
            break;
        }
        tokio::select! {
            event = watch.next() => match event {
                Some(event) => reply = Some(Reply::Event(event)),
                None => break,
            },
            answer = whenever(&mut answering) => {
                answering = None;
                reply = Some(answer.unwrap_or_else(Reply::Refused));
            }
            // One after the other: answers are told apart by their order.
            incoming = connection.next_at_leisure::<ControlAsk>(), if answering.is_none() => match incoming {
                Incoming::Ask(ask, _) if wants.questions => {
                    answering = Some(Box::pin(agent.window(ask, seat, &asker)));
                }
                // A client in a conversation says nothing: a word ends it as the end does.
                Incoming::Ask(..) | Incoming::Bad(_) | Incoming::Closed => break,
            },
        }
    }
    agent.leave(seat);
}

/// The end of what goes on; never, where nothing does.
async fn whenever<T>(going_on: &mut Option<Pending<'_, T>>) -> T {
    match going_on {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
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
