//! OpenID Connect by `openidconnect`, over our own client, with the checks that the crate leaves to its caller.
//!
//! * The provider's metadata and keys are fetched anew after an hour, and once more when a signature names an unknown key.
//! * An ID token must be signed by a key of the provider (never `none`, never a shared secret), for our client, unexpired
//!   with a minute of leeway for clocks, and have our nonce where we sent one (OpenID Connect Core, section 3.1.3.7).
//! * A transport error, an HTML page or a 5xx is never taken for the provider's word about a token: only an OAuth error
//!   answer is (RFC 6749, section 5.2).

mod proof;
mod refusal;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Secret;
use keyfob_ipc::text::escape;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreDeviceAuthorizationResponse, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    CoreTokenResponse,
};
use openidconnect::{
    AdditionalProviderMetadata, AsyncHttpClient, AuthType, AuthenticationFlow, AuthorizationCode, ClientId,
    CsrfToken, DeviceAuthorizationUrl, DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata,
    RedirectUrl, RevocationUrl, Scope,
};
use serde::{Deserialize, Serialize};

use super::http::{Http, HttpError};
use crate::clock::after;
use proof::Expect;
pub use refusal::OidcError;

/// Metadata and keys are fetched anew after this long.
const METADATA: Duration = Duration::from_secs(3600);

/// What the crate's own metadata lacks: RFC 8628, RFC 9207, RFC 7009.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct More {
    device_authorization_endpoint: Option<DeviceAuthorizationUrl>,
    revocation_endpoint: Option<RevocationUrl>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type ConfiguredClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Who we are to which provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The issuer, exactly as its tokens name it.
    pub issuer: String,
    /// Our public client there.
    pub client_id: String,
    /// What to ask for; `openid` is always among them.
    pub scopes: Vec<String>,
}

/// A provider whose metadata was fetched.
#[derive(Clone)]
pub struct Provider {
    registration: Registration,
    metadata: Metadata,
    fetched: Timestamp,
    http: Http,
}

/// What a provider gave.
#[derive(Debug)]
pub struct Grant {
    /// For hosts.
    pub access_token: Secret<String>,
    /// Its end, by our clock.
    pub access_until: Timestamp,
    /// The ID token, verified, and its end by our clock.
    pub id_token: Option<(Secret<String>, Timestamp)>,
    /// The refresh token, where there is one; rotated ones replace the one that was spent.
    pub refresh_token: Option<Secret<String>>,
    /// Who it is about; absent only where a refresh brought no ID token.
    pub person: Option<Person>,
    /// What was granted; absent where that is what was asked for (RFC 6749, section 5.1).
    pub scopes: Option<Vec<String>>,
}

/// Claims about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `sub`.
    pub subject: String,
    /// `email`, else `preferred_username`, else `sub`.
    pub name: String,
    /// `groups`, which many providers send and no standard names; absent where this one does not.
    pub groups: Option<Vec<String>>,
}

/// A browser sign-in that has been prepared.
pub struct Attempt {
    /// Where to send the person.
    pub url: String,
    /// Must come back.
    pub state: String,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

/// What a refresh brought, as it came.
pub struct Spent(Secret<Vec<u8>>);

impl Spent {
    /// The refresh token that takes the place of the one that was spent, where the provider rotates them. Nothing else of
    /// the answer is looked at.
    pub fn refresh_token(&self) -> Option<Secret<String>> {
        #[derive(Deserialize)]
        struct Rotated {
            refresh_token: Option<Secret<String>>,
        }
        let rotated: Rotated = serde_json::from_slice(self.0.expose()).ok()?;
        rotated.refresh_token.filter(|token| !token.expose().is_empty())
    }
}

/// A device sign-in that has been begun.
pub struct DeviceAttempt {
    /// What the person is shown.
    pub details: CoreDeviceAuthorizationResponse,
}

/// What asking for the tokens of a device sign-in brought.
pub enum Poll {
    /// The person is not there yet.
    Pending,
    /// The same, and we ask too often (RFC 8628, section 3.5).
    SlowDown,
    /// Signed in.
    Granted(Box<Grant>),
}

/// The crate's HTTP seam.
struct Seam<'a>(&'a Http);

impl<'c> AsyncHttpClient<'c> for Seam<'_> {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.send(request))
    }
}

