//! The agent's life: how it is started and by whom it can be reached, what it refuses, and what it survives.
#![cfg(target_os = "linux")]

mod doors;
mod environment;
mod foreign;
mod life;
mod places;
mod start;
mod storm;

use keyfob_e2e::{MEMORY, token};

/// An address that no entry of [`config`] has: answered without any credential.
const ELSEWHERE: &str = "https://elsewhere.example/";
/// An address of `[token.aspect]` in [`config`].
const ASPECT: &str = "https://aw.acme.dev/ac/1";

/// A configuration that needs no company.
fn config() -> String {
    [MEMORY.to_owned(), token("aspect", "aw.acme.dev")].concat()
}
