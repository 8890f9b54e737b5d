//! The agent, as a library for its own binary and its tests.
//!
//! Inside, arrows run one way: door -> agent -> kind -> renew -> upstream; keychain and clock are leaves behind traits.

pub mod administration;
pub mod agent;
pub mod ambient;
pub mod asker;
pub mod claims;
pub mod clock;
pub mod config;
pub mod consent;
pub mod console;
pub mod doctor;
pub mod door;
pub mod ends;
pub mod fault;
pub mod footing;
pub mod harden;
pub mod holding;
pub mod holdings;
pub mod job;
pub mod keychain;
pub mod kind;
pub mod lease;
pub mod ledger;
pub mod lock;
pub mod log;
mod metaflow;
mod news;
pub mod notices;
pub mod outscale;
mod own_file;
pub mod permissions;
pub mod person;
pub mod plan;
pub mod policy;
pub mod reminders;
pub mod renew;
pub mod rotation;
mod secrets;
pub mod service;
pub mod sight;
#[cfg(target_os = "linux")]
mod signals;
pub mod signin;
pub mod single;
pub mod state;
pub mod status;
pub mod target;
pub mod tokens;
#[cfg(unix)]
pub mod upgrade;
pub mod upstream;
pub mod watch;
pub mod work;
