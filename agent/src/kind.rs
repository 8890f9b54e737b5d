//! Kinds of credential sources: one module each, one shape.
//!
//! A new kind is one new file beside these and one line in [`KINDS`]. The shape is [`Source`]: what the configuration
//! reader, the doors and the renewals need to know of an entry, without knowing its kind.

mod aws;
mod machine;
mod outerbounds;
mod outscale;
mod secret;
mod sso;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{AwsCredentials, Headers, Teller, ToldFact};
use keyfob_ipc::{Code, Refusal, Secret};
use toml::Spanned;
use toml::de::DeValue;

use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName, HostPattern, Network, Reading};
use crate::console::ConsoleRole;
use crate::footing::Footing;
use crate::holding::{Destination, Facts, Holding};
use crate::keychain::Pending;
use crate::lease::Lease;
use crate::policy::Permit;
use crate::renew::Need;

pub use aws::{Commands, LONGEST_CHAINED, RolePattern, Waiting, refuse_own_command};
pub(crate) use aws::{is_plain_arn, is_role};
pub use machine::{Identity, Jwt, Machine, UserRole};
pub use outerbounds::{NotPasted, Outerbounds, Pasted, Pointer, ServiceKey, Settings, TASK_ROLE};
pub use outscale::{Outscale, is_name};
pub use secret::{
    LONGEST as LONGEST_VALUE, SecretEntry, Values, fits as values_fit, kept_in, listed, written,
};
pub use sso::SsoSession;
pub use token::{Header, Rotate, Token, check_token};

/// Every kind, in the order in which `status` shows them.
pub const KINDS: &[Kind] =
    &[sso::KIND, token::KIND, aws::KIND, machine::KIND, outscale::KIND, outerbounds::KIND, secret::KIND];

/// How a kind is read from the configuration.
#[derive(Debug)]
pub struct Kind {
    /// The name of its tables: `[name.…]`.
    pub name: &'static str,
    /// Reads one table.
    pub read: Read,
}

/// Reads one table of a kind; `None` with the problems noted.
pub type Read = fn(Spanned<DeValue<'_>>, &mut Reading<'_>) -> Option<Box<dyn Source>>;

/// One entry of some kind.
pub trait Source: Send + Sync + fmt::Debug {
    /// Bazel hosts that it answers for.
    fn hosts(&self) -> &[HostPattern] {
        &[]
    }

    /// The entry that it is obtained through.
    fn through(&self) -> Option<&EntryName> {
        None
    }

    /// Whether [`Source::aws_credentials`] is its answer, and not [`Source::headers`].
    fn gives_aws_credentials(&self) -> bool {
        false
    }

    /// Whether a person gives it a value ([`Source::accept_value`]).
    fn takes_value(&self) -> bool {
        false
    }

    /// Where its own holding may go, by this configuration; empty for a kind that holds nothing itself.
    fn destination(&self, _name: &EntryName, _config: &Config) -> Destination {
        Destination::default()
    }

    /// The part of it that giving a value says yes to by itself: whoever signs in sees the provider.
    fn given_with_value(&self, _name: &EntryName, _config: &Config) -> Destination {
        Destination::default()
    }

