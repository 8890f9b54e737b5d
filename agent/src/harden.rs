//! The first thing in `main`: what was inherited is shed, and the process is closed to others.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(windows)]
pub use self::windows::{forget, keep_out, make_room, shed};
#[cfg(unix)]
pub use unix::{keep_out, make_room, shed};
