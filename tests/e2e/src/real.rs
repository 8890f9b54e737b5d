//! Handles on the real third-party parts: an OpenID provider, an AWS, a desktop session with a keyring;
//! and Bazel, as far as it meets a credential helper, after its own source.
//!
//! Each handle of a program owns its process, which ends when the handle is dropped, halted or not. `tests/real/README.md` says
//! where the programs come from.

pub mod bazel;
pub mod http;
mod moto;
mod oidc_provider;
mod part;
mod session_bus;
mod turn;

pub use moto::Moto;
pub use oidc_provider::{CLIENT_ID, OidcProvider, Refreshes};
pub use part::{Lines, Part};
pub use session_bus::SessionBus;
pub use turn::{alone, together};
