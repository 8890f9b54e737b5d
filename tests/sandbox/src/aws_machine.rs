//! What AWS has around a machine: the container's endpoint (ECS), the metadata service (IMDSv2), and Secrets Manager for whoever
//! comes with keys; the STS answers at the same address, so that one `endpoint_url` does for all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::common::{Common, locked, random_name};
use crate::door::{Call, door, plain_door};
use crate::faults::Endpoint;
use crate::sigv4;
use crate::sts::Sts;

const CONTAINER: &str = "/v2/credentials/5b2c";
const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// The role that the machine has.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/Runner";
/// Life of the machine's own keys, in seconds.
const LIFE: u32 = 6 * 3600;

/// A secret.
#[derive(Clone, Debug)]
enum Kept {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Debug, Default)]
struct State {
    secrets: HashMap<String, Kept>,
    /// Roles that may not read, whatever else.
    shut_out: Vec<String>,
    /// Roles that may not decrypt.
    without_key: Vec<String>,
    /// Tokens of the metadata service, and when they end.
    tokens: HashMap<String, i64>,
    /// What Secrets Manager refuses the next calls with: code and message, the last one first.
    refusals: Vec<(String, String)>,
    authorization: String,
    has_profile: bool,
}

/// The running machine.
#[derive(Debug)]
pub struct AwsMachine {
    common: Common,
    sts: Arc<Sts>,
    base: String,
    state: Mutex<State>,
}

impl AwsMachine {
    pub(crate) fn new(common: Common, base: String, sts: &Arc<Sts>) -> Self {
        let state = State { authorization: random_name(), has_profile: true, ..State::default() };
        Self { common, sts: Arc::clone(sts), base, state: Mutex::new(state) }
    }

    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, and the token that it wants.
    #[must_use]
    pub fn container(&self) -> (String, String) {
        (format!("{}{CONTAINER}", self.base), locked(&self.state).authorization.clone())
    }

