//! `keyfob setup metaflow`: members of Metaflow's own configuration file.

mod stale;

use std::collections::BTreeMap;

use clap::Args;
use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};

pub use self::stale::look;
use super::{DONE, Outcome, own_path, refuse_broken_configuration, refuse_write, report};
use crate::json_file::{Object, Wrong};
use crate::metaflow_file::{
    self, AWS, BOTH, IMPORT, KEY, MOVED, MetaflowFile, PROGRAM, REGION, SERVICE, SETUP,
};
use crate::reach::unexpected;
use crate::world::World;

/// Options of this tool.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// The entry: `aws.dev`, `outerbounds.prod`, or the bare name; where only one fits, that one.
    name: Option<String>,
    #[command(flatten)]
    common: super::Options,
}

const PROVIDER: &str = "METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER";
/// The name of our provider.
const OWN: &str = "keyfob";

const COMMAND: &str = "keyfob setup metaflow";

// Where they are, and no command that installs them by these names: from an index of packages they could be anybody's.
const PACKAGE: &str = "metaflow-keyfob, in integrations/ of keyfob's repository (see its README)";
const BOTH_PACKAGES: &str = "metaflow-keyfob and metaflow-keyfob-outerbounds, in integrations/ of keyfob's repository (see its README)";

/// What goes into the file.
struct Plan {
    members: Vec<(&'static str, String)>,
    summary: String,
    notes: Vec<String>,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let path = options.common.file.clone().map_or_else(|| metaflow_file::current(world), Ok)?;
    let file = MetaflowFile::read(&path)?;
    if options.common.remove {
        return remove(&file, world);
    }
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_broken_configuration(&status)?;
    let chosen = chosen(options.name.as_deref(), &status, &file)?;
    let mut plan = plan(chosen, &status, &file, world)?;
    if status.agent.own_profile {
        plan.notes.push(metaflow_file::OWN_PROFILE.to_owned());
    }
    if options.common.print {
        let members: BTreeMap<_, _> = plan.members.iter().map(|(name, value)| (*name, value)).collect();
        let json = serde_json::to_string_pretty(&members).unwrap_or_default();
        world.printer.result(&format!("{json}\n"));
        plan.notes.iter().for_each(|note| world.printer.note(note));
        return Ok(DONE);
    }
    let content = written(&file, &plan.members).map_err(|wrong| refuse_edit(&file, &wrong))?;
    let changed = file.file.content.as_deref() != Some(&content);
    if changed {
        file.file.replace(&content).map_err(|error| refuse_write(&file.file.path, &error))?;
    }
    let verb = if changed { "is written" } else { "was up to date" };
    report(&file.file.path, changed, &format!("{verb}: {}", plan.summary), &plan.notes, world)
}

/// Whom Metaflow is to ask.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    role: Option<&'a EntryReport>,
    deployment: Option<&'a EntryReport>,
}

/// The entry that is named and what belongs to it: a deployment has its role, and such a role its deployment.
fn chosen<'a>(name: Option<&str>, status: &'a Status, file: &MetaflowFile) -> Result<Chosen<'a>, Refusal> {
    let entry = entry(name, status, file)?;
    if entry.kind != "outerbounds" {
        let is_through =
            |other: &&EntryReport| other.kind == "outerbounds" && Some(&other.name) == entry.through.as_ref();
        return Ok(Chosen { role: Some(entry), deployment: status.entries.iter().find(is_through) });
    }
    let is_behind = |role: &&EntryReport| role.kind == "aws" && role.through.as_ref() == Some(&entry.name);
    let roles: Vec<&EntryReport> = status.entries.iter().filter(is_behind).collect();
    let kept = file.plain(AWS).and_then(|kept| roles.iter().find(|role| role.name == kept).copied());
    match (kept, roles.as_slice()) {
        (None, [first, _, ..]) => {
            let say = format!("several entries are obtained with `{}`: {}", entry.name, listed(&roles));
            Err(Refusal::new(Code::AmbiguousEntry, say).hint(format!("{COMMAND} {}", first.name)))
        }
        (kept, roles) => Ok(Chosen { role: kept.or(roles.first().copied()), deployment: Some(entry) }),
    }
}

