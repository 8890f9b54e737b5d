//! Windows.
//!
//! Here nothing is closed by number: `keyfob_ipc::start` hands no handle down, and the access list of the doors is set where
//! they are opened.
#![expect(unsafe_code, reason = "the call that takes a variable away is safe on Windows alone")]

use std::ffi::OsStr;

/// See above.
pub fn shed(_keep: u32) {}

/// There is no other protection of a process against its own user.
pub fn keep_out() -> Vec<&'static str> {
    Vec::new()
}

/// There is no limit that both doors full of callers would reach.
pub fn make_room() {}

/// Takes a variable out of this process's environment.
pub fn forget(name: &OsStr) {
    // SAFETY: the standard library promises that this is safe on Windows, even with several threads.
    unsafe { std::env::remove_var(name) };
}
