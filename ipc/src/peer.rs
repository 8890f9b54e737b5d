//! The platform's word on users and processes. One surface, three bodies.
//!
//! | | user of a connection | process pinned by | home folder |
//! |---|---|---|---|
//! | Linux | `SO_PEERCRED` | `SO_PEERPIDFD`; before Linux 6.5 an open `/proc/PID` folder and the start time | `/etc/passwd` |
//! | macOS | `LOCAL_PEERCRED` | `LOCAL_PEERTOKEN` (number and version), and the kernel's unique number | `getpwuid_r` |
//! | Windows | the client's token; the pipe's owner | an open process handle | the known folders |
//!
//! What is told about a [`Process`]:
//!
//! | | parent | the file that runs | its mounts | controlling terminal |
//! |---|---|---|---|---|
//! | Linux | noted when pinned, checked against both | `/proc/PID/exe`, opened | `/proc/PID/ns` | `/proc/PID/stat` |
//! | macOS | the same, by unique number | the one at its path, if unchanged since the process began | one view for all | `P_CONTROLT` |
//! | Windows | its creator, if older | as macOS | one view for all | there is no such thing |
//!
//! Use a [`Process`], then ask [`Process::is_alive`] again: only then was it about the caller.

#[cfg(target_os = "linux")]
#[path = "peer/linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "peer/macos.rs"]
mod platform;
#[cfg(windows)]
#[path = "peer/windows.rs"]
mod platform;

mod program;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{check_folder, is_ours};

#[cfg(all(test, windows))]
pub(crate) use platform::tests::{pipe_name, serve};
#[cfg(windows)]
pub(crate) use platform::{Apart, read_within, spawn_apart, write_within};
pub use platform::{Process, caller_of, folders, server_is_ours, this_user};
#[cfg(windows)]
pub use platform::{check_folder, is_ours, only_this_user};
pub use program::{FileId, Program};

/// The folders of this user by the system's own word ([`folders`]), absolute; `None` where the system does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// The home folder.
    pub home: Option<std::path::PathBuf>,
    /// For data that stays on this machine (Windows alone).
    pub local_app_data: Option<std::path::PathBuf>,
    /// For data that follows the person to other machines (Windows alone).
    pub app_data: Option<std::path::PathBuf>,
}

/// Bytes of a process' arguments that are looked at: enough to tell what was called, whatever a process claims.
const ARGUMENTS: usize = 4 * 1024;

/// The first texts of a block in which each ends with a zero, as processes keep their arguments; the last may be cut.
#[cfg(unix)]
fn first_texts(block: &[u8], at_most: usize) -> Vec<String> {
    let whole = block.strip_suffix(&[0]).unwrap_or(block);
    whole
        .split(|byte| *byte == 0)
        .take(at_most)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}
