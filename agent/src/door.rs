//! The doors: where questions come in.
//!
//! Each connection is a task of its own with deadlines on everything, so a slow or silent peer holds its own place and
//! nobody else's. Another user's connection is closed without a byte. What a door does not know cannot be asked there:
//! the two doors read two different types.

mod connection;
pub mod control;
pub mod listen;
pub mod tool;
mod watch;

use std::sync::Arc;

use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::traits::tokio::Listener as _;
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Door, limits};
use tokio::sync::Semaphore;

use crate::agent::Agent;
use crate::keychain::Pending;
use connection::Connection;

/// What a request that takes a while needs of its connection.
pub trait Conversation: Send {
    /// Hands something to the client to do or show; `false` where it has gone.
    fn step(&mut self, step: Step) -> Pending<'_, bool>;

    /// Returns when the client goes away.
    fn gone(&mut self) -> Pending<'_, ()>;
}

/// Serves a door for as long as the agent lives.
pub async fn serve(agent: Arc<Agent>, door: Door, listener: Listener) {
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let mut failing = false;
    loop {
        // Back-pressure: with every place taken, newcomers wait in the kernel's queue.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(stream) => {
                failing = false;
                let agent = agent.clone();
                tokio::spawn(async move {
                    let _place = place;
                    let Some(connection) = Connection::of(stream, door) else { return };
                    match door {
                        Door::Tool => tool::converse(&agent, connection).await,
                        Door::Control => control::converse(&agent, connection).await,
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, say: a pause instead of a loop that burns, and one line for all of it.
                if !failing {
                    tracing::warn!(%error, "no connection can be accepted");
                }
                failing = true;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
