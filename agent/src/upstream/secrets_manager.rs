//! AWS Secrets Manager: one secret, read. Where the secret is encrypted by a key of KMS, Secrets Manager has it decrypted by the
//! caller's own right (`kms:Decrypt`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode, header};
use jiff::Timestamp;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;

use super::http::Http;
use super::signed::{self, SigningKeys};

/// Reads the newest value of a secret, given by its ARN.
///
/// # Errors
/// Why not: `secretsmanager:GetSecretValue` or `kms:Decrypt` refused, no such secret, AWS out of reach.
pub async fn get_secret(
    http: &Http,
    keys: &SigningKeys<'_>,
    arn: &str,
    endpoint: Option<&str>,
    now: Timestamp,
) -> Result<Secret<Vec<u8>>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        secret_string: Option<Secret<String>>,
        secret_binary: Option<Secret<String>>,
    }
    let region = region_of(arn).ok_or_else(|| odd(arn))?;
    let usual = format!("https://secretsmanager.{region}.{}/", super::aws_domain(region));
    let request = Request::post(endpoint.unwrap_or(&usual))
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .body(serde_json::json!({ "SecretId": arn }).to_string().into_bytes())
        .map_err(|_| odd(arn))?;
    let answer = signed::send(http, keys, (region, "secretsmanager"), now, request)
        .await
        .map_err(|error| error.refusal())?;
    if answer.status() != StatusCode::OK {
        return Err(judge(arn, answer.status(), answer.body()));
    }
    let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| odd(arn))?;
    match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => Ok(Secret::new(text.expose().clone().into_bytes())),
        (None, Some(binary)) => STANDARD.decode(binary.expose()).map(Secret::new).map_err(|_| odd(arn)),
        (None, None) => Err(odd(arn)),
    }
}

/// The region of `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`, where it is one.
pub fn region_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let is_plain = arn.len() <= 2048 && arn.bytes().all(|byte| byte.is_ascii_graphic());
    match parts.as_slice() {
        ["arn", partition, "secretsmanager", region, account, "secret", name]
            if is_plain
                && partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && !name.is_empty() =>
        {
            Some(region).copied().filter(|region| is_region(region))
        }
        _ => None,
    }
}

/// Whether a text is a region, which becomes part of a host name.
pub fn is_region(region: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.split('-').count() >= 3 && region.len() <= 32 && region.bytes().all(is_plain)
}

/// The error codes of Secrets Manager (its API reference), each with the one next step.
fn judge(arn: &str, status: StatusCode, body: &[u8]) -> Refusal {
    #[derive(Deserialize, Default)]
    struct Fault {
        #[serde(rename = "__type", default)]
        code: String,
        #[serde(alias = "Message", default)]
        message: String,
    }
    let fault: Fault = serde_json::from_slice(body).unwrap_or_default();
    let code = fault.code.rsplit('#').next().unwrap_or_default();
    let refused = |say: String, hint: String| Refusal::new(Code::RoleRefused, say).hint(hint);
    match code {
        "AccessDeniedException" if fault.message.contains("KMS") => no_decryption(arn),
        "DecryptionFailure" => no_decryption(arn),
        "AccessDeniedException" => refused(
            format!("the machine user's role may not read the secret `{arn}`"),
            format!("allow the role `secretsmanager:GetSecretValue` on {arn}"),
        ),
        "ResourceNotFoundException" | "InvalidRequestException" => refused(
            format!("there is no secret `{arn}`, or it is about to be deleted"),
            "check `secret_arn` of the machine entry".to_owned(),
        ),
        "ThrottlingException" | "InternalServiceError" => passing(status),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => passing(status),
        code => refused(
            format!("AWS does not give the secret `{arn}` ({} {})", status.as_u16(), escape(code)),
            "keyfob machine claims, with the entry's name".to_owned(),
        ),
    }
}

fn no_decryption(arn: &str) -> Refusal {
    Refusal::new(Code::RoleRefused, format!("the machine user's role may not decrypt the secret `{arn}`"))
        .hint("allow the role `kms:Decrypt` on the KMS key of that secret, in the key's policy too")
}

fn passing(status: StatusCode) -> Refusal {
    Refusal::new(Code::Offline, format!("AWS Secrets Manager gives no secret now ({})", status.as_u16()))
        .hint("try again in a minute")
}

fn odd(arn: &str) -> Refusal {
    Refusal::new(Code::ProviderUntrusted, format!("AWS Secrets Manager answers without the secret `{arn}`"))
        .hint("check `secret_arn` and `endpoint_url` of the machine entry")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf";

    #[test]
    fn the_region_is_that_of_the_arn() {
        assert_eq!(region_of(ARN), Some("eu-west-1"));
        for wrong in [
            "arn:aws:s3:eu-west-1:123456789012:secret:x",
            "arn:aws:secretsmanager:evil.example/:123456789012:secret:x",
            "arn:aws:secretsmanager:eu-west-1:12:secret:x",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "outerbounds/ci",
        ] {
            assert_eq!(region_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_refusal_has_its_own_way_out() {
        let told = |body: &str| {
            let refusal = judge(ARN, StatusCode::BAD_REQUEST, body.as_bytes());
            (refusal.code, refusal.hint)
        };
        let (code, hint) =
            told(r#"{"__type":"AccessDeniedException","Message":"Access to KMS is not allowed"}"#);
        assert!(code == Code::RoleRefused && hint.contains("kms:Decrypt"), "{hint}");
        let denied = r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized to perform: secretsmanager:GetSecretValue"}"#;
        assert!(told(denied).1.contains("secretsmanager:GetSecretValue"));
        assert!(told(r#"{"__type":"com.amazonaws#ResourceNotFoundException"}"#).1.contains("secret_arn"));
        assert_eq!(told(r#"{"__type":"ThrottlingException"}"#).0, Code::Offline);
        assert_eq!(judge(ARN, StatusCode::BAD_GATEWAY, b"<html>").code, Code::Offline);
    }
}
