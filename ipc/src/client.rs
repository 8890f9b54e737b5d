//! The blocking client of both doors.
//!
//! It verifies that the agent runs as the same user before it sends a byte, finds the agent by its record where the
//! environment points elsewhere, and starts one where none runs ([`crate::start`]).

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::ask::{ControlAsk, Request};
use crate::frame::{self, FrameError};
use crate::limits;
use crate::line::{Line, NoLine};
use crate::place::Places;
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, Event, Reply};
use crate::start::{self, Launch};

/// Between two looks at a connection on which nothing happens: systems have a longest wait.
const QUIET: Duration = Duration::from_secs(24 * 3600);

/// What to do about a place that another user has taken.
const FOREIGN: &str = if cfg!(windows) {
    "ask your administrator which account of this computer holds that pipe"
} else if cfg!(target_os = "macos") {
    "check who owns that folder, and take it back"
} else {
    "check who owns that folder, then set XDG_RUNTIME_DIR to your own"
};

/// Which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `agent.sock`: ask for credentials.
    Tool,
    /// `control.sock`: everything that changes something.
    Control,
}

impl Door {
    /// Bytes that one frame of this door may have.
    pub fn frame_limit(self) -> usize {
        match self {
            Self::Tool => limits::TOOL_FRAME,
            Self::Control => limits::CONTROL_FRAME,
        }
    }
}

/// A connection to the agent.
#[derive(Debug)]
pub struct Client {
    line: Line,
    reader: frame::Reader,
    limit: usize,
    first: bool,
}

/// Why a client could not be made.
#[derive(Debug)]
pub(crate) enum NoClient {
    /// No agent runs.
    Absent,
    /// An agent or an impostor is there, but cannot be used.
    Refused(Refusal),
}

impl Client {
    /// Connects to the running agent.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where none runs, [`Code::AgentForeign`] where another user answers.
    pub fn connect(places: &Places, door: Door) -> Result<Self, Refusal> {
        Self::try_connect(places, door).map_err(|no| match no {
            NoClient::Absent => {
                Refusal::new(Code::AgentUnreachable, "the agent is not running").hint("keyfob agent start")
            }
            NoClient::Refused(refusal) => refusal,
        })
    }

    /// Connects to the agent, and starts it first where none runs. `launch` is called only then.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where it cannot be started, [`Code::AgentForeign`] where another user answers.
    pub fn connect_or_start(
        places: &Places,
        door: Door,
        launch: impl FnOnce() -> Result<Launch, Refusal>,
    ) -> Result<Self, Refusal> {
        match Self::try_connect(places, door) {
            Ok(client) => Ok(client),
            Err(NoClient::Refused(refusal)) => Err(refusal),
            Err(NoClient::Absent) => {
                let mut client = start::start(places, door, &launch()?)?;
                client.first = true;
                Ok(client)
            }
        }
    }

    pub(crate) fn try_connect(places: &Places, door: Door) -> Result<Self, NoClient> {
        let usual = match door {
            Door::Tool => places.agent_socket(),
            Door::Control => places.control_socket(),
        };
        match Self::open(&usual, door) {
            Err(NoClient::Absent) => {}
            other => return other,
        }
        // The caller's environment may differ from the agent's: its record names the live sockets.
        let Some(record) = places.record() else { return Err(NoClient::Absent) };
        let named = match door {
            Door::Tool => record.agent,
            Door::Control => record.control,
        };
        if named == usual { Err(NoClient::Absent) } else { Self::open(&named, door) }
    }

    fn open(address: &Path, door: Door) -> Result<Self, NoClient> {
        match Line::connect(address) {
            Ok(line) => {
                Ok(Self { line, reader: frame::Reader::default(), limit: door.frame_limit(), first: false })
            }
            Err(NoLine::Absent) => Err(NoClient::Absent),
            Err(NoLine::Foreign) => Err(NoClient::Refused(
                Refusal::new(
                    Code::AgentForeign,
                    format!("the socket `{}` is answered by another user's program", address.display()),
                )
                .hint(FOREIGN),
            )),
            Err(NoLine::Io(error)) => Err(NoClient::Refused(Refusal::new(
                Code::AgentUnreachable,
                format!("the socket `{}` cannot be used ({error})", address.display()),
            ))),
        }
    }

