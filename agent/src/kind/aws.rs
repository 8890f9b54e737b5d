//! `[aws.…]`: an AWS role, assumed with an ID token or with the keys of another entry; the roles of a deployment of Outerbounds; or
//! keys that another program gives.

mod arn;
mod command;
mod deployed;
mod fitting;
mod role;
mod said;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::{Kind, Source, sso};
use crate::config::{EntryName, Problem, Reading};
pub use arn::RolePattern;
pub(crate) use arn::{is_plain_arn, is_role};
pub use command::{Commands, Waiting, refuse_own_command};
pub use role::LONGEST_CHAINED;
use role::Role;

/// This kind, for the list.
pub const KIND: Kind = Kind { name: "aws", read };

/// The kinds of machine users and of deployments of Outerbounds.
const MACHINE: &str = "machine";
const OUTERBOUNDS: &str = "outerbounds";

/// Sessions of STS (its API reference).
const SHORTEST: Duration = Duration::from_secs(900);
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const USUAL: Duration = Duration::from_secs(3600);

/// Limits of one request to STS (its API reference).
const POLICIES: usize = 10;
const TAGS: usize = 50;
const TAG_KEY: usize = 128;
const TAG_VALUE: usize = 256;
/// Patterns of one entry.
const PATTERNS: usize = 64;

#[derive(Deserialize)]
struct Table {
    sso: Option<Spanned<String>>,
    machine: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
    outerbounds: Option<Spanned<String>>,
    command: Option<Spanned<Vec<Spanned<String>>>>,
    role_arn: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    duration: Option<Spanned<String>>,
    session_name: Option<Spanned<String>>,
    session_tags: Option<Spanned<BTreeMap<String, String>>>,
    external_id: Option<Spanned<String>>,
    policy_arns: Option<Spanned<Vec<Spanned<String>>>>,
    may_assume: Option<Spanned<Vec<Spanned<String>>>>,
    endpoint_url: Option<Spanned<String>>,
    signin_url: Option<Spanned<String>>,
    use_fips: Option<Spanned<bool>>,
}

/// Where keys come from.
enum Behind {
    Entry(EntryName),
    Command(Spanned<Vec<Spanned<String>>>),
}

fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let whole = value.span();
    let mut table: Table = crate::config::read_table(reading.place, value, &mut reading.problems)?;
    match read_behind(&mut table, &whole, reading)? {
        Behind::Command(words) => command::read(&words, &table, reading),
        Behind::Entry(behind) if behind.kind == OUTERBOUNDS => deployed::read(behind, &table, reading),
        Behind::Entry(behind) => read_role(behind, &table, whole, reading),
    }
}

/// Exactly one of the five.
fn read_behind(table: &mut Table, whole: &Range<usize>, reading: &mut Reading<'_>) -> Option<Behind> {
    let place = reading.place;
    let spans = [
        ("sso", table.sso.as_ref().map(Spanned::span)),
        ("machine", table.machine.as_ref().map(Spanned::span)),
        ("source", table.source.as_ref().map(Spanned::span)),
        ("outerbounds", table.outerbounds.as_ref().map(Spanned::span)),
        ("command", table.command.as_ref().map(Spanned::span)),
    ];
    let mut given: Vec<_> = spans.into_iter().filter_map(|(key, span)| Some((span?.start, key))).collect();
    given.sort_unstable();
    if given.len() != 1 {
        let (say, start) = match given.as_slice() {
            [(_, one), (start, other), ..] => {
                (format!("{place}: `{one}` and `{other}` cannot stand together"), *start)
            }
            _ => {
                let say = "one of `sso`, `machine`, `source`, `outerbounds` and `command` is missing";
                (format!("{place}: {say}"), whole.start)
            }
        };
        reading.problems.push(Problem { span: Some(start..whole.end.max(start)), say });
        return None;
    }
    let through = &mut reading.through;
    let mut named = |kind: &'static str, text: Spanned<String>| {
        *through = Some(text.span());
        let bare = text.get_ref().strip_prefix(kind).and_then(|rest| rest.strip_prefix('.'));
        Behind::Entry(EntryName { kind, name: bare.unwrap_or(text.get_ref()).to_owned() })
    };
    let sso = table.sso.take().map(|text| named(sso::KIND.name, text));
    let machine = table.machine.take().map(|text| named(MACHINE, text));
    let source = table.source.take().map(|text| named(KIND.name, text));
    let outerbounds = table.outerbounds.take().map(|text| named(OUTERBOUNDS, text));
    let behind = sso.or(machine).or(source).or(outerbounds);
    behind.or_else(|| table.command.take().map(Behind::Command))
}

