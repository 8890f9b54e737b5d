//! Waiting for a condition.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within the deadline.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for_some(what, deadline, || condition().then_some(()));
}

/// Waits until there is something.
///
/// # Panics
/// When there is nothing within the deadline.
#[track_caller]
pub fn wait_for_some<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain for: {what}", deadline.as_secs_f32());
        thread::sleep(LOOK);
    }
}
