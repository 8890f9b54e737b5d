//! `keyfob import --undo`: keys go back into their files.
//!
//! Only what an import has written is undone: it left a mark ([`IMPORT`], and [`MOVED`] where the entry has its key from there).
//! The mark leaves the file last, so that a run that was ended is finished by the next one.

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, ToolAsk, text};

use super::super::{Outcome, ask_service};
use super::{Move, Report, held, key, refuse_write, status, without_program};
use crate::json_file::{Object, Wrong};
use crate::metaflow_file::{IMPORT, KEY, MOVED, MetaflowFile, SERVICE, Service};
use crate::reach::unexpected;
use crate::world::World;

/// A file that has its key again, and still the mark.
struct Emptied {
    file: MetaflowFile,
    service: Service,
    entry: String,
    /// Whether the entry has the same key.
    is_held: bool,
}

pub fn run(files: &[MetaflowFile], mut report: Report, world: &mut World) -> Outcome {
    // What the setup wrote holds no key of the file's.
    let is_ours = |file: &&MetaflowFile| {
        file.remembers(IMPORT) || file.plain(SERVICE).is_some() && !file.remembers("service")
    };
    let moved: Vec<&MetaflowFile> = files.iter().filter(is_ours).collect();
    if moved.is_empty() {
        if !world.json {
            world.printer.say("no file of Metaflow's has its key here");
        }
        return report.finish(world);
    }
    let status = status(world)?;
    let mut emptied = Vec::new();
    for file in moved {
        match put_back(file, &status, world) {
            Ok(back) => {
                if !file.has_key() {
                    if !world.json {
                        world.printer.say(&format!("`{}` has its key in plain text again", file.shown()));
                    }
                    report.moved.push(Move { file: file.shown(), entry: back.entry.clone() });
                }
                emptied.push(back);
            }
            Err(refusal) => report.leave(&file.shown(), refusal),
        }
    }
    let mut seen = Vec::new();
    for back in &emptied {
        let done = if seen.contains(&&back.entry) || !back.is_held {
            Ok(())
        } else {
            seen.push(&back.entry);
            let is_moved =
                emptied.iter().any(|other| other.entry == back.entry && other.file.remembers(MOVED));
            forget(back, is_moved, &status, world)
        };
        if let Err(refusal) = done.and_then(|()| finish(&back.file)) {
            report.leave(&back.file.shown(), refusal);
        }
    }
    report.finish(world)
}

/// Puts the key of the file's entry back, where it is not there yet.
fn put_back(file: &MetaflowFile, status: &Status, world: &World) -> Result<Emptied, Refusal> {
    let left = |code, why: &str| Refusal::new(code, format!("`{}` is left: {why}", file.shown()));
    if !file.remembers(IMPORT) {
        let why = format!("its {SERVICE} was written by no import");
        return Err(left(Code::BadRequest, &why).hint("take that member out, or put the key there yourself"));
    }
    let service = file.service().map_err(|why| left(Code::BadRequest, &why))?;
    if file.has_key() {
        return interrupted(file, service, status, world);
    }
    let Some(name) = file.entry(SERVICE) else {
        return Err(left(Code::UnknownEntry, &format!("its {SERVICE} is the name of no entry")));
    };
    let (Some(object), uri) = (&file.object, service.uri()) else { return Err(unexpected()) };
    let entry = status.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
        left(Code::UnknownEntry, &format!("the configuration has no `{name}`")).hint("keyfob status")
    })?;
    if entry.through.is_some() {
        return Err(left(Code::UnknownEntry, &format!("no key of its own is held by `{name}`")));
    }
    if !service.fits(entry) {
        let why = format!("`{name}` is not the entry of its service");
        return Err(left(Code::UnknownEntry, &why).hint(format!("keyfob why {uri}")));
    }
    refuse_other(&uri, &name, world).map_err(|refusal| refusal.hint(format!("keyfob why {uri}")))?;
    let value = held(&uri, world)?.ok_or_else(|| {
        left(Code::UnknownEntry, &format!("no key is held by `{name}`"))
            .hint(format!("keyfob token add {name}"))
    })?;
    write(file, object.put_in_place(SERVICE, KEY, value.expose()))?;
    let file = MetaflowFile::read(&file.file.path)?;
    if key(&file)? != value {
        let say = format!("`{}` does not have the key that was written; it is still held", file.shown());
        return Err(Refusal::new(Code::Internal, say).hint("keyfob import --undo"));
    }
    Ok(Emptied { file, service, entry: name, is_held: true })
}