fn read_role(
    behind: EntryName,
    table: &Table,
    whole: Range<usize>,
    reading: &mut Reading<'_>,
) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let is_chained = behind.kind == KIND.name;
    let missing =
        |name: &str| Problem { span: Some(whole.clone()), say: format!("{place}: `{name}` is missing") };
    let role_arn = match &table.role_arn {
        Some(text) => reading.check(read_role_arn(place, text)),
        None => reading.check(Err(missing("role_arn"))),
    };
    // A chained role has the region of the one behind it ([`Source::complete`]).
    let region = match &table.region {
        Some(text) => reading.check(read_region(place, text)).map(Some),
        None if is_chained => Some(None),
        None => reading.check(Err(missing("region"))),
    };
    let (duration, session_name) = read_session(table, reading);
    if behind.kind == sso::KIND.name {
        refuse_for_web_identity(table, reading);
    }
    let external_id =
        table.external_id.as_ref().and_then(|text| reading.check(read_external_id(place, text)));
    let session_tags = table.session_tags.as_ref().and_then(|tags| reading.check(read_tags(place, tags)));
    let policy_arns = table.policy_arns.as_ref().map(|list| read_policies(list, reading));
    let may_assume = table.may_assume.as_ref().map(|list| read_patterns(list, reading));
    let Places { endpoint, signin, use_fips } = read_places(table, reading);
    Some(Box::new(Role {
        behind,
        role_arn: role_arn?,
        region: region?,
        duration: duration?,
        session_name,
        session_tags: session_tags.unwrap_or_default(),
        external_id,
        policy_arns: policy_arns.unwrap_or_default(),
        may_assume: may_assume.unwrap_or_default(),
        endpoint,
        signin,
        use_fips,
    }))
}

/// How long a session is, where that can be, and what it is called, where that is said.
fn read_session(table: &Table, reading: &mut Reading<'_>) -> (Option<Duration>, Option<String>) {
    let place = reading.place;
    let duration = table.duration.as_ref().map_or(Some(USUAL), |text| {
        let duration = reading.duration(text)?;
        reading.check(if (SHORTEST..=LONGEST).contains(&duration) {
            Ok(duration)
        } else {
            Err(Problem::at(text, format!("{place}: a session of AWS lasts from 15m to 12h")))
        })
    });
    let session_name = table.session_name.as_ref().and_then(|text| {
        let clean = session_name(text.get_ref());
        reading.check(if clean == *text.get_ref() {
            Ok(clean)
        } else {
            Err(Problem::at(text, format!("{place}: a session name has 2 to 64 letters, digits and _+=,.@-")))
        })
    });
    (duration, session_name)
}

/// Where AWS is asked.
struct Places {
    endpoint: Option<String>,
    signin: Option<String>,
    use_fips: bool,
}

fn read_places(table: &Table, reading: &mut Reading<'_>) -> Places {
    let place = reading.place;
    let endpoint = table.endpoint_url.as_ref().and_then(|text| reading.address(text)).map(Into::into);
    let signin = table.signin_url.as_ref().and_then(|text| reading.address(text)).map(Into::into);
    let use_fips = table.use_fips.as_ref().is_some_and(|text| *text.get_ref());
    if let (Some(text), true) = (&table.endpoint_url, use_fips) {
        let say = format!("{place}: `endpoint_url` and `use_fips` cannot stand together");
        reading.problems.push(Problem::at(text, say));
    }
    Places { endpoint, signin, use_fips }
}

/// `AssumeRoleWithWebIdentity` takes neither.
fn refuse_for_web_identity(table: &Table, reading: &mut Reading<'_>) {
    let place = reading.place;
    if let Some(tags) = &table.session_tags {
        let say = format!("{place}: with `sso`, {}", said::TAGS_OF_WEB_IDENTITIES);
        reading.problems.push(Problem::at(tags, say));
    }
    if let Some(id) = &table.external_id {
        let say =
            format!("{place}: with `sso`, AWS takes no `external_id`; it belongs to an entry with `source`");
        reading.problems.push(Problem::at(id, say));
    }
}

pub(super) fn read_role_arn(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    if is_role(text.get_ref()) {
        Ok(text.get_ref().clone())
    } else {
        Err(Problem::at(text, format!("{place}: a role is written arn:aws:iam::123456789012:role/Name")))
    }
}

