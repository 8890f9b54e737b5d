//! The AWS security token service, by `aws-sdk-sts` over our own client.
//!
//! `AssumeRoleWithWebIdentity` goes out unsigned: no credentials are configured, so nothing of the environment can slip
//! in. The retry rules are the SDK's, plus one: a provider whose keys STS could not fetch in time is a passing
//! fault, though STS calls it an invalid token.

use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use jiff::Timestamp;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use super::http::{Http, HttpError};
use crate::lease::AwsKeys;

/// Tries of one call, the first included.
const TRIES: u32 = 3;
const ATTEMPT: Duration = Duration::from_secs(8);
const WHOLE: Duration = Duration::from_secs(20);

/// What is asked of STS.
#[derive(Debug)]
pub struct RoleAsk<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// Region of the endpoint.
    pub region: &'a str,
    /// Another endpoint than the region's own.
    pub endpoint: Option<&'a str>,
    /// `[\w+=,.@-]{2,64}`; stands in CloudTrail.
    pub session_name: &'a str,
    /// Life of the keys: 900 s to 12 h.
    pub duration: Duration,
    /// The person's ID token.
    pub id_token: &'a Secret<String>,
}

/// Why STS gave no keys.
#[derive(Debug)]
pub enum StsError {
    /// The ID token has expired: a new one may do.
    TokenExpired,
    /// The person has to act, or the network to come back.
    Refused(Refusal),
}

/// Assumes a role with an ID token.
///
/// # Errors
/// [`StsError`]; the refusal names the role and the next step.
pub async fn assume_role(http: &Http, ask: &RoleAsk<'_>) -> Result<(AwsKeys, Timestamp), StsError> {
    let seconds = i32::try_from(ask.duration.as_secs()).unwrap_or(3600);
    let answer = client(http, ask)
        .assume_role_with_web_identity()
        .role_arn(ask.role_arn)
        .role_session_name(ask.session_name)
        .web_identity_token(ask.id_token.expose())
        .duration_seconds(seconds)
        .send()
        .await
        .map_err(|error| explain(ask, &error))?;
    let keys = answer.credentials.ok_or_else(|| odd(ask, "no keys"))?;
    let until = Timestamp::from_second(keys.expiration.secs()).map_err(|_| odd(ask, "no end"))?;
    if keys.access_key_id.is_empty() || keys.secret_access_key.is_empty() || keys.session_token.is_empty() {
        return Err(odd(ask, "empty keys"));
    }
    let assumed = answer.assumed_role_user.map(|user| user.arn).filter(|arn| !arn.is_empty());
    let keys = AwsKeys {
        assumed,
        access_key_id: keys.access_key_id,
        secret_access_key: Secret::new(keys.secret_access_key),
        session_token: Secret::new(keys.session_token),
    };
    Ok((keys, until))
}

fn client(http: &Http, ask: &RoleAsk<'_>) -> Client {
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(ask.region.to_owned()))
        .http_client(Seam(http.clone()))
        .sleep_impl(TokioSleep::new())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .retry_classifier(KeysNotFetched)
        .timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(WHOLE).build(),
        );
    if let Some(endpoint) = ask.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(config.build())
}

type AssumeError = SdkError<
    aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    HttpResponse,
>;

fn explain(ask: &RoleAsk<'_>, error: &AssumeError) -> StsError {
    if let SdkError::ServiceError(context) = error {
        let (code, message) = (context.err().code(), context.err().message());
        return judge(ask, code.unwrap_or_default(), message.unwrap_or_default());
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if let Some(http) = inner.downcast_ref::<HttpError>() {
            return StsError::Refused(http.refusal());
        }
        cause = inner.source();
    }
    let say = format!("the AWS security token service in {} does not answer", ask.region);
    StsError::Refused(Refusal::new(Code::Offline, say).hint("check the network or the VPN, then try again"))
}

