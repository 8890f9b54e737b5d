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

/// Which secret, and how it is spoken of.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its ARN, or its name ([`is_id`]).
    pub id: &'a str,
    /// Where it is.
    pub region: &'a str,
    /// Another address than the region's own.
    pub endpoint: Option<&'a str>,
    /// The endpoint with validated cryptography (FIPS 140).
    pub use_fips: bool,
    /// Whose keys read it, for sentences: ``the role of `aws.dev` ``.
    pub reader: &'a str,
    /// Where the configuration names it: ``check `id` … under [secret.db]``.
    pub written: &'a str,
    /// The command that shows more.
    pub look: &'a str,
}

/// What was found there.
#[derive(Debug)]
pub struct Found {
    /// Its name, without the characters that AWS adds in an ARN.
    pub name: Option<String>,
    /// Its newest value.
    pub value: Value,
}

/// The two forms of a value.
#[derive(Debug)]
pub enum Value {
    /// `SecretString`.
    Text(Secret<String>),
    /// `SecretBinary`, in standard base64.
    Binary(Secret<String>),
}

/// Why there is no value.
#[derive(Debug)]
pub enum SecretError {
    /// AWS does not accept the keys any more: new ones may do.
    Expired(Refusal),
    /// The person has to act, or the network to come back.
    Refused(Refusal),
}

impl SecretError {
    /// For whoever has no other keys.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Expired(refusal) | Self::Refused(refusal) => refusal,
        }
    }
}

impl Value {
    /// The bytes of either form.
    pub fn bytes(&self) -> Option<Secret<Vec<u8>>> {
        match self {
            Self::Text(text) => Some(Secret::new(text.expose().clone().into_bytes())),
            Self::Binary(binary) => STANDARD.decode(binary.expose()).ok().map(Secret::new),
        }
    }
}

/// Reads the newest value of a secret.
///
/// # Errors
/// Why not: `secretsmanager:GetSecretValue` or `kms:Decrypt` refused, no such secret, AWS out of reach.
pub async fn get_secret(
    http: &Http,
    keys: &SigningKeys<'_>,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Found, SecretError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        name: Option<String>,
        secret_string: Option<Secret<String>>,
        secret_binary: Option<Secret<String>>,
    }
    let (region, odd) = (wanted.region, || SecretError::Refused(odd(wanted)));
    let service = if wanted.use_fips { "secretsmanager-fips" } else { "secretsmanager" };
    let usual = format!("https://{service}.{region}.{}/", super::aws_domain(region));
    let request = Request::post(wanted.endpoint.unwrap_or(&usual))
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .body(serde_json::json!({ "SecretId": wanted.id }).to_string().into_bytes())
        .map_err(|_| odd())?;
    let answer = signed::send(http, keys, (region, "secretsmanager"), now, request)
        .await
        .map_err(|error| SecretError::Refused(error.refusal()))?;
    if answer.status() != StatusCode::OK {
        return Err(judge(wanted, answer.status(), answer.body()));
    }
    let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| odd())?;
    let value = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => Value::Text(text),
        (None, Some(binary)) => Value::Binary(binary),
        (None, None) => return Err(odd()),
    };
    value.bytes().map(|_| Found { name: answer.name, value }).ok_or_else(odd)
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

/// Whether a text can be the name of a secret, or is its ARN. Names have letters, digits and `/_+=.@-` (API reference,
/// `CreateSecret`); those that AWS itself makes begin with a service and `!`.
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-!".contains(&byte);
    region_of(text).is_some() || ((1..=512).contains(&text.len()) && text.bytes().all(fits))
}

/// Whether a text is a region, which becomes part of a host name.
pub fn is_region(region: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.split('-').count() >= 3 && region.len() <= 32 && region.bytes().all(is_plain)
}

