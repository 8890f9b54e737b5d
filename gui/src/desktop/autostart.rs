//! Whether this program starts when the person signs in to the computer: a file where the system looks for such, on Windows a
//! value in the registry.

use std::path::Path;

use keyfob_ipc::{Code, Refusal};

use super::Surroundings;

#[cfg(not(windows))]
mod file;
#[cfg(windows)]
mod registry;
#[cfg(not(windows))]
use file as platform;
#[cfg(windows)]
use registry as platform;

/// Whether; `None` where the system does not tell.
pub fn is_on(surroundings: &Surroundings) -> Option<bool> {
    platform::is_on(surroundings)
}

/// Sets that for this program.
pub fn set(on: bool, program: &Path, surroundings: &Surroundings) -> Result<(), Refusal> {
    let Some(program) = program.to_str().filter(|path| !path.chars().any(char::is_control)) else {
        return Err(Refusal::new(
            Code::PlaceUnsafe,
            "this program's path cannot be written into a start entry",
        )
        .hint("install keyfob in a folder with a plain name"));
    };
    platform::set(on, program, surroundings)
}
