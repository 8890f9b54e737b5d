//! Which roles a pattern of `may_assume` means, against the naive way: field by field, step by step.

use keyfob_agent::kind::RolePattern;
use proptest::prelude::*;

const ACCOUNTS: [&str; 3] = ["123456789012", "123456789013", "210987654321"];

/// Steps that are often alike, with what must not be reached over.
fn step() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", "ab", "external-", "x", "-", "."]);
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(step(), 1..4).prop_map(|steps| steps.join("/"))
}

fn role() -> impl Strategy<Value = String> {
    let partition = prop::sample::select(vec!["aws", "aws-cn"]);
    let account = prop::sample::select(ACCOUNTS.to_vec());
    (partition, account, path())
        .prop_map(|(partition, account, path)| format!("arn:{partition}:iam::{account}:role/{path}"))
}

/// A role with some of its characters left to `*`, so that it often means that very role.
fn pattern_and_role() -> impl Strategy<Value = (String, String)> {
    let holes = prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..3);
    (role(), role(), holes, any::<bool>(), any::<bool>()).prop_map(
        |(role, other, holes, any_account, same)| {
            let fields: Vec<&str> = role.splitn(6, ':').collect();
            let mut path: Vec<char> = fields[5].trim_start_matches("role/").chars().collect();
            for (index, length) in holes {
                let at = index.index(path.len());
                let end = (at + length).min(path.len());
                let has_slash = path[at..end].contains(&'/');
                path.splice(at..if has_slash { at } else { end }, ['*']);
            }
            let account = if any_account { "*" } else { fields[4] };
            let path: String = path.into_iter().collect();
            (format!("arn:{}:iam::{account}:role/{path}", fields[1]), if same { role } else { other })
        },
    )
}

/// Every way to cut the step, by the pattern's own characters.
fn naive_step(pattern: &[char], step: &[char]) -> bool {
    match pattern.split_first() {
        None => step.is_empty(),
        Some(('*', rest)) => (0..=step.len()).any(|cut| naive_step(rest, &step[cut..])),
        Some((first, rest)) => step.first() == Some(first) && naive_step(rest, &step[1..]),
    }
}

fn naive(pattern: &str, role: &str) -> bool {
    let fields = |text: &str| text.split(':').map(str::to_owned).collect::<Vec<_>>();
    let (pattern, role) = (fields(pattern), fields(role));
    let steps =
        |text: &str| -> Vec<Vec<char>> { text.split('/').map(|step| step.chars().collect()).collect() };
    let (wanted, given) = (steps(&pattern[5]), steps(&role[5]));
    role.len() == 6
        && pattern[1] == role[1]
        && (pattern[4] == "*" || pattern[4] == role[4])
        && wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| naive_step(wanted, given))
}

proptest! {
    #[test]
    fn a_pattern_means_the_roles_of_the_written_rule((pattern, role) in pattern_and_role()) {
        let read = RolePattern::parse(&pattern).unwrap();
        prop_assert_eq!(read.matches(&role), naive(&pattern, &role), "{} {}", pattern, role);
    }

    #[test]
    fn a_pattern_of_one_account_means_no_role_of_another(
        path in "[a-z*/:\\-]{0,20}", account in prop::sample::select(ACCOUNTS.to_vec()), role in ".{0,60}"
    ) {
        let Some(pattern) = RolePattern::parse(&format!("arn:aws:iam::{account}:role/{path}")) else { return Ok(()) };
        for other in ACCOUNTS.iter().filter(|other| **other != account) {
            // The nearest to what it means.
            let meant = path.replace('*', "x");
            let asked = [
                format!("arn:aws:iam::{other}:role/{meant}"),
                format!("arn:aws:iam::{other}:role/{role}"),
                format!("arn:aws:iam::{other}:role/{account}:role/{role}"),
                format!("arn:aws:iam::{other}:role/{role}:{account}:role/{path}"),
                format!("arn:aws:iam::{account}:role/{role}:{other}"),
            ];
            for asked in asked.iter().filter(|asked| asked.contains(other)) {
                // A role whose own path names the other account is still of its own.
                let is_own = asked.starts_with(&format!("arn:aws:iam::{account}:"));
                prop_assert!(!pattern.matches(asked) || (is_own && asked.matches(':').count() == 5), "{}", asked);
            }
        }
    }

    #[test]
    fn only_iams_own_alphabet_is_a_role_or_a_pattern(
        path in "[a-zA-Z0-9+=,.@_-]{1,20}", strange in "[ -~]{1,3}|\\PC", at in any::<prop::sample::Index>()
    ) {
        let any = RolePattern::parse("arn:aws:iam::*:role/*").unwrap();
        let arn = |path: &str| format!("arn:aws:iam::123456789012:role/{path}");
        prop_assert!(any.matches(&arn(&path)), "{}", path);
        let at = at.index(path.len() + 1);
        let path = format!("{}{strange}{}", &path[..at], &path[at..]);
        let is_of = |more: &str| {
            path.chars().all(|one| one.is_ascii_alphanumeric() || "+=,.@_-".contains(one) || more.contains(one))
        };
        prop_assert!(!any.matches(&arn(&path)) || is_of("/"), "{}", path);
        prop_assert!(RolePattern::parse(&arn(&path)).is_none() || is_of("/*"), "{}", path);
    }

    #[test]
    fn nothing_is_too_strange_to_be_read(text in "\\PC{0,80}", role in "\\PC{0,80}") {
        if let Some(pattern) = RolePattern::parse(&text) {
            prop_assert_eq!(pattern.to_string(), text);
            let _ = pattern.matches(&role);
        }
    }
}
