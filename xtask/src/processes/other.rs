//! Systems that do not list our orphans for us: whoever starts an agent there stops it through its own door.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Doing as _, Failure};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From here on a signal that would end us is noted instead, so that what this run made is cleaned up on the way out.
/// The terminal sends it to our children too.
pub fn adopt_orphans() -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED)).doing("watch for signals")?;
    }
    Ok(())
}

/// Whether a signal has asked us to end.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Nothing: orphans are not known here.
pub fn end_orphans(_spared: impl IntoIterator<Item = u32>) {}
