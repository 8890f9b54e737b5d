//! From an address to the entry that answers for it, by Bazel's rule as it is written; and nothing of the address but
//! scheme, host and port is in anything that is shown.
//!
//! Input: the address in the first line, a pattern in each of the others.

use std::collections::BTreeSet;

use keyfob_agent::config::{Config, Host, HostPattern, Limits, load};
use keyfob_agent::target::Target;
use keyfob_ipc::Code;

/// Patterns that are looked at.
const PATTERNS: usize = 12;

/// Checks one input.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let uri = lines.next().unwrap_or_default();
    let patterns: BTreeSet<String> = lines.take(PATTERNS).filter_map(pattern).collect();
    let patterns: Vec<String> = patterns.into_iter().collect();
    let shown = match Target::parse(uri) {
        Ok(target) => {
            is_stable(&target);
            let config = config(&patterns);
            let found = config.route(&target.host).map(|entry| entry.name.name.clone());
            let expected = naive_route(&patterns, target.host.as_str()).map(|number| format!("t{number}"));
            assert_eq!(found, expected, "{target} among {patterns:?}");
            let scheme = uri.split(':').next().unwrap_or_default().to_ascii_lowercase();
            assert!(["https", "grpcs"].contains(&scheme.as_str()));
            format!("{target} {target:?}")
        }
        Err(refusal) => {
            assert!(matches!(refusal.code, Code::BadUri | Code::InsecureScheme));
            assert!(!refusal.hint.is_empty());
            format!("{refusal} {refusal:?}")
        }
    };
    repeats_nothing(uri, &shown);
}

/// A pattern in its one form.
fn pattern(text: &str) -> Option<String> {
    let pattern = HostPattern::parse(text).ok()?;
    let shown = pattern.to_string();
    assert_eq!(HostPattern::parse(&shown).as_ref(), Ok(&pattern), "reading is stable");
    assert!(shown.is_ascii() && !shown.bytes().any(|byte| byte.is_ascii_uppercase()), "{shown:?}");
    Some(shown)
}

fn is_stable(target: &Target) {
    assert_eq!(Target::parse(&format!("https://{target}")).as_ref(), Ok(target));
    let host = target.host.as_str();
    assert_eq!(Host::parse(host).as_ref(), Ok(&target.host));
    assert!(!host.contains(['/', '?', '#', '@', '%', ' ', '*']), "{host:?}");
}

/// Each pattern in an entry of its own.
fn config(patterns: &[String]) -> Config {
    // A name may have quotation marks in it, and no backslash.
    let quoted = |pattern: &str| pattern.replace('"', "\\\"");
    let table = |(number, pattern): (usize, &String)| {
        format!("[token.t{number}]\nhosts = [\"{}\"]\n", quoted(pattern))
    };
    let text: String = patterns.iter().enumerate().map(table).collect();
    load(&text, Limits { plain_loopback: false }).expect("different patterns make a configuration")
}

/// The place of the pattern that wins: exact before wildcard, longer before shorter.
fn naive_route(patterns: &[String], host: &str) -> Option<usize> {
    let matches = |pattern: &str| match pattern.strip_prefix("*.") {
        Some(base) => host == base || host.ends_with(&format!(".{base}")),
        None => host == pattern,
    };
    let matching = patterns.iter().enumerate().filter(|(_, pattern)| matches(pattern));
    matching.max_by_key(|(_, pattern)| (!pattern.starts_with("*."), pattern.len())).map(|(number, _)| number)
}

fn repeats_nothing(uri: &str, shown: &str) {
    let Some((_, rest)) = uri.split_once("://") else { return };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.len() >= 3 {
        assert!(!shown.contains(tail), "{tail:?} is in {shown:?}");
    }
    if let Some((user, host)) = authority.rsplit_once('@') {
        // No sentence of ours has numbers in it.
        let telling = |word: &&str| word.len() >= 3 && word.bytes().any(|byte| byte.is_ascii_digit());
        let words = user.split(|character: char| !character.is_alphanumeric());
        for word in words.filter(telling).filter(|word| !host.contains(*word)) {
            assert!(!shown.contains(word), "{word:?} is in {shown:?}");
        }
    }
}
