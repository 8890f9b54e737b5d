//! The first thing in `main`: what was inherited is shed, and the process is closed to others.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{keep_out, make_room, shed};

/// Windows hands down nothing by default, and its access list is set with the doors.
#[cfg(windows)]
pub fn shed(_keep: u32) {}

/// See [`shed`].
#[cfg(windows)]
pub fn keep_out() -> Vec<&'static str> {
    Vec::new()
}

/// Windows has no such limit.
#[cfg(windows)]
pub fn make_room() {}
