//! `jupyterhub`: a hub's REST API (jupyterhub.readthedocs.io/en/stable/reference/rest-api.html). A token makes its successor,
//! which deletes it.
//!
//! A hub on SQLite gives a deleted token's id to the next one that is made. So an id alone proves nothing a while later:
//! here it carries the moment of making, and a token of another moment, or the one that asks, is never deleted.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::Teller;
use serde::{Deserialize, Serialize};

use super::api::{Answer, Call, json_body, lenient};
use super::{Api, CreateThenDelete, Introspection, Minted, Service, ServiceError, Shape};
use crate::clock::seconds_left;
use crate::keychain::Pending;

/// What a hub puts into the head of its answers; a proxy in front of it may take it out.
const VERSION: &str = "x-jupyterhub-version";
/// How its words about a dead token, and about one that is gone, begin.
const MESSAGES: &[&str] =
    &["Missing or invalid credentials.", "No such token ", "No access to resources or resources not found"];

#[derive(Debug)]
pub(super) struct Jupyterhub;

/// Whoever the token is, from `GET /user`, which every live token may ask.
#[derive(Deserialize)]
struct Whoami {
    name: String,
    kind: Option<String>,
    token_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    scopes: Option<Vec<String>>,
}

/// A token's model.
#[derive(Deserialize)]
struct Token {
    #[serde(default, deserialize_with = "lenient")]
    user: Option<String>,
    id: String,
    #[serde(default, deserialize_with = "lenient")]
    scopes: Option<Vec<String>>,
    /// Strictly: without it the id alone would tell which token is deleted.
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    note: Option<String>,
}

/// What it has beside it where it has just been made.
#[derive(Deserialize)]
struct Made {
    token: Secret<String>,
}

#[derive(Deserialize)]
struct Listed {
    api_tokens: Vec<Token>,
}

/// An id with the moment of making, where it is known: `a14@2026-11-21T11:56:09.799572Z`.
struct Id<'a> {
    id: &'a str,
    created: Option<Timestamp>,
}

impl<'a> Id<'a> {
    fn read(text: &'a str) -> Self {
        let parts = text.split_once('@').and_then(|(id, created)| Some((id, created.parse().ok()?)));
        parts.map_or(Self { id: text, created: None }, |(id, created)| Self { id, created: Some(created) })
    }

    fn write(id: &str, created: Option<Timestamp>) -> String {
        created.map_or_else(|| id.to_owned(), |created| format!("{id}@{created}"))
    }
}

impl Whoami {
    fn told(&self) -> Introspection {
        Introspection {
            id: self.token_id.clone(),
            owner: Some(self.name.clone()),
            machine: (self.kind.as_deref() == Some("service")).then_some(true),
            scopes: self.scopes.clone(),
            by: Some(Teller::TokenService),
            ..Introspection::default()
        }
    }
}

impl Token {
    fn id(&self) -> String {
        Id::write(&self.id, self.created)
    }

    fn told(&self) -> Introspection {
        Introspection {
            id: Some(self.id()),
            owner: self.user.clone(),
            created: self.created,
            ends: self.expires_at,
            scopes: self.scopes.clone().map(sorted),
            by: Some(Teller::TokenService),
            ..Introspection::default()
        }
    }
}

/// Whether two moments of making are of one token, as far as both are known. Some databases round to seconds what the answer
/// to the making tells exactly.
fn is_same_moment(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one.duration_since(other).abs() <= SignedDuration::from_secs(1)
}

/// The same scopes come in any order.
fn sorted(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort_unstable();
    scopes
}

/// Calls, and tells a dead token from one that may not do this: the hub answers 403 to both, with no message or this one for
/// the dead. A refusal that is not the hub's own is nobody's word about a token, and never that one is gone.
async fn ask(
    api: &Api,
    token: &Secret<String>,
    method: Method,
    path: &[&str],
    body: Option<zeroize::Zeroizing<Vec<u8>>>,
) -> Result<Answer, ServiceError> {
    let credential = Some((AUTHORIZATION, Secret::new(format!("token {}", token.expose()))));
    let answer = api.ask(Call { method, path, query: &[], credential, headers: &[], body }).await?;
    let words = Refused::of(&answer);
    let message = words.as_ref().and_then(|words| words.message.as_deref());
    let is_dead = words.is_some() && matches!(message, None | Some("Missing or invalid credentials."));
    match answer.status {
        StatusCode::FORBIDDEN if is_dead => Err(ServiceError::Dead),
        // It says 401 to nobody.
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND if words.is_none() => Err(answer.strange()),
        _ => answer.accepted(),
    }
}

/// A hub's refusal: these two members, always both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    status: u16,
    #[serde(deserialize_with = "Option::deserialize")]
    message: Option<String>,
}

