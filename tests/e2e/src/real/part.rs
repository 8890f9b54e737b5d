//! A third-party program that ends with its handle.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use crate::process::{self, Signal};
use crate::{PATIENCE, wait_for_some};

/// A running program, ended when dropped.
#[derive(Debug)]
pub struct Part(Child);

impl Part {
    /// Starts a program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => {
                panic!(
                    "{} cannot be started ({error}): run `cargo xtask setup`",
                    command.get_program().display()
                )
            }
        }
    }

    /// Its streams, for whoever started it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Makes it stand still: connections to it are taken by the kernel, and nobody answers.
    pub fn halt(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its exit code once it has ended; `None` where a signal ended it.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        wait_for_some("the end of a program", PATIENCE, || self.0.try_wait().ok().flatten()).code()
    }

    fn signal(&self, signal: Signal) {
        process::signal(self.0.id(), signal);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of a stream, read as they come, so that its writer never waits.
#[derive(Debug)]
pub struct Lines(Receiver<String>);

impl Lines {
    /// Begins to read.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Where nobody listens any more, the rest is read and thrown away.
                let _ = sender.send(line);
            }
        });
        Self(lines)
    }

    /// What `wanted` finds in the next line that has it.
    ///
    /// # Panics
    /// When the stream ends, or a minute passes, without such a line.
    #[track_caller]
    pub fn find<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut seen = String::new();
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return found,
                    None => seen.extend([&line, "\n"]),
                },
                Err(error) => panic!("no line with {what} ({error}), but:\n{seen}"),
            }
        }
    }
}
