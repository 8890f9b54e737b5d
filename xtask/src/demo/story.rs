//! The demo in words. Secrets are shown by their first characters, although these are worthless: habits are not.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::{Answers, parse};
use crate::failure::{Doing as _, Failure};
use crate::scene::{ROLE, SESSION_URI, Scene, TOKEN, TOKEN_URI};

/// Characters of a secret that are shown.
const SHOWN: usize = 6;

/// The last words. Where the lines were pasted, the variables stay and would start an agent without a configuration.
pub const FAREWELL: &str = "
The company and its agent end now: the lines above no longer work. Close the terminal where you pasted them.
";

/// What happened, and what tools received. `added` is what the token's service said when it was added.
pub fn tell(signed_in: &str, added: &str, answers: &Answers, now: Timestamp) -> Result<String, Failure> {
    let [added, bazel, bazel_sso, aws, rotation, rotated] =
        [added, &answers.bazel, &answers.bazel_sso, &answers.aws, &answers.rotation, &answers.bazel_rotated]
            .map(parse);
    let (bazel, bazel_sso, aws, rotated) = (bazel?, bazel_sso?, aws?, rotated?);
    let (added, rotation) = (added?, rotation?);
    let [token_host, session_host] = [TOKEN_URI, SESSION_URI].map(host);
    Ok(format!(
        "\
A company in a box is up, on this machine alone: an identity provider, a token portal, clusters and an AWS STS.

  keyfob login okta           {signed_in}; the browser was a stand-in
  keyfob token add {TOKEN}     kept a personal access token: {owner}'s, ends in {added_end}, says the portal

Bazel runs `keyfob get` for {token_host} and receives

  {bazel_text}
  It may keep that for {bazel_end}, then asks again.

For {session_host} it receives a token of the sign-in

  {bazel_sso_text}
  and may keep that for {bazel_sso_end}. Nobody has to sign in again: Keyfob renews it.

AWS tools run `keyfob credential-process {ROLE}` and receive

  {aws_text}
  These keys end in {aws_end}. Keyfob gets new ones before that.

`keyfob permissions {TOKEN}` asks the clusters and the portal what the token may do

{table}
`keyfob token rotate {TOKEN}` gets another value from the portal, which ends in {rotated_end}. Bazel's next answer is

  {rotated_text}
{remembered}
",
        owner = added["owner"].as_str().unwrap_or("somebody"),
        added_end = in_words(&added["until"], now)?,
        bazel_text = shortened(&answers.bazel, &bazel),
        bazel_end = in_words(&bazel["expires"], now)?,
        bazel_sso_text = shortened(&answers.bazel_sso, &bazel_sso),
        bazel_sso_end = in_words(&bazel_sso["expires"], now)?,
        aws_text = shortened(&answers.aws, &aws),
        aws_end = in_words(&aws["Expiration"], now)?,
        table = indented(&answers.table),
        rotated_end = in_words(&rotation["until"], now)?,
        rotated_text = shortened(&answers.bazel_rotated, &rotated),
        remembered = remembered(&rotation),
    ))
}

/// What stands beside the text.
fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.trim_end().lines().map(line).collect()
}

/// Until when the value before may still be accepted, in Keyfob's own words.
fn remembered(rotation: &Value) -> String {
    let notes = rotation["notes"].as_array().into_iter().flatten();
    notes
        .filter_map(|note| note["say"].as_str())
        .map(|say| format!("  `keyfob status` says: {say}\n"))
        .collect()
}

/// Lines to paste, and how it ends.
pub fn what_next(scene: &Scene) -> String {
    format!(
        "\
Try next, in another terminal:

  {}
  keyfob status
  keyfob permissions
  keyfob why https://{}
  keyfob credential-process {ROLE}
  keyfob token rotate {TOKEN}
  keyfob token remove {TOKEN}

Ctrl-C here ends all of it and leaves nothing behind.
",
        environment_line(scene),
        host(TOKEN_URI)
    )
}

