//! `keyfob import`: moves credentials in plain text into the keychain, and back.
//!
//! A value is given up in one place only after it was had back from the other, so that a crash at any moment leaves it in
//! one of them or in both; the same command finishes what was begun.

mod configuration;
mod exposed;
mod plan;
mod turn;
mod undo;

use std::collections::BTreeMap;

use clap::Args;
use keyfob_ipc::reply::Status;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, ToolAsk, text};
use serde::Serialize;

use self::plan::{Aim, Target};
use super::{Outcome, ask_service, setup};
use crate::json_file::{Object, Wrong};
use crate::metaflow_file::{self, BOTH, HEADER, IMPORT, KEY, MOVED, MetaflowFile, PROGRAM, SERVICE};
use crate::printer::sentence;
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Move credentials in plain text into the keychain.
///
/// Looks for the service key of Metaflow and of Outerbounds (METAFLOW_SERVICE_AUTH_KEY in ~/.metaflowconfig/config*.json, or in
/// METAFLOW_HOME), shows where each one would go, and asks once. A key goes into an entry of the configuration: the one that
/// fits, or a new one, whose lines are shown and appended to config.toml. Once the agent has kept the key and given it back, the
/// member in the file is replaced by METAFLOW_KEYFOB_SERVICE, which names the entry, and where this program is stands at the end
/// (METAFLOW_KEYFOB_PROGRAM); nothing else in the file changes. Flows find the key there with the package metaflow-keyfob.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob import --check
  keyfob import
  keyfob import --undo

EXIT CODES
  0 moved, or nothing is in plain text, 1 refused, or something was left,
  2 wrong use, 4 agent not reachable, 5 waiting for an unlock or an approval,
  6 found (--check)")]
pub struct Options {
    /// Only name what is in plain text; nothing changes, and the exit code tells.
    #[arg(long, conflicts_with_all = ["undo", "yes"])]
    check: bool,
    /// Put the keys back into their files, which nobody else can read then, and forget them here.
    #[arg(long)]
    undo: bool,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

/// The exit code of `--check`, where something is in plain text.
const FOUND: u8 = 6;

/// What was done, for programs.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// What is in plain text now.
    found: Vec<Find>,
    /// What was moved.
    moved: Vec<Move>,
    /// What could not be looked at or moved.
    left: Vec<Left>,
    /// Lines that the configuration has got.
    appended: String,
    /// Lines that the configuration has got no more, by entry.
    #[serde(skip)]
    taken_back: BTreeMap<String, String>,
    /// The exit code of the first thing that was left.
    #[serde(skip)]
    exit: u8,
}

#[derive(Debug, Serialize)]
struct Find {
    /// Absent for a variable of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    name: &'static str,
}

#[derive(Debug, Serialize)]
struct Move {
    file: String,
    entry: String,
}

#[derive(Debug, Serialize)]
struct Left {
    file: String,
    say: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

impl Report {
    fn leave(&mut self, file: &str, refusal: Refusal) {
        if self.left.is_empty() {
            self.exit = refusal.code.exit();
        }
        self.left.push(Left { file: file.to_owned(), say: refusal.say, hint: refusal.hint });
    }