/// The error codes of Secrets Manager (its API reference), each with the one next step. What AWS says beside its code stays
/// here.
fn judge(wanted: &Wanted<'_>, status: StatusCode, body: &[u8]) -> SecretError {
    #[derive(Deserialize, Default)]
    struct Fault {
        #[serde(rename = "__type", default)]
        code: String,
        #[serde(alias = "Message", default)]
        message: String,
    }
    let Wanted { id, reader, written, look, .. } = *wanted;
    let fault: Fault = serde_json::from_slice(body).unwrap_or_default();
    let code = fault.code.rsplit('#').next().unwrap_or_default();
    let refused = |say: String, hint: String| Refusal::new(Code::RoleRefused, say).hint(hint);
    SecretError::Refused(match code {
        "AccessDeniedException" if fault.message.contains("KMS") => no_decryption(wanted),
        "DecryptionFailure" => no_decryption(wanted),
        "AccessDeniedException" => refused(
            format!(
                "{reader} may not read the secret `{id}`: allow it `secretsmanager:GetSecretValue` there"
            ),
            look.to_owned(),
        ),
        "ResourceNotFoundException" | "InvalidRequestException" => refused(
            format!(
                "there is no secret `{id}` in {}, or it is about to be deleted: check {written}",
                wanted.region
            ),
            look.to_owned(),
        ),
        "ExpiredTokenException" | "UnrecognizedClientException" => {
            return SecretError::Expired(refused(
                format!("AWS does not accept the keys of {reader} any more"),
                "set this machine's clock, and try again".to_owned(),
            ));
        }
        "InvalidSignatureException" => refused(
            format!("AWS does not accept the signature of {reader}"),
            "set this machine's clock".to_owned(),
        ),
        "ThrottlingException" | "InternalServiceError" => passing(status),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => passing(status),
        "" => odd(wanted),
        code => refused(
            format!("AWS does not give the secret `{id}` ({} {})", status.as_u16(), escape(code)),
            look.to_owned(),
        ),
    })
}

fn no_decryption(wanted: &Wanted<'_>) -> Refusal {
    let say = format!(
        "{} may not decrypt the secret `{}`: allow it `kms:Decrypt` on that secret's KMS key, in the key's policy too",
        wanted.reader, wanted.id
    );
    Refusal::new(Code::RoleRefused, say).hint(wanted.look)
}

fn passing(status: StatusCode) -> Refusal {
    Refusal::new(Code::Offline, format!("AWS Secrets Manager gives no secret now ({})", status.as_u16()))
        .hint("try again in a minute")
}

fn odd(wanted: &Wanted<'_>) -> Refusal {
    let say =
        format!("AWS Secrets Manager answers without the secret `{}`: check {}", wanted.id, wanted.written);
    Refusal::new(Code::ProviderUntrusted, say).hint(wanted.look)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf";

    const WANTED: Wanted<'static> = Wanted {
        id: ARN,
        region: "eu-west-1",
        endpoint: None,
        use_fips: false,
        reader: "the machine user's role",
        written: "`secret_arn` and `endpoint_url` of the machine entry",
        look: "keyfob machine claims ci",
    };

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
    fn an_id_is_a_name_or_an_arn() {
        for id in [ARN, "some/test/secret-name", "a", "rds!db-1", "x+=.@_", &"n".repeat(512)] {
            assert!(is_id(id), "{id}");
        }
        for id in [
            "",
            "a b",
            "a\"b",
            "a\u{e4}",
            "arn:aws:s3:::x",
            "arn:aws:secretsmanager:x:1:secret:a",
            &"n".repeat(513),
        ] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn each_refusal_has_its_own_way_out() {
        let told = |body: &str| {
            let refusal = judge(&WANTED, StatusCode::BAD_REQUEST, body.as_bytes()).refusal();
            // A command, and the way out before it.
            assert!(refusal.hint == WANTED.look || refusal.code == Code::Offline, "{refusal:?}");
            (refusal.code, refusal.say)
        };
        let (code, say) =
            told(r#"{"__type":"AccessDeniedException","Message":"Access to KMS is not allowed"}"#);
        assert!(code == Code::RoleRefused && say.contains("kms:Decrypt"), "{say}");
        let denied = r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized to perform: secretsmanager:GetSecretValue"}"#;
        assert!(told(denied).1.contains("secretsmanager:GetSecretValue"));
        assert!(told(r#"{"__type":"com.amazonaws#ResourceNotFoundException"}"#).1.contains("secret_arn"));
        assert_eq!(told(r#"{"__type":"ThrottlingException"}"#).0, Code::Offline);
        assert_eq!(told("<html>").0, Code::ProviderUntrusted);
        let bad_gateway = judge(&WANTED, StatusCode::BAD_GATEWAY, b"<html>");
        assert!(matches!(bad_gateway, SecretError::Refused(refusal) if refusal.code == Code::Offline));
        let expired = judge(&WANTED, StatusCode::BAD_REQUEST, br#"{"__type":"ExpiredTokenException"}"#);
        assert!(matches!(expired, SecretError::Expired(_)), "{expired:?}");
    }
}
