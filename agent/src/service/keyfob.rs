//! `keyfob`: the open token API (`docs/token-api/openapi.yaml`), which a platform team can put beside its portal.

mod administration;

use http::Method;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::{Right, Rights, Teller};
use serde::{Deserialize, Deserializer, Serialize};

use super::api::{Call, bearer, json_body, lenient, unreadable};
use super::{Administration, Api, Introspection, Minted, Native, Service, ServiceError, Shape};
use crate::clock::rfc3339;
use crate::keychain::Pending;

#[derive(Debug)]
pub(super) struct Keyfob;

/// `Token`. A member that has not the documented form is unknown: one odd fact must not hide the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    #[serde(deserialize_with = "id")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    owner: Option<String>,
    #[serde(deserialize_with = "lenient")]
    machine: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    admin: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    last_four: Option<String>,
    #[serde(deserialize_with = "lenient")]
    created_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    expires_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    last_used_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    permissions: Option<Vec<Permission>>,
    #[serde(deserialize_with = "lenient")]
    clusters_cache_seconds: Option<u32>,
}

/// What `TokenWithValue` has beside it.
#[derive(Deserialize)]
struct Made {
    value: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Permission {
    cluster: String,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    write: bool,
    #[serde(default)]
    execute: bool,
}

/// A text, or the number that some write in its place.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(lenient(from)?.map(|id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    }))
}

impl Token {
    fn told(self) -> Introspection {
        let rights = |one: &Permission| (one.cluster.clone(), one.rights());
        Introspection {
            id: self.id,
            owner: self.owner,
            machine: self.machine,
            created: self.created_at,
            ends: self.expires_at,
            scopes: None,
            clusters: self.permissions.map(|all| all.iter().map(rights).collect()),
            cluster_cache: self.clusters_cache_seconds,
            by: Some(Teller::TokenService),
        }
    }

    /// Itself, if it is a token at all: `{}` would be said by anybody.
    fn identified(self) -> Result<Self, ServiceError> {
        if self.id.is_some() && self.owner.is_some() { Ok(self) } else { Err(unreadable()) }
    }
}

impl Permission {
    fn rights(&self) -> Rights {
        let right = |is: bool| if is { Right::Yes } else { Right::No };
        Rights { read: right(self.read), write: right(self.write), execute: right(self.execute) }
    }
}

fn call<'a>(method: Method, path: &'a [&'a str], token: &Secret<String>) -> Call<'a> {
    Call { method, path, query: &[], credential: bearer(token), headers: &[], body: None }
}

impl Service for Keyfob {
    fn name(&self) -> &'static str {
        "keyfob"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Native(self)
    }

    fn introspect<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>> {
        Box::pin(async move {
            let answer = api.call(call(Method::GET, &["tokens", "self"], token)).await?;
            Ok(answer.json::<Token>()?.identified()?.told().without(token))
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            match api.call(call(Method::DELETE, &["tokens", "self"], token)).await {
                Ok(answer) => answer.done(&[204]),
                Err(ServiceError::Dead) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    fn administration(&self) -> Option<&dyn Administration> {
        Some(self)
    }
}

impl Native for Keyfob {
    fn rotate<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        ends: Timestamp,
    ) -> Pending<'a, Result<Minted, ServiceError>> {
        Box::pin(async move {
            let api = api.spending();
            let asking = || call(Method::POST, &["tokens", "self", "rotate"], token);
            let until = json_body(&serde_json::json!({ "expires_at": rfc3339(ends) }));
            let answer = match api.call(Call { body: until, ..asking() }).await {
                // The service gives no such long life. A refusal has changed nothing, so it is asked for its own.
                Err(ServiceError::Refused { status: 409 | 422, .. }) => api.call(asking()).await?,
                answer => answer?,
            };
            let Made { value } = answer.minted()?;
            let told = answer.json().map(Token::told).unwrap_or_default();
            Ok(Minted { told: told.without(token).without(&value), value, companion: None })
        })
    }
}
