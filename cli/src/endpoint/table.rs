//! Everybody who is connected, in bounded room.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::connection::{Answer, Connection};
use super::request::Gate;
use super::response::Response;

/// Connections at a time, ours and others.
const PLACES: usize = 128;

/// Those who come in before everybody is heard again. Far fewer than there are places, so who has just come is heard before
/// others can take its place.
const AT_ONCE: usize = 32;

/// How long nobody is taken in where the system has no room.
const PAUSE: Duration = Duration::from_millis(20);

/// All connections, the oldest first.
pub(super) struct Table {
    connections: Vec<Connection>,
    places: usize,
    /// Nobody is taken in before.
    closed_until: Option<Instant>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self::of(places())
    }

    fn of(places: usize) -> Self {
        Self { connections: Vec::new(), places, closed_until: None }
    }

    /// Goes on with everybody, as far as that goes without waiting.
    pub(super) fn go_on(&mut self, gate: &Gate, now: Instant) {
        self.connections.retain_mut(|connection| connection.go_on(gate, now));
    }

    /// Takes in some of those who have come.
    pub(super) fn admit(&mut self, listener: &TcpListener, now: Instant) {
        if self.closed_until.is_some_and(|end| now < end) {
            return;
        }
        self.closed_until = None;
        for _ in 0..AT_ONCE {
            if !self.has_room() {
                return;
            }
            match listener.accept() {
                Ok((stream, _)) => self.enter(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Who has gone again makes no room.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No descriptors, say.
                Err(_) => {
                    if !self.evict() {
                        self.closed_until = Some(now + PAUSE);
                    }
                    return;
                }
            }
        }
    }

    /// Takes one in, who has not said anything yet.
    pub(super) fn enter(&mut self, stream: TcpStream, now: Instant) {
        if self.connections.len() >= self.places && !self.evict() {
            return;
        }
        self.connections.extend(Connection::new(stream, now));
    }

    /// Whether anybody may come in: a place is free, or taken by somebody who makes room.
    fn has_room(&self) -> bool {
        self.connections.len() < self.places || self.connections.iter().any(|known| !known.is_ours)
    }

    /// Whoever has been here longest without the token makes room: it may be anybody's.
    fn evict(&mut self) -> bool {
        let oldest = self.connections.iter().position(|known| !known.is_ours);
        oldest.map(|place| self.connections.remove(place)).is_some()
    }

    /// Whether the keys are to be asked for.
    pub(super) fn has_waiting(&self) -> bool {
        self.connections.iter().any(Connection::is_waiting)
    }

    /// Gives all who wait the same answer.
    pub(super) fn answer(&mut self, response: &Response, now: Instant) {
        let answer = Answer::new(response.to_bytes());
        for waiting in self.connections.iter_mut().filter(|known| known.is_waiting()) {
            waiting.answer(Answer::clone(&answer), now);
        }
    }

    #[cfg(any(windows, test))]
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Adds what may make somebody go on; until when that is waited for.
    #[cfg(unix)]
    pub(super) fn watch<'a>(
        &'a self,
        listener: &'a TcpListener,
        watched: &mut Vec<rustix::event::PollFd<'a>>,
    ) -> Option<Instant> {
        use rustix::event::{PollFd, PollFlags};
        if self.closed_until.is_none() && self.has_room() {
            watched.push(PollFd::new(listener, PollFlags::IN));
        }
        watched.extend(self.connections.iter().map(|known| {
            let what = if known.is_taking() { PollFlags::OUT } else { PollFlags::IN };
            PollFd::new(&known.stream, what)
        }));
        self.connections.iter().map(|known| known.until).chain(self.closed_until).min()
    }
}

/// Half of the descriptors are for everything else, the way to the agent among it.
fn places() -> usize {
    #[cfg(unix)]
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        return usize::try_from(most / 2).unwrap_or(PLACES).clamp(1, PLACES);
    }
    PLACES
}

#[cfg(test)]
mod tests;
