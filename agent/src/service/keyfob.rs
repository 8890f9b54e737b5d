//! `keyfob`: the open token API (`docs/token-api/openapi.yaml`), which a platform team can put beside its portal.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::{ClusterRights, Issued, IssuedToken, Right, Rights, Teller};
use serde::{Deserialize, Serialize};

use super::api::{Call, bearer, json_body};
use super::{Administration, Api, Introspection, Minted, Native, Service, ServiceError, Shape};
use crate::clock::rfc3339;
use crate::keychain::Pending;

/// Most tokens that are listed to an administrator; a longer list is cut there.
const LISTED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Keyfob;

/// `Token`, and `TokenWithValue` where `value` is there.
#[derive(Deserialize)]
struct Token {
    id: String,
    owner: String,
    #[serde(default)]
    machine: bool,
    #[serde(default)]
    admin: bool,
    last_four: Option<String>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    #[serde(default)]
    permissions: Vec<Permission>,
    clusters_cache_seconds: Option<u32>,
    value: Option<Secret<String>>,
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

#[derive(Deserialize)]
struct Page {
    tokens: Vec<Token>,
    next_cursor: Option<String>,
}

impl Token {
    fn told(&self) -> Introspection {
        let clusters: BTreeMap<String, Rights> =
            self.permissions.iter().map(|one| (one.cluster.clone(), one.rights())).collect();
        Introspection {
            id: Some(self.id.clone()),
            owner: Some(self.owner.clone()),
            machine: Some(self.machine),
            created: self.created_at,
            ends: self.expires_at,
            scopes: None,
            clusters: Some(clusters),
            cluster_cache: self.clusters_cache_seconds,
            by: Some(Teller::TokenService),
        }
    }

    fn minted(self) -> Result<Minted, ServiceError> {
        let told = self.told();
        let value = self.value.ok_or_else(|| {
            ServiceError::Unsure("the token service answered without the new token".to_owned())
        })?;
        Ok(Minted { value, companion: None, told })
    }

    fn listed(&self) -> IssuedToken {
        let permission =
            |one: &Permission| ClusterRights { cluster: one.cluster.clone(), rights: one.rights() };
        IssuedToken {
            id: self.id.clone(),
            owner: self.owner.clone(),
            machine: self.machine,
            admin: self.admin,
            last_four: self.last_four.clone(),
            created_at: self.created_at.map(rfc3339),
            expires_at: self.expires_at.map(rfc3339),
            last_used_at: self.last_used_at.map(rfc3339),
            permissions: self.permissions.iter().map(permission).collect(),
        }
    }

    fn issued(self, done: &str) -> Result<Issued, ServiceError> {
        let token = self.listed();
        let Minted { value, .. } = self.minted()?;
        let say = format!("the token {} of `{}` {done}", token.id, token.owner);
        Ok(Issued { token, value: Some(value), kept_by: None, say: keyfob_ipc::text::escape(&say) })
    }
}

impl Permission {
    fn rights(&self) -> Rights {
        let right = |is: bool| if is { Right::Yes } else { Right::No };
        Rights { read: right(self.read), write: right(self.write), execute: right(self.execute) }
    }

    fn of(asked: &ClusterRights) -> Self {
        let Rights { read, write, execute } = asked.rights;
        let is = |right: Right| right == Right::Yes;
        Self { cluster: asked.cluster.clone(), read: is(read), write: is(write), execute: is(execute) }
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
            Ok(answer.json::<Token>()?.told())
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
            answer.json::<Token>()?.minted()
        })
    }
}

impl Administration for Keyfob {
    fn list<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        owner: Option<&'a str>,
    ) -> Pending<'a, Result<Vec<IssuedToken>, ServiceError>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let query: Vec<(&str, &str)> = owner
                    .map(|owner| ("owner", owner))
                    .into_iter()
                    .chain(cursor.as_deref().map(|cursor| ("cursor", cursor)))
                    .collect();
                let asked = Call { query: &query, ..call(Method::GET, &["tokens"], token) };
                let page: Page = api.call(asked).await?.json()?;
                let is_last = page.tokens.is_empty() || page.next_cursor.is_none();
                listed.extend(page.tokens.iter().map(Token::listed));
                if is_last || listed.len() >= LISTED {
                    return Ok(listed);
                }
                cursor = page.next_cursor;
            }
        })
    }

    fn set_permissions<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
        permissions: &'a [ClusterRights],
    ) -> Pending<'a, Result<IssuedToken, ServiceError>> {
        Box::pin(async move {
            let path = ["tokens", id, "permissions"];
            let mut call = call(Method::PUT, &path, token);
            let permissions: Vec<Permission> = permissions.iter().map(Permission::of).collect();
            call.body = json_body(&serde_json::json!({ "permissions": permissions }));
            Ok(api.call(call).await?.json::<Token>()?.listed())
        })
    }

    fn rotate<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
    ) -> Pending<'a, Result<Issued, ServiceError>> {
        Box::pin(async move {
            let path = ["tokens", id, "rotate"];
            api.spending()
                .call(call(Method::POST, &path, token))
                .await?
                .json::<Token>()?
                .issued("has a new value")
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        id: &'a str,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move { api.call(call(Method::DELETE, &["tokens", id], token)).await?.done(&[204]) })
    }

    fn create_machine<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        owner: &'a str,
        permissions: &'a [ClusterRights],
        ends: Option<Timestamp>,
    ) -> Pending<'a, Result<Issued, ServiceError>> {
        #[derive(Serialize)]
        struct Machine<'a> {
            owner: &'a str,
            permissions: Vec<Permission>,
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_at: Option<String>,
        }
        Box::pin(async move {
            let machine = Machine {
                owner,
                permissions: permissions.iter().map(Permission::of).collect(),
                expires_at: ends.map(rfc3339),
            };
            let mut call = call(Method::POST, &["machines"], token);
            call.body = json_body(&machine);
            api.spending().call(call).await?.json::<Token>()?.issued("is made")
        })
    }
}
