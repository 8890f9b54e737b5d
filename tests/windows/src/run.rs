//! Running programs, bounded in time.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wait_for_some;

/// How long a program may take; far above what any should need, for Wine on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, where the exit code is this one.
    ///
    /// # Panics
    /// Where it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the exit code is not {code}: {self:?}");
        self
    }

    /// Itself, where the program ended well.
    ///
    /// # Panics
    /// Where it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A program that runs; ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
}

/// Starts a program with its standard input from memory and its output kept.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn start(mut command: Command, stdin: impl Into<Vec<u8>>) -> Running {
    let name = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
    let input = stdin.into();
    if let Some(mut pipe) = child.stdin.take() {
        thread::spawn(move || {
            // A program that does not read its input breaks the pipe, which is its own business.
            let _ = pipe.write_all(&input);
        });
    }
    let stderr = collect(child.stderr.take());
    Running { child, name, stdout: None, stderr }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started, or takes over [`PATIENCE`].
#[track_caller]
pub fn run(command: Command, stdin: impl Into<Vec<u8>>) -> Output {
    start(command, stdin).output()
}

impl Running {
    /// Its standard output, line by line, as it comes.
    ///
    /// # Panics
    /// Where it has been taken already.
    pub fn lines(&mut self) -> Lines {
        let pipe = self.child.stdout.take().expect("taken once");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Lines(receiver)
    }

    /// Waits for its end and for the end of its output.
    ///
    /// # Panics
    /// When it takes over [`PATIENCE`].
    #[track_caller]
    pub fn output(mut self) -> Output {
        if let Some(pipe) = self.child.stdout.take() {
            self.stdout = Some(collect(Some(pipe)));
        }
        let end = Instant::now() + PATIENCE;
        let text = |stream: &Receiver<Vec<u8>>| {
            let bytes = stream.recv_timeout(end.saturating_duration_since(Instant::now()));
            let bytes = bytes.unwrap_or_else(|_| panic!("{} holds its output open", self.name));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (self.stdout.as_ref().map(text).unwrap_or_default(), text(&self.stderr));
        let status = wait_for_some(&self.name, PATIENCE, || self.child.try_wait().expect("it is a child"));
        Output { code: status.code().expect("Windows knows no other end"), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a program that runs.
#[derive(Debug)]
pub struct Lines(Receiver<String>);

impl Lines {
    /// The first line in which something is found; those before it are gone.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    #[track_caller]
    pub fn find<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let line = self.0.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line with {what}"));
            if let Some(found) = look(&line) {
                return found;
            }
        }
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}
