//! `gitlab`: the personal access tokens API of GitLab (docs.gitlab.com/api/personal_access_tokens), of gitlab.com or of a
//! company's own instance.
//!
//! **Never replay.** A rotation that is sent again with the value before it is taken for a theft: GitLab then revokes the
//! whole family, the new value too (gitlab-org/gitlab issue 524639). So a rotation whose answer is lost is followed by
//! [`Service::introspect`], which is harmless, and never by another rotation with the same value.

use http::{HeaderName, Method};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::Teller;
use serde::{Deserialize, Serialize};

use super::api::{Call, json_body, lenient};
use super::{Api, Introspection, Minted, Native, Service, ServiceError, Shape};
use crate::keychain::Pending;

const CREDENTIAL: HeaderName = HeaderName::from_static("private-token");
const OWN: &str = "personal_access_tokens";

#[derive(Debug)]
pub(super) struct Gitlab;

/// `PersonalAccessToken`.
#[derive(Deserialize)]
struct Token {
    id: u64,
    revoked: Option<bool>,
    active: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    expires_at: Option<String>,
}

/// What `PersonalAccessTokenWithToken` has beside it.
#[derive(Deserialize)]
struct Made {
    token: Secret<String>,
}

/// The little that is read of a user.
#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default, deserialize_with = "lenient")]
    bot: Option<bool>,
}

impl Token {
    fn is_dead(&self) -> bool {
        self.revoked == Some(true) || self.active == Some(false)
    }

    fn told(&self) -> Introspection {
        Introspection {
            id: Some(self.id.to_string()),
            created: self.created_at,
            ends: self.expires_at.as_deref().and_then(end),
            scopes: self.scopes.clone(),
            by: Some(Teller::TokenService),
            ..Introspection::default()
        }
    }
}

/// `expires_at` is a date: GitLab stops to accept the token as that day begins in UTC.
fn end(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn call<'a>(method: Method, path: &'a [&'a str], token: &Secret<String>) -> Call<'a> {
    Call { method, path, query: &[], credential: Some((CREDENTIAL, token.clone())), headers: &[], body: None }
}

/// The token tells the number of its user alone, and the name needs a scope (`read_user`, `read_api` or `api`) that the
/// token may not have: then it stays unknown.
async fn user(api: &Api, token: &Secret<String>) -> Option<User> {
    api.call(call(Method::GET, &["user"], token)).await.ok()?.json().ok()
}

impl Service for Gitlab {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn usual_api(&self) -> Option<&'static str> {
        Some("https://gitlab.com/api/v4")
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
            let known: Token = api.call(call(Method::GET, &[OWN, "self"], token)).await?.json()?;
            if known.is_dead() {
                return Err(ServiceError::Dead);
            }
            let mut told = known.told();
            if let Some(User { username, bot }) = user(api, token).await {
                told.owner = Some(username);
                told.machine = bot;
            }
            Ok(told.without(token))
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            match api.call(call(Method::DELETE, &[OWN, "self"], token)).await {
                Ok(answer) => answer.done(&[204]),
                Err(ServiceError::Dead) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

impl Native for Gitlab {
    fn rotate<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        ends: Timestamp,
    ) -> Pending<'a, Result<Minted, ServiceError>> {
        #[derive(Serialize)]
        struct Rotation {
            expires_at: String,
        }
        Box::pin(async move {
            // Without a date the new one would live for a week.
            let expires_at = ends.to_zoned(TimeZone::UTC).date().to_string();
            let mut call = call(Method::POST, &[OWN, "self", "rotate"], token);
            call.body = json_body(&Rotation { expires_at });
            let answer = api.spending().call(call).await?;
            let Made { token: value } = answer.minted()?;
            let told = answer.json::<Token>().as_ref().map(Token::told).unwrap_or_default();
            Ok(Minted { told: told.without(token).without(&value), value, companion: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_beginning_of_its_day_and_nonsense_is_unknown() {
        assert_eq!(end("2027-03-01"), "2027-03-01T00:00:00Z".parse().ok());
        for nonsense in ["", "never", "2027-02-30", "01.03.2027"] {
            assert_eq!(end(nonsense), None, "{nonsense}");
        }
    }
}
