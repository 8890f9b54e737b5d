//! Who runs beside whom: the tests of a file run in parallel, but not beside one that measures time or fills the machine.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURNS: RwLock<()> = RwLock::new(());

/// Held by a test that others of the same kind may run beside.
pub fn together() -> RwLockReadGuard<'static, ()> {
    // A test that failed leaves nothing behind here.
    TURNS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a test that nothing else of its file may disturb.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    TURNS.write().unwrap_or_else(PoisonError::into_inner)
}
