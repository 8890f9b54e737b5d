//! Why a verb ended early: one sentence for the person, one exit code for programs.

use std::fmt::Display;
use std::process::{Command, ExitStatus};

/// What `main` prints and exits with.
#[derive(Debug)]
pub struct Failure {
    /// 1 failed, 2 wrong use or something that only the person can do; a test runner's own code passes through.
    pub code: u8,
    /// One sentence, with the next command where there is one.
    pub say: String,
}

impl Failure {
    /// Something did not work.
    pub fn new(say: impl Into<String>) -> Self {
        Self { code: 1, say: say.into() }
    }

    /// Wrong use, or a step that the person has to take first.
    pub fn wrong_use(say: impl Into<String>) -> Self {
        Self { code: 2, say: say.into() }
    }

    /// A child process that ended badly; its exit code becomes ours (1 when a signal ended it).
    pub fn of_status(what: &str, status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Self { code, say: format!("{what} failed: {status}") }
    }
}

/// Adds what we were about to do to an error of the operating system.
pub trait Doing<T> {
    /// `what` completes the sentence "cannot …".
    fn doing(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("cannot {what}: {error}")))
    }
}

/// Runs a command with our own standard streams and wants success.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().doing(format_args!("start {name}"))?;
    if status.success() { Ok(()) } else { Err(Failure::of_status(&name, status)) }
}