    /// Addresses of the configuration's own choosing that get the identity of the entry behind this one.
    fn sends_identity_to(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether the keychain keeps something for it. What holds nothing itself and is obtained through nothing (the identity of a
    /// job, another program) is asked for each lease.
    fn holds(&self) -> bool {
        self.through().is_none()
    }

    /// For an entry that holds nothing itself: why it cannot serve here at all, such as a job's identity outside of a job. Nobody
    /// is asked.
    ///
    /// # Errors
    /// The reason, with the next step.
    fn ready(&self, agent: &Agent, name: &EntryName) -> Result<(), Refusal> {
        let _ = (agent, name);
        Ok(())
    }

    /// The entry for another role that a caller names, reached through this one, if it may be had at all.
    fn derive(&self, name: &EntryName, role_arn: &str) -> Option<Box<dyn Source>> {
        let _ = (name, role_arn);
        None
    }

    /// Why [`Source::derive`] gives no such role, with the lines to add where some would help.
    fn no_role(&self, name: &EntryName, role_arn: &str) -> Refusal {
        let shown = keyfob_ipc::text::escape(role_arn);
        Refusal::new(Code::NotAllowed, format!("`{name}` leads to no role, so not to `{shown}` either"))
            .hint("name an [aws.*] entry")
    }

    /// The same with what it takes over from the entries behind it, the nearest first; asked once, when all of them have been
    /// read. `None`: nothing.
    ///
    /// # Errors
    /// What does not fit together, for people.
    fn complete(&self, behind: &[&Entry]) -> Result<Option<Box<dyn Source>>, String> {
        let _ = behind;
        Ok(None)
    }

    /// The session, for a kind that a person signs in to.
    fn as_sso(&self) -> Option<&SsoSession> {
        None
    }

    /// The personal access token, for a kind that is one.
    fn as_token(&self) -> Option<&Token> {
        None
    }

    /// The identity of a job, for a kind that is one.
    fn as_machine(&self) -> Option<&Machine> {
        None
    }

    /// The user whose keys the agent makes, for a kind that is one.
    fn as_outscale(&self) -> Option<&Outscale> {
        None
    }

    /// The secret, for a kind that is one.
    fn as_secret(&self) -> Option<&SecretEntry> {
        None
    }

    /// The deployment of Outerbounds, for a kind that is one.
    fn as_outerbounds(&self) -> Option<&Outerbounds> {
        None
    }

    /// Whether the end that a person cares about is that of its lease, and not that of what is held.
    fn ends_with_lease(&self) -> bool {
        self.through().is_some()
    }

    /// Why what is held does not serve yet, for a kind that may hold a part of it.
    fn incomplete(&self, name: &EntryName, holding: &Holding) -> Option<Refusal> {
        let _ = (name, holding);
        None
    }

    /// The end of what is held, and whether it is only assumed.
    fn end(&self, facts: &Facts) -> (Option<Timestamp>, bool) {
        (facts.ends, facts.ends_assumed)
    }

    /// The holding for a value that a person gave, for a kind that takes one.
    ///
    /// # Errors
    /// Why the value cannot be it.
    fn accept_value(
        &self,
        name: &EntryName,
        _value: Secret<String>,
        _config: &Config,
        _now: Timestamp,
    ) -> Result<Holding, Refusal> {
        Err(wrong_kind(name, "place for a pasted value"))
    }

    /// The command that signs in or adds the value, where it holds something.
    fn sign_in(&self, name: &EntryName) -> Option<String>;

    /// Facts for people and for `setup`: `issuer`, `role_arn`, `region` and so on.
    fn facts(&self) -> BTreeMap<String, String>;

    /// What somebody says of it beyond clusters: whose it is, what it may do, when it ends. `held` is what is known of the holding
    /// behind it. Nobody is asked; what nobody has said is absent.
    fn told(&self, agent: &Agent, entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        let _ = (agent, entry, held);
        Vec::new()
    }

    /// Headers for one of its hosts.
    fn headers<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        permit: &'a Permit,
    ) -> Pending<'a, Result<Headers, Refusal>> {
        let _ = (agent, permit);
        Box::pin(async move { Err(wrong_kind(&entry.name, "headers")) })
    }

    /// Keys for an AWS SDK.
    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        let _ = (agent, permit);
        Box::pin(async move { Err(wrong_kind(&entry.name, "AWS credentials")) })
    }

    /// Where IAM may be asked with its keys, for a kind that has any: `own` is that of its partition. `None`: nowhere.
    fn iam_endpoint<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        let _ = own;
        None
    }

    /// The role whose AWS console its keys open. `None` where it is none, or where nobody says whose the keys are.
    fn console(&self) -> Option<ConsoleRole<'_>> {
        None
    }

    /// What proves to AWS who asks, for a role that is obtained through this entry.
    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        let _ = (agent, footing, need);
        Box::pin(async move { Err(wrong_kind(&entry.name, "proof of who asks")) })
    }

    /// Buys a new lease, on the footing of one moment. Runs once at a time per entry ([`crate::renew`]), never within a
    /// tool's time limit.
    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        let _ = (agent, footing);
        Box::pin(async move { Err(wrong_kind(&entry.name, "leases")) })
    }
}

/// What proves to AWS who asks.
#[derive(Debug)]
pub enum Proof {
    /// An ID token, for `AssumeRoleWithWebIdentity`.
    Token(IdentityToken),
    /// Keys that sign `AssumeRole`, in a lease of AWS keys.
    Keys(Arc<Lease>),
}

/// An ID token of an identity provider, good now.
#[derive(Debug, Clone)]
pub struct IdentityToken {
    /// The token itself, a JWT.
    pub token: Secret<String>,
    /// Whom it is about, as AWS session name.
    pub session_name: String,
    /// Its end.
    pub until: Timestamp,
}

/// A fact with texts from outside; none where there are none.
fn told(name: &str, values: &[String], by: Teller, when: Option<Timestamp>) -> Option<ToldFact> {
    let values: Vec<String> = values.iter().map(|value| keyfob_ipc::text::escape(value)).collect();
    (!values.is_empty()).then(|| ToldFact { name: name.to_owned(), values, by, when: when.map(rfc3339) })
}

/// Who may read what goes through the network: a proxy together with a certificate authority reads everything.
fn readers(network: &Network) -> impl Iterator<Item = String> {
    let proxy = network.proxy.iter().map(|proxy| format!("proxy {proxy}"));
    let authority = network.ca_file.iter().map(|path| format!("certificates of {}", path.display()));
    proxy.chain(authority)
}

pub(crate) fn wrong_kind(name: &EntryName, what: &str) -> Refusal {
    Refusal::new(Code::UnknownEntry, format!("`{name}` gives no {what}")).hint("keyfob status")
}
