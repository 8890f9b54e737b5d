//! Which ID tokens the STS believes.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Sts;
use super::error::{Refusal, StsError};
use crate::common::locked;
use crate::jwt::{KeySet, PublicKey, SignatureError, Unverified};
use crate::net;

/// An OpenID provider that the account trusts, as `CreateOpenIDConnectProvider` makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedIssuer {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// Where its public keys are; plain `http` on loopback.
    pub jwks: Url,
    /// The `aud` that must be there: the client id.
    pub audience: String,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
}

impl Sts {
    /// Issuer, audience, signature and end, in the order in which a person can mend them.
    pub(super) async fn identity(&self, token: &str) -> Result<Identity, Refusal> {
        let token = Unverified::parse(token).ok_or_else(|| {
            Refusal::invalid_identity_token(
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
            )
        })?;
        let claim = |name: &str| {
            let missing = || Refusal::invalid_identity_token(&format!("Missing a required claim: {name}"));
            token.text(name).map(str::to_owned).ok_or_else(missing)
        };
        let (issuer, subject) = (claim("iss")?, claim("sub")?);
        let (audience, keys) = self.provider(&issuer).await?;
        if !token.is_for(&audience) {
            return Err(StsError::WrongAudience.refusal(&issuer));
        }
        let keys = keys.ok_or_else(|| StsError::VerificationKeyUnavailable.refusal(&issuer))?;
        token.verify(&keys).map_err(|error| match error {
            SignatureError::NoKey => StsError::VerificationKeyUnavailable.refusal(&issuer),
            SignatureError::Wrong => {
                Refusal::invalid_identity_token("The ID Token provided failed signature verification")
            }
        })?;
        // AWS wants whole numbers here.
        let end = token.claims["exp"]
            .as_i64()
            .ok_or_else(|| Refusal::invalid_identity_token("Missing a required claim: exp"))?;
        let now = self.common.second();
        if now >= end {
            let message = format!(
                "Token expired: current date/time {now} must be before the expiration date/time {end}"
            );
            return Err(Refusal::new(400, "ExpiredTokenException", message));
        }
        Ok(Identity { issuer, subject, audience })
    }

    /// Audience and keys of the provider; no keys if they could not be fetched.
    async fn provider(&self, issuer: &str) -> Result<(String, Option<Vec<PublicKey>>), Refusal> {
        if issuer == self.own.url() {
            return Ok((self.own.client_id().to_owned(), Some(self.own.public_keys())));
        }
        let found = locked(&self.options).trusted.iter().find(|trusted| trusted.issuer == issuer).cloned();
        let trusted = found.ok_or_else(|| StsError::NoProvider.refusal(issuer))?;
        Ok((trusted.audience, fetch(&trusted.jwks).await))
    }
}

/// The keys of a provider; none if they could not be fetched.
pub(crate) async fn fetch(jwks: &Url) -> Option<Vec<PublicKey>> {
    let answer = net::client().get(net::loopback(jwks).ok()?.clone()).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let set: KeySet = serde_json::from_slice(&net::body(answer).await.ok()?).ok()?;
    Some(set.keys)
}
