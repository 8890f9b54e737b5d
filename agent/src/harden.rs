//! The first thing in `main`: what was inherited is shed, and the process is closed to others.

#[cfg(unix)]
pub mod handover;
#[cfg(any(target_os = "macos", test))]
#[cfg(unix)]
pub mod launchd;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod wipe;

#[cfg(windows)]
pub use self::windows::{descriptors, forget, keep_out, make_room, shed};
#[cfg(unix)]
pub use unix::{descriptors, keep_out, make_room, shed};
pub use wipe::Wiping;

/// Something that closes this process to others, and whether it took hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// What is so where it holds, in words: `no core dumps`.
    pub name: &'static str,
    /// The system's own reason where it does not.
    pub held: Result<(), String>,
}

impl Measure {
    fn new(name: &'static str, held: Result<(), impl std::fmt::Display>) -> Self {
        Self { name, held: held.map_err(|reason| reason.to_string()) }
    }
}