    /// The container's token is another one from now on.
    pub fn turn_container_token(&self) -> String {
        let mut state = locked(&self.state);
        state.authorization = random_name();
        state.authorization.clone()
    }

    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`, and `endpoint_url` of the machine user.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The virtual machine has no instance profile.
    pub fn take_profile(&self) {
        locked(&self.state).has_profile = false;
    }

    /// Puts a secret there as `SecretString`.
    pub fn put_text(&self, arn: &str, text: &str) {
        locked(&self.state).secrets.insert(arn.to_owned(), Kept::Text(text.to_owned()));
    }

    /// Puts a secret there as `SecretBinary`.
    pub fn put_binary(&self, arn: &str, bytes: &[u8]) {
        locked(&self.state).secrets.insert(arn.to_owned(), Kept::Binary(bytes.to_owned()));
    }

    /// A role, by its name, loses `secretsmanager:GetSecretValue`.
    pub fn shut_out(&self, role: &str) {
        locked(&self.state).shut_out.push(role.to_owned());
    }

    /// Secrets Manager refuses the next call with this code.
    pub fn refuse_next(&self, code: &str, message: &str) {
        locked(&self.state).refusals.push((code.to_owned(), message.to_owned()));
    }

    /// A role, by its name, loses `kms:Decrypt`.
    pub fn take_key(&self, role: &str) {
        locked(&self.state).without_key.push(role.to_owned());
    }

    fn of_container(&self, call: &Call) -> Response {
        if call.header("authorization") != Some(locked(&self.state).authorization.as_str()) {
            let body = json!({ "code": "AuthorizationError", "message": "denied" });
            return (StatusCode::FORBIDDEN, Json(body)).into_response();
        }
        Json(self.keys("container")).into_response()
    }

    /// Keys of the machine's role, as its two places spell them.
    fn keys(&self, session: &str) -> Value {
        let keys = self.sts.keys_of_role(ROLE, session, LIFE);
        let ends = keys.ends.and_then(|ends| Timestamp::from_second(ends).ok()).unwrap_or(Timestamp::MAX);
        json!({
            "RoleArn": ROLE,
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key,
            "Token": keys.session_token,
            "Expiration": ends.to_string(),
        })
    }

    fn metadata(&self, call: &Call) -> Response {
        let now = self.common.second();
        if call.uri.path() == TOKEN {
            let seconds = call.header("x-aws-ec2-metadata-token-ttl-seconds");
            let seconds: Option<i64> = seconds.and_then(|text| text.parse().ok());
            return match seconds {
                // What is forwarded came from somewhere else than this machine.
                _ if call.header("x-forwarded-for").is_some() => StatusCode::FORBIDDEN.into_response(),
                Some(seconds @ 1..=21600) if call.method == Method::PUT => {
                    let token = random_name();
                    locked(&self.state).tokens.insert(token.clone(), now + seconds);
                    token.into_response()
                }
                _ => StatusCode::BAD_REQUEST.into_response(),
            };
        }
        let token = call.header("x-aws-ec2-metadata-token").unwrap_or_default();
        let (is_known, has_profile) = {
            let state = locked(&self.state);
            (state.tokens.get(token).is_some_and(|ends| now < *ends), state.has_profile)
        };
        let name = ROLE.rsplit('/').next().unwrap_or_default();
        match call.uri.path().strip_prefix(ROLES) {
            _ if !is_known || call.method != Method::GET => StatusCode::UNAUTHORIZED.into_response(),
            Some("") if has_profile => name.into_response(),
            Some(role) if role == name && has_profile => {
                let mut keys = self.keys("i-0abc");
                keys["Code"] = json!("Success");
                keys["Type"] = json!("AWS-HMAC");
                Json(keys).into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    async fn service(self: Arc<Self>, call: Call) -> Response {
        match call.header("x-amz-target") {
            Some("secretsmanager.GetSecretValue") => self.secret(&call),
            Some(_) => fault("UnknownOperationException", ""),
            None => self.sts.clone().answer(call).await,
        }
    }

    fn secret(&self, call: &Call) -> Response {
        let secret_of = |key: &str| self.sts.secret_of(key);
        let key = match sigv4::verify(call, "secretsmanager", self.common.now(), secret_of) {
            Ok(key) => key,
            Err(unsigned) => return fault("InvalidSignatureException", &unsigned.to_string()),
        };
        let token = call.header("x-amz-security-token").unwrap_or_default();
        let now = self.common.second();
        let secret = self.sts.secret_of(&key).unwrap_or_default();
        let known = self.sts.holder(&key, &secret, token).filter(|(_, ends)| now < *ends);
        let Some((holder, _)) = known else {
            return fault(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            );
        };
        let ask: Option<Value> = serde_json::from_slice(&call.body).ok();
        let Some(arn) = ask.as_ref().and_then(|ask| ask["SecretId"].as_str()) else {
            return fault("InvalidParameterException", "");
        };
        let mut state = locked(&self.state);
        if let Some((code, message)) = state.refusals.pop() {
            return fault(&code, &message);
        }
        let is_in = |roles: &[String]| roles.iter().any(|role| holder.split('/').nth(1) == Some(role));
        if is_in(&state.shut_out) {
            let message = format!(
                "User: {holder} is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn}"
            );
            return fault("AccessDeniedException", &message);
        }
        let found = state.secrets.iter().find(|(known, _)| known.as_str() == arn || name_of(known) == arn);
        let Some((arn, kept)) = found.map(|(arn, kept)| (arn.clone(), kept.clone())) else {
            return fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
        };
        if is_in(&state.without_key) {
            return fault("AccessDeniedException", "Access to KMS is not allowed");
        }
        let mut answer = json!({ "ARN": arn, "Name": name_of(&arn), "VersionStages": ["AWSCURRENT"] });
        match kept {
            Kept::Text(text) => answer["SecretString"] = json!(text),
            Kept::Binary(bytes) => answer["SecretBinary"] = json!(STANDARD.encode(bytes)),
        }
        Json(answer).into_response()
    }
}

/// The name of a secret, which its ARN has with six characters behind it.
fn name_of(arn: &str) -> &str {
    let name = arn.splitn(7, ':').nth(6).unwrap_or(arn);
    match name.rsplit_once('-') {
        Some((bare, added)) if added.len() == 6 => bare,
        _ => name,
    }
}

/// As the JSON protocol of AWS refuses.
fn fault(code: &str, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "__type": code, "Message": message }))).into_response()
}

pub(crate) fn routes(common: &Common, machine: &Arc<AwsMachine>) -> Router {
    let container = plain_door(common, Endpoint::AwsContainer, machine, AwsMachine::of_container);
    let metadata = plain_door(common, Endpoint::AwsMetadata, machine, AwsMachine::metadata);
    let service = door(common, Endpoint::AwsService, machine, AwsMachine::service);
    Router::new()
        .route(CONTAINER, get(container))
        .route("/latest/{*rest}", any(metadata))
        .route("/", post(service))
        .fallback(async || StatusCode::NOT_FOUND)
}
