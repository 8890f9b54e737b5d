//! What the end-to-end tests stand on: the stage with the real programs, profiles with an agent each, companies to sign
//! in to, and a foreigner to be turned away.
//!
//! `cargo xtask test` lays the stage and says by `KEYFOB_TEST_*` where it is (`tests/real/README.md`). Everything here
//! panics with a sentence where something is not as a test needs it.
//!
//! ```no_run
//! use keyfob_e2e::{Company, Profile};
//! let company = Company::start();
//! let profile = Profile::new(&company.config());
//! company.sign_in(&profile, "okta");
//! let answer = profile.get("https://x.cache.acme.dev/");
//! assert!(answer.ok().json()["headers"]["Authorization"][0].is_string());
//! ```
#![cfg(target_os = "linux")]

mod company;
mod examiner;
mod foreigner;
pub mod needles;
pub mod process;
mod profile;
pub mod raw;
pub mod real;
mod run;
mod stage;
mod wait;

pub use company::{Company, token};
pub use examiner::{Examiner, Mapping};
pub use foreigner::Foreigner;
pub use profile::{MEMORY, Profile, folder};
pub use run::{Output, PATIENCE, Running, run, run_within, start};
pub use stage::{Metaflow, Stage};
pub use wait::{at_once, wait_for, wait_for_some};
