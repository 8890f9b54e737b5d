//! Which entry answers for which address, against Bazel's rule as it is written: the exact name, or `*.` and a name,
//! which also stands for that name itself; the most specific one wins.

use std::collections::BTreeMap;

use keyfob_agent::config::{Config, Host, HostPattern, Limits, load};
use keyfob_agent::target::Target;
use proptest::prelude::*;

/// What no message may repeat.
const MARK: &str = "s3cr3t";

/// Few labels, some of them ends of others, so that names meet.
fn name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "ba", "dev", "acme", "xacme"]);
    prop::collection::vec(label, 2..5).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    (any::<bool>(), name()).prop_map(|(wild, name)| if wild { format!("*.{name}") } else { name })
}

/// A pattern, and a host that is often below it, or looks as if it were.
fn pattern_and_host() -> impl Strategy<Value = (String, String)> {
    let before = prop::sample::select(vec!["", "a.", "b.a.", "x", "evil-", "x.a"]);
    let related = (pattern(), before).prop_map(|(pattern, before)| {
        let host = format!("{before}{}", pattern.trim_start_matches("*."));
        (pattern, host)
    });
    prop_oneof![related, (pattern(), name())]
}

/// The same host in other letters, with the dot of the root, with a port.
fn written(host: String) -> impl Strategy<Value = String> {
    let letters = prop::collection::vec(any::<bool>(), host.len());
    let end = prop::sample::select(vec!["", ".", ":443", ".:8980", ":"]);
    (letters, end).prop_map(move |(capitals, end)| {
        let host = host.chars().zip(capitals);
        let host = host.map(|(letter, big)| if big { letter.to_ascii_uppercase() } else { letter });
        host.chain(end.chars()).collect()
    })
}

fn address() -> impl Strategy<Value = (String, String)> {
    let rest = prop::sample::select(vec!["", "/", "/s3cr3t", "?s3cr3t=s3cr3t", "#s3cr3t", "/a@b?x://s3cr3t"]);
    let scheme = prop::sample::select(vec!["https", "grpcs", "HTTPS"]);
    name().prop_flat_map(move |host| {
        let written = written(host.clone());
        (scheme.clone(), written, rest.clone())
            .prop_map(move |(scheme, written, rest)| (format!("{scheme}://{written}{rest}"), host.clone()))
    })
}

/// Each pattern in an entry of its own, by the number of the entry.
fn config(patterns: &[String]) -> Config {
    let table = |(number, pattern): (usize, &String)| format!("[token.t{number}]\nhosts = [\"{pattern}\"]\n");
    let text: String = patterns.iter().enumerate().map(table).collect();
    load(&text, Limits { plain_loopback: false }).unwrap()
}

fn naive_match(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(base) => host == base || host.ends_with(&format!(".{base}")),
        None => host == pattern,
    }
}

/// The place of the pattern that wins.
fn naive_route(patterns: &[String], host: &str) -> Option<usize> {
    let matching = patterns.iter().enumerate().filter(|(_, pattern)| naive_match(pattern, host));
    let winner = matching.max_by_key(|(_, pattern)| (!pattern.starts_with("*."), pattern.len()));
    winner.map(|(number, _)| number)
}

proptest! {
    #[test]
    fn the_entry_that_answers_is_the_one_of_the_written_rule(
        patterns in prop::collection::btree_set(pattern(), 0..8), (uri, host) in address()
    ) {
        let patterns: Vec<String> = patterns.into_iter().collect();
        let config = config(&patterns);
        let target = Target::parse(&uri).unwrap();
        prop_assert_eq!(target.host.as_str(), &host);
        let found = config.route(&target.host).map(|entry| entry.name.name.clone());
        prop_assert_eq!(found, naive_route(&patterns, &host).map(|number| format!("t{number}")));
    }

    #[test]
    fn a_pattern_matches_as_it_is_written((pattern, host) in pattern_and_host()) {
        let parsed = HostPattern::parse(&pattern).unwrap();
        prop_assert_eq!(parsed.matches(&Host::parse(&host).unwrap()), naive_match(&pattern, &host));
        prop_assert_eq!(parsed.to_string(), pattern);
    }

    #[test]
    fn what_covers_another_matches_all_of_it_and_what_does_not_misses_some(
        wide in pattern(), narrow in pattern()
    ) {
        let (wide, narrow) = (HostPattern::parse(&wide).unwrap(), HostPattern::parse(&narrow).unwrap());
        // A pattern is told by its name and, where it is a wildcard, by a name below.
        let names = match &narrow {
            HostPattern::Exact(name) => vec![name.clone()],
            HostPattern::Below(name) => {
                vec![name.clone(), Host::parse(&format!("zz.{name}")).unwrap()]
            }
        };
        prop_assert!(names.iter().all(|name| narrow.matches(name)));
        prop_assert_eq!(wide.covers(&narrow), names.iter().all(|name| wide.matches(name)));
    }

    #[test]
    fn nothing_but_scheme_host_and_port_is_repeated(
        scheme in "[a-z]{0,6}", before in "(s3cr3t[:@]){0,2}", host in name(),
        after in "[:/?#@\\\\ ]s3cr3t\\PC{0,8}"
    ) {
        let uri = format!("{scheme}://{before}{host}{after}");
        let shown = match Target::parse(&uri) {
            Ok(target) => format!("{target} {target:?}"),
            Err(refusal) => format!("{refusal} {refusal:?}"),
        };
        prop_assert!(!shown.contains(MARK), "{}", shown);
    }

    #[test]
    fn a_target_as_shown_is_the_same_target(uri in "https://\\PC{0,40}") {
        let Ok(target) = Target::parse(&uri) else { return Ok(()) };
        prop_assert_eq!(Target::parse(&format!("https://{target}")), Ok(target));
    }
}

#[test]
fn one_host_has_one_form() {
    let forms: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "xn--bcher-kva.example",
            &["b\u{fc}cher.example", "B\u{dc}CHER.example.", "XN--BCHER-KVA.EXAMPLE"][..],
        ),
        ("127.0.0.1", &["127.1", "0x7f.0.0.1", "2130706433", "127.0.0.1."]),
        ("[::1]", &["[0:0::1]", "[::0001]"]),
        // A full-width letter and an ideographic full stop.
        ("acme.dev", &["\u{ff41}cme.dev", "acme\u{3002}dev"]),
    ]);
    for (form, written) in forms {
        for host in written {
            assert_eq!(Host::parse(host).unwrap().as_str(), form, "{host}");
        }
    }
}
