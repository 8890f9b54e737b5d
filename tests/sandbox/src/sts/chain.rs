//! `AssumeRole`: a role for whoever holds keys, if the role trusts them.

use std::collections::BTreeMap;

use axum::response::Response;

use super::assume::{named, policy_arns, seconds};
use super::caller::Session;
use super::error::Refusal;
use super::xml::success;
use super::{Role, Sts};
use crate::common::locked;
use crate::counts::AssumedRole;
use crate::door::{Call, Parameters};
use crate::sigv4::{self, Unsigned};

/// The longest session of a role that is assumed with a role's keys, in seconds.
const LONGEST_CHAINED: u32 = 3600;

impl Sts {
    pub(super) async fn assume_role(&self, call: &Call, form: &Parameters) -> Result<Response, Refusal> {
        let (role_arn, session_name) = named(form)?;
        let (seconds, policy_arns, tags) = (seconds(form)?, policy_arns(form)?, tags(form)?);
        self.common.counts.role("AssumeRole", role_arn, session_name);
        // The next server gave keys of its own, and knows them.
        if let Some(answer) = self.forwarded(call).await {
            return answer;
        }
        let (access_key_id, caller) = self.signed_by(call)?;
        if caller.is_role && seconds > LONGEST_CHAINED {
            let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
            return Err(Refusal::new(400, "ValidationError", message));
        }
        let external_id = form.get("ExternalId");
        let (role, life) = {
            let options = locked(&self.options);
            let role = options.roles.iter().find(|role| role.arn == role_arn).cloned();
            (role, options.credential_seconds.unwrap_or(seconds))
        };
        let role = role.filter(|role| trusts(role, &caller, external_id)).ok_or_else(|| {
            let message = format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                caller.arn
            );
            Refusal::new(403, "AccessDenied", message)
        })?;
        if seconds > role.max_session_seconds {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Refusal::new(400, "ValidationError", message));
        }
        let assumed = AssumedRole {
            by: caller.arn,
            access_key_id,
            session_name: session_name.to_owned(),
            seconds,
            external_id: external_id.map(str::to_owned),
            tags,
            policy_arns,
        };
        self.common.counts.assumed(role_arn, assumed);
        Ok(success("AssumeRole", &self.keys(&role, session_name, life)))
    }

    /// Whoever signed the request, if the signature and the keys are good.
    fn signed_by(&self, call: &Call) -> Result<(String, Session), Refusal> {
        let secret_of =
            |key_id: &str| locked(&self.sessions).get(key_id).map(|session| session.secret.clone());
        let key_id =
            sigv4::verify(call, "sts", self.common.now(), secret_of).map_err(|unsigned| match unsigned {
                Unsigned::Missing => {
                    Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
                }
                Unsigned::UnknownKey => Refusal::invalid_client_token(),
                other => Refusal::new(403, "SignatureDoesNotMatch", other.to_string()),
            })?;
        let session = self.session(&key_id, call)?;
        Ok((key_id, session))
    }
}

fn trusts(role: &Role, caller: &Session, external_id: Option<&str>) -> bool {
    let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
    let is_named = role.trusted_principals.iter().any(|trusted| {
        *trusted == caller.principal || *trusted == format!("arn:aws:iam::{}:root", caller.account)
    });
    let is_of_account =
        role.trusted_principals.is_empty() && account(&role.arn).is_some_and(|own| own == caller.account);
    (is_named || is_of_account) && role.external_id.as_deref().is_none_or(|id| external_id == Some(id))
}

fn tags(form: &Parameters) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for number in 1.. {
        let Some(key) = form.get(&format!("Tags.member.{number}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{number}.Value")).unwrap_or_default();
        if key.chars().count() > 128 || value.chars().count() > 256 || number > 50 {
            return Err(Refusal::constraint(Some("***"), "tags", "be within the limits of tags"));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}