/// A line that puts a terminal into the scene.
pub fn environment_line(scene: &Scene) -> String {
    let variables = scene.environment();
    if cfg!(windows) {
        let set = variables.map(|(name, value)| format!("$env:{name} = '{}'; ", value.display())).concat();
        return format!("{set}$env:PATH = '{};' + $env:PATH", scene.programs_folder().display());
    }
    let set = variables.map(|(name, value)| format!("{name}={} ", quoted(&value))).concat();
    format!("export {set}PATH={}:\"$PATH\"", quoted(scene.programs_folder()))
}

/// A path as a POSIX shell reads it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,@".contains(character);
    if path.chars().all(plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn host(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

/// The answer as it was written, with secrets cut.
fn shortened(answer: &str, parsed: &Value) -> String {
    let mut text = answer.trim_end().to_owned();
    let headers = parsed["headers"].as_object().into_iter().flat_map(|headers| headers.values());
    let values = headers.filter_map(Value::as_array).flatten();
    let keys = ["SecretAccessKey", "SessionToken"].map(|name| &parsed[name]);
    for secret in values.chain(keys) {
        let Some(value) = secret.as_str() else { continue };
        text = text.replace(&secret.to_string(), &Value::from(cut(value)).to_string());
    }
    text
}

/// The scheme of an `Authorization` header is no secret.
fn cut(value: &str) -> String {
    let (scheme, secret) = value.rsplit_once(' ').map_or(("", value), |(scheme, secret)| (scheme, secret));
    let shown: String = secret.chars().take(SHOWN).collect();
    let space = if scheme.is_empty() { "" } else { " " };
    format!("{scheme}{space}{shown}…")
}

/// How long it is until a moment (RFC 3339).
fn in_words(moment: &Value, now: Timestamp) -> Result<String, Failure> {
    let moment: Timestamp = moment.as_str().unwrap_or_default().parse().doing("read the end in an answer")?;
    Ok(length_in_words(moment.as_second() - now.as_second()))
}

fn length_in_words(seconds: i64) -> String {
    let rounded = |unit: i64| (seconds + unit / 2) / unit;
    let (count, unit) = match seconds {
        ..60 => (seconds.max(0), "second"),
        _ if rounded(60) < 60 => (rounded(60), "minute"),
        _ if rounded(3600) < 48 => (rounded(3600), "hour"),
        _ => (rounded(24 * 3600), "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_and_the_rest_stays_as_it_was() {
        let answer = r#"{"headers":{"Authorization":["Bearer aw_\"secret"],"X-Aspect":["aw_0123456789"]},"expires":"2026"}"#;
        let parsed = serde_json::from_str(answer).unwrap();
        let expected =
            r#"{"headers":{"Authorization":["Bearer aw_\"se…"],"X-Aspect":["aw_012…"]},"expires":"2026"}"#;
        assert_eq!(shortened(answer, &parsed), expected);
        let answer = r#"{"Version":1,"AccessKeyId":"ASIA1234567","SecretAccessKey":"abcdefgh","SessionToken":"ijklmnop"}"#;
        let parsed = serde_json::from_str(answer).unwrap();
        let short = shortened(answer, &parsed);
        assert!(
            short.contains("ASIA1234567") && short.contains("abcdef…") && short.contains("ijklmn…"),
            "{short}"
        );
        assert!(!short.contains("abcdefg") && !short.contains("ijklmno"), "{short}");
    }

    #[test]
    fn lengths_read_as_a_person_says_them() {
        for (seconds, words) in [
            (-5, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (599, "10 minutes"),
            (3599, "1 hour"),
            (5400, "2 hours"),
            (365 * 24 * 3600 - 2, "365 days"),
        ] {
            assert_eq!(length_in_words(seconds), words);
        }
    }

    #[test]
    fn a_path_with_a_blank_survives_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/keyfob-demo-a1")), "/tmp/keyfob-demo-a1");
        assert_eq!(quoted(Path::new("/home/ada's own/x")), r"'/home/ada'\''s own/x'");
    }

    #[test]
    fn only_the_host_of_an_address_is_said() {
        assert_eq!(host("https://a.example/cache?x"), "a.example");
        assert_eq!(host("grpcs://a.example"), "a.example");
    }
}
