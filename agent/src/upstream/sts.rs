//! The AWS security token service, by `aws-sdk-sts` over our own client.
//!
//! `AssumeRoleWithWebIdentity` goes out unsigned: no credentials are configured, so nothing of the environment can slip
//! in. `AssumeRole` and `GetCallerIdentity` are signed with the keys that are given with the request, and with no others. The retry
//! rules are the SDK's, plus one: a provider whose keys STS could not fetch in time is a passing fault, though STS calls it
//! an invalid token.

mod judge;
mod seam;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sts::types::{AssumedRoleUser, PolicyDescriptorType, Tag};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::StaticTimeSource;
use jiff::Timestamp;
use keyfob_ipc::{Refusal, Secret};

use super::http::Http;
use crate::lease::AwsKeys;
use judge::{Action, Asked};

/// Tries of one call, the first included.
const TRIES: u32 = 3;
const ATTEMPT: Duration = Duration::from_secs(8);
const WHOLE: Duration = Duration::from_secs(20);

/// Where STS is asked.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Region of the endpoint.
    pub region: &'a str,
    /// Another endpoint than the region's own.
    pub endpoint: Option<&'a str>,
    /// The endpoint with validated cryptography (FIPS 140).
    pub use_fips: bool,
}

/// What is asked of STS.
#[derive(Debug)]
pub struct RoleAsk<'a> {
    /// Where.
    pub at: At<'a>,
    /// The role.
    pub role_arn: &'a str,
    /// `[\w+=,.@-]{2,64}`; stands in CloudTrail.
    pub session_name: &'a str,
    /// Life of the keys: 900 s to 12 h, at most an hour for a role that is assumed with a role's keys.
    pub duration: Duration,
    /// Managed policies that narrow the session, at most ten ARNs.
    pub policy_arns: &'a [String],
    /// Who asks.
    pub by: By<'a>,
    /// The time, for the signature.
    pub now: Timestamp,
}

/// What proves who asks.
#[derive(Debug)]
pub enum By<'a> {
    /// An ID token.
    Identity(&'a Secret<String>),
    /// Keys.
    Keys {
        /// They sign the request.
        keys: &'a AwsKeys,
        /// The entry that gave them, for sentences.
        of: &'a str,
        /// The command that shows more of that entry.
        look: &'a str,
        /// What the trust policy of a foreign account may ask for.
        external_id: Option<&'a str>,
        /// Tags of the session, at most fifty.
        tags: &'a BTreeMap<String, String>,
    },
}

/// Why STS gave no keys.
#[derive(Debug)]
pub enum StsError {
    /// The ID token, or the keys, have expired: new ones may do.
    Expired,
    /// The person has to act, or the network to come back.
    Refused(Refusal),
}

/// Who keys are, by the word of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// `arn:aws:sts::…:assumed-role/…` or `arn:aws:iam::…:user/…`.
    pub arn: String,
}

/// Assumes a role.
///
/// # Errors
/// [`StsError`]; the refusal names the role and the next step.
pub async fn assume_role(http: &Http, ask: &RoleAsk<'_>) -> Result<(AwsKeys, Timestamp), StsError> {
    let seconds = i32::try_from(ask.duration.as_secs()).unwrap_or(3600);
    let policies = ask.policy_arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build());
    let policies = Some(policies.collect::<Vec<_>>()).filter(|policies| !policies.is_empty());
    match &ask.by {
        By::Identity(token) => {
            let asked = Asked { at: ask.at, action: Action::Identity { role: ask.role_arn } };
            let answer = Client::from_conf(config(http, ask.at, ask.now).build())
                .assume_role_with_web_identity()
                .role_arn(ask.role_arn)
                .role_session_name(ask.session_name)
                .web_identity_token(token.expose().as_str())
                .duration_seconds(seconds)
                .set_policy_arns(policies)
                .send()
                .await
                .map_err(|error| asked.explain(&error))?;
            given(&asked, answer.credentials, answer.assumed_role_user)
        }
        By::Keys { keys, of, look, external_id, tags } => {
            let asked = Asked { at: ask.at, action: Action::Chain { role: ask.role_arn, of, look } };
            let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
            // Both halves are given, so this cannot fail; a session without its tags must not come of it.
            let tags = tags.iter().map(tag).collect::<Result<Vec<Tag>, _>>();
            let tags = tags.map_err(|_| asked.odd("no tags"))?;
            let answer = signing(http, ask.at, ask.now, keys)
                .assume_role()
                .role_arn(ask.role_arn)
                .role_session_name(ask.session_name)
                .duration_seconds(seconds)
                .set_policy_arns(policies)
                .set_external_id(external_id.map(str::to_owned))
                .set_tags(Some(tags).filter(|tags| !tags.is_empty()))
                .send()
                .await
                .map_err(|error| asked.explain(&error))?;
            given(&asked, answer.credentials, answer.assumed_role_user)
        }
    }
}

/// Asks whose keys these are. `of` is the entry that gave them, for sentences.
///
/// # Errors
/// [`StsError`].
pub async fn caller_identity(
    http: &Http,
    at: At<'_>,
    (keys, of): (&AwsKeys, &str),
    now: Timestamp,
) -> Result<Caller, StsError> {
    let asked = Asked { at, action: Action::Caller { of } };
    let answer = signing(http, at, now, keys).get_caller_identity().send().await;
    let answer = answer.map_err(|error| asked.explain(&error))?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Caller { account, arn }),
        _ => Err(asked.odd("no name")),
    }
}

fn given(
    asked: &Asked<'_>,
    keys: Option<aws_sdk_sts::types::Credentials>,
    user: Option<AssumedRoleUser>,
) -> Result<(AwsKeys, Timestamp), StsError> {
    let keys = keys.ok_or_else(|| asked.odd("no keys"))?;
    let until = Timestamp::from_second(keys.expiration.secs()).map_err(|_| asked.odd("no end"))?;
    if keys.access_key_id.is_empty() || keys.secret_access_key.is_empty() || keys.session_token.is_empty() {
        return Err(asked.odd("empty keys"));
    }
    let keys = AwsKeys {
        assumed: user.map(|user| user.arn).filter(|arn| !arn.is_empty()),
        access_key_id: keys.access_key_id,
        secret_access_key: Secret::new(keys.secret_access_key),
        session_token: Some(Secret::new(keys.session_token)),
    };
    Ok((keys, until))
}

fn signing(http: &Http, at: At<'_>, now: Timestamp, keys: &AwsKeys) -> Client {
    let token = keys.session_token.as_ref().map(|token| token.expose().clone());
    let secret = keys.secret_access_key.expose().clone();
    let keys = Credentials::new(keys.access_key_id.clone(), secret, token, None, "keyfob");
    Client::from_conf(config(http, at, now).credentials_provider(keys).build())
}

fn config(http: &Http, at: At<'_>, now: Timestamp) -> Builder {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(at.region.to_owned()))
        .use_fips(at.use_fips)
        .http_client(seam::Seam(http.clone()))
        .sleep_impl(TokioSleep::new())
        .time_source(StaticTimeSource::from_secs(u64::try_from(now.as_second()).unwrap_or_default()))
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .retry_classifier(seam::KeysNotFetched)
        .timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(WHOLE).build(),
        );
    match at.endpoint {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    }
}

#[cfg(test)]
mod tests;
