//! Running programs: bounded in time, and never blocked by a full pipe.

use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a program may take where a test does not say; far above what any should need.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// The exit code; of a signal N, -N.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From the start to the end of both streams.
    pub took: Duration,
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

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    started: Instant,
    stdout: Receiver<Vec<u8>>,
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
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    Running { child, name, started: Instant::now(), stdout, stderr }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started, or takes over [`PATIENCE`].
#[track_caller]
pub fn run(command: Command, stdin: impl Into<Vec<u8>>) -> Output {
    run_within(command, stdin, PATIENCE)
}

/// Runs a program to its end and to the end of its output, whoever else may hold that open.
///
/// # Panics
/// When it cannot be started, or takes over `patience`.
#[track_caller]
pub fn run_within(command: Command, stdin: impl Into<Vec<u8>>, patience: Duration) -> Output {
    start(command, stdin).output(patience)
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGKILL; nothing happens where it has ended by itself.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for its end and for the end of its output.
    ///
    /// # Panics
    /// When it takes over `patience`.
    #[track_caller]
    pub fn output(mut self, patience: Duration) -> Output {
        let end = self.started + patience;
        let left = || end.saturating_duration_since(Instant::now());
        let (stdout, stderr) = match (self.stdout.recv_timeout(left()), self.stderr.recv_timeout(left())) {
            (Ok(stdout), Ok(stderr)) => (stdout, stderr),
            _ => panic!("{} holds its output open after {} s", self.name, patience.as_secs_f32()),
        };
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
                _ => panic!("{} does not end within {} s", self.name, patience.as_secs_f32()),
            }
        };
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Output {
            code: status.code().unwrap_or_else(|| -signal.unwrap_or_default()),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            took: self.started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn streams_code_and_large_input_come_through() {
        let output = run(shell("wc -c; echo oops >&2; exit 3"), vec![b'x'; 1 << 20]).exits(3);
        assert_eq!(output.stdout.trim(), "1048576");
        assert_eq!(output.stderr, "oops\n");
    }

    #[test]
    #[should_panic(expected = "holds its output open")]
    fn whoever_keeps_the_output_open_is_noticed() {
        let mut command = Command::new("cat");
        command.arg("/dev/zero");
        run_within(command, "", Duration::from_millis(100));
    }
}
