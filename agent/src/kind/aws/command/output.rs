//! What a credential process writes (AWS SDKs and tools reference guide, "Process credential provider").

use jiff::Timestamp;
use keyfob_ipc::Secret;
use serde_json::{Map, Value};

use crate::lease::AwsKeys;

/// Longest access key id and secret; far above all that are known.
const KEY: usize = 1024;
/// Longest session token that is passed on: the answer must fit into a frame of the tool door.
const TOKEN: usize = 32 * 1024;
/// Longest text of a moment.
const MOMENT: usize = 64;

/// Keys as a program gave them.
pub(super) struct Keys {
    pub(super) keys: AwsKeys,
    /// Their end, where they have one.
    pub(super) until: Option<Timestamp>,
    /// Their account, where the program says it.
    pub(super) account: Option<String>,
}

/// Why an output is none; never with a piece of it, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Odd {
    /// Not one JSON object and nothing else.
    #[error("wrote something that is no JSON object")]
    Json,
    /// `Version` is missing, or no number, or another one.
    #[error("wrote no `\"Version\": 1`")]
    Version,
    /// A key is missing, empty, no text, or longer than any.
    #[error("wrote no usable `{0}`")]
    Missing(&'static str),
    /// An end that cannot be read.
    #[error("wrote an `Expiration` that is no time such as 2026-11-21T10:42:03Z")]
    Expiration,
}

/// Reads it, by the strictest of the SDKs' rules where they differ, and by the mildest where that takes nothing away.
pub(super) fn read(output: &[u8]) -> Result<Keys, Odd> {
    let said: Map<String, Value> = serde_json::from_slice(output).map_err(|_| Odd::Json)?;
    // 1.0 is the number 1, "1" is a text.
    if said.get("Version").and_then(Value::as_f64) != Some(1.0) {
        return Err(Odd::Version);
    }
    let text = |name: &'static str, longest: usize| match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= longest && text.chars().all(|c| !c.is_control()) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(Odd::Missing(name)),
    };
    let needed = |name| text(name, KEY)?.ok_or(Odd::Missing(name));
    let until = match said.get("Expiration") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(moment(text).ok_or(Odd::Expiration)?),
        Some(_) => return Err(Odd::Expiration),
    };
    let is_account = |text: &String| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(Keys {
        keys: AwsKeys {
            access_key_id: needed("AccessKeyId")?,
            secret_access_key: Secret::new(needed("SecretAccessKey")?),
            session_token: text("SessionToken", TOKEN)?.map(Secret::new),
            assumed: None,
        },
        until,
        account: text("AccountId", KEY).ok().flatten().filter(is_account),
    })
}

/// RFC 3339, and the same with an offset without a colon. A time without a zone means one thing to one SDK and another to
/// the next.
fn moment(text: &str) -> Option<Timestamp> {
    if text.len() > MOMENT {
        return None;
    }
    let offset = text.len().checked_sub(5).and_then(|at| text.split_at_checked(at));
    let is_bare = |offset: &str| {
        offset.starts_with(['+', '-']) && offset[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    match offset {
        // A date alone ends in four digits behind a sign, too, but has no time.
        Some((begin, offset)) if is_bare(offset) && begin.contains([':', 'T']) => {
            format!("{begin}{}:{}", &offset[..3], &offset[3..]).parse().ok()
        }
        _ => text.parse().ok(),
    }
}
