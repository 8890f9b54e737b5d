//! The platform's word on users and processes. One surface, three bodies.
//!
//! | | user of a connection | process pinned by | home folder |
//! |---|---|---|---|
//! | Linux | `SO_PEERCRED` | an open `/proc/PID` folder and the start time | `/etc/passwd` |
//! | macOS | `LOCAL_PEERCRED` | `LOCAL_PEERPID` and the start time | `getpwuid_r` |
//! | Windows | the client's token; the pipe's owner | an open process handle | the known folders |
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

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{check_folder, is_ours};

#[cfg(all(test, windows))]
pub(crate) use platform::tests::{pipe_name, serve};
pub use platform::{Process, caller_of, folders, server_is_ours, this_user};
#[cfg(windows)]
pub use platform::{check_folder, is_ours, only_this_user};
#[cfg(windows)]
pub(crate) use platform::{keep_standard_streams, read_within, write_within};

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
