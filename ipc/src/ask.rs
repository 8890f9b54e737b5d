//! What may be asked, door by door. Rights follow the door: the tool door has no verb that stores, erases or
//! configures, so a message cannot ask for more than its door gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::PROTOCOL;
use crate::metaflow::exposed_values;
use crate::reply::{Approval, BootstrapStep, Change, ClusterRights};
use crate::secret::{Secret, exposed, exposed_option};

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
        /// Another role than the entry's own, reached through it: one of its entries has it, or its `may_assume` allows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role_arn: Option<String>,
        /// For a role behind an `outerbounds` entry: the role of the platform's own tasks, where the entry's keys are those of the
        /// customer's role behind it. Metaflow keeps its own data with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        task_role: bool,
    },
    /// What a program that `keyfob exec` runs needs: keys with their entry and its region (`Exec`), the values of a `secret` entry
    /// (`Secret`), or the configuration of an `outerbounds` entry (`Metaflow`).
    Exec {
        /// `aws.dev`, `outscale.monitoring`, `secret.build` or `outerbounds.prod`, or the bare name where only one entry fits.
        name: String,
    },
    /// The values of a `secret` entry.
    Secret {
        /// `secret.my-secret`, or `my-secret`.
        name: String,
        /// For one that is behind a role in AWS: another role, reached through that one under its `may_assume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role_arn: Option<String>,
    },
    /// The configuration of Metaflow for an `outerbounds` entry, its service key included.
    Metaflow {
        /// `outerbounds.prod`, or `prod`.
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
    /// An entry that a person gives a value to, as configured, before it is asked for: answered by `Entry`. Entries of other
    /// kinds are not looked at.
    TokenEntry {
        /// `token.aspect`, or `aspect` where only one entry that takes a value has this name.
        name: String,
    },
    /// The same where it has to be one of OUTSCALE.
    OutscaleEntry {
        /// `outscale.monitoring` or `monitoring`.
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
        /// When it ends, RFC 3339 or a date, by the person's word: for services that cannot tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<String>,
    },
    /// Replaces a personal access token: through the service's API, or by the value that the person made on its page.
    TokenRotate {
        /// A `token` entry.
        name: String,
        /// The new value, where the person made it.
        #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
        value: Option<Secret<String>>,
        /// As for [`ControlAsk::TokenAdd`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<String>,
    },
    /// Forgets a personal access token, and deletes it at the service where that can be done.
    TokenRemove {
        /// A `token` entry.
        name: String,
        /// Leaves it alive at the service: another machine may use it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep_at_service: bool,
    },
    /// Says when a token ends, for services that cannot tell.
    TokenEnds {
        /// A `token` entry.
        name: String,
        /// RFC 3339 or a date.
        ends: String,
    },
    /// No reminders about a token for a while.
    TokenSnooze {
        /// A `token` entry.
        name: String,
        /// Whole days from now; 0 ends a snooze; left out: until the next threshold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<u32>,
    },
    /// The value of a rotated token that the keychain has not taken yet; no other value is ever shown.
    TokenRescue {
        /// A `token` entry.
        name: String,
    },
    /// What each entry may do, who says so, and since when that is known.
    Permissions {
        /// One entry, or all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Asks clusters and services again, although their last answer is younger than an hour.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// What an administrator of a token service does there.
    Admin {
        /// The `token` entry with the administrator's own token; may be left out where only one is configured that can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What is to be done.
        act: AdminAct,
    },
    /// Answered by [`crate::reply::Reply::Event`]s until the connection closes.
    Watch {
        /// Whether the watcher can show notices to the person: then it may claim them ([`ControlAsk::ClaimNotice`]).
        #[serde(default)]
        notices: bool,
        /// Whether it is a window in which the person answers questions: then it is sent them, and may send
        /// [`ControlAsk::Answer`], [`ControlAsk::Lock`] and [`ControlAsk::Unlock`] on this very connection.
        #[serde(default)]
        questions: bool,
        /// Whether it is sent the lines of the ledger.
        #[serde(default)]
        ledger: bool,
    },
    /// Every open question, each with an id that is good on this connection alone.
    Questions,
    /// Answers a question: on the watching connection that was sent it, or from a process with a controlling terminal on
    /// the connection that asked for [`ControlAsk::Questions`].
    Answer {
        /// [`crate::reply::Question::id`].
        id: String,
        /// What the person says.
        approval: Approval,
        /// The entry's name as the person typed it; needed but on a watching connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        typed: Option<String>,
    },
    /// Every answer that is in force.
    Grants,
    /// Takes answers back.
    Revoke {
        /// [`crate::reply::GrantReport::id`], an entry's name, or all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        which: Option<String>,
    },
    /// The newest lines of the ledger.
    Log {
        /// How many at most; the agent has a limit of its own.
        last: u32,
        /// Of one entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Looks at everything that must hold for a credential to be served.
    Doctor,
    /// Drops what is in memory, and gives nothing until a person unlocks it.
    Lock,
    /// Takes it upon the asker to show a notice. Answered `Done` to the first only, so that no notice is shown twice.
    ClaimNotice {
        /// [`crate::reply::Notice::id`].
        id: u64,
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
    /// Opens the keychain for this run of the agent, and lifts the lock.
    Unlock {
        /// The passphrase of the encrypted file keychain, where it is needed.
        #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
        passphrase: Option<Secret<String>>,
    },
    /// Opens the AWS console with an entry's keys; answered by [`crate::reply::Step::OpenBrowser`], then `Done`. Closing the
    /// connection calls it off.
    AwsConsole {
        /// An `aws` entry.
        name: String,
        /// The page of the console: an `https` address of the partition's own console.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
    },
    /// What the token of this job says, beside what a trust policy or a machine user must name.
    MachineClaims {
        /// A `machine` entry.
        name: String,
    },
    /// Makes the user of an `outscale` entry, with the keys of somebody who may, which are used once and kept nowhere.
    OutscaleBootstrap {
        /// An `outscale` entry.
        name: String,
        /// What the user may do, beside renewing its own keys: `ec2:Describe*`.
        actions: Vec<String>,
        /// The access key of an administrator.
        access_key: String,
        /// Its secret half.
        #[serde(serialize_with = "exposed")]
        secret_key: Secret<String>,
        /// The plan as it was shown; `None` only plans. What changed since is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accept: Option<Vec<BootstrapStep>>,
    },
    /// Keeps values of a `secret` entry, beside those that it has.
    SecretSet {
        /// A `secret` entry whose values are in the keychain.
        name: String,
        /// Name to value.
        #[serde(serialize_with = "exposed_values")]
        values: BTreeMap<String, Secret<String>>,
        /// Whether these are all: values of other names are forgotten.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        replace: bool,
    },
    /// Forgets the values of a `secret` entry.
    SecretRemove {
        /// A `secret` entry whose values are in the keychain.
        name: String,
        /// One of them, or all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Removes every keychain item of this profile, also of entries that are configured no more.
    Purge,
    /// Ends the agent, once running renewals are stored.
    Stop,
}

/// What an administrator does at a token service (`docs/token-api`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAct {
    /// Lists tokens.
    List {
        /// Of one owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
    },
    /// Replaces what a token may do.
    SetPermissions {
        /// The token's id at the service.
        id: String,
        /// All that it may do from now on.
        permissions: Vec<ClusterRights>,
    },
    /// Gives a token another value, on its owner's behalf.
    Rotate {
        /// The token's id at the service.
        id: String,
        /// The `token` entry that keeps the new value; else it is in the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<String>,
    },
    /// Deletes a token, on its owner's behalf.
    Delete {
        /// The token's id at the service.
        id: String,
    },
    /// Makes a token for a machine.
    CreateMachine {
        /// `bot-…`.
        owner: String,
        /// What it may do.
        permissions: Vec<ClusterRights>,
        /// Its end, RFC 3339 or a date; else as the service decides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<String>,
        /// The `token` entry that keeps the value; else it is in the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<String>,
    },
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
