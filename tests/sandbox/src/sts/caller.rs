//! Who holds which keys, and `GetCallerIdentity`. The signature itself is not verified there.

use axum::response::Response;

use super::Sts;
use super::error::Refusal;
use super::xml::{element, success};
use crate::common::{locked, random_text};
use crate::door::Call;

const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Keys that a test hands to a machine or a person.
#[derive(Clone)]
pub struct Keys {
    /// `AKIA…` of a user, `ASIA…` of a role.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// Of a role's keys.
    pub session_token: Option<String>,
    /// In seconds since 1970; of a role's keys.
    pub ends: Option<i64>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Who holds an access key id.
#[derive(Clone)]
pub(super) struct Session {
    /// The role or the user, as trust policies name it.
    pub(super) principal: String,
    /// Whether the keys are a role's, so that a role assumed with them is chained.
    pub(super) is_role: bool,
    pub(super) secret: String,
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    /// Empty for keys of a user.
    pub(super) token: String,
    /// In seconds since 1970.
    pub(super) ends: i64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl Session {
    /// A new session of a role.
    pub(super) fn of_role(role_arn: &str, session_name: &str, ends: i64) -> Self {
        let account = role_arn.split(':').nth(4).unwrap_or_default();
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        Self {
            principal: role_arn.into(),
            is_role: true,
            secret: random_text(BASE64, 40),
            account: account.into(),
            arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session_name}"),
            user_id: format!("AROA{}:{session_name}", random_text(BASE32, 17)),
            token: format!("IQoJb3JpZ2luX2Vj{}", random_text(BASE64, 480)),
            ends,
        }
    }
}

impl Sts {
    /// Keys of a user, `arn:aws:iam::ACCOUNT:user/NAME`, without an end.
    pub fn keys_of_user(&self, arn: &str) -> Keys {
        let session = Session {
            principal: arn.into(),
            is_role: false,
            secret: random_text(BASE64, 40),
            account: arn.split(':').nth(4).unwrap_or_default().into(),
            arn: arn.into(),
            user_id: format!("AIDA{}", random_text(BASE32, 17)),
            token: String::new(),
            ends: i64::MAX,
        };
        self.hand_out("AKIA", session)
    }

    /// Keys of a role, as AWS gives them to its machines.
    pub fn keys_of_role(&self, role_arn: &str, session_name: &str, seconds: u32) -> Keys {
        let ends = self.common.second() + i64::from(seconds);
        self.hand_out("ASIA", Session::of_role(role_arn, session_name, ends))
    }

    pub(super) fn hand_out(&self, prefix: &str, session: Session) -> Keys {
        let keys = Keys {
            access_key_id: format!("{prefix}{}", random_text(BASE32, 16)),
            secret_access_key: session.secret.clone(),
            session_token: Some(session.token.clone()).filter(|token| !token.is_empty()),
            ends: session.is_role.then_some(session.ends),
        };
        locked(&self.sessions).insert(keys.access_key_id.clone(), session);
        keys
    }

    /// The session of keys that came along, if they are good now.
    pub(super) fn session(&self, key_id: &str, call: &Call) -> Result<Session, Refusal> {
        let session =
            locked(&self.sessions).get(key_id).cloned().ok_or_else(Refusal::invalid_client_token)?;
        let token = Some(session.token.as_str()).filter(|token| !token.is_empty());
        if call.header("x-amz-security-token") != token {
            return Err(Refusal::invalid_client_token());
        }
        if self.common.second() >= session.ends {
            let message = "The security token included in the request is expired";
            return Err(Refusal::new(403, "ExpiredToken", message));
        }
        Ok(session)
    }

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
        let session = self.session(key_id, call)?;
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
