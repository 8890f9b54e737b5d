//! Who asks, as the kernel says it.

use std::path::PathBuf;

use crate::peer::Process;

/// The program at the other end of a connection: built once when it is accepted, asked again before a secret leaves.
///
/// Nothing in it comes from the message. A process number alone names whoever has it *now*; [`Process`] pins it
/// to the process that connected, so that a number used again is noticed.
#[derive(Debug)]
pub struct Caller {
    /// The user: a number on Unix, a SID on Windows.
    pub user: String,
    /// The process, if the system tells (it may be gone already).
    pub process: Option<Process>,
}

impl Caller {
    /// The executable that the process runs now; `None` where the process is gone, or hides it.
    pub fn executable(&self) -> Option<PathBuf> {
        self.process.as_ref().filter(|process| process.is_alive()).and_then(Process::executable)
    }

    /// Whether the process that connected still runs. A helper that was killed needs no secret.
    pub fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_alive)
    }
}
