//! Policy documents: text from outside, read as far as it is understood, and said in one line a statement.

use std::borrow::Cow;

use serde_json::Value;

/// Largest document that is read, in bytes: AWS allows 10,240 characters, each of which may be written as nine.
const SIZE: usize = 128 * 1024;
/// Most statements that are kept.
pub(super) const MOST: usize = 200;
/// Most actions, resources and conditions that one line names.
const NAMED: usize = 40;
/// Longest name in a line, in characters.
const NAME: usize = 200;

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whether it allows; else it denies.
    pub allows: bool,
    /// `ec2:Describe* on *`. Not escaped.
    pub words: String,
}

/// The statements of a document, which may be URL-encoded. What is no policy has none.
pub fn read_policy(document: &str) -> Vec<Statement> {
    if document.len() > SIZE {
        return Vec::new();
    }
    let decoded = if document.trim_start().starts_with('%') {
        percent_encoding::percent_decode_str(document).decode_utf8_lossy()
    } else {
        Cow::Borrowed(document)
    };
    // Its depth is limited by the reader.
    let Ok(policy) = serde_json::from_str::<Value>(&decoded) else { return Vec::new() };
    let statements = match &policy["Statement"] {
        Value::Array(all) => all.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => &[],
    };
    statements.iter().take(MOST).filter_map(statement).collect()
}

fn statement(statement: &Value) -> Option<Statement> {
    let allows = match statement["Effect"].as_str()? {
        "Allow" => true,
        "Deny" => false,
        _ => return None,
    };
    let what = match (names(&statement["Action"]), names(&statement["NotAction"])) {
        (Some(actions), _) => actions,
        (None, Some(others)) => format!("everything but {others}"),
        (None, None) => return None,
    };
    let place = match (names(&statement["Resource"]), names(&statement["NotResource"])) {
        (Some(resources), _) => format!(" on {resources}"),
        (None, Some(others)) => format!(" on everything but {others}"),
        (None, None) => String::new(),
    };
    let conditions = statement["Condition"].as_object().filter(|conditions| !conditions.is_empty());
    let conditions = conditions.map(|conditions| {
        let keys = conditions.values().filter_map(Value::as_object).flat_map(|keys| keys.keys());
        format!(" if {}", joined(keys.map(String::as_str)))
    });
    Some(Statement { allows, words: format!("{what}{place}{}", conditions.unwrap_or_default()) })
}

/// One name, or several.
fn names(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(joined([name.as_str()].into_iter())),
        Value::Array(names) if !names.is_empty() => Some(joined(names.iter().filter_map(Value::as_str))),
        _ => None,
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> =
        names.take(NAMED + 1).map(|name| name.chars().take(NAME).collect()).collect();
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("\u{2026}".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(document: &str) -> Vec<(bool, String)> {
        read_policy(document).into_iter().map(|one| (one.allows, one.words)).collect()
    }

    #[test]
    fn statements_are_said_in_one_line_each() {
        let document = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
            {"Effect": "Deny", "NotAction": ["s3:Get*", "s3:List*"], "NotResource": ["arn:aws:s3:::b"]},
            {"Effect": "Allow", "Action": ["a:B", "c:D"], "Resource": ["x", "y"],
             "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]}"#;
        let expected = [
            (true, "ec2:Describe* on *".to_owned()),
            (false, "everything but s3:Get*, s3:List* on everything but arn:aws:s3:::b".to_owned()),
            (true, "a:B, c:D on x, y if aws:SourceIp".to_owned()),
        ];
        assert_eq!(words(document), expected);
        let encoded =
            percent_encoding::utf8_percent_encode(document, percent_encoding::NON_ALPHANUMERIC).to_string();
        assert_eq!(words(&encoded), expected);
    }

    #[test]
    fn one_statement_needs_no_list_and_nonsense_says_nothing() {
        assert_eq!(
            words(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#),
            [(true, "* on *".to_owned())]
        );
        let deep = "[".repeat(5000);
        for document in
            ["", "[]", "null", r#"{"Statement": 1}"#, r#"{"Statement": [{"Effect": "Maybe"}]}"#, &deep]
        {
            assert!(words(document).is_empty());
        }
    }

    #[test]
    fn a_large_statement_is_cut_and_says_so() {
        let actions: Vec<String> =
            (0..1000).map(|number| format!("\"a:{number}{}\"", "x".repeat(1000))).collect();
        let document =
            format!(r#"{{"Statement": {{"Effect": "Allow", "Action": [{}]}}}}"#, actions[..90].join(","));
        let words = words(&document).remove(0).1;
        assert!(words.ends_with(", \u{2026}") && words.chars().count() < 10_000, "{}", words.len());
        let too_large =
            format!(r#"{{"Statement": {{"Effect": "Allow", "Action": [{}]}}}}"#, actions.join(","));
        assert!(read_policy(&too_large).is_empty());
    }

    proptest! {
        #[test]
        fn no_document_breaks_anything(document in any::<String>()) {
            let _ = read_policy(&document);
            let _ = read_policy(&format!(r#"{{"Statement":[{document}]}}"#));
        }
    }
}
