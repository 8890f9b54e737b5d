//! One client, from its first byte to its end.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::request::{Gate, Head, Heard};

/// How long a client may take for the whole head of its request. The most patient SDK gives up after five seconds, and sends
/// at once.
pub(super) const HEAD: Duration = Duration::from_secs(2);

/// How long a client may take to take the answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How long, and how many bytes, what a client has sent behind its head is taken away, so that the answer is not lost with it.
pub(super) const SURPLUS: Duration = Duration::from_millis(200);
const MOST_SURPLUS: usize = 64 * 1024;

/// A connection. Nothing of it waits: what cannot go on goes on at the next turn.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// The end of this step. It is for all of it: a byte now and then does not extend it.
    pub(super) until: Instant,
    /// It came with the token. Nobody makes it go.
    pub(super) is_ours: bool,
    step: Step,
}

enum Step {
    Asks(Head),
    Waits,
    Takes { answer: Answer, sent: usize },
    Leaves { surplus: usize },
}

/// What goes out, the same for all who get it.
pub(super) type Answer = Arc<Zeroizing<Vec<u8>>>;

impl Connection {
    pub(super) fn new(stream: TcpStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, until: now + HEAD, is_ours: false, step: Step::Asks(Head::new()) })
    }

    /// It has been asked for, and is not here yet.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.step, Step::Waits)
    }

    /// It is to be told when there is room, as against when something comes.
    #[cfg(unix)]
    pub(super) fn is_taking(&self) -> bool {
        matches!(self.step, Step::Takes { .. })
    }

    pub(super) fn answer(&mut self, answer: Answer, now: Instant) {
        self.step = Step::Takes { answer, sent: 0 };
        self.until = now + ANSWER;
    }

    /// Goes as far as it goes; `false` at the end.
    pub(super) fn go_on(&mut self, gate: &Gate, now: Instant) -> bool {
        loop {
            let went = match &mut self.step {
                Step::Waits => return true,
                Step::Asks(head) => match head.read(&mut self.stream, gate) {
                    Heard::Part => break,
                    Heard::Nobody => return false,
                    Heard::All(Ok(())) => {
                        (self.step, self.is_ours) = (Step::Waits, true);
                        return true;
                    }
                    Heard::All(Err(response)) => {
                        self.answer(Arc::new(response.to_bytes()), now);
                        continue;
                    }
                },
                Step::Takes { answer, sent } if *sent == answer.len() => {
                    if self.stream.shutdown(Shutdown::Write).is_err() {
                        return false;
                    }
                    (self.step, self.until) = (Step::Leaves { surplus: 0 }, now + SURPLUS);
                    continue;
                }
                Step::Takes { answer, sent } => self.stream.write(&answer[*sent..]).map(|went| {
                    *sent += went;
                    went > 0
                }),
                Step::Leaves { surplus } => self.stream.read(&mut [0; 4096]).map(|went| {
                    *surplus += went;
                    went > 0 && *surplus < MOST_SURPLUS
                }),
            };
            match went {
                Ok(true) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(false) | Err(_) => return false,
            }
        }
        now < self.until
    }
}