impl Provider {
    /// Fetches a provider's metadata and keys (OpenID Connect Discovery).
    ///
    /// # Errors
    /// [`OidcError`]; an issuer that names itself differently is [`OidcError::Untrusted`].
    pub async fn discover(registration: Registration, http: Http, now: Timestamp) -> Result<Self, OidcError> {
        let issuer = IssuerUrl::new(registration.issuer.clone())
            .map_err(|_| OidcError::Untrusted("the configured issuer is no address".to_owned()))?;
        let origin = origin_of(&registration.issuer);
        let metadata = Metadata::discover_async(issuer, &Seam(&http)).await.map_err(|error| match error {
            DiscoveryError::Request(error) => OidcError::Http(error),
            DiscoveryError::Validation(said) => OidcError::Untrusted(format!(
                "it names another issuer than the configuration, and a trailing slash counts ({})",
                escape(&said)
            )),
            _ => OidcError::Strange(origin),
        })?;
        Ok(Self { registration, metadata, fetched: now, http })
    }

    /// Whether this is (still) what a caller needs.
    pub fn serves(&self, registration: &Registration, now: Timestamp) -> bool {
        self.registration == *registration && self.fetched <= now && now < after(self.fetched, METADATA)
    }

    /// The same provider, asked through this client.
    #[must_use]
    pub fn through(&self, http: Http) -> Self {
        Self { http, ..self.clone() }
    }

