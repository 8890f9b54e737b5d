//! `[policy."kind.name"]`: who may have what an entry gives.

use std::collections::HashMap;
use std::path::Path;

use keyfob_ipc::text::escape;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::{EntryName, Problem, nearest, read_table};
use crate::policy::{Allowed, BAZEL_SERVER, Confirm, Policy};

/// Most programs of one `allow`: each is looked up at each request.
const PROGRAMS: usize = 64;

/// Longest path, in bytes (`PATH_MAX` of Linux).
const PATH: usize = 4096;

#[derive(Deserialize)]
struct Table {
    allow: Option<Spanned<Vec<Spanned<String>>>>,
    confirm: Option<Confirm>,
}

/// Reads every policy; `known` are the entries of this configuration, those with errors of their own among them.
pub(super) fn read(
    value: Option<Spanned<DeValue<'_>>>,
    known: &[EntryName],
    problems: &mut Vec<Problem>,
) -> HashMap<EntryName, Policy> {
    let mut policies = HashMap::new();
    let Some(value) = value else { return policies };
    let span = value.span();
    let DeValue::Table(tables) = value.into_inner() else {
        let say = "`policy` holds a table for each entry; write [policy.\"kind.name\"]".to_owned();
        problems.push(Problem { span: Some(span), say });
        return policies;
    };
    for (key, value) in tables {
        let Some(name) = known.iter().find(|name| name.to_string() == *key.get_ref()) else {
            problems.push(nobody(&key, known));
            continue;
        };
        let place = format!("policy.\"{name}\"");
        let Some(table) = read_table::<Table>(&place, value, problems) else { continue };
        let allow = table.allow.map(|texts| read_allow(&place, &texts, problems)).unwrap_or_default();
        policies.insert(name.clone(), Policy { allow, confirm: table.confirm.unwrap_or_default() });
    }
    policies
}

/// A policy that would guard nothing.
fn nobody(key: &Spanned<DeString<'_>>, known: &[EntryName]) -> Problem {
    let text = key.get_ref();
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let near = nearest(text, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let is_kind = crate::kind::KINDS.iter().any(|kind| kind.name == *text);
    let help = match near {
        Some(near) => format!("; did you mean [policy.\"{near}\"]?"),
        None if is_kind => format!("; the name stands in quotation marks: [policy.\"{text}.name\"]"),
        None => String::new(),
    };
    Problem::at(key, format!("policy: there is no entry `{}`{help}", escape(text)))
}

fn read_allow(
    place: &str,
    texts: &Spanned<Vec<Spanned<String>>>,
    problems: &mut Vec<Problem>,
) -> Vec<Allowed> {
    let count = texts.get_ref().len();
    if count == 0 {
        let say = format!("{place}: an empty `allow` names nobody; leave it out to allow every program");
        problems.push(Problem::at(texts, say));
    } else if count > PROGRAMS {
        problems
            .push(Problem::at(texts, format!("{place}: `allow` has {count} programs; at most {PROGRAMS}")));
        return Vec::new();
    }
    let mut allow = Vec::with_capacity(count);
    for text in texts.get_ref() {
        match allowed(text.get_ref()) {
            Some(allowed) => allow.push(allowed),
            None => {
                let shown = escape(text.get_ref());
                let say = format!(
                    "{place}: `{shown}` is not the absolute path of a program; write {EXAMPLE} or \"{BAZEL_SERVER}\""
                );
                problems.push(Problem::at(text, say));
            }
        }
    }
    allow
}

/// A program as it stands in the file.
const EXAMPLE: &str = if cfg!(windows) { "'C:\\Programs\\terraform.exe'" } else { "\"/usr/bin/terraform\"" };

fn allowed(text: &str) -> Option<Allowed> {
    if text == BAZEL_SERVER {
        return Some(Allowed::BazelServer);
    }
    let path = Path::new(text);
    let is_path = path.is_absolute() && path.file_name().is_some() && !text.contains(char::is_control);
    (is_path && text.len() <= PATH).then(|| Allowed::Program(path.to_owned()))
}
