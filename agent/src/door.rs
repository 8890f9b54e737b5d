//! The doors: where questions come in.
//!
//! Each connection is a task of its own with deadlines on everything, and whoever is slow or silent leaves its place to a
//! newcomer ([`room`]). What becomes of the sockets' names is watched ([`guard`]). Another user's connection is closed without a byte. What a door does not know cannot be asked there:
//! the two doors read two different types.

mod connection;
pub mod control;
pub mod guard;
pub mod listen;
pub mod room;
pub mod tool;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Door, limits};
use tokio::sync::watch as channel;

use crate::agent::Agent;
use crate::keychain::Pending;
use connection::Connection;
use room::Place;
pub use room::Room;

/// What a request that takes a while needs of its connection.
pub trait Conversation: Send {
    /// Hands something to the client to do or show; `false` where it has gone.
    fn step(&mut self, step: Step) -> Pending<'_, bool>;

    /// Returns when the client goes away.
    fn gone(&mut self) -> Pending<'_, ()>;
}

/// The room at both doors.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// At the tool door.
    pub tool: Room,
    /// At the control door.
    pub control: Room,
}

impl Rooms {
    /// For a process that may have so many descriptors.
    pub fn within(descriptors: usize) -> Self {
        let [tool, control] = room::sizes(descriptors);
        Self { tool: Room::new(tool, limits::BUFFERED), control: Room::new(control, limits::BUFFERED) }
    }

    /// The room at a door.
    pub fn at(&self, door: Door) -> &Room {
        match door {
            Door::Tool => &self.tool,
            Door::Control => &self.control,
        }
    }
}

/// Between two tries to accept where the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Between two lines about that.
const QUIET: Duration = Duration::from_secs(60);

/// Serves a door until it is told to close; the connections go on.
pub async fn serve(
    agent: Arc<Agent>,
    door: Door,
    listener: Arc<Listener>,
    room: Room,
    mut closing: channel::Receiver<bool>,
) {
    let mut told: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            // Nobody closes it any more.
            _ = closing.wait_for(|closing| *closing) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                // Back-pressure: only where every connection is worked on do newcomers wait in the kernel's queue.
                let place = room.take().await;
                tokio::spawn(converse(agent.clone(), door, stream, place));
            }
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() > QUIET) {
                    tracing::warn!(%error, "no connection can be accepted: those that have waited longest are let go");
                    told = Some(Instant::now());
                }
                room.shrink();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(agent: Arc<Agent>, door: Door, stream: Stream, place: Place) {
    let Some(connection) = Connection::of(stream, door, place) else { return };
    match door {
        Door::Tool => tool::converse(&agent, connection).await,
        Door::Control => control::converse(&agent, connection).await,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Thousands may be open at once: what only a request needs is made when there is one.
    #[test]
    fn a_connection_that_says_nothing_is_small() {
        fn size<F>(_: impl Fn(Arc<Agent>, Door, Stream, Place) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(converse) <= 2048, "{} bytes", size(converse));
    }
}
