//! The processes that a run starts, also those whose parents are gone, and the signal that asks the run to end.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub use linux::{adopt_orphans, end_orphans, is_interrupted};
#[cfg(not(target_os = "linux"))]
pub use other::{adopt_orphans, end_orphans, is_interrupted};

use crate::failure::Failure;

/// Fails when a signal has asked us to end.
pub fn check_interrupted() -> Result<(), Failure> {
    if is_interrupted() {
        return Err(Failure { code: 130, say: "interrupted".to_owned() });
    }
    Ok(())
}
