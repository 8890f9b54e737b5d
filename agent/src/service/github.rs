//! `github`: what the headers of any call say of the token that it is made with (docs.github.com/rest). GitHub makes
//! tokens on its page alone, so a rotation is by hand.

use http::Method;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use keyfob_ipc::Secret;
use keyfob_ipc::reply::Teller;
use serde::{Deserialize, Serialize};

use super::api::{Answer, Call, bearer, json_body};
use super::{Api, Introspection, Service, ServiceError, Shape};
use crate::keychain::Pending;

/// The version that is asked for; GitHub serves one for two years and more after the next has come.
const VERSION: &[(&str, &str)] = &[("x-github-api-version", "2022-11-28")];
const ENDS: &str = "github-authentication-token-expiration";
/// Classic tokens alone: what a fine-grained one may do, GitHub tells nobody.
const SCOPES: &str = "x-oauth-scopes";

#[derive(Debug)]
pub(super) struct Github;

#[derive(Deserialize)]
struct User {
    login: String,
}

/// Either `2021-10-07 19:07:53 UTC` or with an offset, `2021-10-07 21:07:53 +0200`; what has another form is unknown.
fn end(text: &str) -> Option<Timestamp> {
    let (local, zone) = text.trim().rsplit_once(' ')?;
    let local: DateTime = local.parse().ok()?;
    let offset = match zone {
        "UTC" | "GMT" | "Z" => Offset::UTC,
        _ => offset(zone)?,
    };
    Some(local.to_zoned(TimeZone::fixed(offset)).ok()?.timestamp())
}

/// `+0200` or `+02:00`.
fn offset(zone: &str) -> Option<Offset> {
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|character| *character != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().ok()?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// A list with commas; empty for a token that has none, absent where nobody tells.
fn scopes(answer: &Answer) -> Option<Vec<String>> {
    let scopes = answer.header(SCOPES)?.split(',').map(str::trim).filter(|scope| !scope.is_empty());
    Some(scopes.map(str::to_owned).collect())
}

async fn revoke(api: &Api, token: &Secret<String>, is_authenticated: bool) -> Result<(), ServiceError> {
    #[derive(Serialize)]
    struct Revocation<'a> {
        credentials: [&'a str; 1],
    }
    let call = Call {
        method: Method::POST,
        path: &["credentials", "revoke"],
        query: &[],
        credential: is_authenticated.then(|| bearer(token)).flatten(),
        headers: VERSION,
        body: json_body(&Revocation { credentials: [token.expose()] }),
    };
    api.call(call).await?.done(&[202])
}

impl Service for Github {
    fn name(&self) -> &'static str {
        "github"
    }

    fn usual_api(&self) -> Option<&'static str> {
        Some("https://api.github.com")
    }

    fn shape(&self) -> Shape<'_> {
        Shape::ByHand
    }

    fn introspect<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>> {
        Box::pin(async move {
            let call = Call {
                method: Method::GET,
                path: &["user"],
                query: &[],
                credential: bearer(token),
                headers: VERSION,
                body: None,
            };
            let answer = api.call(call).await?;
            let User { login } = answer.json()?;
            Ok(Introspection {
                owner: Some(login),
                ends: answer.header(ENDS).and_then(end),
                scopes: scopes(&answer),
                by: Some(Teller::TokenService),
                ..Introspection::default()
            }
            .without(token))
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        _told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            // github.com turns away every authenticated call here; a company's own GitHub wants one.
            match revoke(api, token, false).await {
                Err(ServiceError::Dead) => match revoke(api, token, true).await {
                    Err(ServiceError::Dead) => Ok(()),
                    other => other,
                },
                // Older ones of a company's own do not have it.
                Err(ServiceError::Refused { status: 404, .. }) => Err(ServiceError::Unable),
                other => other,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_end_is_read_and_nonsense_is_unknown() {
        let moment: Timestamp = "2021-10-07T19:07:53Z".parse().unwrap();
        for text in [
            "2021-10-07 19:07:53 UTC",
            "2021-10-07 19:07:53 +0000",
            "2021-10-07 21:07:53 +0200",
            "2021-10-07 13:37:53 -05:30",
        ] {
            assert_eq!(end(text), Some(moment), "{text}");
        }
        for text in
            ["", "never", "2021-10-07 19:07:53", "2021-10-07 19:07:53 CEST", "2021-10-07 19:07:53 +99\u{e9}"]
        {
            assert_eq!(end(text), None, "{text}");
        }
    }
}
