//! What the OUTSCALE API answers where it does not do what it was asked
//! (<https://docs.outscale.com/api-errors.html>), and how it writes moments.

use http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use keyfob_ipc::Secret;
use keyfob_ipc::text::escape;
use serde_json::Value;

use crate::upstream::http::HttpError;
use crate::upstream::repeats;

/// Longest moment that is read, in bytes.
const MOMENT: usize = 40;
/// Most characters of the API's own words that are repeated.
const WORDS: usize = 300;

/// Why the API did not do it.
#[derive(Debug, thiserror::Error)]
pub enum OutscaleError {
    /// It does not know the key, or the key has ended or is off.
    #[error("OUTSCALE does not accept the access key")]
    BadKey,
    /// The account's API access rules do not let this machine's address or certificate in, whatever the key.
    #[error("the API access rules of the account do not let this machine in")]
    AccessRules,
    /// The key is good and may not do that.
    #[error("OUTSCALE does not allow this key to do that{0}")]
    NotAllowed(String),
    /// Too many calls, or too many failed ones.
    #[error("OUTSCALE wants to be left alone for a while{0}")]
    Throttled(String),
    /// The user has as many keys as it may have.
    #[error("the user has as many access keys as it may have{0}")]
    Full(String),
    /// There is no such key.
    #[error("OUTSCALE knows no such key")]
    NotThere,
    /// Anything else that was refused; nothing was done.
    #[error("OUTSCALE refuses it (error {code}){said}")]
    Refused {
        /// As the list of errors has it.
        code: String,
        /// Its words.
        said: String,
    },
    /// Nobody was asked.
    #[error(transparent)]
    Unsent(HttpError),
    /// It may have been done.
    #[error("{0}")]
    Unsure(String),
}

impl OutscaleError {
    /// A call that has no answer.
    pub(super) fn of_http(error: HttpError) -> Self {
        match error {
            HttpError::Slow(_) | HttpError::Broken(_) | HttpError::TooLarge(_) => {
                Self::Unsure(error.to_string())
            }
            error => Self::Unsent(error),
        }
    }

    /// Whether it may have been done all the same.
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure(_))
    }
}

/// Reads a refusal. Words that repeat a piece of the secret are not repeated.
pub(super) fn refused(status: StatusCode, body: &[u8], secret: &Secret<String>) -> OutscaleError {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &answer["Errors"][0];
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let code: u32 = text("Code").parse().unwrap_or(0);
    let said = said(text("Details"), secret);
    let has_errors = error.is_object();
    match (code, text("Type")) {
        (1, _) => OutscaleError::BadKey,
        (14, _) => OutscaleError::AccessRules,
        (4 | 5 | 7, _) => OutscaleError::NotAllowed(said),
        (6 | 24 | 25, _) => OutscaleError::Throttled(String::new()),
        (11 | 13, _) => OutscaleError::Throttled(said),
        (_, "InvalidResource") => OutscaleError::NotThere,
        (_, kind) if kind.starts_with("TooManyResources") => OutscaleError::Full(said),
        _ if matches!(status.as_u16(), 429 | 503) => OutscaleError::Throttled(String::new()),
        // Whatever stands between: it may have gone through.
        _ if status.is_server_error() => {
            OutscaleError::Unsure(format!("OUTSCALE answers with status {}", status.as_u16()))
        }
        _ if !has_errors => OutscaleError::Unsure(format!(
            "something that is not OUTSCALE answers with status {}",
            status.as_u16()
        )),
        (code, _) => OutscaleError::Refused { code: code.to_string(), said },
    }
}

fn said(details: &str, secret: &Secret<String>) -> String {
    if details.is_empty() || repeats(details, secret.expose()) {
        return String::new();
    }
    let short: String = details.chars().take(WORDS).collect();
    format!(": {}", escape(&short))
}

/// A moment as the API writes it: `2063-04-05T00:00:00.000+0000`, with `Z`, or a day alone, which is its beginning in UTC.
pub fn read_moment(text: &str) -> Option<Timestamp> {
    if text.len() > MOMENT || !text.is_ascii() {
        return None;
    }
    if let Ok(day) = text.parse::<Date>()
        && text.len() == 10
    {
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    }
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let (rest, zone) = text.split_at_checked(text.len().checked_sub(5)?)?;
    let is_zone = zone.starts_with(['+', '-']) && zone[1..].bytes().all(|byte| byte.is_ascii_digit());
    is_zone.then(|| format!("{rest}{}:{}", &zone[..3], &zone[3..]).parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_the_api_writes() {
        let read = |text: &str| read_moment(text).map(|moment| moment.to_string());
        assert_eq!(read("2063-04-05T00:00:00.000+0000").as_deref(), Some("2063-04-05T00:00:00Z"));
        assert_eq!(read("2063-04-05T02:00:00.000+0200").as_deref(), Some("2063-04-05T00:00:00Z"));
        assert_eq!(read("2063-04-05T00:00:00Z").as_deref(), Some("2063-04-05T00:00:00Z"));
        assert_eq!(read("2063-04-05").as_deref(), Some("2063-04-05T00:00:00Z"));
        for text in ["", "2063-04-05T00:00:00", "soon", "2063-13-05", "+0000"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let told = |status: u16, code: &str, kind: &str| {
            let body = serde_json::json!({"Errors": [{"Code": code, "Type": kind, "Details": ""}]});
            let status = StatusCode::from_u16(status).unwrap();
            refused(status, body.to_string().as_bytes(), &Secret::from("secret-secret"))
        };
        assert!(matches!(told(401, "1", "AccessDenied"), OutscaleError::BadKey));
        assert!(matches!(told(401, "14", "AccessDenied"), OutscaleError::AccessRules));
        assert!(matches!(told(401, "5", "AccessDenied"), OutscaleError::NotAllowed(_)));
        assert!(matches!(told(429, "24", "AccessDenied"), OutscaleError::Throttled(_)));
        assert!(matches!(told(400, "5029", "InvalidResource"), OutscaleError::NotThere));
        assert!(matches!(told(400, "10022", "TooManyResources (QuotaExceded)"), OutscaleError::Full(_)));
        assert!(told(500, "2000", "InternalError").is_unsure());
        let page = refused(StatusCode::FORBIDDEN, b"<html>", &Secret::from("secret-secret"));
        assert!(page.is_unsure(), "what is not OUTSCALE says nothing about the key");
    }

    #[test]
    fn words_that_repeat_the_secret_are_left_out() {
        let body = br#"{"Errors": [{"Code": "9999", "Type": "X", "Details": "bad key s3cr3t-s3cr3t"}]}"#;
        let error = refused(StatusCode::BAD_REQUEST, body, &Secret::from("my-s3cr3t-s3cr3t-key"));
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_from_outside_breaks_anything(text in any::<String>(), body in any::<Vec<u8>>(), status in 300_u16..600) {
            let _ = read_moment(&text);
            let _ = refused(StatusCode::from_u16(status).unwrap(), &body, &Secret::from("secret-secret"));
        }

        #[test]
        fn a_written_moment_is_read_back(second in -60_000_000_000_i64..250_000_000_000) {
            let moment = Timestamp::from_second(second).unwrap();
            let written = format!("{moment}").replace('Z', ".000+0000");
            prop_assert_eq!(read_moment(&written), Some(moment));
        }
    }
}
