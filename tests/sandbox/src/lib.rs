//! A company in a box, for the demo and the tests: an OpenID provider, an AWS STS, the sign-in of the AWS console, a token portal, two cluster fronts, a
//! GitLab, a GitHub, a JFrog and a JupyterHub in one process, each answering as its real counterpart does, on loopback ports that the system chooses.
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
pub mod aws_machine;
pub mod browser;
pub mod circleci;
pub mod cluster;
mod common;
pub mod console;
mod counts;
mod door;
pub mod faults;
pub mod github;
pub mod github_actions;
pub mod gitlab;
pub mod issuer;
pub mod jfrog;
pub mod jupyterhub;
mod jwt;
pub mod metadata;
mod net;
pub mod outerbounds;
pub mod outscale;
pub mod portal;
mod sigv4;
mod start;
pub mod sts;
pub mod tls;

pub use aws_machine::AwsMachine;
pub use circleci::CircleCi;
pub use cluster::{CapabilitiesOptions, ClusterOptions};
pub use common::{Clock, system_clock};
pub use console::Console;
pub use counts::{AssumedRole, Counts};
pub use faults::{Endpoint, Fault, Faults, Lie};
pub use github::Github;
pub use github_actions::GithubActions;
pub use gitlab::Gitlab;
pub use issuer::{IssuerOptions, Person};
pub use jfrog::Jfrog;
pub use jupyterhub::Jupyterhub;
pub use metadata::MetadataService;
pub use outerbounds::Outerbounds;
pub use outscale::{AccessKey, KeyView, Outscale};
pub use portal::{Issue, Permissions, Portal};
pub use start::{Addresses, Options, Sandbox, StartError};
pub use sts::{Keys, Role, StsError, StsOptions, TrustedIssuer};
pub use tls::Fronts;