fn listed(entries: &[&EntryReport]) -> String {
    entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The entry that is named, else the one that the file has already, else the only one that fits: a role of AWS, or a deployment,
/// which its own roles belong to.
fn entry<'a>(
    name: Option<&str>,
    status: &'a Status,
    file: &MetaflowFile,
) -> Result<&'a EntryReport, Refusal> {
    let of_kind = |kind: &'static str| status.entries.iter().filter(move |entry| entry.kind == kind);
    let named = |entry: &&EntryReport| name.is_none_or(|name| entry.name == name || bare(entry) == name);
    let is_behind =
        |entry: &EntryReport| entry.through.as_ref().is_some_and(|name| name.starts_with("outerbounds."));
    if let (None, Some(kept)) = (name, file.plain(AWS))
        && let Some(role) = of_kind("aws").find(|entry| entry.name == kept)
    {
        return Ok(role);
    }
    let mut deployments: Vec<&EntryReport> = of_kind("outerbounds").filter(named).collect();
    if let (None, Ok(service)) = (name, file.service())
        && let Some(fits) = deployments.iter().find(|entry| service.fits(entry))
    {
        return Ok(fits);
    }
    if let (None, Some(kept)) = (name, file.plain(SERVICE))
        && let Some(deployment) = deployments.iter().find(|entry| entry.name == kept)
    {
        return Ok(deployment);
    }
    let names: Vec<String> = deployments.iter().map(|entry| bare(entry).to_owned()).collect();
    // A bare name that a deployment and its role have is the deployment's.
    let roles = of_kind("aws")
        .filter(named)
        .filter(|entry| !is_behind(entry) || name.is_some() && !names.iter().any(|name| name == bare(entry)));
    deployments.extend(roles);
    match deployments.as_slice() {
        [one] => Ok(one),
        [] => Err(match (name, of_kind("aws").chain(of_kind("outerbounds")).collect::<Vec<_>>()) {
            (Some(name), all) if !all.is_empty() => Refusal::new(
                Code::UnknownEntry,
                format!(
                    "no `aws` or `outerbounds` entry has the name `{}`; there is {}",
                    text::escape(name),
                    listed(&all)
                ),
            )
            .hint(format!("{COMMAND} {}", if let [one] = all[..] { &one.name } else { "NAME" })),
            _ => Refusal::new(
                Code::UnknownEntry,
                "the configuration has neither an `aws` nor an `outerbounds` entry",
            )
            .hint(format!("add [aws.NAME] to {}", status.config.path)),
        }),
        [first, ..] => {
            let say = format!("several entries fit: {}", listed(&deployments));
            Err(Refusal::new(Code::AmbiguousEntry, say).hint(format!("{COMMAND} {}", first.name)))
        }
    }
}

fn bare(entry: &EntryReport) -> &str {
    entry.name.split_once('.').map_or(&entry.name, |(_, name)| name)
}

fn plan(chosen: Chosen<'_>, status: &Status, file: &MetaflowFile, world: &World) -> Result<Plan, Refusal> {
    let Chosen { role, deployment } = chosen;
    let is_outerbounds = deployment.is_some() || file.is_of_outerbounds();
    let mut notes = Vec::new();
    if let (None, Some(entry)) = (role, deployment) {
        let say = "gives no AWS credentials yet: add [aws.NAME] with `outerbounds =";
        notes.push(format!("`{}` {say} \"{}\"`, then run this again", entry.name, bare(entry)));
    }
    let mut members = Vec::new();
    if !is_outerbounds {
        refuse_other_provider(file)?;
        members.push((PROVIDER, OWN.to_owned()));
    }
    if let Some(role) = role {
        members.push((AWS, role.name.clone()));
        members.extend(role.facts.get("region").map(|region| (REGION, region.clone())));
    }
    members.push((PROGRAM, own_path(world)?));
    let service = deployment.or_else(|| service(status, file));
    // What an import put in the place of a key is the import's.
    let imported = file.plain(SERVICE).filter(|_| !file.remembers("service"));
    let named = |imported: &str| match metaflow_file::is_entry(imported) {
        true => imported.to_owned(),
        false => format!("its {SERVICE}"),
    };
    let service = service.map(|service| service.name.clone()).filter(|_| !file.has_key());
    let is_own = service.is_some() && imported.is_none();
    if file.has_key() {
        notes.push(format!(
            "`{}` has {KEY} in plain text: `keyfob import` moves it into the keychain",
            file.shown()
        ));
        notes.extend(others_can_read(file));
    } else if let Some(service) = service.as_ref().filter(|_| is_own) {
        members.push((SERVICE, service.clone()));
    } else if let (Some(other), Some(service)) = (&imported, &service)
        && other != service
    {
        let (other, file) = (named(other), file.shown());
        notes.push(format!(
            "`{file}` gets its key from {other}, since `keyfob import`, and not from {service}"
        ));
    }
    notes.push(format!(
        "Metaflow needs a package in each of its environments, too: {}",
        if is_outerbounds { BOTH_PACKAGES } else { PACKAGE }
    ));
    notes.extend(
        world
            .environment
            .metaflow
            .iter()
            .map(|name| format!("{name} is set, which Metaflow takes before its file: unset {name}")),
    );
    let role = role.map(|role| role.name.clone());
    let imported = imported.as_deref().map(named);
    let asked: Vec<String> = role.into_iter().chain(imported.or(service)).collect();
    members.extend(remembered(file, is_own));
    let summary = format!("Metaflow asks keyfob for {}", text::escape(&asked.join(" and ")));
    Ok(Plan { members, summary, notes })
}

/// The entry that has the key of this file's service.
fn service<'a>(status: &'a Status, file: &MetaflowFile) -> Option<&'a EntryReport> {
    let service = file.service().ok()?;
    status.entries.iter().find(|entry| service.fits(entry))
}

