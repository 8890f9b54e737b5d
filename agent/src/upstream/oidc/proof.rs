//! Whether an answer proves what it must (OpenID Connect Core, sections 3.1.3.7 and 12.2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::text::escape;
use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreTokenResponse};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, Nonce, OAuth2TokenResponse as _,
    TokenResponse as _,
};
use serde::Deserialize;

use super::{Grant, OidcError, Person, Provider};
use crate::clock::{after, before};

/// Clocks may differ by this much.
const LEEWAY: Duration = Duration::from_secs(60);
/// Assumed for an access token whose answer names no life (RFC 6749 only recommends `expires_in`).
const ASSUMED_LIFE: Duration = Duration::from_secs(300);

/// Most groups that are kept; directories of large companies send some hundreds, and then a link in their place.
const GROUPS: usize = 200;
/// Longest name of one, in bytes.
const GROUP: usize = 256;

/// What an ID token is held against.
pub(super) enum Expect<'a> {
    /// A browser sign-in: the nonce that was sent.
    Nonce(&'a Nonce),
    /// A device sign-in.
    Anyone,
    /// A refresh: the same person as before.
    Subject(&'a str),
}

impl Provider {
    /// Verifies what came, fetching the keys again where the token was signed by one that is not known yet.
    pub(super) async fn accept(
        &mut self,
        answer: CoreTokenResponse,
        expect: Expect<'_>,
        now: Timestamp,
    ) -> Result<Grant, OidcError> {
        let access = answer.access_token();
        let access_until = after(now, answer.expires_in().unwrap_or(ASSUMED_LIFE));
        let mut id_token = None;
        let mut person = None;
        if let Some(token) = answer.id_token() {
            let (claims_until, who) = match self.verify(token, access, &expect, now) {
                Err(Distrust::UnknownKey) => {
                    *self = Self::discover(self.registration.clone(), self.http.clone(), now).await?;
                    self.verify(token, access, &expect, now)
                }
                other => other,
            }
            .map_err(|distrust| OidcError::Untrusted(distrust.to_string()))?;
            id_token = Some((Secret::new(token.to_string()), claims_until));
            person = Some(who);
        } else if !matches!(expect, Expect::Subject(_)) {
            return Err(OidcError::Untrusted("it sent no ID token".to_owned()));
        }
        Ok(Grant {
            access_token: Secret::new(access.secret().clone()),
            access_until,
            id_token,
            refresh_token: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
            person,
            scopes: answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
        })
    }

    fn verify(
        &self,
        token: &CoreIdToken,
        access: &AccessToken,
        expect: &Expect<'_>,
        now: Timestamp,
    ) -> Result<(Timestamp, Person), Distrust> {
        use CoreJwsSigningAlgorithm as Algorithm;
        let (early, late) = (to_chrono(before(now, LEEWAY)), to_chrono(after(now, LEEWAY)));
        let client = self.client();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs([
                Algorithm::RsaSsaPkcs1V15Sha256,
                Algorithm::RsaSsaPkcs1V15Sha384,
                Algorithm::RsaSsaPkcs1V15Sha512,
                Algorithm::RsaSsaPssSha256,
                Algorithm::RsaSsaPssSha384,
                Algorithm::RsaSsaPssSha512,
                Algorithm::EcdsaP256Sha256,
                Algorithm::EcdsaP384Sha384,
                Algorithm::EdDsa,
            ])
            .set_time_fn(move || early.unwrap_or_default())
            .set_issue_time_verifier_fn(move |issued| {
                let late = late.ok_or_else(|| "our clock is out of range".to_owned())?;
                if issued <= late { Ok(()) } else { Err("it was issued in the future".to_owned()) }
            });
        let claims = match expect {
            Expect::Nonce(nonce) => token.claims(&verifier, *nonce),
            // Refreshed tokens and device sign-ins carry no nonce of ours (OpenID Connect Core, section 12.2).
            Expect::Anyone | Expect::Subject(_) => token.claims(&verifier, |_: Option<&Nonce>| Ok(())),
        }
        .map_err(|error| Distrust::of(&error))?;
        if let Expect::Subject(subject) = expect
            && claims.subject().as_str() != *subject
        {
            return Err(Distrust::Because("the ID token is about another person".to_owned()));
        }
        if let Some(expected) = claims.access_token_hash() {
            let hashed = token
                .signing_alg()
                .ok()
                .zip(token.signing_key(&verifier).ok())
                .and_then(|(algorithm, key)| AccessTokenHash::from_token(access, algorithm, key).ok());
            if hashed.as_ref() != Some(expected) {
                return Err(Distrust::Because(
                    "the access token is not the one that the ID token vouches for".to_owned(),
                ));
            }
        }
        Ok((until_by_our_clock(claims, now), person(claims, groups(&token.to_string()))))
    }
}

/// The provider's clock may differ from ours: what counts is how long the token lives.
fn until_by_our_clock(claims: &CoreIdTokenClaims, now: Timestamp) -> Timestamp {
    let life = claims.expiration().timestamp().saturating_sub(claims.issue_time().timestamp());
    let by_life = after(now, Duration::from_secs(u64::try_from(life).unwrap_or(0)));
    let by_clock = Timestamp::from_second(claims.expiration().timestamp()).unwrap_or(by_life);
    by_life.min(after(by_clock, LEEWAY))
}

fn person(claims: &CoreIdTokenClaims, groups: Option<Vec<String>>) -> Person {
    let subject = claims.subject().as_str().to_owned();
    let email = claims.email().map(|email| email.as_str().to_owned());
    let user_name = claims.preferred_username().map(|name| name.as_str().to_owned());
    let name = email.or(user_name).unwrap_or_else(|| subject.clone());
    Person { subject, name: escape(&name), groups }
}

/// The `groups` of an ID token, which has been verified.
fn groups(token: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Claims {
        groups: Option<Groups>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Groups {
        Several(Vec<String>),
        One(String),
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let mut groups = match serde_json::from_slice::<Claims>(&payload).ok()?.groups? {
        Groups::Several(groups) => groups,
        Groups::One(group) => vec![group],
    };
    // They are kept beside the session, and an item of a keychain has its limits.
    groups.truncate(GROUPS);
    groups.retain(|group| group.len() <= GROUP);
    Some(groups)
}

fn to_chrono(moment: Timestamp) -> Option<ChronoUtc> {
    ChronoUtc::from_timestamp(moment.as_second(), 0)
}

/// The crate's time type; nothing else here uses it.
type ChronoUtc = chrono::DateTime<chrono::Utc>;

#[derive(Debug, thiserror::Error)]
enum Distrust {
    #[error("no key of the provider fits the signature of the ID token")]
    UnknownKey,
    #[error("{0}")]
    Because(String),
}

impl Distrust {
    fn of(error: &ClaimsVerificationError) -> Self {
        use openidconnect::SignatureVerificationError as Signature;
        match error {
            ClaimsVerificationError::SignatureVerification(Signature::NoMatchingKey) => Self::UnknownKey,
            ClaimsVerificationError::SignatureVerification(_) => {
                Self::Because("the ID token is not signed by the provider".to_owned())
            }
            ClaimsVerificationError::Expired(_) => {
                Self::Because("the ID token has expired already (check this machine's clock)".to_owned())
            }
            ClaimsVerificationError::InvalidIssuer(_) => {
                Self::Because("the ID token is of another issuer".to_owned())
            }
            ClaimsVerificationError::InvalidAudience(_) => {
                Self::Because("the ID token is for another client".to_owned())
            }
            ClaimsVerificationError::InvalidNonce(_) => {
                Self::Because("the ID token is not the answer to this sign-in (nonce)".to_owned())
            }
            other => Self::Because(escape(&other.to_string())),
        }
    }
}
