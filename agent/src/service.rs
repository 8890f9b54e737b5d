//! Services that make personal access tokens: one trait, one file each.
//!
//! A service says what it knows of a token ([`Service::introspect`]) and in which of four shapes it replaces one
//! ([`Shape`]); how a rotation goes step by step is not its business ([`crate::rotation`]). A new service is one new file
//! beside these and one line in [`SERVICES`].
//!
//! Nothing here is asked within a tool's call.

pub mod api;
mod github;
mod gitlab;
mod jfrog;
mod jupyterhub;
mod keyfob;
mod manual;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{ClusterRights, Issued, IssuedToken, Rights, Teller};
use keyfob_ipc::{Refusal, Secret};
use serde::{Deserialize, Serialize};

pub use api::{Api, ServiceError};

use crate::keychain::Pending;

/// Every service, by the name that the configuration has for it.
pub const SERVICES: &[&dyn Service] = &[
    &manual::Manual,
    &keyfob::Keyfob,
    &gitlab::Gitlab,
    &github::Github,
    &jupyterhub::Jupyterhub,
    &jfrog::Jfrog,
];

/// The service of that name.
pub fn of(name: &str) -> Option<&'static dyn Service> {
    SERVICES.iter().copied().find(|service| service.name() == name)
}

/// A service that makes personal access tokens. It holds nothing: which token, and where the service is, come in.
pub trait Service: Send + Sync + fmt::Debug {
    /// `service = "…"` in the configuration.
    fn name(&self) -> &'static str;

    /// Whether it can be asked anything.
    fn has_api(&self) -> bool {
        true
    }

    /// Where it is where the configuration does not say.
    fn usual_api(&self) -> Option<&'static str> {
        None
    }

    /// How it replaces a token.
    fn shape(&self) -> Shape<'_>;

    /// Takes apart what a person copied from it. Most services show the value and nothing else.
    ///
    /// # Errors
    /// [`keyfob_ipc::Code::TokenInvalid`]; nothing of the text is repeated.
    fn read_pasted(&self, text: Secret<String>) -> Result<Pasted, Refusal> {
        Ok(Pasted { value: text, companion: None })
    }

    /// What it knows of a token, asked with the token itself.
    ///
    /// # Errors
    /// [`ServiceError::Dead`] where the token is unknown, revoked or ended.
    fn introspect<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>>;

    /// Deletes a token with the token itself; `told` is what was known of it.
    ///
    /// # Errors
    /// [`ServiceError::Unable`] where the service has no such call. A token that is dead already counts as deleted.
    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        let _ = (api, token, told);
        Box::pin(async { Err(ServiceError::Unable) })
    }

    /// What administrators can do there.
    fn administration(&self) -> Option<&dyn Administration> {
        None
    }
}

/// The four shapes of a rotation.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// One call gives the new value, and the old one is dead the moment it answers.
    Native(&'a dyn Native),
    /// One call with a second secret, the refresh token, gives both anew.
    RefreshGrant(&'a dyn RefreshGrant),
    /// A second token is made with the first one, which is then deleted. May be resumed at every step.
    CreateThenDelete(&'a dyn CreateThenDelete),
    /// Only a person can.
    ByHand,
}

impl Shape<'_> {
    /// For the wire and for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Native(_) => "native",
            Self::RefreshGrant(_) => "refresh-grant",
            Self::CreateThenDelete(_) => "create-then-delete",
            Self::ByHand => "by-hand",
        }
    }
}

/// [`Shape::Native`].
pub trait Native: Send + Sync {
    /// Replaces the token by one that ends at `ends`, where the service lets that be asked for. It must never be called
    /// again with a value that it was called with before, unless its answer said that nothing was done.
    ///
    /// # Errors
    /// [`ServiceError::is_unsure`] tells whether the service may have acted.
    fn rotate<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        ends: Timestamp,
    ) -> Pending<'a, Result<Minted, ServiceError>>;
}

/// [`Shape::RefreshGrant`].
pub trait RefreshGrant: Send + Sync {
    /// Spends the refresh token. Never to be repeated with the same one, as for [`Native::rotate`].
    ///
    /// # Errors
    /// As for [`Native::rotate`].
    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        refresh_token: &'a Secret<String>,
    ) -> Pending<'a, Result<Minted, ServiceError>>;
}

