//! The controller between a desktop that only notes what it is told and an agent that is played at the level of frames.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "support/fake_agent.rs"]
mod fake_agent;
#[path = "support/fake_shell.rs"]
mod fake_shell;
#[path = "support/said.rs"]
mod said;
#[path = "support/story.rs"]
mod story;

#[path = "controller/beginning.rs"]
mod beginning;
#[path = "controller/console.rs"]
mod console;
#[path = "controller/faults.rs"]
mod faults;
#[path = "controller/forgery.rs"]
mod forgery;
#[path = "controller/lock.rs"]
mod lock;
#[path = "controller/notices.rs"]
mod notices;
#[path = "controller/questions.rs"]
mod questions;
#[path = "controller/settings.rs"]
mod settings;
#[path = "controller/sign_in.rs"]
mod sign_in;
#[path = "controller/tokens.rs"]
mod tokens;
