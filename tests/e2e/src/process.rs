//! Looking at processes and ending them.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// Whether a process runs; one that has ended and was not waited for does not.
pub fn is_alive(process: u32) -> bool {
    field(process, 0).is_some_and(|state| !matches!(state.as_str(), "Z" | "X"))
}

/// A field of `/proc/PID/stat` behind the name (proc(5)): 0 is the state, 1 the parent, 2 the group, 3 the session.
pub fn field(process: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(number).map(str::to_owned)
}

/// The name of a process, cut to 15 characters by the kernel.
pub fn name(process: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{process}/comm")).ok()?.trim_end().to_owned())
}

/// Sends a signal.
///
/// # Panics
/// When it cannot be sent.
#[track_caller]
pub fn signal(process: u32, signal: Signal) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).expect("this is a process number");
    kill_process(id, signal).unwrap_or_else(|error| panic!("process {process} gets no signal: {error}"));
}

/// Sends a signal to a process that may be gone.
pub fn signal_if_alive(process: u32, signal: Signal) {
    if let Some(id) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(id, signal);
    }
}

/// The processes that hold a lock (flock(2)) on a file, by `/proc/locks`.
pub fn lock_holders(path: &Path) -> Vec<u32> {
    let Ok(metadata) = File::open(path).and_then(|file| file.metadata()) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = metadata.ino().to_string();
    locks.lines().filter_map(|line| holder(line, &inode)).collect()
}

/// `1: FLOCK  ADVISORY  WRITE 2737 fe:00:10010802 0 EOF`; a waiting one has `->` behind the number.
fn holder(line: &str, inode: &str) -> Option<u32> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let ["FLOCK", _, _, process, file, ..] = fields.get(1..)? else { return None };
    (file.rsplit(':').next() == Some(inode)).then(|| process.parse().ok())?
}

/// Copies a program that is to be run at once. By another process: one of ours that is forked off at that moment, by a test beside
/// this one, would keep the new file open for writing, and what is open for writing cannot be run (`ETXTBSY`).
///
/// # Panics
/// When it cannot be copied.
#[track_caller]
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let mut copy = std::process::Command::new("cp");
    copy.arg("--").arg(from.as_ref()).arg(to.as_ref());
    assert!(copy.status().expect("cp can be run").success(), "{} is not copied", from.as_ref().display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_is_seen_to_hold_a_lock() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(lock_holders(file.path()), Vec::<u32>::new());
        file.as_file().lock().unwrap();
        assert_eq!(lock_holders(file.path()), [std::process::id()]);
    }

    #[test]
    fn waiting_ones_hold_nothing() {
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 2737 fe:00:17 0 EOF", "17"), Some(2737));
        assert_eq!(holder("1: -> FLOCK  ADVISORY  WRITE 2737 fe:00:17 0 EOF", "17"), None);
        assert_eq!(holder("1: POSIX  ADVISORY  WRITE 2737 fe:00:17 0 EOF", "17"), None);
    }
}
