//! What may be asked, door by door. Rights follow the door: the tool door has no verb that stores, erases or
//! configures, so a message cannot ask for more than its door gives.

use serde::{Deserialize, Serialize};

use crate::PROTOCOL;
use crate::reply::Change;
use crate::secret::{Secret, exposed};

/// One request: `{"v":1,"ask":…}`, with `"first":true` from a caller that had to wait for the agent's start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request<A> {
    /// Protocol version of the sender.
    pub v: u16,
    /// Whether the caller waited for the agent's start: then it can wait a little longer for the answer, too
    /// ([`crate::limits::FIRST_TOOL_ANSWER`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// What is asked.
    pub ask: A,
}

impl<A> Request<A> {
    /// A request in this build's version.
    pub fn new(ask: A) -> Self {
        Self { v: PROTOCOL, first: false, ask }
    }
}

/// What a tool may ask (`agent.sock`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolAsk {
    /// Headers for a URI, as Bazel's credential helper protocol asks. The URI is taken apart by the agent and only its
    /// scheme, host and port are kept.
    Get {
        /// The address that the tool wants to reach.
        uri: String,
    },
    /// AWS keys of an `aws` entry, as `credential_process` asks.
    CredentialProcess {
        /// `aws.dev`, or `dev` where only one entry fits.
        name: String,
    },
    /// Which entry answers for a URI or a name and, if none does, the one next step.
    Why {
        /// A URI, a host or an entry's name.
        subject: String,
    },
    /// Version and process of the agent.
    About,
}

/// What a person may ask (`control.sock`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlAsk {
    /// Everything that is held, and its state.
    Status,
    /// Version and process of the agent.
    About,
    /// One entry as configured, before a person is asked for a value.
    Entry {
        /// `token.aspect`, or `aspect` where only one entry fits.
        name: String,
    },
    /// Signs in; answered by [`crate::reply::Step`]s, then `Done`. Closing the connection calls it off.
    Login {
        /// An `sso` entry; may be left out where only one is configured.
        name: Option<String>,
        /// How the person meets the provider.
        flow: Flow,
    },
    /// Forgets an SSO session, and revokes it at the provider where that can be done.
    Logout {
        /// An `sso` entry; may be left out where only one is configured.
        name: Option<String>,
    },
    /// Keeps a personal access token.
    TokenAdd {
        /// A `token` entry.
        name: String,
        /// The value, without surrounding white space.
        #[serde(serialize_with = "exposed")]
        value: Secret<String>,
    },
    /// Forgets a personal access token.
    TokenRemove {
        /// A `token` entry.
        name: String,
    },
    /// Reads the configuration again and reports every error in it.
    ConfigCheck,
    /// Lists the holdings that an edit would send to new places; with `accept`, lets them go there. What is accepted is
    /// what the person was shown: a file that changed since is refused.
    ConfigConfirm {
        /// One entry, or all of them.
        name: Option<String>,
        /// The list as it was shown; `None` only lists.
        accept: Option<Vec<Change>>,
    },
    /// Opens the encrypted file keychain for this run of the agent.
    Unlock {
        /// The passphrase.
        #[serde(serialize_with = "exposed")]
        passphrase: Secret<String>,
    },
    /// Ends the agent, once running renewals are stored.
    Stop,
}

/// How a person meets the identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Authorization code with PKCE, back to a loopback port (RFC 8252).
    Browser,
    /// Device authorization grant (RFC 8628), for machines without a browser.
    Device,
}