/// A file with its mark and its key: an earlier run was ended before the last step.
fn interrupted(
    file: &MetaflowFile,
    service: Service,
    status: &Status,
    world: &World,
) -> Result<Emptied, Refusal> {
    if file.plain(SERVICE).is_some() {
        let say = format!("`{}` is left: it has both {KEY} and {SERVICE}", file.shown());
        return Err(Refusal::new(Code::BadRequest, say).hint("take the wrong one out, then run this again"));
    }
    let fits = |entry: &&EntryReport| entry.through.is_none() && service.fits(entry);
    let entry = status.entries.iter().find(fits).map(|entry| entry.name.clone());
    let is_held = match &entry {
        Some(_) => held(&service.uri(), world)? == Some(key(file)?),
        None => false,
    };
    let file = MetaflowFile::read(&file.file.path)?;
    Ok(Emptied { file, service, entry: entry.unwrap_or_default(), is_held })
}

/// Takes the mark out.
fn finish(file: &MetaflowFile) -> Result<(), Refusal> {
    let file = MetaflowFile::read(&file.file.path)?;
    let Some(object) = &file.object else { return Err(unexpected()) };
    write(&file, without_program(&file, object)).map_err(|refusal| refusal.hint("keyfob import --undo"))
}

fn write(file: &MetaflowFile, object: Result<Object, Wrong>) -> Result<(), Refusal> {
    let object =
        object.map_err(|wrong| Refusal::new(Code::BadRequest, format!("`{}` {wrong}", file.shown())))?;
    file.file.replace_private(object.text()).map_err(|error| refuse_write(file, &error))
}

/// Another entry may answer for that host by now, whose key would be written.
fn refuse_other(uri: &str, name: &str, world: &World) -> Result<(), Refusal> {
    let Reply::Why(why) = world.reach.ask_tool(|| ToolAsk::Why { subject: uri.to_owned() })? else {
        return Err(unexpected());
    };
    if why.entry.is_some_and(|entry| entry.name == name) {
        return Ok(());
    }
    let say = format!("`{name}` does not answer for `{uri}`");
    Err(Refusal::new(Code::UnknownHost, say))
}

/// Forgets a key that an import gave to the entry, and that nothing else needs.
fn forget(back: &Emptied, is_moved: bool, status: &Status, world: &mut World) -> Result<(), Refusal> {
    let entry = &back.entry;
    if let Some(why) = need(back, is_moved, status, world)? {
        world.printer.note(&format!("{entry} keeps the key, too: {why}"));
        return Ok(());
    }
    let ask = ControlAsk::TokenRemove { name: entry.clone(), keep_at_service: true };
    let Reply::Done { .. } = ask_service(ask, "the agent", world)? else { return Err(unexpected()) };
    let path = text::escape(&status.config.path);
    world.printer.note(&format!("{entry} is forgotten here; its lines in {path} stay"));
    Ok(())
}

/// Why the entry is to keep its key.
fn need(back: &Emptied, is_moved: bool, status: &Status, world: &World) -> Result<Option<String>, Refusal> {
    let entry = &back.entry;
    if !is_moved {
        return Ok(Some(format!("it had it before the import (keyfob token remove {entry} forgets it)")));
    }
    let names_it = |path: &&std::path::PathBuf| {
        MetaflowFile::read(path).is_ok_and(|file| file.plain(SERVICE).is_some_and(|name| name == *entry))
    };
    if let Some(path) = crate::metaflow_file::all(world)?.iter().find(names_it) {
        return Ok(Some(format!("`{}` needs it", text::escape(&path.display().to_string()))));
    }
    if let Some(other) = status.entries.iter().find(|other| other.through.as_ref() == Some(entry)) {
        return Ok(Some(format!("{} needs it", other.name)));
    }
    let pattern = back.service.pattern();
    let hosts = status.entries.iter().find(|other| other.name == *entry).map(|entry| &entry.hosts);
    let other = hosts.and_then(|hosts| hosts.iter().find(|host| !host.eq_ignore_ascii_case(&pattern)));
    Ok(other.map(|host| format!("it is for `{host}`, too")))
}