    /// Whether the authorization response must name the issuer (RFC 9207).
    pub fn promises_issuer(&self) -> bool {
        self.metadata.additional_metadata().authorization_response_iss_parameter_supported
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// Prepares a browser sign-in: PKCE S256, state and nonce, all fresh.
    ///
    /// # Errors
    /// [`OidcError::Untrusted`] where the redirect address is none.
    pub fn begin(&self, redirect: &str) -> Result<Attempt, OidcError> {
        let redirect = RedirectUrl::new(redirect.to_owned())
            .map_err(|_| OidcError::Untrusted("the loopback address is none".to_owned()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client().set_redirect_uri(redirect.clone());
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in self.registration.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        // Without a fresh consent, providers that follow OpenID Connect Core (section 11) grant no refresh token.
        if self.registration.scopes.iter().any(|scope| scope == "offline_access") {
            request = request.add_extra_param("prompt", "consent");
        }
        let (url, state, nonce) = request.url();
        self.http.allowed(&url.as_str().parse().map_err(|_| OidcError::Strange(origin_of(url.as_str())))?)?;
        Ok(Attempt { url: url.into(), state: state.secret().clone(), nonce, verifier, redirect })
    }

    /// Redeems the code of a browser sign-in.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn redeem(&mut self, attempt: Attempt, code: &str, now: Timestamp) -> Result<Grant, OidcError> {
        let client = self.client().set_redirect_uri(attempt.redirect);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| OidcError::NotOffered("token endpoint"))?
            .set_pkce_verifier(attempt.verifier)
            .request_async(&Seam(&self.http.spending()))
            .await
            .map_err(|error| OidcError::of(error, self.origin()))?;
        self.accept(answer, Expect::Nonce(&attempt.nonce), now).await
    }

    /// Begins a device sign-in (RFC 8628).
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn begin_device(&self) -> Result<DeviceAttempt, OidcError> {
        let client = self.client().set_device_authorization_url(self.device_url()?);
        let mut request = client.exchange_device_code();
        for scope in &self.registration.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let details: CoreDeviceAuthorizationResponse = request
            .request_async(&Seam(&self.http))
            .await
            .map_err(|error| OidcError::of(error, self.origin()))?;
        Ok(DeviceAttempt { details })
    }

    /// Asks once for the tokens of a device sign-in.
    ///
    /// # Errors
    /// [`OidcError`]; the network's are worth another try, the provider's are not.
    pub async fn poll_device(&mut self, attempt: &DeviceAttempt, now: Timestamp) -> Result<Poll, OidcError> {
        // The crate's own polling swallows causes and cannot be called off; one request is a form and an answer.
        let form = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", attempt.details.device_code().secret()),
            ("client_id", &self.registration.client_id),
        ]);
        let endpoint = self.metadata.token_endpoint().ok_or(OidcError::NotOffered("token endpoint"))?;
        let answer = self.http.send(post(endpoint.as_str(), form)?).await?;
        let strange = || OidcError::Strange(origin_of(endpoint.as_str()));
        if !answer.status().is_success() {
            return match OidcError::said(answer.body(), origin_of(endpoint.as_str())) {
                OidcError::Refused { code, .. } if code == "authorization_pending" => Ok(Poll::Pending),
                OidcError::Refused { code, .. } if code == "slow_down" => Ok(Poll::SlowDown),
                error => Err(error),
            };
        }
        let tokens: CoreTokenResponse = serde_json::from_slice(answer.body()).map_err(|_| strange())?;
        let grant = self.accept(tokens, Expect::Anyone, now).await?;
        Ok(Poll::Granted(Box::new(grant)))
    }

    /// Spends a refresh token. `openid` is in the scope, else Okta gives no new ID token.
    ///
    /// From here on the old token may be worthless: whoever calls this stores [`Spent::refresh_token`] before anything
    /// else can fail.
    ///
    /// # Errors
    /// [`OidcError`]; only [`OidcError::Dead`] means that the session is over.
    pub async fn spend(&self, refresh_token: &Secret<String>) -> Result<Spent, OidcError> {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
            ("client_id", &self.registration.client_id),
            ("scope", &self.registration.scopes.join(" ")),
        ]);
        let endpoint = self.metadata.token_endpoint().ok_or(OidcError::NotOffered("token endpoint"))?;
        // By hand: the crate reads the whole answer before it gives any of it, and one odd claim would cost the new token.
        let answer = self.http.spending().send(post(endpoint.as_str(), form)?).await?;
        if answer.status().is_success() {
            return Ok(Spent(Secret::new(answer.into_body())));
        }
        if answer.status().is_server_error() {
            return Err(OidcError::Strange(self.origin()));
        }
        Err(OidcError::said(answer.body(), self.origin()))
    }

    /// Holds what a refresh brought against the person whose session it is.
    ///
    /// # Errors
    /// [`OidcError`]; nothing of it may be used then.
    pub async fn prove(&mut self, spent: Spent, subject: &str, now: Timestamp) -> Result<Grant, OidcError> {
        let is_json = spent.0.expose().trim_ascii_start().starts_with(b"{");
        let answer: CoreTokenResponse =
            serde_json::from_slice(spent.0.expose()).map_err(|_| match is_json {
                true => OidcError::Untrusted("its tokens cannot be read".to_owned()),
                false => OidcError::Strange(self.origin()),
            })?;
        self.accept(answer, Expect::Subject(subject), now).await
    }

    /// Revokes a refresh token where the provider can (RFC 7009). Whether it worked changes nothing here.
    pub async fn revoke(&self, refresh_token: &Secret<String>) -> Result<(), OidcError> {
        let Some(url) = self.metadata.additional_metadata().revocation_endpoint.clone() else {
            return Ok(());
        };
        // The crate's own request goes to https alone, and so never to a provider on loopback.
        let form = form(&[
            ("token", refresh_token.expose()),
            ("token_type_hint", "refresh_token"),
            ("client_id", &self.registration.client_id),
        ]);
        let answer = self.http.send(post(url.as_str(), form)?).await?;
        if answer.status().is_success() { Ok(()) } else { Err(OidcError::Strange(self.origin())) }
    }

    fn origin(&self) -> String {
        origin_of(&self.registration.issuer)
    }

    fn device_url(&self) -> Result<DeviceAuthorizationUrl, OidcError> {
        let url = self.metadata.additional_metadata().device_authorization_endpoint.clone();
        url.ok_or(OidcError::NotOffered("sign-in by device code"))
    }

    fn client(&self) -> ConfiguredClient {
        CoreClient::from_provider_metadata(
            self.metadata.clone(),
            ClientId::new(self.registration.client_id.clone()),
            None,
        )
        // A public client names itself in the body.
        .set_auth_type(AuthType::RequestBody)
    }
}

fn origin_of(address: &str) -> String {
    address.parse().map_or_else(|_| "the identity provider".to_owned(), |uri| super::http::origin(&uri))
}

fn post(address: &str, form: String) -> Result<http::Request<Vec<u8>>, OidcError> {
    http::Request::post(address)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(form.into_bytes())
        .map_err(|_| OidcError::Strange(origin_of(address)))
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_token_is_found_in_whatever_odd_answer() {
        for answer in [
            r#"{"expires_in":"3600","refresh_token":"r2"}"#,
            r#"{"id_token":"x","access_token":5,"refresh_token":"r2"}"#,
            r#"{"refresh_token":"r2","email_verified":"true"}"#,
        ] {
            let spent = Spent(Secret::new(answer.as_bytes().to_vec()));
            assert_eq!(spent.refresh_token(), Some(Secret::from("r2")), "{answer}");
        }
        for answer in ["", "<html>", "{}", r#"{"refresh_token":""}"#, r#"{"refresh_token":7}"#] {
            assert_eq!(Spent(Secret::new(answer.as_bytes().to_vec())).refresh_token(), None, "{answer}");
        }
    }
}
