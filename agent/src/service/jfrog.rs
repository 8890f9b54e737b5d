//! `jfrog`: access tokens of the JFrog Platform (jfrog.com/help/r/jfrog-rest-apis/access-tokens). A refreshable one comes
//! with a refresh token, which is spent for the next pair; one without is replaced by hand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jiff::Timestamp;
use keyfob_ipc::reply::Teller;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::api::{Answer, Call, bearer, json_body, lenient};
use super::{Api, Introspection, Minted, Pasted, RefreshGrant, Service, ServiceError, Shape};
use crate::keychain::Pending;

/// Longest claims that are read out of a token, in bytes of base64.
const CLAIMS: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Jfrog;

/// The secrets of what JFrog shows when it makes a token, and answers to a refresh.
#[derive(Deserialize)]
struct Pair {
    access_token: Secret<String>,
    refresh_token: Option<Secret<String>>,
}

/// The first of the two alone, where the second one is odd.
#[derive(Deserialize)]
struct Made {
    access_token: Secret<String>,
}

/// What an answer to a refresh tells beside them.
#[derive(Default, Deserialize)]
struct Beside {
    #[serde(default, deserialize_with = "lenient")]
    token_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    scope: Option<String>,
}

/// What it says of a token. Times are seconds since 1970.
#[derive(Deserialize)]
struct Token {
    token_id: Option<String>,
    subject: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    expiry: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    issued_at: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    scope: Option<String>,
}

/// What a token says of itself: it is a JSON Web Token, unless it is a reference token.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    jti: Option<String>,
    sub: Option<String>,
    exp: Option<i64>,
    iat: Option<i64>,
    scp: Option<String>,
}

impl Claims {
    /// Read, not verified: they are shown to the person and decide nothing, and only JFrog judges the token.
    fn of(token: &Secret<String>) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || claims.len() > CLAIMS {
            return None;
        }
        let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?);
        serde_json::from_slice(&claims).ok()
    }

    fn told(self) -> Introspection {
        Introspection {
            id: self.jti,
            owner: self.sub.as_deref().map(owner),
            created: self.iat.and_then(moment),
            ends: self.exp.and_then(moment),
            scopes: self.scp.as_deref().map(scopes),
            by: Some(Teller::Token),
            ..Introspection::default()
        }
    }
}

impl Token {
    /// The scope is not among what JFrog documents here; the token, which it has just accepted, says it as well.
    fn told(self, claims: Option<Claims>) -> Introspection {
        let scope = self.scope.or_else(|| claims?.scp);
        Introspection {
            id: self.token_id,
            owner: self.subject.as_deref().map(owner),
            created: self.issued_at.and_then(moment),
            ends: self.expiry.and_then(moment),
            scopes: scope.as_deref().map(scopes),
            by: Some(Teller::TokenService),
            ..Introspection::default()
        }
    }
}

/// `jfac@01fr1x1h805xmg0t17xhqr1v7a/users/ada` is `ada`; a name may have a slash.
fn owner(subject: &str) -> String {
    subject.split_once("/users/").map_or(subject, |(_, name)| name).to_owned()
}

/// 0 and absent both mean that nobody told an end.
fn moment(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok().filter(|_| seconds > 0)
}

fn scopes(scope: &str) -> Vec<String> {
    scope.split_ascii_whitespace().map(str::to_owned).collect()
}

