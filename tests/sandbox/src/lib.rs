//! A company in a box, for the demo and the tests: an OpenID provider, an AWS STS, a token portal and a cluster front
//! in one process, each answering as its real counterpart does, on loopback ports that the system chooses.
//!
//! Nothing here guards anything real. No product crate depends on it.
//!
//! ```no_run
//! # async fn example() -> Result<(), keyfob_sandbox::StartError> {
//! use keyfob_sandbox::{Endpoint, Fault, Options, Sandbox};
//! let sandbox = Sandbox::start(Options::default()).await?;
//! sandbox.faults().set_times(Endpoint::Token, Fault::Status(500), 1);
//! assert_eq!(sandbox.counts().refreshes(), 0);
//! # Ok(()) }
//! ```

mod admin;
pub mod browser;
pub mod cluster;
mod common;
mod counts;
mod door;
pub mod faults;
pub mod issuer;
mod jwt;
mod net;
pub mod portal;
mod start;
pub mod sts;

pub use cluster::ClusterOptions;
pub use common::{Clock, system_clock};
pub use counts::Counts;
pub use faults::{Endpoint, Fault, Faults, Lie};
pub use issuer::{IssuerOptions, Person};
pub use portal::Permissions;
pub use start::{Addresses, Options, Sandbox, StartError};
pub use sts::{Role, StsError, StsOptions, TrustedIssuer};