    /// Asks, and waits for the reply (a refusal of the agent is an `Err`).
    ///
    /// # Errors
    /// The agent's refusal, or [`Code::AgentUnreachable`] where no reply comes within `patience`.
    pub fn ask<A: Serialize>(&mut self, ask: A, patience: Duration) -> Result<Reply, Refusal> {
        self.send(ask, patience)?;
        self.receive(patience)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Code::TooLarge`], or [`Code::AgentUnreachable`] where the agent takes nothing.
    pub fn send<A: Serialize>(&mut self, ask: A, patience: Duration) -> Result<(), Refusal> {
        self.line.set_write_patience(patience).map_err(|error| unreachable_agent(&error))?;
        frame::write(&mut self.line, &Request { first: self.first, ..Request::new(ask) }, self.limit)
            .map_err(refuse_frame)
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    /// The agent's refusal, or [`Code::AgentUnreachable`] where no reply comes within `patience`.
    pub fn receive(&mut self, patience: Duration) -> Result<Reply, Refusal> {
        let frame = self.frame(Instant::now() + patience);
        reply_in(frame)
    }

    /// Waits for the next event of a watch ([`ControlAsk::Watch`]), for as long as it takes: an agent that ends closes
    /// the connection.
    ///
    /// # Errors
    /// The agent's refusal, or [`Code::AgentUnreachable`] where it has gone.
    pub fn event(&mut self) -> Result<Event, Refusal> {
        loop {
            if let Some(event) = self.event_within(QUIET)? {
                return Ok(event);
            }
        }
    }

    /// The same for a while; `None` where nothing happens.
    ///
    /// # Errors
    /// As [`Client::event`].
    pub fn event_within(&mut self, patience: Duration) -> Result<Option<Event>, Refusal> {
        let frame = match self.frame(Instant::now() + patience) {
            Err(FrameError::Io(error)) if is_late(&error) => return Ok(None),
            frame => frame,
        };
        match reply_in(frame)? {
            Reply::Event(event) => Ok(Some(event)),
            _ => Err(refuse_frame(FrameError::Malformed)),
        }
    }
}

/// What comes on the connection of a window ([`Client::window`]).
#[derive(Debug)]
pub enum Heard {
    /// Something happened.
    Event(Event),
    /// The answer to the oldest ask of [`Speaking`] that has none yet.
    Answer(Result<Reply, Refusal>),
}

/// The half of a window's connection that hears.
#[derive(Debug)]
pub struct Listening(Client);

/// The half of a window's connection that asks.
#[derive(Debug)]
pub struct Speaking {
    line: Line,
    limit: usize,
}

impl Client {
    /// Watches as a window in which the person answers questions: notices, questions and the ledger are sent to it, and
    /// [`ControlAsk::Answer`], [`ControlAsk::Lock`] and [`ControlAsk::Unlock`] may be sent on this very connection, from
    /// another thread than the one that listens. Everything else is asked on another connection.
    ///
    /// # Errors
    /// [`Code::Busy`] where too many watch, [`Code::AgentUnreachable`] where the agent has gone.
    pub fn window(mut self, patience: Duration) -> Result<(Listening, Speaking), Refusal> {
        let watch = ControlAsk::Watch { notices: true, questions: true, ledger: true };
        match self.ask(watch, patience)? {
            Reply::Event(Event::Watching) => {}
            _ => return Err(refuse_frame(FrameError::Malformed)),
        }
        let speaking = self.speaking()?;
        Ok((Listening(self), speaking))
    }

    /// Another hand on the same connection: in a conversation ([`ControlAsk::Login`]) any word from another thread ends it.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where the system gives no further descriptor.
    pub fn speaking(&self) -> Result<Speaking, Refusal> {
        let line = self.line.again().map_err(|error| unreachable_agent(&error))?;
        Ok(Speaking { line, limit: self.limit })
    }
}

impl Listening {
    /// Waits for what comes next, for as long as it takes.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where the agent has gone, [`Code::VersionMismatch`] where it is not understood.
    pub fn hear(&mut self) -> Result<Heard, Refusal> {
        loop {
            let frame = match self.0.frame(Instant::now() + QUIET) {
                Err(FrameError::Io(error)) if is_late(&error) => continue,
                frame => frame.map_err(refuse_frame)?.ok_or_else(gone)?,
            };
            let answer: Answer = frame::decode(&frame).map_err(refuse_frame)?;
            return Ok(match answer.reply {
                Reply::Event(event) => Heard::Event(event),
                Reply::Refused(refusal) => Heard::Answer(Err(refusal)),
                reply => Heard::Answer(Ok(reply)),
            });
        }
    }
}

impl Speaking {
    /// Asks; the answer is heard by [`Listening`], in the order of the asks.
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`] where the agent takes nothing within `patience`, or has gone.
    pub fn send(&mut self, ask: ControlAsk, patience: Duration) -> Result<(), Refusal> {
        self.line.set_write_patience(patience).map_err(|error| unreachable_agent(&error))?;
        frame::write(&mut self.line, &Request::new(ask), self.limit).map_err(refuse_frame)
    }
}

impl Client {
    /// The deadline is for the whole frame: an agent that trickles does not extend it.
    fn frame(&mut self, deadline: Instant) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        loop {
            if let Some(frame) = self.reader.take(self.limit)? {
                return Ok(Some(frame));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(FrameError::Io(io::Error::from(io::ErrorKind::TimedOut)));
            }
            self.line.set_read_patience(left)?;
            if !self.reader.fill(&mut self.line)? {
                return if self.reader.is_empty() { Ok(None) } else { Err(FrameError::Half) };
            }
        }
    }
}

fn reply_in(frame: Result<Option<Zeroizing<Vec<u8>>>, FrameError>) -> Result<Reply, Refusal> {
    let frame = frame.map_err(refuse_frame)?.ok_or_else(gone)?;
    let answer: Answer = frame::decode(&frame).map_err(refuse_frame)?;
    match answer.reply {
        Reply::Refused(refusal) => Err(refusal),
        reply => Ok(reply),
    }
}

fn gone() -> Refusal {
    Refusal::new(Code::AgentUnreachable, "the agent closed the connection without an answer")
        .hint("keyfob agent status")
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn unreachable_agent(error: &io::Error) -> Refusal {
    let say = if is_late(error) {
        "the agent does not answer in time".to_owned()
    } else {
        format!("the connection to the agent broke ({error})")
    };
    Refusal::new(Code::AgentUnreachable, say).hint("keyfob agent restart")
}

fn refuse_frame(error: FrameError) -> Refusal {
    match error {
        FrameError::Io(error) => unreachable_agent(&error),
        FrameError::Half => {
            Refusal::new(Code::AgentUnreachable, "the agent ended in the middle of its answer")
                .hint("keyfob agent status")
        }
        FrameError::TooLarge { .. } => Refusal::new(Code::TooLarge, error.to_string()),
        FrameError::Malformed => {
            Refusal::new(Code::VersionMismatch, "the running agent speaks another protocol version")
                .hint("keyfob agent restart")
        }
    }
}