impl Refused {
    /// The hub's own, if that is what it is.
    fn of(answer: &Answer) -> Option<Self> {
        if answer.is_page() {
            return None;
        }
        let words = answer.json::<Self>().ok().filter(|words| answer.status == words.status)?;
        let is_signed = answer.header(VERSION).is_some();
        let is_known = match words.message.as_deref() {
            None => true,
            Some(message) => MESSAGES.iter().any(|known| message.starts_with(known)),
        };
        (is_signed || is_known).then_some(words)
    }
}

async fn whoami(api: &Api, token: &Secret<String>) -> Result<Whoami, ServiceError> {
    let mut whoami: Whoami = ask(api, token, Method::GET, &["user"], None).await?.json()?;
    whoami.scopes = whoami.scopes.map(sorted);
    Ok(whoami)
}

async fn delete(api: &Api, token: &Secret<String>, owner: &str, id: &str) -> Result<(), ServiceError> {
    match ask(api, token, Method::DELETE, &["users", owner, "tokens", id], None).await {
        Ok(answer) => answer.done(&[204]),
        Err(ServiceError::Refused { status: 404, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Service for Jupyterhub {
    fn name(&self) -> &'static str {
        "jupyterhub"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::CreateThenDelete(self)
    }

    fn introspect<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>> {
        Box::pin(async move {
            let itself = whoami(api, token).await?;
            let told = itself.told().without(token);
            let Some(id) = itself.token_id.as_deref().filter(|_| told.machine.is_none()) else {
                return Ok(told);
            };
            match ask(api, token, Method::GET, &["users", &itself.name, "tokens", id], None).await {
                // It may be good and still not read itself: then the hub does not tell its end.
                Err(ServiceError::Refused { .. } | ServiceError::Strange(_)) => Ok(told),
                Err(error) => Err(error),
                Ok(answer) => {
                    let model: Token = answer.json()?;
                    let told = Introspection { owner: told.owner, scopes: told.scopes, ..model.told() };
                    Ok(told.without(token))
                }
            }
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            // Its id by the hub's present word, not by what was noted.
            let itself = match whoami(api, token).await {
                Err(ServiceError::Dead) => return Ok(()),
                other => other?,
            };
            let Some(id) = &itself.token_id else { return Err(ServiceError::Unable) };
            match delete(api, token, &itself.name, id).await {
                Err(ServiceError::Dead) => Ok(()),
                other => other,
            }
        })
    }
}

impl CreateThenDelete for Jupyterhub {
    fn create<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
        note: &'a str,
        now: Timestamp,
        ends: Timestamp,
    ) -> Pending<'a, Result<Minted, ServiceError>> {
        #[derive(Serialize)]
        struct New<'a> {
            note: &'a str,
            /// Seconds; absent would never end.
            expires_in: i64,
            /// Absent would be everything that the user may do.
            scopes: Vec<String>,
        }
        Box::pin(async move {
            let itself = whoami(api, token).await?;
            let Some(scopes) = itself.scopes else { return Err(ServiceError::Unable) };
            let new = New { note, expires_in: seconds_left(now, ends).max(1), scopes };
            let path = ["users", &*itself.name, "tokens"];
            let answer = ask(&api.spending(), token, Method::POST, &path, json_body(&new)).await?;
            let Made { token: value } = answer.minted()?;
            let told = answer.json::<Token>().as_ref().map(Token::told).unwrap_or_default();
            Ok(Minted { told: told.without(token).without(&value), value, companion: None })
        })
    }

    fn find<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
        note: &'a str,
    ) -> Pending<'a, Result<Vec<String>, ServiceError>> {
        Box::pin(async move {
            let itself = whoami(api, token).await?;
            let path = ["users", &*itself.name, "tokens"];
            let listed: Listed = ask(api, token, Method::GET, &path, None).await?.json()?;
            let marked = listed.api_tokens.iter().filter(|token| token.note.as_deref() == Some(note));
            Ok(marked.map(Token::id).collect())
        })
    }

    fn delete_other<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
        id: &'a str,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            let Id { id, created } = Id::read(id);
            let itself = whoami(api, token).await?;
            if itself.token_id.as_deref() == Some(id) {
                return Ok(());
            }
            let path = ["users", &*itself.name, "tokens", id];
            let there: Token = match ask(api, token, Method::GET, &path, None).await {
                Err(ServiceError::Refused { status: 404, .. }) => return Ok(()),
                other => other?.json()?,
            };
            if !is_same_moment(there.created, created) {
                return Ok(());
            }
            delete(api, token, &itself.name, id).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_the_moment_of_making() {
        let made: Timestamp = "2026-11-21T11:56:09.799572Z".parse().unwrap();
        let text = Id::write("a14", Some(made));
        let Id { id, created } = Id::read(&text);
        assert_eq!((id, created), ("a14", Some(made)));
        let Id { id, created } = Id::read("a14");
        assert_eq!((id, created), ("a14", None));
    }
}
