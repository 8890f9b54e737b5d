//! What the tests on Windows have in common: a profile of its own, its programs, and looks at what only Windows has.
//!
//! They run the real `keyfob.exe` and `keyfobd.exe`, on Windows or under Wine. Wine keeps the access list of a pipe and enforces
//! none, so a test says what the list is, never who is refused.

#![cfg(windows)]

mod installed;
mod profile;
mod run;
mod system;
mod wait;

pub use installed::{Folders, Installer, silently};
pub use profile::{MEMORY, Profile, token};
pub use run::{Lines, Output, PATIENCE, Running, run, start};
pub use system::{credentials, descriptor_of_folder, descriptor_of_pipe};
pub use wait::{wait_for, wait_for_some};
