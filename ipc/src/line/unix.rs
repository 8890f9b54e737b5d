//! Unix sockets, by the standard library alone.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::NoLine;

/// A connected socket whose other end was checked to be ours.
#[derive(Debug)]
pub(crate) struct Line(UnixStream);

impl Line {
    pub(crate) fn connect(address: &Path) -> Result<Self, NoLine> {
        let stream = UnixStream::connect(address).map_err(|error| match error.kind() {
            // A path too long for a socket is `InvalidInput`: nobody can listen there, and the agent that is started says so.
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput => NoLine::Absent,
            _ => NoLine::Io(error),
        })?;
        match crate::peer::server_is_ours(stream.as_fd()) {
            Ok(true) => Ok(Self(stream)),
            Ok(false) => Err(NoLine::Foreign),
            Err(error) => Err(NoLine::Io(error)),
        }
    }

    pub(crate) fn set_read_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))
    }

    pub(crate) fn set_write_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(patience))
    }

    /// The same connection again, so that one thread reads while another writes: their patience is their own.
    pub(crate) fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
