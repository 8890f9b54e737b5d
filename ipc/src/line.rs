//! The raw connection under the blocking client. One surface, two bodies.

#[cfg(unix)]
#[path = "line/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "line/windows.rs"]
mod platform;

pub(crate) use platform::Line;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoLine {
    /// Nobody listens there.
    Absent,
    /// Somebody else's process listens there.
    Foreign,
    /// Something else.
    Io(std::io::Error),
}
