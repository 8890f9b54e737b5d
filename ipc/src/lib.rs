//! The language and the doors of Keyfob.
//!
//! Everything that both sides of a socket must agree on: what may be asked ([`ask`]), what comes back ([`reply`],
//! [`refusal`]), how it is framed ([`frame`], [`limits`]), where the sockets are ([`place`]), who is at the other
//! end ([`caller`]) and the blocking client ([`client`]). It knows no agent, and it brings no runtime, TLS or
//! keychain: each `keyfob get` pays for what is linked here.

pub mod ask;
pub mod caller;
pub mod client;
pub mod frame;
pub mod limits;
mod line;
mod machine;
mod metaflow;
pub mod peer;
pub mod place;
pub mod refusal;
pub mod reply;
pub mod secret;
pub mod start;
pub mod text;
mod token;
mod trust;

pub use ask::{AdminAct, ControlAsk, Flow, Request, ToolAsk};
pub use caller::Caller;
pub use client::{Client, Door, Heard, Listening, Speaking};
pub use place::{Places, Surroundings};
pub use refusal::{Code, Refusal};
pub use reply::{Answer, Reply};
pub use secret::Secret;

/// The protocol version that this build speaks (`v` in every frame).
pub const PROTOCOL: u16 = 1;
/// The version of the programs. `cargo xtask dist` makes the next one of the same sources, to try an upgrade out.
pub const VERSION: &str = match option_env!("KEYFOB_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
/// The oldest protocol version that this build still understands: the one before, once there is one.
pub const OLDEST_PROTOCOL: u16 = 1;