/// The error codes of STS (its API reference), each with the one next step.
fn judge(ask: &RoleAsk<'_>, code: &str, message: &str) -> StsError {
    let role = ask.role_arn;
    let said = if message.is_empty() { String::new() } else { format!(": {}", escape(message)) };
    let refused =
        |say: String, hint: &str| StsError::Refused(Refusal::new(Code::RoleRefused, say).hint(hint));
    match code {
        "ExpiredTokenException" | "ExpiredToken" => StsError::TokenExpired,
        "AccessDenied" | "AccessDeniedException" => refused(
            format!("AWS does not let you have the role `{role}`{said}"),
            "ask for your user or group in the role's trust policy",
        ),
        "InvalidIdentityToken" | "InvalidIdentityTokenException" if is_fetch_fault(code, message) => {
            passing(ask, &said)
        }
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => refused(
            format!("AWS does not accept the identity provider for the role `{role}`{said}"),
            "check the IAM OIDC provider of that account: its URL is the issuer, its audience the client_id",
        ),
        "IDPRejectedClaim" | "IDPRejectedClaimException" => StsError::Refused(
            Refusal::new(
                Code::SignInNeeded,
                format!("the identity provider rejected the session for the role `{role}`{said}"),
            )
            .hint("keyfob login"),
        ),
        "IDPCommunicationError" | "IDPCommunicationErrorException" => passing(ask, &said),
        "RegionDisabledException" => refused(
            format!("the region {} is switched off in the account of the role `{role}`", ask.region),
            "set another `region` for this entry",
        ),
        "ValidationError" => refused(
            format!("AWS refuses the request for the role `{role}`{said}"),
            "check `role_arn` and `duration` of this entry (a role has a longest session)",
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => passing(ask, &said),
        code if code.is_empty() || code.starts_with("Internal") || code.starts_with("ServiceUnavailable") => {
            passing(ask, &said)
        }
        code => refused(
            format!("AWS refused the role `{role}` ({}){said}", escape(code)),
            "keyfob why, with the entry's name",
        ),
    }
}

fn passing(ask: &RoleAsk<'_>, said: &str) -> StsError {
    let say = format!(
        "the AWS security token service in {} cannot give the role `{}` now{said}",
        ask.region, ask.role_arn
    );
    StsError::Refused(Refusal::new(Code::Offline, say).hint("try again in a minute"))
}

fn odd(ask: &RoleAsk<'_>, what: &str) -> StsError {
    let say = format!("the AWS security token service answered with {what} for the role `{}`", ask.role_arn);
    StsError::Refused(Refusal::new(Code::ProviderUntrusted, say).hint("check `endpoint_url` of this entry"))
}

/// STS had five seconds to fetch the provider's keys, and did not get them.
fn is_fetch_fault(code: &str, message: &str) -> bool {
    code.starts_with("InvalidIdentityToken") && message.contains("retrieve verification key")
}

/// Retries what [`is_fetch_fault`] names.
#[derive(Debug)]
struct KeysNotFetched;

impl ClassifyRetry for KeysNotFetched {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error =
            context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let error = error.and_then(|error| {
            error.downcast_ref::<aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError>()
        });
        match error {
            Some(error)
                if is_fetch_fault(error.code().unwrap_or_default(), error.message().unwrap_or_default()) =>
            {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "keys of the identity provider not fetched"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::modeled_as_retryable_classifier())
    }
}

/// The SDK's HTTP seam.
#[derive(Debug, Clone)]
struct Seam(Http);

impl HttpClient for Seam {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Seam {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let user = |error: BoxError| ConnectorError::user(error);
            let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
            let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
            let answer = http.send(request).await.map_err(|error| match error {
                HttpError::Slow(_) => ConnectorError::timeout(error.into()),
                HttpError::Unreachable { .. } | HttpError::Broken(_) => ConnectorError::io(error.into()),
                _ => ConnectorError::user(error.into()),
            })?;
            HttpResponse::try_from(answer.map(aws_smithy_types::body::SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
