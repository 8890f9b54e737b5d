//! `keyfob import --undo`: keys go back into their files.

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, ToolAsk, text};

use super::super::{Outcome, ask_service};
use super::{Move, Report, held, key, refuse_write, status};
use crate::metaflow_file::{KEY, MetaflowFile, SERVICE};
use crate::reach::unexpected;
use crate::world::World;

pub fn run(files: &[MetaflowFile], mut report: Report, world: &mut World) -> Outcome {
    // One that has both is done up to the last step, or was edited: its key is compared, never replaced.
    let moved: Vec<&MetaflowFile> =
        files.iter().filter(|file| file.plain(SERVICE).is_some() || file.has_key()).collect();
    if moved.is_empty() {
        if !world.json {
            world.printer.say("no file of Metaflow's has its key here");
        }
        return report.finish(world);
    }
    let status = status(world)?;
    let mut emptied: Vec<(String, String)> = Vec::new();
    for file in moved {
        match put_back(file, &status, world) {
            Ok(None) => {}
            Ok(Some((entry, is_new))) => {
                if is_new && !world.json {
                    world.printer.say(&format!("`{}` has its key in plain text again", file.shown()));
                }
                emptied.push((entry.clone(), file.shown()));
                if is_new {
                    report.moved.push(Move { file: file.shown(), entry });
                }
            }
            Err(refusal) => report.leave(&file.shown(), refusal),
        }
    }
    emptied.sort();
    emptied.dedup_by(|one, other| one.0 == other.0);
    for (entry, file) in emptied {
        if let Err(refusal) = forget(&entry, &status, world) {
            report.leave(&file, refusal);
        }
    }
    report.finish(world)
}

/// The entry of the file, and whether its key was put back now; `None` where it is no key of an import.
fn put_back(file: &MetaflowFile, status: &Status, world: &World) -> Result<Option<(String, bool)>, Refusal> {
    if file.remembers("service") {
        return Ok(None);
    }
    if file.has_key() {
        return Ok(is_finished(file, status, world).map(|entry| (entry, false)));
    }
    let (Some(object), Some(name)) = (&file.object, file.plain(SERVICE)) else { return Ok(None) };
    let left = |why: &str| {
        let say = format!("`{}` is left: {why} `{}`", file.shown(), text::escape(&name));
        Refusal::new(Code::UnknownEntry, say)
    };
    let entry = status.entries.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| left("the configuration has no").hint("keyfob status"))?;
    if entry.through.is_some() {
        return Err(left("no key of its own is held by"));
    }
    let uri = uri(file, entry);
    refuse_other(&uri, &name, world).map_err(|refusal| refusal.hint(format!("keyfob why {uri}")))?;
    let value = held(&uri, world)?
        .ok_or_else(|| left("no key is held by").hint(format!("keyfob token add {name}")))?;
    let other = object
        .put_in_place(SERVICE, KEY, value.expose())
        .map_err(|wrong| Refusal::new(Code::BadRequest, format!("`{}` {wrong}", file.shown())))?;
    file.file.replace_private(other.text()).map_err(|error| refuse_write(file, &error))?;
    if key(&MetaflowFile::read(&file.file.path)?)? != value {
        let say = format!("`{}` does not have the key that was written; it is still held", file.shown());
        return Err(Refusal::new(Code::Internal, say).hint("keyfob import --undo"));
    }
    Ok(Some((name, true)))
}

/// The entry that has the same key as the file: an earlier run was ended before it could forget it there.
fn is_finished(file: &MetaflowFile, status: &Status, world: &World) -> Option<String> {
    let service = file.service().ok()?;
    let entry = status.entries.iter().find(|entry| entry.through.is_none() && service.fits(entry))?;
    let is_same = held(&service.uri(), world).ok().flatten() == key(file).ok();
    is_same.then(|| entry.name.clone())
}

/// Another entry may answer for that host by now, whose key would be written.
fn refuse_other(uri: &str, name: &str, world: &World) -> Result<(), Refusal> {
    let Reply::Why(why) = world.reach.ask_tool(|| ToolAsk::Why { subject: uri.to_owned() })? else {
        return Err(unexpected());
    };
    if why.entry.is_some_and(|entry| entry.name == name) {
        return Ok(());
    }
    let say = format!("`{}` does not answer for `{uri}`", text::escape(name));
    Err(Refusal::new(Code::UnknownHost, say))
}

/// Where tools get the key of an entry.
fn uri(file: &MetaflowFile, entry: &EntryReport) -> String {
    match file.service() {
        Ok(service) if service.fits(entry) => service.uri(),
        _ => {
            let host = entry.hosts.first().map(String::as_str).unwrap_or_default();
            let host = host.strip_prefix("*.").map_or(host.to_owned(), |domain| format!("api.{domain}"));
            format!("https://{host}/")
        }
    }
}

/// Forgets what no file and no other entry needs any more.
fn forget(entry: &str, status: &Status, world: &mut World) -> Result<(), Refusal> {
    let paths = crate::metaflow_file::all(world)?;
    let still = paths.iter().find(|path| {
        MetaflowFile::read(path).is_ok_and(|file| file.plain(SERVICE).is_some_and(|name| name == entry))
    });
    let through = status.entries.iter().find(|other| other.through.as_deref() == Some(entry));
    let user = match (still, through) {
        (Some(path), _) => Some(format!("`{}`", text::escape(&path.display().to_string()))),
        (None, other) => other.map(|other| other.name.clone()),
    };
    if let Some(user) = user {
        world.printer.note(&format!("{entry} keeps the key, too: {user} needs it"));
        return Ok(());
    }
    let ask = ControlAsk::TokenRemove { name: entry.to_owned(), keep_at_service: true };
    let Reply::Done { .. } = ask_service(ask, "the agent", world)? else { return Err(unexpected()) };
    let path = text::escape(&status.config.path);
    world.printer.note(&format!("{entry} is forgotten here; its lines in {path} stay"));
    Ok(())
}
