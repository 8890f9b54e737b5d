//! What administrators can do at the open token API.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::{ClusterRights, Issued, IssuedToken, Right, Rights};
use serde::{Deserialize, Serialize};

use super::super::api::{Answer, Call, json_body, unreadable};
use super::super::{Administration, Api, ServiceError};
use super::{Keyfob, Made, Permission, Token, call};
use crate::clock::rfc3339;
use crate::keychain::Pending;

/// Most tokens that are listed to an administrator; a longer list is cut there.
const LISTED: usize = 10_000;
/// Most bytes of pages that are read for a list.
const PAGES: usize = 8 * 1024 * 1024;
/// How long a person waits for a list, however many pages it has.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
struct Page {
    tokens: Vec<Token>,
    next_cursor: Option<String>,
}

impl Token {
    fn listed(self) -> Result<IssuedToken, ServiceError> {
        Ok(self.identified()?.shown("", ""))
    }

    /// As it is shown, with the id and the owner that it was asked for where it does not name them.
    fn shown(self, id: &str, owner: &str) -> IssuedToken {
        let permission = |one: Permission| ClusterRights { rights: one.rights(), cluster: one.cluster };
        IssuedToken {
            id: self.id.unwrap_or_else(|| id.to_owned()),
            owner: self.owner.unwrap_or_else(|| owner.to_owned()),
            machine: self.machine.unwrap_or_default(),
            admin: self.admin.unwrap_or_default(),
            last_four: self.last_four,
            created_at: self.created_at.map(rfc3339),
            expires_at: self.expires_at.map(rfc3339),
            last_used_at: self.last_used_at.map(rfc3339),
            permissions: self.permissions.unwrap_or_default().into_iter().map(permission).collect(),
        }
    }
}

impl Permission {
    fn of(asked: &ClusterRights) -> Self {
        let Rights { read, write, execute } = asked.rights;
        let is = |right: Right| right == Right::Yes;
        Self { cluster: asked.cluster.clone(), read: is(read), write: is(write), execute: is(execute) }
    }
}

/// A token with its new value, whatever else the answer says; `id` and `owner` are empty where nobody knows them.
fn issued(answer: &Answer, id: &str, owner: &str, done: &str) -> Result<Issued, ServiceError> {
    let Made { value } = answer.minted()?;
    let token = answer.json::<Token>().unwrap_or_default().shown(id, owner);
    let known = |name: &str| if name.is_empty() { "(not told)".to_owned() } else { name.to_owned() };
    let say = format!("the token {} of `{}` {done}", known(&token.id), known(&token.owner));
    Ok(Issued { token, value: Some(value), kept_by: None, say: keyfob_ipc::text::escape(&say) })
}

async fn list(
    api: &Api,
    token: &Secret<String>,
    owner: Option<&str>,
) -> Result<Vec<IssuedToken>, ServiceError> {
    let (mut listed, mut read) = (Vec::new(), 0);
    let mut seen = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let query: Vec<(&str, &str)> = owner
            .map(|owner| ("owner", owner))
            .into_iter()
            .chain(cursor.as_deref().map(|cursor| ("cursor", cursor)))
            .collect();
        let asked = Call { query: &query, ..call(Method::GET, &["tokens"], token) };
        let answer = api.call(asked).await?;
        read += answer.size();
        if read > PAGES {
            return Err(strange("the token service has a list of tokens that is too large"));
        }
        let Page { tokens, next_cursor } = answer.json()?;
        let is_last = tokens.is_empty();
        for token in tokens {
            listed.push(token.listed()?);
        }
        let Some(next) = next_cursor.filter(|_| !is_last && listed.len() < LISTED) else {
            listed.truncate(LISTED);
            return Ok(listed);
        };
        if !seen.insert(next.clone()) {
            return Err(strange("the token service has a list of tokens that goes in circles"));
        }
        cursor = Some(next);
    }
}

/// The same, given up on after `patience`: a page may come every few seconds, for hours.
async fn list_within(
    patience: Duration,
    api: &Api,
    token: &Secret<String>,
    owner: Option<&str>,
) -> Result<Vec<IssuedToken>, ServiceError> {
    let listed = tokio::time::timeout(patience, list(api, token, owner)).await;
    listed.unwrap_or_else(|_| Err(strange("the token service does not give its list of tokens in time")))
}

fn strange(say: &str) -> ServiceError {
    ServiceError::Strange(say.to_owned())
}

impl Administration for Keyfob {
    fn list<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        owner: Option<&'a str>,
    ) -> Pending<'a, Result<Vec<IssuedToken>, ServiceError>> {
        Box::pin(list_within(PATIENCE, api, token, owner))
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
            let now: Token = api.call(call).await?.json()?;
            // None at all would be shown in their place.
            if now.permissions.is_none() { Err(unreadable()) } else { now.listed() }
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
            let answer = api.spending().call(call(Method::POST, &path, token)).await?;
            issued(&answer, id, "", "has a new value")
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
            issued(&api.spending().call(call).await?, "", owner, "is made")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;
    use crate::upstream::http::Http;

    #[tokio::test]
    async fn a_list_that_does_not_come_is_given_up_on() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let api = Api::new(Http::new(&Network::default(), true).unwrap(), base);
        let listed = list_within(Duration::from_millis(50), &api, &Secret::from("aw_1"), None).await;
        assert!(matches!(listed, Err(ServiceError::Strange(_))), "{listed:?}");
    }
}
