//! What a secret in AWS means as variables: the rules of Metaflow's own `aws-secrets-manager` backend
//! (`metaflow/plugins/aws/secrets_manager/`, 2.19), so that a flow gets the same values from either.
//!
//! A JSON object gives its members, each as text; anything else is one value under the secret's own name, which that backend does
//! with `options={"json": False}`. `-`, `.` and `/` of a name become `_`.

use std::collections::BTreeMap;

use keyfob_ipc::reply::{is_variable, steers_programs};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use serde_json::value::RawValue;

use super::{Values, listed};
use crate::config::EntryName;
use crate::upstream::secrets_manager::{Found, Value};

/// Metaflow's own variables: it refuses a secret that would set one.
pub const RESERVED: &str = "METAFLOW_";

/// The values of a secret, those of `keys` where there are any.
///
/// # Errors
/// [`Code::BadRequest`] with the name that no variable can have or whose value none can have, and never with a value.
pub fn values(name: &EntryName, id: &str, found: &Found, keys: &[String]) -> Result<Values, Refusal> {
    let refuse = |say: String| {
        let name = name.without_role();
        let say = format!(
            "the secret `{}` {say}: change it in AWS Secrets Manager, or name others in `keys` under [{name}]",
            escape(id)
        );
        Err(Refusal::new(Code::BadRequest, say).hint(format!("keyfob why {name}")))
    };
    let members = match (&found.value, object(&found.value)) {
        (_, Some(Ok(members))) => members,
        (_, Some(Err(NotRead))) => return refuse("begins as JSON and cannot be read as such".to_owned()),
        (Value::Text(whole) | Value::Binary(whole), None) => {
            // The one name that is wanted is its name here; Metaflow's `env_var_name` does that.
            let own = match keys {
                [one] => one.clone(),
                _ => found.name.clone().unwrap_or_else(|| name_in(id).to_owned()),
            };
            vec![(own, Ok(whole.clone()))]
        }
    };
    let mut values = Values::new();
    for (member, value) in members {
        let variable = member.replace(['-', '.', '/'], "_");
        if !keys.is_empty() && !keys.contains(&variable) {
            continue;
        }
        let shown = escape(&member);
        if !is_variable(&variable) {
            return refuse(format!("has the name `{shown}`, which no variable can have"));
        }
        if variable.starts_with(RESERVED) {
            return refuse(format!("has the name `{shown}`, and those in {RESERVED} are Metaflow's own"));
        }
        // Whoever writes the secret has chosen the names, unless a person has.
        if keys.is_empty() && steers_programs(&variable) {
            return refuse(format!("has the name `{shown}`, which decides what programs run or read"));
        }
        let value = match value {
            Ok(value) if value.expose().contains('\0') => {
                return refuse(format!("has a zero byte in `{shown}`, which no variable can have"));
            }
            Ok(value) => value,
            Err(Nested) => {
                return refuse(format!("has a list or an object in `{shown}`; a variable is a text"));
            }
        };
        if values.insert(variable.clone(), value).is_some() {
            return refuse(format!("has two names that are both `{variable}` as a variable"));
        }
    }
    let missing: Vec<&str> =
        keys.iter().map(String::as_str).filter(|key| !values.contains_key(*key)).collect();
    if !missing.is_empty() {
        return refuse(format!("has no {}", listed(missing.into_iter())));
    }
    super::fits(name, &values)?;
    Ok(values)
}

/// The name in an ARN, without the six characters that AWS puts behind it; a name is one itself.
fn name_in(id: &str) -> &str {
    let Some(name) = id.splitn(7, ':').nth(6) else { return id };
    match name.rsplit_once('-') {
        Some((bare, added)) if added.len() == 6 && !bare.is_empty() => bare,
        _ => name,
    }
}

/// It begins as JSON, and is none.
struct NotRead;

/// No text.
struct Nested;

type Members = Vec<(String, Result<Secret<String>, Nested>)>;

/// The members of a JSON object; `None` for anything that does not begin as one.
fn object(value: &Value) -> Option<Result<Members, NotRead>> {
    let Value::Text(text) = value else { return None };
    let text = text.expose().as_str();
    if !text.trim_start().starts_with('{') {
        return None;
    }
    // Read where it stands: no copy of a value is left anywhere.
    let read: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(text);
    let Ok(read) = read else { return Some(Err(NotRead)) };
    let members = read.into_iter().map(|(name, raw)| Ok((name, as_text(raw.get())?)));
    Some(members.collect())
}

/// A JSON value as Python writes it (`str` of what `json.loads` makes of it).
fn as_text(raw: &str) -> Result<Result<Secret<String>, Nested>, NotRead> {
    Ok(Ok(match raw.as_bytes().first() {
        Some(b'{' | b'[') => return Ok(Err(Nested)),
        Some(b'"') => serde_json::from_str(raw).map_err(|_| NotRead)?,
        Some(b't') => Secret::from("True"),
        Some(b'f') => Secret::from("False"),
        Some(b'n') => Secret::from("None"),
        _ => Secret::new(number(raw).ok_or(NotRead)?),
    }))
}