/// The region becomes part of a host name.
pub(super) fn read_region(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    if arn::is_region(text.get_ref()) {
        Ok(text.get_ref().clone())
    } else {
        Err(Problem::at(text, format!("{place}: this is not an AWS region, such as eu-west-1")))
    }
}

/// `[\w+=,.@:\/-]{2,1224}` (STS API reference, `ExternalId`).
fn read_external_id(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    let id = text.get_ref();
    let is_id = (2..=1224).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte));
    if is_id {
        Ok(id.clone())
    } else {
        let say = format!("{place}: an external id has 2 to 1224 letters, digits and _+=,.@:/-");
        Err(Problem::at(text, say))
    }
}

/// Session tags (STS API reference, `Tag`).
fn read_tags(
    place: &str,
    tags: &Spanned<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, Problem> {
    let problem = |say: String| Err(Problem::at(tags, format!("{place}: {say}")));
    let all = tags.get_ref();
    if all.len() > TAGS {
        return problem(format!("there are {} session tags; AWS takes {TAGS}", all.len()));
    }
    let fits = |text: &str| {
        let is_known = |character: char| {
            character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
        };
        text.chars().all(is_known)
    };
    for (key, value) in all {
        let shown = keyfob_ipc::text::escape(key);
        if !(1..=TAG_KEY).contains(&key.chars().count()) || value.chars().count() > TAG_VALUE {
            return problem(format!(
                "the session tag `{shown}` is too long; a key has 1 to {TAG_KEY} characters, a value at most {TAG_VALUE}"
            ));
        }
        if !fits(key) || !fits(value) {
            return problem(format!(
                "the session tag `{shown}` has other characters than letters, digits, spaces and _.:/=+-@"
            ));
        }
        if key.to_lowercase().starts_with("aws:") {
            return problem(format!("the session tag `{shown}`: names in `aws:` are AWS' own"));
        }
        if all.keys().any(|other| other != key && other.to_lowercase() == key.to_lowercase()) {
            return problem(format!("the session tag `{shown}` stands twice; AWS does not tell A from a"));
        }
    }
    Ok(all.clone())
}

fn read_policies(list: &Spanned<Vec<Spanned<String>>>, reading: &mut Reading<'_>) -> Vec<String> {
    let place = reading.place;
    if list.get_ref().len() > POLICIES {
        let say = format!("{place}: there are {} policies; AWS takes {POLICIES}", list.get_ref().len());
        reading.problems.push(Problem::at(list, say));
        return Vec::new();
    }
    let policy = |text: &Spanned<String>| match arn::policy_partition(text.get_ref()) {
        Some(_) => Ok(text.get_ref().clone()),
        None => Err(Problem::at(
            text,
            format!(
                "{place}: a policy is written arn:aws:iam::123456789012:policy/Name or arn:aws:iam::aws:policy/Name"
            ),
        )),
    };
    list.get_ref().iter().filter_map(|text| reading.check(policy(text))).collect()
}

fn read_patterns(list: &Spanned<Vec<Spanned<String>>>, reading: &mut Reading<'_>) -> Vec<RolePattern> {
    let place = reading.place;
    if list.get_ref().len() > PATTERNS {
        let say = format!("{place}: `may_assume` has {} patterns; at most {PATTERNS}", list.get_ref().len());
        reading.problems.push(Problem::at(list, say));
        return Vec::new();
    }
    let pattern = |text: &Spanned<String>| {
        RolePattern::parse(text.get_ref()).ok_or_else(|| {
            let say = format!(
                "{place}: a pattern is the ARN of a role, where `*` stands for an account or for characters of the \
                 name: arn:aws:iam::*:role/external-*"
            );
            Problem::at(text, say)
        })
    };
    list.get_ref().iter().filter_map(|text| reading.check(pattern(text))).collect()
}

/// A person's name as a session name: `[\w+=,.@-]{2,64}` (STS API reference, `RoleSessionName`). Other characters become
/// `-`, and a longer name is cut, always the same way, because it stands in CloudTrail and in policies.
pub fn session_name(person: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character);
    let mut name: String =
        person.chars().take(64).map(|character| if fits(character) { character } else { '-' }).collect();
    while name.len() < 2 {
        name.push('-');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_becomes_a_session_name() {
        assert_eq!(session_name("ada@example.com"), "ada@example.com");
        assert_eq!(session_name("Ada L\u{f6}velace"), "Ada-L-velace");
        assert_eq!(session_name("a"), "a-");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
