//! One run of `keyfob import` at a time: two would take each other's lines out of the configuration.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use keyfob_ipc::start::{create_private, way_to_write};
use keyfob_ipc::{Code, Refusal};

use crate::world::World;

/// How long another run is waited for. It may sit at its question.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

/// Waits for this run's turn, which lasts until the file is dropped or the process ends.
///
/// # Errors
/// [`Code::Busy`] while another run goes on, [`Code::PlaceUnsafe`] where nothing can be locked.
pub fn take(world: &mut World) -> Result<File, Refusal> {
    let state = world.reach.places()?.state;
    create_private(&state)?;
    let path = state.join("import.lock");
    let refuse = |error: std::io::Error| {
        let say = format!("`{}` cannot be locked ({error})", path.display());
        Refusal::new(Code::PlaceUnsafe, say).hint(way_to_write(&state, &error))
    };
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let lock = options.open(&path).map_err(refuse)?;
    let end = Instant::now() + PATIENCE;
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(refuse(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(Refusal::new(
                    Code::Busy,
                    "another `keyfob import` runs, and nothing was changed",
                )
                .hint("end that one, then run this again"));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !is_told {
            world.printer.note("another `keyfob import` runs; its end is waited for");
            is_told = true;
        }
        std::thread::sleep(LOOK);
    }
}
