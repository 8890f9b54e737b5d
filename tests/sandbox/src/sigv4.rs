//! Checks AWS Signature Version 4 in the header form, written from its public description ("Create a signed AWS API request" in the
//! IAM user guide) without the crate that signs, so that the two check each other.

use jiff::Timestamp;
use ring::{digest, hmac};

use crate::door::Call;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATION: &str = "aws4_request";
/// How far a request's time may be off, in seconds.
const SKEW: i64 = 15 * 60;

/// Why a request counts as unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsigned {
    /// No `Authorization` header of this kind, or one that lacks a part.
    #[error("the request is not signed")]
    Missing,
    /// Another service, or a scope that is none.
    #[error("the credential scope is another one")]
    Scope,
    /// The request's time is not within a quarter of an hour.
    #[error("the time of the request is off")]
    Time,
    /// `Host` or a given `Content-Type` is not covered.
    #[error("a header that must be signed is not")]
    Headers,
    /// Nobody knows this key.
    #[error("the access key is unknown")]
    UnknownKey,
    /// Signed with another secret, or changed on the way.
    #[error("the signature does not match")]
    Mismatch,
}

/// The access key that signed `call` for `service`.
///
/// # Errors
/// [`Unsigned`].
pub(crate) fn verify(
    call: &Call,
    service: &str,
    now: Timestamp,
    secret_of: impl Fn(&str) -> Option<String>,
) -> Result<String, Unsigned> {
    let authorization = call.header("authorization").ok_or(Unsigned::Missing)?;
    let parts = authorization.strip_prefix(ALGORITHM).ok_or(Unsigned::Missing)?;
    let part =
        |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (credential, signed, signature) =
        (|| Some((part("Credential")?, part("SignedHeaders")?, part("Signature")?)))()
            .ok_or(Unsigned::Missing)?;
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, day, region, for_service, termination] = scope[..] else { return Err(Unsigned::Scope) };
    let date = call.header("x-amz-date").ok_or(Unsigned::Missing)?;
    if for_service != service || termination != TERMINATION || region.is_empty() || !date.starts_with(day) {
        return Err(Unsigned::Scope);
    }
    let then = seconds(date).ok_or(Unsigned::Time)?;
    if (now.as_second() - then).abs() > SKEW {
        return Err(Unsigned::Time);
    }
    let names: Vec<&str> = signed.split(';').collect();
    let covers = |name: &str| names.contains(&name);
    let needs = ["content-type", "x-amz-security-token"];
    if !covers("host") || needs.iter().any(|name| call.headers.contains_key(*name) && !covers(name)) {
        return Err(Unsigned::Headers);
    }
    let canonical = canonical(call, &names, signed).ok_or(Unsigned::Headers)?;
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{day}/{region}/{service}/{TERMINATION}\n{}",
        sha256(canonical.as_bytes())
    );
    let secret = secret_of(key).ok_or(Unsigned::UnknownKey)?;
    let first = format!("AWS4{secret}").into_bytes();
    let signing = [day, region, service, TERMINATION]
        .iter()
        .fold(first, |so_far, piece| hmac(&so_far, piece.as_bytes()));
    if hex(&hmac(&signing, to_sign.as_bytes())) == signature {
        Ok(key.to_owned())
    } else {
        Err(Unsigned::Mismatch)
    }
}

fn canonical(call: &Call, names: &[&str], signed: &str) -> Option<String> {
    let mut headers = String::new();
    for name in names {
        let values: Option<Vec<&str>> =
            call.headers.get_all(*name).iter().map(|value| value.to_str().ok()).collect();
        let values = values.filter(|values| !values.is_empty())?;
        let trimmed: Vec<String> =
            values.iter().map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        headers.push_str(&format!("{name}:{}\n", trimmed.join(",")));
    }
    // Every service but S3 encodes the path a second time.
    let path = encode(call.uri.path(), true);
    let mut query: Vec<(String, String)> = call
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(&decode(name), false), encode(&decode(value), false)))
        .collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (method, query, body) = (&call.method, query.join("&"), sha256(&call.body));
    Some(format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body}"))
}

/// RFC 3986: letters, digits and `-._~` stay.
fn encode(text: &str, slash_stays: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        let stays = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || slash_stays && byte == b'/';
        if stays {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// `20150830T123600Z`, in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let is_date = date.len() == 16 && date.is_ascii();
    let piece = |from: usize, to: usize| is_date.then(|| &date[from..to]);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        piece(0, 4)?,
        piece(4, 6)?,
        piece(6, 8)?,
        piece(9, 11)?,
        piece(11, 13)?,
        piece(13, 15)?
    );
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};
    use bytes::Bytes;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// The example of the IAM user guide: ListUsers on 2015-08-30.
    fn published() -> Call {
        let mut headers = HeaderMap::new();
        let all = [
            ("host", "iam.amazonaws.com"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ];
        for (name, value) in all {
            headers.insert(name, value.parse().unwrap());
        }
        let uri = "/?Action=ListUsers&Version=2010-05-08".parse().unwrap();
        Call { method: Method::GET, uri, headers, body: Bytes::new() }
    }

    fn verified(call: &Call) -> Result<String, Unsigned> {
        let now = "2015-08-30T12:40:00Z".parse().unwrap();
        verify(call, "iam", now, |key| (key == "AKIDEXAMPLE").then(|| SECRET.to_owned()))
    }

    #[test]
    fn the_published_example_verifies() {
        assert_eq!(verified(&published()).as_deref(), Ok("AKIDEXAMPLE"));
    }

    #[test]
    fn what_was_changed_after_signing_does_not_verify() {
        let mut call = published();
        call.body = Bytes::from_static(b"x");
        assert_eq!(verified(&call), Err(Unsigned::Mismatch));
        let mut call = published();
        call.uri = "/?Action=DeleteUser&Version=2010-05-08".parse().unwrap();
        assert_eq!(verified(&call), Err(Unsigned::Mismatch));
        let mut call = published();
        call.headers.insert("host", "evil.example".parse().unwrap());
        assert_eq!(verified(&call), Err(Unsigned::Mismatch));
        let mut call = published();
        call.headers.insert("x-amz-security-token", "t".parse().unwrap());
        assert_eq!(verified(&call), Err(Unsigned::Headers));
    }

    #[test]
    fn another_key_service_or_time_is_told_apart() {
        let now = "2015-08-30T12:40:00Z".parse().unwrap();
        assert_eq!(verify(&published(), "iam", now, |_| None), Err(Unsigned::UnknownKey));
        assert_eq!(verify(&published(), "sts", now, |_| Some(SECRET.into())), Err(Unsigned::Scope));
        let late = "2015-08-30T13:00:00Z".parse().unwrap();
        assert_eq!(verify(&published(), "iam", late, |_| Some(SECRET.into())), Err(Unsigned::Time));
        let mut call = published();
        call.headers.remove("authorization");
        assert_eq!(verified(&call), Err(Unsigned::Missing));
    }
}
