//! Where a job's log is, for the agent to tell it what to hide.
//!
//! What a job of GitHub writes at the standard output of a step is its log. That of `keyfob run` may be another: a pipe to the
//! next program (`keyfob run … | sed`), or to the shell (`x=$(keyfob run …)`), to whom a mask would be data.

use std::ffi::OsString;
use std::process::Stdio;

use crate::world::World;

/// What is said where values cannot be masked.
#[cfg(target_os = "linux")]
const UNMASKED: &str = "values cannot be masked in the log of this job, whose output is no pipe that keyfob can write to: print none";

/// Where it is.
pub enum Log {
    /// At our own standard output, if anywhere.
    Own,
    /// At this pipe.
    #[cfg(target_os = "linux")]
    Other(std::fs::File),
    /// Nowhere that we can write to.
    #[cfg(target_os = "linux")]
    OutOfReach,
}

/// What the agent gets as its standard output: elsewhere the processes of a step are not looked at.
#[cfg(not(target_os = "linux"))]
pub(super) fn output(_variables: &[(OsString, OsString)], _world: &mut World) -> Stdio {
    Stdio::inherit()
}

/// What the agent gets as its standard output.
#[cfg(target_os = "linux")]
pub(super) fn output(variables: &[(OsString, OsString)], world: &mut World) -> Stdio {
    let is_github =
        |(name, value): &(OsString, OsString)| name == "GITHUB_ACTIONS" && value.eq_ignore_ascii_case("true");
    if !variables.iter().any(is_github) {
        return Stdio::inherit();
    }
    match find() {
        Log::Own => Stdio::inherit(),
        Log::Other(pipe) => pipe.into(),
        Log::OutOfReach => {
            world.printer.note(UNMASKED);
            Stdio::null()
        }
    }
}

/// What we write is what there is.
#[cfg(not(target_os = "linux"))]
pub fn find() -> Log {
    Log::Own
}

/// The log of the step that this process is part of.
#[cfg(target_os = "linux")]
pub fn find() -> Log {
    let own = linux::Pipe::of("/proc/self/fd/1");
    let Some(step) = linux::step() else {
        // Begun by the runner itself, or below a program that we may not look at: what we write is what there is.
        return if own.is_some() { Log::Own } else { Log::OutOfReach };
    };
    let path = format!("/proc/{step}/fd/1");
    match linux::Pipe::of(&path) {
        None => Log::OutOfReach,
        log if log == own => Log::Own,
        Some(log) => log.open(&path).map_or(Log::OutOfReach, Log::Other),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, OpenOptions, metadata};
    use std::io::Read as _;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};

    /// Far more than any environment.
    const LONGEST: u64 = 16 * 1024 * 1024;

    /// So many programs one below the other.
    const DEEPEST: usize = 256;

    /// Which pipe it is.
    #[derive(PartialEq, Eq)]
    pub struct Pipe((u64, u64));

    impl Pipe {
        pub fn of(path: &str) -> Option<Self> {
            let found = metadata(path).ok()?;
            let kind = found.file_type();
            // A socket cannot be opened again, but be the same.
            (kind.is_fifo() || kind.is_socket()).then(|| Self((found.dev(), found.ino())))
        }

        /// For writing, without waiting for a reader: the runner has it open.
        pub fn open(&self, path: &str) -> Option<File> {
            let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
            let found = file.metadata().ok()?;
            (self.0 == (found.dev(), found.ino())).then_some(file)
        }
    }

    /// The first process of this step, from which all others come: the farthest above us that has what the runner says to
    /// steps, and does not have itself.
    pub fn step() -> Option<u32> {
        let mut found = None;
        let mut process = std::os::unix::process::parent_id();
        for _ in 0..DEEPEST {
            if process == 0 || !is_of_step(process) {
                break;
            }
            found = Some(process);
            let Some(parent) = parent(process) else { break };
            process = parent;
        }
        found
    }

    fn is_of_step(process: u32) -> bool {
        let mut environment = zeroize::Zeroizing::new(Vec::new());
        let Ok(file) = File::open(format!("/proc/{process}/environ")) else { return false };
        // What could be read tells enough.
        let _ = file.take(LONGEST).read_to_end(&mut environment);
        environment.split(|byte| *byte == 0).any(|one| one.eq_ignore_ascii_case(b"GITHUB_ACTIONS=true"))
    }

    /// What follows the name, which may hold anything (proc(5)).
    fn parent(process: u32) -> Option<u32> {
        let status = std::fs::read(format!("/proc/{process}/stat")).ok()?;
        let end = status.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&status[end + 1..]).ok()?;
        rest.split_whitespace().nth(1)?.parse().ok()
    }
}