fn number(raw: &str) -> Option<String> {
    if !raw.contains(['.', 'e', 'E']) {
        // Of any length: Python's have no limit.
        return Some(if raw == "-0" { "0".to_owned() } else { raw.to_owned() });
    }
    let value: f64 = raw.parse().ok()?;
    if value.is_infinite() {
        return Some(if value > 0.0 { "inf" } else { "-inf" }.to_owned());
    }
    let plain = format!("{value:?}");
    let Some((digits, exponent)) = plain.split_once('e') else { return Some(plain) };
    // 1e-05, 1e+16: a sign, and two digits at least.
    let exponent: i32 = exponent.parse().ok()?;
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:some/test/secret-name-AbCdEf";

    fn read(value: Value, keys: &[&str]) -> Result<Vec<String>, Refusal> {
        let entry = EntryName { kind: "secret", name: "db".to_owned() };
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let found = Found { name: Some("some/test/secret-name".to_owned()), value };
        let values = values(&entry, ARN, &found, &keys)?;
        Ok(values.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect())
    }

    fn text(text: &str, keys: &[&str]) -> Result<Vec<String>, Refusal> {
        read(Value::Text(Secret::from(text)), keys)
    }

    /// What CPython 3.11 prints for `str(json.loads(…))`.
    #[test]
    fn members_are_the_texts_that_python_makes_of_them() {
        for (json, python) in [
            ("\"a\\u00e4\\n\"", "a\u{e4}\n"),
            ("\"\"", ""),
            ("true", "True"),
            ("false", "False"),
            ("null", "None"),
            ("1", "1"),
            ("-0", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("0.1", "0.1"),
            ("1.50", "1.5"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("123456789012345678.0", "1.2345678901234568e+17"),
            ("1e-300", "1e-300"),
            ("1e999", "inf"),
            ("-1e999", "-inf"),
        ] {
            assert_eq!(text(&format!(" {{\"A\": {json}}}"), &[]).unwrap(), [format!("A={python}")], "{json}");
        }
    }

    #[test]
    fn names_become_variables() {
        let all = r#"{"db-password":"1","b.c/d":"2","_x":"3"}"#;
        assert_eq!(text(all, &[]).unwrap(), ["_x=3", "b_c_d=2", "db_password=1"]);
        assert_eq!(text(all, &["db_password"]).unwrap(), ["db_password=1"]);
        assert_eq!(text("{}", &[]).unwrap(), Vec::<String>::new());
        // The last one counts, as for Python.
        assert_eq!(text(r#"{"A":"1","A":"2"}"#, &[]).unwrap(), ["A=2"]);
    }

    #[test]
    fn what_is_no_object_is_one_value_under_the_name_of_the_secret() {
        let own = "some_test_secret_name";
        for whole in ["plain", "", "\"quoted\"", "12", "[1,2]", "null", "a\nb"] {
            assert_eq!(text(whole, &[]).unwrap(), [format!("{own}={whole}")]);
            assert_eq!(text(whole, &["DB"]).unwrap(), [format!("DB={whole}")], "the one that is wanted");
        }
        assert_eq!(read(Value::Binary(Secret::from("AAH/")), &[]).unwrap(), [format!("{own}=AAH/")]);
        let object = r#"{"A":"1"}"#;
        let binary = Value::Binary(Secret::from(object));
        assert_eq!(read(binary, &[]).unwrap(), [format!("{own}={object}")], "bytes are no JSON");
        assert_eq!(name_in(ARN), "some/test/secret-name");
        assert_eq!(name_in("some/name-abcdef"), "some/name-abcdef");
    }

    #[test]
    fn what_no_variable_can_have_is_refused_by_its_name_and_never_by_its_value() {
        for (json, keys, said) in [
            (r#"{"1A":"marked"}"#, vec![], "the name `1A`, which no variable can have"),
            (r#"{"A B":"marked"}"#, vec![], "the name `A B`"),
            (r#"{"":"marked"}"#, vec![], "the name ``"),
            (r#"{"METAFLOW_USER":"marked"}"#, vec![], "Metaflow's own"),
            (r#"{"PATH":"marked"}"#, vec![], "the name `PATH`, which decides what programs run or read"),
            (r#"{"ld-preload":"marked"}"#, vec![], "the name `ld-preload`, which decides"),
            (r#"{"KEYFOB_CONFIG":"marked"}"#, vec![], "the name `KEYFOB_CONFIG`, which decides"),
            (r#"{"A":"mark\u0000ed"}"#, vec![], "a zero byte in `A`"),
            (r#"{"A":{"marked":1}}"#, vec![], "a list or an object in `A`"),
            (r#"{"A":["marked"]}"#, vec![], "a list or an object in `A`"),
            (r#"{"a-b":"marked","a.b":"marked"}"#, vec![], "both `a_b`"),
            (r#"{"A":"marked""#, vec![], "begins as JSON"),
            (r#"{"A":marked}"#, vec![], "begins as JSON"),
            (r#"{"A":"marked"}"#, vec!["A", "B", "C"], "has no `B` and `C`"),
            ("marked", vec!["A", "B"], "has no `A` and `B`"),
            ("mark\0ed", vec![], "a zero byte in `some/test/secret-name`"),
        ] {
            let refusal = text(json, &keys).unwrap_err();
            assert_eq!(refusal.code, Code::BadRequest);
            assert!(refusal.say.contains(said), "{json}: {refusal}");
            assert!(!format!("{refusal:?}").contains("marked"), "{refusal:?}");
        }
        // A name that a person has written into the configuration is theirs.
        assert_eq!(text(r#"{"PATH":"1"}"#, &["PATH"]).unwrap(), ["PATH=1"]);
        assert_eq!(text("1", &["PATH"]).unwrap(), ["PATH=1"]);
        // Of what is not wanted nothing is asked.
        assert_eq!(text(r#"{"PATH":"1","A":"1"}"#, &["A"]).unwrap(), ["A=1"]);
        assert_eq!(text(r#"{"A":"1","1B":"\u0000","C":[]}"#, &["A"]).unwrap(), ["A=1"]);
        let long = format!("{{\"A\":\"{}\"}}", "x".repeat(65 * 1024));
        assert!(text(&long, &[]).unwrap_err().say.contains("at most 63 KiB"));
    }
}
