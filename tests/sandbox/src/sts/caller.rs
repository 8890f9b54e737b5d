//! `GetCallerIdentity`, for sessions that this STS gave out. The signature itself is not verified.

use axum::response::Response;

use super::Sts;
use super::error::Refusal;
use super::xml::{element, success};
use crate::common::locked;
use crate::door::Call;

/// Who holds an access key id.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) token: String,
    /// In seconds since 1970.
    pub(super) ends: i64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl Sts {
    pub(super) fn knows_session_token(&self, token: &str) -> bool {
        locked(&self.sessions).values().any(|session| session.token == token)
    }

    pub(super) async fn get_caller_identity(&self, call: &Call) -> Result<Response, Refusal> {
        if let Some(answer) = self.forwarded(call).await {
            return answer;
        }
        let key_id = call.header("authorization").and_then(access_key_id).ok_or_else(|| {
            Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        })?;
        let session =
            locked(&self.sessions).get(key_id).cloned().ok_or_else(Refusal::invalid_client_token)?;
        if call.header("x-amz-security-token") != Some(session.token.as_str()) {
            return Err(Refusal::invalid_client_token());
        }
        if self.common.second() >= session.ends {
            let message = "The security token included in the request is expired";
            return Err(Refusal::new(403, "ExpiredToken", message));
        }
        let answer = [
            element("Arn", &session.arn),
            element("UserId", &session.user_id),
            element("Account", &session.account),
        ];
        Ok(success("GetCallerIdentity", &answer))
    }
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/sts/aws4_request, SignedHeaders=…`
fn access_key_id(authorization: &str) -> Option<&str> {
    let (_, credential) = authorization.strip_prefix("AWS4-HMAC-SHA256")?.split_once("Credential=")?;
    credential.split('/').next()
}
