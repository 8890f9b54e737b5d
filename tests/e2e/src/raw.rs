//! The doors, without the client: frames as a test wants them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use keyfob_ipc::frame;
use serde_json::Value;

/// How long a test waits for bytes; over every deadline of the agent.
const PATIENCE: Duration = Duration::from_secs(30);
/// No limit of ours: what may be sent is the agent's to decide.
const LIMIT: usize = 64 * 1024 * 1024;

/// A connection to a door.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
    reader: frame::Reader,
}

/// `{"v":1,"ask":ASK}`.
pub fn request(ask: &Value) -> Value {
    serde_json::json!({"v": keyfob_ipc::PROTOCOL, "ask": ask})
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens.
    #[track_caller]
    pub fn connect(path: &Path) -> Self {
        Self::try_connect(path).unwrap_or_else(|error| panic!("{} does not answer: {error}", path.display()))
    }

    /// Connects.
    ///
    /// # Errors
    /// The system's own.
    pub fn try_connect(path: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, reader: frame::Reader::default() })
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// Where the other side has closed.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Writes a message as one frame.
    ///
    /// # Panics
    /// Where the other side takes nothing.
    #[track_caller]
    pub fn send(&mut self, message: &Value) {
        frame::write(&mut self.stream, message, LIMIT).expect("the door takes a frame");
    }

    /// The next frame; `None` where the other side closed before one.
    ///
    /// # Panics
    /// Where half a frame, no JSON or nothing at all comes.
    #[track_caller]
    pub fn receive(&mut self) -> Option<Value> {
        match self.reader.next(&mut self.stream, LIMIT) {
            Ok(frame) => {
                frame.map(|frame| frame::decode(&frame).unwrap_or_else(|error| panic!("the answer: {error}")))
            }
            // The other side closed while bytes of ours were on their way.
            Err(frame::FrameError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Asks in this build's version and returns what stands under `reply`.
    ///
    /// # Panics
    /// Where no answer comes.
    #[track_caller]
    pub fn ask(&mut self, ask: &Value) -> Value {
        self.send(&request(ask));
        self.receive().map(|answer| answer["reply"].clone()).expect("an answer")
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self) {
        // The other side may have closed first.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Whether the other side closes without another byte.
    ///
    /// # Panics
    /// Where it does neither within the deadline.
    #[track_caller]
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("the connection was not closed: {error}"),
        }
    }

    /// The socket itself.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }
}
