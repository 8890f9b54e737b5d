//! What the endpoint says, in the form that SDKs of AWS read.

use std::fmt::Write as _;

use keyfob_ipc::reply::AwsCredentials;
use keyfob_ipc::{Code, Refusal};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::printer::sentence;

/// One answer.
pub(super) struct Response {
    status: u16,
    body: Zeroizing<String>,
}

impl Response {
    /// As it goes out.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let mut text = Zeroizing::new(String::with_capacity(256 + self.body.len()));
        // Writing to a string cannot fail, and there is room.
        let _ = write!(
            text,
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.status,
            self.body.len(),
        );
        text.push_str(&self.body);
        Zeroizing::new(text.as_bytes().to_vec())
    }
}

/// `Token`, where a credential process says `SessionToken`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// The keys. Without a session token or an end there is no such answer: SDKs need both.
pub(super) fn of_keys(keys: &AwsCredentials) -> Response {
    let (Some(token), Some(expiration)) = (&keys.session_token, &keys.expiration) else {
        return no(403, "NotAllowed", NO_TOKEN);
    };
    json(
        200,
        &Keys {
            access_key_id: &keys.access_key_id,
            secret_access_key: keys.secret_access_key.expose(),
            token: token.expose(),
            expiration,
            account_id: keys.account_id.as_deref(),
        },
    )
}

/// Why such keys are not given so.
pub const NO_TOKEN: &str = "these keys have no session token or no end, and this way of asking needs both";

/// A refusal. SDKs ask again after a 5xx, so only what can pass by itself is one.
pub(super) fn of_refusal(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::AgentUnreachable | Code::Busy | Code::Pending | Code::Offline | Code::KeychainFailed => 503,
        _ => 403,
    };
    let code = serde_json::to_value(refusal.code).unwrap_or_default();
    no(status, code.as_str().unwrap_or("unknown"), &sentence(&refusal.say, &refusal.hint))
}

/// An error.
pub(super) fn no(status: u16, code: &str, message: &str) -> Response {
    json(status, &Error { code, message })
}

fn json(status: u16, body: &impl Serialize) -> Response {
    // Room for all of it from the start: what grows leaves copies behind. A session token has some kilobytes.
    let mut bytes = Vec::with_capacity(64 * 1024);
    // Text is JSON, and memory takes every write.
    let _ = serde_json::to_writer(&mut bytes, body);
    Response { status, body: Zeroizing::new(String::from_utf8(bytes).unwrap_or_default()) }
}
