//! A program with every process that it starts, in one process group.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::super::part::Part;
use crate::process;

/// How long processes may take to be gone after SIGKILL.
const GONE: Duration = Duration::from_secs(10);

/// A running program and its descendants, all ended when dropped. What made a session of its own is not among them.
#[derive(Debug)]
pub struct Family(Part);

impl Family {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self(Part::start(command.process_group(0)))
    }

    /// The first one.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its streams and its end.
    pub fn child(&mut self) -> &mut Child {
        self.0.child()
    }

    /// Its exit code once it has ended; `None` where a signal ended it.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        self.0.exit_code()
    }

    /// Every process of it that runs.
    #[must_use]
    pub fn members(&self) -> Vec<u32> {
        let group = self.id().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes
            .filter(|member| {
                process::field(*member, 2).as_deref() == Some(&group) && process::is_alive(*member)
            })
            .collect()
    }

    /// The member that runs this program.
    #[must_use]
    pub fn member(&self, program: &Path) -> Option<u32> {
        let runs = |member: &u32| {
            std::fs::read_link(format!("/proc/{member}/exe")).is_ok_and(|file| file == program)
        };
        self.members().into_iter().find(runs)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let group = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let end = Instant::now() + GONE;
        while !self.members().is_empty() && Instant::now() < end {
            // Each of them may be gone by now.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
