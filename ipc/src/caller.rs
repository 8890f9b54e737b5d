//! Who asks, as the kernel says it.

use std::path::PathBuf;

use crate::peer::Process;

/// The program at the other end of a connection: built once when it is accepted, asked again before a secret leaves.
///
/// Nothing in it comes from the message. A process number alone names whoever has it *now*; [`Process`] pins it
/// to the process that connected, so that a number used again is noticed.
///
/// It is about the process that called `connect`. That process can give its connection to others, and it can run
/// another program: what is asked here tells of that moment and no other.
#[derive(Debug)]
pub struct Caller {
    /// The user: a number on Unix, a SID on Windows.
    pub user: String,
    /// The process, if the system tells (it may be gone already).
    pub process: Option<Process>,
}

impl Caller {
    /// Whether the process that connected still runs. A helper that was killed needs no secret.
    pub fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_alive)
    }

    /// The path of the executable that the process runs now; `None` where the process is gone, or hides it. A path is
    /// for people: decide by [`Process::program`].
    pub fn executable(&self) -> Option<PathBuf> {
        self.process.as_ref().filter(|process| process.is_alive()).and_then(Process::executable)
    }

    /// The processes behind the caller, its parent first, `at_most` so many: "bazel" is seen behind the helper that it
    /// started. The list ends with the first process of the system (or container), or earlier where it cannot be told.
    ///
    /// It works for a caller that has just ended, as long as its parent lives. A process whose parent has ended belongs to
    /// the one that took it in: a daemon is nobody's child.
    pub fn ancestors(&self, at_most: usize) -> Vec<Process> {
        let Some(process) = &self.process else { return Vec::new() };
        let mut found: Vec<Process> = Vec::new();
        while found.len() < at_most {
            let Some(parent) = found.last().unwrap_or(process).parent() else { break };
            if parent.id == process.id || found.iter().any(|known| known.id == parent.id) {
                break;
            }
            found.push(parent);
        }
        found
    }
}