    fn finish(self, world: &mut World) -> Outcome {
        for left in &self.left {
            world.printer.note(&sentence(&left.say, &left.hint));
        }
        if world.json {
            world.printer.json(&self);
        }
        Ok(self.exit)
    }
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let mut report = Report::default();
    if options.check {
        return check(&files(&mut report, world)?, report, world);
    }
    // To the end of this run.
    let _turn = turn::take(world)?;
    let files = files(&mut report, world)?;
    // A command that was killed while it put keys back may have left one there.
    for path in metaflow_file::left_over(world)? {
        if let Err(error) = std::fs::remove_file(&path) {
            let shown = text::escape(&path.display().to_string());
            let say = format!("`{shown}`, which a command left that was killed, cannot be removed ({error})");
            report.leave(&shown, Refusal::new(Code::PlaceUnsafe, say));
        }
    }
    if options.undo { undo::run(&files, report, world) } else { import(options, files, report, world) }
}

/// All that can be looked at.
fn files(report: &mut Report, world: &World) -> Result<Vec<MetaflowFile>, Refusal> {
    let mut files = Vec::new();
    for path in metaflow_file::all(world)? {
        match MetaflowFile::read(&path) {
            Ok(file) => files.push(file),
            Err(refusal) => report.leave(&text::escape(&path.display().to_string()), refusal),
        }
    }
    Ok(files)
}

fn check(files: &[MetaflowFile], mut report: Report, world: &mut World) -> Outcome {
    let in_files = files.iter().filter(|file| file.has_key()).map(|file| Some(file.shown()));
    let set = world.environment.metaflow.contains(&KEY).then_some(None);
    report.found = in_files.chain(set).map(|file| Find { file, name: KEY }).collect();
    if !world.json {
        for find in &report.found {
            let say = match &find.file {
                Some(file) => format!("`{file}` has {KEY} in plain text"),
                None => format!("{KEY} is set in the environment, in plain text: unset it where it is set"),
            };
            world.printer.say(&say);
        }
        say_nothing_found(&report, world);
    }
    let is_found = !report.found.is_empty();
    report.finish(world).map(|exit| if is_found { FOUND } else { exit })
}

fn say_nothing_found(report: &Report, world: &mut World) {
    if report.found.is_empty() && report.left.is_empty() {
        world.printer.say("nothing that keyfob knows is in plain text");
    }
}

fn import(options: &Options, mut files: Vec<MetaflowFile>, mut report: Report, world: &mut World) -> Outcome {
    if world.environment.metaflow.contains(&KEY) {
        world.printer.note(&format!("{KEY} is set, which Metaflow takes before its files: unset {KEY}"));
    }
    files.retain(MetaflowFile::has_key);
    if files.is_empty() {
        if !world.json {
            say_nothing_found(&report, world);
        }
        return report.finish(world);
    }
    let status = status(world)?;
    refuse_memory(&status, world)?;
    let aims = plan::aims(&files, &status);
    if !world.json {
        world.printer.result(&plan::shown(&files, &aims, &status.config.path));
    }
    if aims.iter().any(Result::is_ok) && !options.yes && !agreed(world)? {
        let refusal = Refusal::new(Code::CalledOff, "nothing was moved");
        return Err(if asks(world) { refusal } else { refusal.hint("keyfob import --yes") });
    }
    for (file, aim) in files.iter().zip(aims) {
        let moved = aim.and_then(|mut aim| {
            aim.make_again(&mut report.taken_back);
            move_in(file, &aim, &mut report, world).map(|exposed| (aim.entry, exposed))
        });
        match moved {
            Ok((entry, exposed)) => {
                if !world.json {
                    world.printer.say(&format!("`{}` has no key any more: {entry} has it", file.shown()));
                }
                if let Some(why) = exposed {
                    let say = format!("the key of `{}` may be known to others ({why})", file.shown());
                    world.printer.note(&format!("{say}: make a new one where that one is from"));
                }
                report.moved.push(Move { file: file.shown(), entry });
            }
            Err(refusal) => report.leave(&file.shown(), refusal),
        }
    }
    if !report.moved.is_empty() && !world.json {
        world
            .printer
            .note("flows find it with the package metaflow-keyfob, in integrations/ of keyfob's repository");
    }
    if !report.moved.is_empty() && status.agent.own_profile {
        world.printer.note(metaflow_file::OWN_PROFILE);
    }
    if let Some(deployment) = report.moved.iter().find(|moved| moved.entry.starts_with("outerbounds.")) {
        let entry = &deployment.entry;
        world
            .printer
            .note(&format!("the command `outerbounds` finds it so: keyfob exec {entry} -- outerbounds …"));
    }
    report.finish(world)
}

fn asks(world: &World) -> bool {
    world.input.is_terminal && !world.json
}

fn agreed(world: &World) -> Result<bool, Refusal> {
    Ok(asks(world) && matches!(prompt::shown("Move them? [y/N] ")?.as_str(), "y" | "Y" | "yes"))
}

/// The agent's, where it can keep something.
fn status(world: &World) -> Result<Box<Status>, Refusal> {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    if let Some(error) = status.config.errors.first() {
        let say = format!("the configuration `{}` does not load: {error}", status.config.path);
        return Err(Refusal::new(Code::ConfigBroken, say).hint("keyfob config check"));
    }
    match &status.keychain.refusal {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(status),
    }
}

/// Where a key must outlive the agent.
fn refuse_memory(status: &Status, world: &World) -> Result<(), Refusal> {
    if world.environment.job {
        let say = "below `keyfob run` keys are in memory alone, and one that is moved there would be gone with the job";
        return Err(Refusal::new(Code::KeychainMissing, say).hint("keyfob import, outside of the job"));
    }
    if status.keychain.kind != "memory" {
        return Ok(());
    }
    let say = "the keychain is in memory, and a key that is moved there would be gone with the agent";
    let path = text::escape(&status.config.path);
    let hint = format!(
        "write `keychain = \"system\"` or \"file\" under [agent] of {path}, then keyfob agent restart"
    );
    Err(Refusal::new(Code::KeychainMissing, say).hint(hint))
}

/// Moves one key. Until the last step the file is as it was. Returns how others may have got the key before.
fn move_in(
    file: &MetaflowFile,
    aim: &Aim,
    report: &mut Report,
    world: &mut World,
) -> Result<Option<String>, Refusal> {
    let key = key(file)?;
    let Target::New(lines) = &aim.target else {
        let is_added = give(file, aim, &key, world)?;
        return prove_and_replace(file, aim, &key, is_added, world);
    };
    let appended = configuration::append(lines, &aim.entry, world)?;
    let is_added = give(file, aim, &key, world).map_err(|refusal| {
        // Nobody knows then what the agent has done.
        if refusal.code != Code::AgentUnreachable && appended.take_back() {
            report.taken_back.insert(aim.entry.clone(), lines.clone());
            return refusal;
        }
        report.appended.push_str(lines);
        appended.named(refusal)
    })?;
    report.appended.push_str(lines);
    prove_and_replace(file, aim, &key, is_added, world).map_err(|refusal| appended.named(refusal))
}

/// Has the entry keep the key. Whether it did not have it before.
fn give(file: &MetaflowFile, aim: &Aim, key: &Secret<String>, world: &mut World) -> Result<bool, Refusal> {
    match held(&aim.uri, world)? {
        Some(other) if other == *key => Ok(false),
        Some(_) => {
            let say = format!(
                "`{}` is left: for `{}` another key is held already, and which of the two is the newer one is not known here",
                file.shown(),
                aim.uri
            );
            // The one that is held then is that of the file.
            let hint =
                format!("keyfob token add {}, with the key of the file, then keyfob import", aim.entry);
            Err(Refusal::new(Code::BadRequest, say).hint(hint))
        }
        None => {
            let value = aim.value(file, key);
            let ask = ControlAsk::TokenAdd { name: aim.entry.clone(), value, ends: None };
            match ask_service(ask, "the token service", world)? {
                Reply::Token(_) => Ok(true),
                _ => Err(unexpected()),
            }
        }
    }
}

fn prove_and_replace(
    file: &MetaflowFile,
    aim: &Aim,
    key: &Secret<String>,
    is_added: bool,
    world: &World,
) -> Result<Option<String>, Refusal> {
    if held(&aim.uri, world)?.as_ref() != Some(key) {
        let say = format!("`{}` is left: `{}` does not give its key back", file.shown(), aim.entry);
        return Err(Refusal::new(Code::Internal, say).hint(format!("keyfob why {}", aim.uri)));
    }
    // A person may have taken their time.
    let file = MetaflowFile::read(&file.file.path)?;
    if self::key(&file)? != *key || file.file.has_other_names() {
        let say = format!("`{}` has changed meanwhile, and is left", file.shown());
        return Err(Refusal::new(Code::BadRequest, say).hint("keyfob import"));
    }
    let is_moved = is_added || is_moved_by_another(&aim.entry, world)?;
    let Some(object) = &file.object else { return Err(unexpected()) };
    // Where this program cannot name itself, flows look for it on the PATH.
    let program = setup::own_path(world).ok();
    let other = without_key(object, &aim.entry)
        .and_then(|other| with_program(&file, &other, program.as_deref(), is_moved))
        .map_err(|wrong| Refusal::new(Code::BadRequest, format!("`{}` {wrong}", file.shown())))?;
    // The key is about to leave the file: whoever else writes the configuration may have done so since it was given.
    let status = status(world)?;
    refuse_memory(&status, world)?;
    if !status.entries.iter().any(|entry| entry.name == aim.entry) {
        let say = format!("`{}` is left: the configuration has no {} any more", file.shown(), aim.entry);
        return Err(Refusal::new(Code::UnknownEntry, say).hint("keyfob import"));
    }
    let exposed = exposed::why(&file.file.path);
    file.file.replace_private(other.text()).map_err(|error| refuse_write(&file, &error))?;
    Ok(exposed)
}

/// Whether the entry has its key from an import of another file: then it may go when none of them needs it.
fn is_moved_by_another(entry: &str, world: &World) -> Result<bool, Refusal> {
    let is_one =
        |file: MetaflowFile| file.remembers(MOVED) && file.plain(SERVICE).is_some_and(|name| name == entry);
    Ok(metaflow_file::all(world)?.iter().any(|path| MetaflowFile::read(path).is_ok_and(is_one)))
}

/// The entry stands where the key did. One that was there before was of an earlier import, or of `setup metaflow`, and is no
/// more: then it counts as imported.
fn without_key(object: &Object, entry: &str) -> Result<Object, Wrong> {
    if !object.has(SERVICE) {
        return object.put_in_place(KEY, SERVICE, entry);
    }
    object.without(KEY)?.set(SERVICE, entry)
}

/// Flows ask for the key from here on, wherever they are started. What says so must outlive `setup metaflow --remove`.
fn with_program(
    file: &MetaflowFile,
    object: &Object,
    program: Option<&str>,
    is_moved: bool,
) -> Result<Object, Wrong> {
    let mut words = file.words();
    words.retain(|word| word != "service");
    let is_again = file.remembers(IMPORT);
    let program = program.filter(|_| !is_again && !object.has(PROGRAM));
    if !is_again {
        words.push(IMPORT.to_owned());
        words.extend(program.is_none().then(|| BOTH.to_owned()));
    }
    if is_moved && !file.remembers(MOVED) {
        words.push(MOVED.to_owned());
    }
    match program {
        Some(program) => metaflow_file::remembering(&object.set(PROGRAM, program)?, &words),
        None => metaflow_file::remembering(object, &words),
    }
}

/// The way back.
fn without_program(file: &MetaflowFile, object: &Object) -> Result<Object, Wrong> {
    let mut words = file.words();
    words.retain(|word| ![IMPORT, BOTH, MOVED].contains(&word.as_str()));
    let object = metaflow_file::remembering(object, &words)?;
    if file.remembers(IMPORT) && !file.remembers(BOTH) { object.without(PROGRAM) } else { Ok(object) }
}

fn refuse_write(file: &MetaflowFile, error: &std::io::Error) -> Refusal {
    let say = format!("`{}` cannot be written ({error}), and is as it was", file.shown());
    Refusal::new(Code::PlaceUnsafe, say)
}

fn key(file: &MetaflowFile) -> Result<Secret<String>, Refusal> {
    let key = file.object.as_ref().and_then(|object| object.string(KEY));
    key.ok_or_else(|| Refusal::new(Code::BadRequest, format!("`{}` has no {KEY} any more", file.shown())))
}

/// The key that tools get for this address now; `None` where the entry holds none.
fn held(uri: &str, world: &World) -> Result<Option<Secret<String>>, Refusal> {
    match world.reach.ask_tool(|| ToolAsk::Get { uri: uri.to_owned() }) {
        Ok(Reply::Headers(headers)) => {
            let mut headers = headers.headers.into_iter();
            let values = headers.find(|(name, _)| name.eq_ignore_ascii_case(HEADER));
            Ok(values.and_then(|(_, values)| values.into_iter().next()))
        }
        Ok(_) => Err(unexpected()),
        Err(refusal) if refusal.code == Code::TokenNeeded => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
