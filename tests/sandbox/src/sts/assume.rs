//! `AssumeRoleWithWebIdentity`.

use axum::response::Response;
use jiff::Timestamp;

use super::caller::Session;
use super::error::{Refusal, StsError};
use super::trust::Identity;
use super::xml::{element, group, success};
use super::{Role, Sts};
use crate::common::locked;
use crate::counts::AssumedRole;
use crate::door::{Call, Parameters};

/// The parameters, each within the limits of the API model.
struct Asked<'a> {
    role_arn: &'a str,
    session_name: &'a str,
    token: &'a str,
    seconds: u32,
    policy_arns: Vec<String>,
}

impl Sts {
    pub(super) async fn assume_role_with_web_identity(
        &self,
        call: &Call,
        form: &Parameters,
    ) -> Result<Response, Refusal> {
        // The call is unsigned; credentials that came along by mistake are judged, and these cannot be good.
        if call.header("x-amz-security-token").is_some_and(|token| !self.knows_session_token(token)) {
            return Err(Refusal::invalid_client_token());
        }
        let asked = asked(form)?;
        self.common.counts.role("AssumeRoleWithWebIdentity", asked.role_arn, asked.session_name);
        let identity = self.identity(asked.token).await?;
        let (role, life) = {
            let options = locked(&self.options);
            // Whoever names principals trusts no issuer.
            let is_it = |role: &&Role| role.arn == asked.role_arn && role.trusted_principals.is_empty();
            let role = options.roles.iter().find(is_it).cloned();
            (role, options.credential_seconds.unwrap_or(asked.seconds))
        };
        let role = role.ok_or_else(|| StsError::AccessDenied.refusal(&identity.issuer))?;
        if asked.seconds > role.max_session_seconds {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Refusal::new(400, "ValidationError", message));
        }
        self.common.counts.assumed(
            asked.role_arn,
            AssumedRole {
                by: identity.subject.clone(),
                session_name: asked.session_name.to_owned(),
                seconds: asked.seconds,
                policy_arns: asked.policy_arns,
                ..AssumedRole::default()
            },
        );
        match self.forwarded(call).await {
            Some(answer) => answer,
            None => Ok(self.give(&role, asked.session_name, &identity, life)),
        }
    }

    fn give(&self, role: &Role, session_name: &str, identity: &Identity, life: u32) -> Response {
        let account = role.arn.split(':').nth(4).unwrap_or_default();
        let provider = identity.issuer.split_once("://").map_or(identity.issuer.as_str(), |(_, rest)| rest);
        let mut answer = vec![
            element("SubjectFromWebIdentityToken", &identity.subject),
            element("Audience", &identity.audience),
            element("Provider", &format!("arn:aws:iam::{account}:oidc-provider/{provider}")),
        ];
        answer.extend(self.keys(role, session_name, life));
        success("AssumeRoleWithWebIdentity", &answer)
    }

    /// New keys of a role, as an answer shows them.
    pub(super) fn keys(&self, role: &Role, session_name: &str, life: u32) -> [String; 2] {
        let ends = self.common.second() + i64::from(life);
        let session = Session::of_role(&role.arn, session_name, ends);
        let until = Timestamp::from_second(ends).unwrap_or(Timestamp::MAX).to_string();
        let user = [element("AssumedRoleId", &session.user_id), element("Arn", &session.arn)];
        let keys = self.hand_out("ASIA", session);
        let credentials = [
            element("SessionToken", keys.session_token.as_deref().unwrap_or_default()),
            element("SecretAccessKey", &keys.secret_access_key),
            element("Expiration", &until),
            element("AccessKeyId", &keys.access_key_id),
        ];
        [group("AssumedRoleUser", &user), group("Credentials", &credentials)]
    }
}

fn asked(form: &Parameters) -> Result<Asked<'_>, Refusal> {
    let (role_arn, session_name) = named(form)?;
    let token = form.get("WebIdentityToken");
    let token = token.ok_or_else(|| Refusal::constraint(None, "webIdentityToken", "not be null"))?;
    if !(4..=20000).contains(&token.len()) {
        // A token is never said back.
        let rule = "have length less than or equal to 20000";
        return Err(Refusal::constraint(Some("***"), "webIdentityToken", rule));
    }
    if let Some(policy) = form.get("Policy") {
        if !serde_json::from_str(policy).is_ok_and(|policy: serde_json::Value| policy.is_object()) {
            return Err(StsError::MalformedPolicyDocument.refusal(""));
        }
        if policy.len() > 2048 {
            return Err(StsError::PackedPolicyTooLarge.refusal(""));
        }
    }
    Ok(Asked { role_arn, session_name, token, seconds: seconds(form)?, policy_arns: policy_arns(form)? })
}

/// The role and the name of its session.
pub(super) fn named(form: &Parameters) -> Result<(&str, &str), Refusal> {
    let role_arn = bounded(form, "RoleArn", "roleArn", 20, 2048)?;
    let session_name = bounded(form, "RoleSessionName", "roleSessionName", 2, 64)?;
    if !session_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) {
        let rule = r"satisfy regular expression pattern: [\w+=,.@-]*";
        return Err(Refusal::constraint(Some(session_name), "roleSessionName", rule));
    }
    Ok((role_arn, session_name))
}

/// Managed policies that narrow the session.
pub(super) fn policy_arns(form: &Parameters) -> Result<Vec<String>, Refusal> {
    let arns = (1..).map_while(|number| form.get(&format!("PolicyArns.member.{number}.arn")));
    let arns: Vec<String> = arns.map(str::to_owned).collect();
    if arns.len() > 10 {
        return Err(Refusal::constraint(Some("***"), "policyArns", "have length less than or equal to 10"));
    }
    Ok(arns)
}

fn bounded<'a>(
    form: &'a Parameters,
    name: &str,
    parameter: &str,
    least: usize,
    most: usize,
) -> Result<&'a str, Refusal> {
    let value = form.get(name).ok_or_else(|| Refusal::constraint(None, parameter, "not be null"))?;
    let length = value.chars().count();
    if length < least {
        let rule = format!("have length greater than or equal to {least}");
        return Err(Refusal::constraint(Some(value), parameter, &rule));
    }
    if length > most {
        let rule = format!("have length less than or equal to {most}");
        return Err(Refusal::constraint(Some(value), parameter, &rule));
    }
    Ok(value)
}

pub(super) fn seconds(form: &Parameters) -> Result<u32, Refusal> {
    let Some(text) = form.get("DurationSeconds") else { return Ok(3600) };
    let refused = |rule: &str| Err(Refusal::constraint(Some(text), "durationSeconds", rule));
    match text.parse() {
        Ok(seconds @ 900..=43200) => Ok(seconds),
        Ok(0..900) => refused("have value greater than or equal to 900"),
        Ok(_) => refused("have value less than or equal to 43200"),
        Err(_) => Err(Refusal::new(400, "MalformedInput", "DurationSeconds is not a number")),
    }
}
