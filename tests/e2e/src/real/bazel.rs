//! What Bazel does with a credential helper, to the letter of its `CredentialHelper` and `GetCredentialsResponse`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::json;

/// `--credential_helper_timeout`: Bazel's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer, as Bazel keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Header names and values.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Until when it is kept.
    pub expires: Option<Timestamp>,
}

/// Whether a scope of `--credential_helper=SCOPE=PATH` is one: `(\*|[-a-zA-Z0-9]+)(\.[-a-zA-Z0-9]+)+`.
#[must_use]
pub fn is_scope(scope: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    scope
        .split_once('.')
        .is_some_and(|(first, rest)| (first == "*" || is_label(first)) && rest.split('.').all(is_label))
}

/// A helper that was started for an address.
#[derive(Debug)]
pub struct Asked {
    helper: Child,
    uri: String,
    started: Instant,
}

/// Starts a helper, which gets `get`, and the request without a line end.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn ask(mut helper: Command, uri: &str) -> Asked {
    helper.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut helper = helper.spawn().unwrap_or_else(|error| panic!("the helper cannot be started: {error}"));
    if let Some(mut stdin) = helper.stdin.take() {
        // A helper that is gone already is judged by its end.
        let _ = stdin.write_all(json!({"uri": uri}).to_string().as_bytes());
    }
    Asked { helper, uri: uri.to_owned(), started: Instant::now() }
}

impl Asked {
    /// Waits for the helper's end, and only then reads what it wrote: what does not fit into a pipe is its ruin.
    ///
    /// # Errors
    /// What Bazel would say.
    pub fn answer(mut self) -> Result<Credentials, String> {
        let status = loop {
            match self.helper.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.started.elapsed() < TIMEOUT => std::thread::sleep(Duration::from_millis(1)),
                _ => return Err(format!("{}: process timed out", self.uri)),
            }
        };
        let (mut stdout, mut stderr) = (Vec::new(), String::new());
        // What was read until an error is what there is.
        let _ = self.helper.stdout.take().map(|mut stream| stream.read_to_end(&mut stdout));
        let _ = self.helper.stderr.take().map(|mut stream| stream.read_to_string(&mut stderr));
        if !status.success() {
            return Err(format!("{}: process exited with {status}. stderr: {stderr}", self.uri));
        }
        if stdout.is_empty() {
            return Err(format!("{}: process exited without output. stderr: {stderr}", self.uri));
        }
        read(&stdout).map_err(|why| format!("{}: error parsing output ({why}). stderr: {stderr}", self.uri))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}

/// Reads an answer as strictly as Bazel does.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Credentials, String> {
    let response: Response = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let expires = response.expires.as_deref().map(moment).transpose()?;
    Ok(Credentials { headers: response.headers.0, expires })
}

/// `yyyy-MM-dd'T'HH:mm:ssXXX`: whole seconds, capitals, a zone with a colon or `Z`.
fn moment(text: &str) -> Result<Timestamp, String> {
    let form: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    let (moment, zone) = form.split_at_checked("0000-00-00T00:00:00".len()).unwrap_or((&form, ""));
    if moment != "0000-00-00T00:00:00" || !["Z", "+00:00", "-00:00"].contains(&zone) {
        return Err(format!("expires is of another form: {text}"));
    }
    text.parse().map_err(|error| format!("expires is no moment: {error}"))
}

/// `GetCredentialsResponse`; other members are skipped.
#[derive(Default)]
struct Response {
    headers: Headers,
    expires: Option<String>,
}

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Response;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Response, A::Error> {
        let mut response = Response::default();
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "headers" => response.headers = members.next_value()?,
                "expires" => response.expires = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(response)
    }
}

/// Names that are all different, with arrays of strings.
#[derive(Default)]
struct Headers(BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersObject)
    }
}

struct HeadersObject;

impl<'de> Visitor<'de> for HeadersObject {
    type Value = Headers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of header names and arrays of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Headers, A::Error> {
        let mut headers = BTreeMap::new();
        while let Some((name, values)) = members.next_entry::<String, Vec<String>>()? {
            if headers.insert(name, values).is_some() {
                return Err(A::Error::custom("a header comes twice"));
            }
        }
        Ok(Headers(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bazel_reads() {
        let headers = |text: &str| read(text.as_bytes()).unwrap().headers.len();
        assert_eq!(headers("{}"), 0);
        assert_eq!(headers(r#"{"headers":{}}"#), 0);
        assert_eq!(headers(r#"{"headers":{"a":[],"b":["1","2"]},"other":{"x":null}}"#), 2);
        for end in ["2026-11-21T08:00:00Z", "2026-11-21T08:00:00+00:00"] {
            let answer = format!(r#"{{"headers":{{}},"expires":"{end}"}}"#);
            assert_eq!(
                read(answer.as_bytes()).unwrap().expires,
                Some("2026-11-21T08:00:00Z".parse().unwrap())
            );
        }
    }

    #[test]
    fn what_bazel_does_not_read() {
        for bad in [
            "",
            "[]",
            "null",
            r#""{}""#,
            "{} {}",
            r#"{"headers":null}"#,
            r#"{"headers":[]}"#,
            r#"{"headers":{"a":"b"}}"#,
            r#"{"headers":{"a":[null]}}"#,
            r#"{"headers":{"a":[1]}}"#,
            r#"{"headers":{"a":["1"],"a":["2"]}}"#,
            r#"{"expires":null}"#,
            r#"{"expires":1790000000}"#,
            r#"{"expires":"2026-11-21T08:00:00.5Z"}"#,
            r#"{"expires":"2026-11-21t08:00:00z"}"#,
            r#"{"expires":"2026-11-21 08:00:00Z"}"#,
            r#"{"expires":"2026-11-21T08:00:00+0000"}"#,
            r#"{"expires":"2026-11-21T08:00:00"}"#,
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_bazel_takes_for_a_scope() {
        for good in ["*.acme.dev", "aw-remote-ext.acme.dev", "127.0.0.1"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in ["localhost", "*", "a.*", "a..b", ".a", "my_host.example", "a.b:443", ""] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