/// [`Shape::CreateThenDelete`].
pub trait CreateThenDelete: Send + Sync {
    /// Makes another token of the same owner, with what the first one may do, marked by `note`; some services want the
    /// time from `now` to its end.
    ///
    /// # Errors
    /// [`ServiceError`]; where it is unsure, [`CreateThenDelete::find`] tells what came of it.
    fn create<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        told: &'a Introspection,
        note: &'a str,
        now: Timestamp,
        ends: Timestamp,
    ) -> Pending<'a, Result<Minted, ServiceError>>;

    /// The ids of the owner's tokens that are marked by `note`.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn find<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        told: &'a Introspection,
        note: &'a str,
    ) -> Pending<'a, Result<Vec<String>, ServiceError>>;

    /// Deletes another token of the same owner; one that is gone counts as deleted.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn delete_other<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        told: &'a Introspection,
        id: &'a str,
    ) -> Pending<'a, Result<(), ServiceError>>;
}

/// What administrators can do, with a token of their own.
pub trait Administration: Send + Sync {
    /// Tokens, of one owner or of everybody.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn list<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        owner: Option<&'a str>,
    ) -> Pending<'a, Result<Vec<IssuedToken>, ServiceError>>;

    /// Replaces what a token may do.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn set_permissions<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
        permissions: &'a [ClusterRights],
    ) -> Pending<'a, Result<IssuedToken, ServiceError>>;

    /// Gives a token another value.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn rotate<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
    ) -> Pending<'a, Result<Issued, ServiceError>>;

    /// Deletes a token.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
    ) -> Pending<'a, Result<(), ServiceError>>;

    /// Makes a token for a machine.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn create_machine<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        owner: &'a str,
        permissions: &'a [ClusterRights],
        ends: Option<Timestamp>,
    ) -> Pending<'a, Result<Issued, ServiceError>>;
}

/// What a service knows of a token. Every fact is optional: unknown is absent, and never means "does not end".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introspection {
    /// The token's id at the service, for calls about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A person, or `bot-…`. Escaped where it is shown, not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether it is a machine's, where the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<bool>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Its end. A date alone means the beginning of that day in UTC, when services stop to accept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// The service's own words for what it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// What it may do at each cluster, by the service's names for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<BTreeMap<String, Rights>>,
    /// How long clusters may still accept a value after it was replaced, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_cache: Option<u32>,
    /// Who knows all that: [`Teller::TokenService`], or [`Teller::Token`] where the token could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Teller>,
}

impl Introspection {
    /// [`Introspection::cluster_cache`], or the hour that remote clusters are known to take.
    pub fn cluster_cache(&self) -> Duration {
        self.cluster_cache.map_or(CLUSTER_CACHE, |seconds| Duration::from_secs(seconds.into()))
    }

    /// Without any fact that repeats a secret: facts are shown and written down.
    #[must_use]
    pub(crate) fn without(mut self, secret: &Secret<String>) -> Self {
        let secret = secret.expose().as_str();
        let tells = |text: &str| !secret.is_empty() && text.contains(secret);
        self.id = self.id.filter(|id| !tells(id));
        self.owner = self.owner.filter(|owner| !tells(owner));
        self.scopes = self.scopes.filter(|scopes| !scopes.iter().any(|scope| tells(scope)));
        self.clusters = self.clusters.filter(|clusters| !clusters.keys().any(|name| tells(name)));
        self
    }
}

/// Aspect's clusters, and others, remember for up to an hour that a token was good.
pub const CLUSTER_CACHE: Duration = Duration::from_secs(3600);

/// A new value, and what the service told with it.
#[derive(Debug)]
pub struct Minted {
    /// The new value.
    pub value: Secret<String>,
    /// What renews it next time, where that is a second secret.
    pub companion: Option<Secret<String>>,
    /// What the service told with it.
    pub told: Introspection,
}

/// What a person pasted, taken apart.
#[derive(Debug)]
pub struct Pasted {
    /// The value.
    pub value: Secret<String>,
    /// The refresh token that came with it.
    pub companion: Option<Secret<String>>,
}