/// What nobody could tell from the rest of the file.
fn remembered(file: &MetaflowFile, service: bool) -> Option<(&'static str, String)> {
    let mut words = Vec::new();
    if file.remembers("file") || file.file.content.is_none() {
        words.push("file");
    } else if file.remembers("empty") || file.object.is_none() {
        words.push("empty");
    }
    if service {
        words.push("service");
    }
    if file.remembers(IMPORT) {
        words.extend([IMPORT, BOTH]);
    }
    if file.remembers(MOVED) {
        words.push(MOVED);
    }
    (!words.is_empty()).then(|| (SETUP, words.join(" ")))
}

/// Somebody chose it.
fn refuse_other_provider(file: &MetaflowFile) -> Result<(), Refusal> {
    let Some(object) = file.object.as_ref().filter(|object| object.has(PROVIDER)) else { return Ok(()) };
    let provider = object.plain(PROVIDER).unwrap_or_default();
    if provider == OWN {
        return Ok(());
    }
    let say = format!("`{}` has another {PROVIDER} already, `{}`", file.shown(), text::escape(&provider));
    Err(Refusal::new(Code::BadRequest, say).hint(format!("remove that member there, then {COMMAND}")))
}

#[cfg(unix)]
fn others_can_read(file: &MetaflowFile) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = std::fs::metadata(&file.file.path).ok()?.mode() & 0o777;
    let next = crate::printer::pasteable("chmod 600", &file.file.path);
    let next = next.unwrap_or("take that right away".to_owned());
    (mode & 0o077 != 0).then(|| format!("other users can read that file (mode {mode:o}): {next}"))
}

#[cfg(windows)]
fn others_can_read(_file: &MetaflowFile) -> Option<String> {
    None
}

/// Every member of keyfob's, in the order in which they go in.
const ALL: [&str; 6] = [PROVIDER, AWS, REGION, PROGRAM, SERVICE, SETUP];

/// The text with these members, and without the ones of an earlier run that are not among them.
fn written(file: &MetaflowFile, members: &[(&str, String)]) -> Result<Vec<u8>, Wrong> {
    let (mut object, behind) = match &file.object {
        Some(object) => (Object::read(object.text())?, Vec::new()),
        None => (Object::read(b"{\n}")?, file.file.content.clone().unwrap_or(b"\n".to_vec())),
    };
    for name in ours(file) {
        if !members.iter().any(|(other, _)| *other == name) {
            object = object.without(name)?;
        }
    }
    for (name, value) in members {
        object = object.set(name, value)?;
    }
    Ok([object.text(), &behind].concat())
}

/// The members that this command wrote.
fn ours(file: &MetaflowFile) -> Vec<&'static str> {
    let is_own = |name: &&str| match *name {
        PROVIDER => file.plain(PROVIDER).is_some_and(|provider| provider == OWN),
        SERVICE => file.remembers("service"),
        // The import's, until that is undone.
        PROGRAM if file.remembers(IMPORT) => false,
        SETUP if file.remembers(IMPORT) => file.words() != of_import(file),
        name => file.object.as_ref().is_some_and(|object| object.has(name)),
    };
    ALL.into_iter().filter(is_own).collect()
}

/// What only the import remembers.
fn of_import(file: &MetaflowFile) -> Vec<String> {
    file.words().into_iter().filter(|word| [IMPORT, MOVED].contains(&word.as_str())).collect()
}

/// Takes out what this command wrote into one file, if anything.
pub fn remove_all(path: &std::path::Path, world: &mut World) -> Result<(), Refusal> {
    let file = MetaflowFile::read(path)?;
    if ours(&file).is_empty() { Ok(()) } else { remove(&file, world).map(drop) }
}

fn remove(file: &MetaflowFile, world: &mut World) -> Outcome {
    let path = &file.file.path;
    let ours = ours(file);
    let Some(object) = file.object.as_ref().filter(|_| !ours.is_empty()) else {
        return report(path, false, "has no members of keyfob's", &[], world);
    };
    let mut rest = Object::read(object.text()).map_err(|wrong| refuse_edit(file, &wrong))?;
    for name in ours {
        rest = match name {
            SETUP if file.remembers(IMPORT) => metaflow_file::remembering(&rest, &of_import(file)),
            name => rest.without(name),
        }
        .map_err(|wrong| refuse_edit(file, &wrong))?;
    }
    let is_empty = rest.names().next().is_none();
    match is_empty {
        true if file.remembers("file") => file.file.remove(),
        true if file.remembers("empty") => file.file.replace(&rest.around()),
        _ => file.file.replace(rest.text()),
    }
    .map_err(|error| refuse_write(path, &error))?;
    let left = rest.has(SERVICE).then(|| {
        format!("{SERVICE} stays, whose key is in the keychain: `keyfob import --undo` puts the key back")
    });
    let notes: Vec<String> = left.into_iter().collect();
    report(
        path,
        true,
        if notes.is_empty() { "is as it was before" } else { "has what this command wrote no more" },
        &notes,
        world,
    )
}

fn refuse_edit(file: &MetaflowFile, wrong: &Wrong) -> Refusal {
    Refusal::new(Code::BadRequest, format!("`{}` {wrong}", file.shown()))
}
