//! What `keyfob doctor` sees of Metaflow.

use std::path::Path;

use keyfob_ipc::reply::{Check, Health, Status};
use keyfob_ipc::text;

use super::super::own_path;
use super::{AWS, COMMAND, PROGRAM};
use crate::metaflow_file::{self, BOTH, IMPORT, KEY, MetaflowFile, SERVICE};
use crate::printer::pasteable;
use crate::world::World;

/// Nothing where no file of Metaflow's has to do with keyfob or with a plain key.
pub fn look(status: &Status, world: &World) -> Vec<Check> {
    let check = |health, say: String, hint: &str| Check {
        name: "metaflow".to_owned(),
        health,
        say,
        hint: hint.to_owned(),
    };
    let mut checks = Vec::new();
    for path in metaflow_file::all(world).unwrap_or_default() {
        match MetaflowFile::read(&path) {
            Err(refusal) => checks.push(check(Health::Attention, refusal.say, &refusal.hint)),
            Ok(file) => {
                if file.has_key() {
                    let say = format!("`{}` has {KEY} in plain text", file.shown());
                    checks.push(check(Health::Attention, say, "keyfob import"));
                }
                checks.extend(
                    stale(&file, &path, status, world).map(|(health, say, hint)| check(health, say, &hint)),
                );
            }
        }
    }
    checks
}

/// Whether what was set up still holds.
fn stale(
    file: &MetaflowFile,
    path: &Path,
    status: &Status,
    world: &World,
) -> Option<(Health, String, String)> {
    let shown = file.shown();
    let attention = |say: String, hint: String| Some((Health::Attention, say, hint));
    let is_current = metaflow_file::current(world).is_ok_and(|current| current == path);
    let again = if is_current {
        COMMAND.to_owned()
    } else {
        let command = format!("{COMMAND} --file");
        pasteable(&command, &file.file.path).unwrap_or(format!("{command} FILE"))
    };
    let entries: Vec<String> = [AWS, SERVICE].into_iter().filter_map(|name| file.plain(name)).collect();
    if let Some(program_there) = file.plain(PROGRAM) {
        let there = text::escape(&program_there);
        let again = match file.remembers(IMPORT) && !file.remembers(BOTH) {
            true => "keyfob import --undo, then keyfob import".to_owned(),
            false => again.clone(),
        };
        if !Path::new(&program_there).is_file() {
            return attention(format!("`{shown}` runs `{there}`, which is not there"), again);
        }
        if own_path(world).is_ok_and(|own| own != program_there) {
            return attention(format!("`{shown}` runs another keyfob than this one, `{there}`"), again);
        }
    }
    let is_gone = |name: &&String| !status.entries.iter().any(|entry| entry.name == **name);
    if let Some(gone) = entries.iter().find(is_gone) {
        if !metaflow_file::is_entry(gone) {
            let say = format!("`{shown}` asks for an entry by what can be the name of none");
            return attention(say, again);
        }
        return attention(
            format!("`{shown}` asks for `{gone}`, which is no entry of the configuration"),
            format!("add [{gone}] to {}, or {again} NAME", status.config.path),
        );
    }
    let asked: Vec<String> = entries.iter().map(|name| text::escape(name)).collect();
    (!asked.is_empty()).then(|| {
        (Health::Good, format!("`{shown}`: Metaflow asks keyfob for {}", asked.join(" and ")), String::new())
    })
}
