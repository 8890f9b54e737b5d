//! Who is calling, asked about real processes: this test program starts itself again to play the callers.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "peer/callers.rs"]
mod callers;
#[path = "peer/families.rs"]
mod families;
#[cfg(target_os = "linux")]
#[path = "peer/namespaces.rs"]
mod namespaces;
#[cfg(target_os = "linux")]
#[path = "peer/numbers.rs"]
mod numbers;
#[path = "peer/stage.rs"]
mod stage;
