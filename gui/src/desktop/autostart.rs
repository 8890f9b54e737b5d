//! Whether this program starts when the person signs in to the computer: a file where the system looks for such, on Windows a
//! value in the registry.

use std::path::Path;

use keyfob_ipc::{Code, Refusal};

use super::{Surroundings, refusal};

#[cfg(not(windows))]
mod file;
#[cfg(windows)]
mod registry;
#[cfg(not(windows))]
use file as platform;
#[cfg(windows)]
use registry as platform;

/// Whether this program does; `None` where the system does not tell.
pub fn is_on(program: &Path, surroundings: &Surroundings) -> Option<bool> {
    platform::is_on(program, surroundings)
}

/// Sets that for this program.
pub fn set(on: bool, program: &Path, surroundings: &Surroundings) -> Result<(), Refusal> {
    let Some(program) = program.to_str().filter(|path| !path.chars().any(char::is_control)) else {
        return Err(refusal(Code::PlaceUnsafe, "say.no-plain-path", &[], "say.no-plain-path-hint"));
    };
    platform::set(on, program, surroundings)
}