fn call<'a>(method: Method, path: &'a [&'a str], token: &Secret<String>) -> Call<'a> {
    Call { method, path, query: &[], credential: bearer(token), headers: &[], body: None }
}

/// Whether this is JFrog's yes to a deletion: 204 says that the token was gone already. A page in between says 200, too.
fn deleted(answer: &Answer) -> Result<(), ServiceError> {
    answer.done(if answer.is_page() { &[] } else { &[200, 204] })
}

impl Service for Jfrog {
    fn name(&self) -> &'static str {
        "jfrog"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::RefreshGrant(self)
    }

    fn read_pasted(&self, text: Secret<String>) -> Result<Pasted, Refusal> {
        if !text.expose().trim_start().starts_with('{') {
            return Ok(Pasted { value: text, companion: None });
        }
        let pair: Pair = serde_json::from_str(text.expose()).map_err(|_| {
            Refusal::new(Code::TokenInvalid, "this is no answer of JFrog with an `access_token` in it")
                .hint("copy it again, whole, or its access_token alone")
        })?;
        Ok(Pasted { value: pair.access_token, companion: pair.refresh_token })
    }

    fn introspect<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>> {
        Box::pin(async move {
            let claims = Claims::of(token);
            let told = match api.call(call(Method::GET, &["tokens", "me"], token)).await {
                Ok(answer) => answer.json::<Token>()?.told(claims),
                // Who may not ask, and versions before 7.53.1, which take `me` for an id.
                Err(ServiceError::Refused { status: 403..=405, .. }) if claims.is_some() => {
                    claims.unwrap_or_default().told()
                }
                Err(ServiceError::Refused { status: 404 | 405, .. }) => return Err(ServiceError::Unable),
                Err(error) => return Err(error),
            };
            Ok(told.without(token))
        })
    }

    fn delete<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        told: &'a Introspection,
    ) -> Pending<'a, Result<(), ServiceError>> {
        Box::pin(async move {
            let id = told.id.clone().or_else(|| Claims::of(token)?.jti);
            let answer = match api.call(call(Method::DELETE, &["tokens", "me"], token)).await {
                Err(ServiceError::Refused { status: 404 | 405, .. }) => {
                    let Some(id) = id else { return Err(ServiceError::Unable) };
                    api.call(call(Method::DELETE, &["tokens", &id], token)).await
                }
                other => other,
            };
            match answer {
                Ok(answer) => deleted(&answer),
                Err(ServiceError::Dead) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

impl RefreshGrant for Jfrog {
    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        token: &'a Secret<String>,
        refresh_token: &'a Secret<String>,
    ) -> Pending<'a, Result<Minted, ServiceError>> {
        #[derive(Serialize)]
        struct Refresh<'a> {
            grant_type: &'static str,
            refresh_token: &'a str,
            /// Older versions take the rights of the new one from it.
            access_token: &'a str,
            /// Else the next one could not be refreshed.
            refreshable: bool,
        }
        Box::pin(async move {
            let mut call = call(Method::POST, &["tokens"], token);
            call.body = json_body(&Refresh {
                grant_type: "refresh_token",
                refresh_token: refresh_token.expose(),
                access_token: token.expose(),
                refreshable: true,
            });
            let answer = api.spending().call(call).await?;
            let Made { access_token } = answer.minted()?;
            let companion = answer.json::<Pair>().ok().and_then(|pair| pair.refresh_token);
            let Beside { token_id, scope } = answer.json().unwrap_or_default();
            let told = match Claims::of(&access_token) {
                Some(claims) => claims.told(),
                None => Introspection { by: Some(Teller::TokenService), ..Introspection::default() },
            };
            let told = Introspection {
                id: token_id.or(told.id),
                scopes: scope.as_deref().map(scopes).or(told.scopes),
                ..told
            };
            // Neither the two that were spent nor the two that are new.
            let told = [Some(token), Some(refresh_token), Some(&access_token), companion.as_ref()]
                .into_iter()
                .flatten()
                .fold(told, Introspection::without);
            Ok(Minted { value: access_token, companion, told })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Secret<String> {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn a_token_tells_of_itself_and_what_it_leaves_out_is_unknown() {
        let whole = r#"{"jti":"7e0e","sub":"jfac@01/users/ada/b","exp":1800000000,"iat":1700000000,"scp":"applied-permissions/user a"}"#;
        let told = Claims::of(&token(whole)).unwrap().told();
        assert_eq!(told.owner.as_deref(), Some("ada/b"));
        assert_eq!(told.ends, Timestamp::from_second(1_800_000_000).ok());
        assert_eq!(told.scopes.unwrap(), ["applied-permissions/user", "a"]);
        assert_eq!(Claims::of(&token("{}")).unwrap().told().ends, None);
        assert_eq!(Claims::of(&token(r#"{"exp":0}"#)).unwrap().told().ends, None);
        for other in ["", "cmVmdGtuOjAx", "a.b.c", "a.b", "e30.e30.e30.e30"] {
            assert!(Claims::of(&Secret::from(other)).is_none(), "{other}");
        }
        assert!(Claims::of(&token(&" ".repeat(CLAIMS))).is_none());
    }

    #[test]
    fn a_value_or_the_whole_answer_can_be_pasted() {
        let bare = Jfrog.read_pasted(Secret::from("eyJ2ZXIiOiIyIn0")).unwrap();
        assert_eq!((bare.value.expose().as_str(), bare.companion), ("eyJ2ZXIiOiIyIn0", None));
        let text = "{\n  \"token_id\": \"7e\",\n  \"access_token\": \"ey\",\n  \"refresh_token\": \"re\",\n  \"expires_in\": 60\n}";
        let both = Jfrog.read_pasted(Secret::from(text)).unwrap();
        assert_eq!(both.value.expose(), "ey");
        assert_eq!(both.companion.unwrap().expose(), "re");
        for broken in ["{", "{}", r#"{"access_token":1,"refresh_token":"marked"}"#] {
            let refusal = Jfrog.read_pasted(Secret::from(broken)).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!format!("{refusal:?}").contains("marked"));
        }
    }
}
