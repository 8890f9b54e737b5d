//! Named pipes of this machine.
//!
//! The pipe is opened for overlapped operations, the only ones on a pipe that know a time limit; the operations
//! themselves are in [`crate::peer`], where `unsafe` may be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsHandle;
use std::path::Path;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};

use super::NoLine;
use crate::limits;

/// A connected pipe whose server was checked to be ours.
#[derive(Debug)]
pub(crate) struct Line {
    pipe: File,
    reading: Duration,
    writing: Duration,
}

impl Line {
    pub(crate) fn connect(address: &Path) -> Result<Self, NoLine> {
        // Any other name would be a file, or another machine's pipe.
        if !address.as_os_str().as_encoded_bytes().starts_with(br"\\.\pipe\") {
            return Err(NoLine::Absent);
        }
        let pipe = open(address).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoLine::Absent,
            _ => NoLine::Io(error),
        })?;
        match crate::peer::server_is_ours(pipe.as_handle()) {
            Ok(true) => {
                let patience = limits::TOOL_PATIENCE;
                Ok(Self { pipe, reading: patience, writing: patience })
            }
            Ok(false) => Err(NoLine::Foreign),
            Err(error) => Err(NoLine::Io(error)),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same surface as on Unix, where this can fail")]
    pub(crate) fn set_read_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.reading = patience;
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same surface as on Unix, where this can fail")]
    pub(crate) fn set_write_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.writing = patience;
        Ok(())
    }

    /// The same connection again, so that one thread reads while another writes: every operation has an event of its own.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self { pipe: self.pipe.try_clone()?, reading: self.reading, writing: self.writing })
    }
}

/// Opens the pipe, and waits a little where all its instances are taken: in a burst, callers can be faster than the agent
/// makes the next one.
fn open(address: &Path) -> io::Result<File> {
    let deadline = Instant::now() + limits::TOOL_PATIENCE;
    let mut wait = Duration::from_millis(1);
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            // The server may learn who we are, and cannot act in our name: it is not checked yet.
            .security_qos_flags(SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION)
            .open(address);
        match opened {
            Err(error) if is_busy(&error) && Instant::now() < deadline => std::thread::sleep(wait),
            other => return other,
        }
        wait = (wait * 2).min(Duration::from_millis(20));
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed())
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        crate::peer::read_within(self.pipe.as_handle(), buffer, self.reading)
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        crate::peer::write_within(self.pipe.as_handle(), buffer, self.writing)
    }

    /// Nothing to do: the bytes are in the pipe when a write returns.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{pipe_name, serve};

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_line_carries_bytes_both_ways_until_the_end() {
        let name = pipe_name("line");
        let mut server = serve(&name, 1);
        let mut line = Line::connect(&name).unwrap();
        line.write_all(b"ask").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"ask");
        server.write_all(b"answer").unwrap();
        assert_eq!(line.read(&mut buffer).unwrap(), 6);
        assert_eq!(&buffer[..6], b"answer");
        drop(server);
        assert_eq!(line.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_silent_server_costs_no_more_than_the_patience() {
        let name = pipe_name("silent");
        let mut server = serve(&name, 1);
        let mut line = Line::connect(&name).unwrap();
        line.set_read_patience(SOON).unwrap();
        line.set_write_patience(SOON).unwrap();
        let (begun, mut buffer) = (Instant::now(), [0; 16]);
        assert_eq!(line.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::TimedOut);
        // Fills the pipe until it takes no more.
        let stuck = (0..1000).find_map(|_| line.write(&[7; 4096]).err()).unwrap();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < LONG);
        // What was given up has left nothing behind that would take these bytes.
        server.write_all(b"late").unwrap();
        assert_eq!(line.read(&mut buffer).unwrap(), 4);
    }

    #[test]
    fn a_caller_waits_for_a_free_instance() {
        let name = pipe_name("busy");
        let _first = serve(&name, 2);
        let _served = Line::connect(&name).unwrap();
        let busy = OpenOptions::new().read(true).write(true).open(&name).unwrap_err();
        assert!(is_busy(&busy), "{busy}");
        let waiting = std::thread::spawn({
            let name = name.clone();
            move || Line::connect(&name).map(drop)
        });
        let _second = serve(&name, 2);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn no_pipe_and_no_local_pipe_are_absent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for address in [&pipe_name("absent"), file.path(), Path::new(r"\\elsewhere.example\pipe\keyfob")] {
            assert!(matches!(Line::connect(address), Err(NoLine::Absent)), "{}", address.display());
        }
    }
}
