//! `keyfob setup bazel|aws`: writes a tool's own configuration, between two marks; `setup metaflow`: members of its JSON; `setup github-actions|circleci` prints a workflow.

mod aws;
mod bazel;
mod ci;
mod look;
mod metaflow;

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply};
use serde::Serialize;

pub use self::look::look;
use super::{DONE, Outcome};
use crate::block::{self, Broken};
use crate::dotfile::Dotfile;
use crate::reach::unexpected;
use crate::world::World;

/// Point tools at keyfob.
///
/// Writes the tool's own configuration, from the entries of the keyfob configuration: a few lines between two marks, or members of
/// its JSON (`setup metaflow`). Everything else in the file stays as it is. Run it again after an edit of the configuration; a second run changes
/// nothing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let Bazel ask keyfob for credentials.
    ///
    /// Writes one --credential_helper line for each host of the configuration into ~/.bazelrc, so that remote caches,
    /// remote execution, build events and downloads from these hosts are authenticated. Other hosts are not touched. Bazel
    /// takes only host names with a dot.
    #[command(after_long_help = "\
EXAMPLES
  keyfob setup bazel
  keyfob setup bazel --file .bazelrc
  keyfob setup bazel --remove

EXIT CODES
  0 done, 1 refused, 2 wrong use, 4 agent not reachable")]
    Bazel(Options),
    /// Make an AWS profile for each AWS entry.
    ///
    /// Writes one [profile NAME] for each [aws.NAME] and each [outscale.NAME] of the configuration into ~/.aws/config, so that
    /// `aws s3 ls --profile dev` works. The profile of an [outscale.*] entry has OUTSCALE's addresses (endpoint_url, and
    /// [services] for EC2, ELB, IAM, S3 and Direct Connect), so that its keys are never sent to AWS: that needs an AWS CLI
    /// from 2.13, boto3 from 1.28.
    ///
    /// Profiles of the same name outside of the marks, in ~/.aws/config or in ~/.aws/credentials, would win over ours: then
    /// nothing is written, and they are named. ~/.aws/credentials is never written.
    #[command(after_long_help = "\
EXAMPLES
  keyfob setup aws
  keyfob setup aws --print
  keyfob setup aws --remove

EXIT CODES
  0 done, 1 refused, 2 wrong use, 4 agent not reachable")]
    Aws(Options),
    /// Let Metaflow ask keyfob for AWS credentials and for its service key.
    ///
    /// Writes a few members into ~/.metaflowconfig/config.json (METAFLOW_HOME and METAFLOW_PROFILE are honoured): which
    /// entry gives the credentials, its region, and where keyfob is. Every other byte stays as it is. The entry is a role,
    /// [aws.NAME], or a deployment, [outerbounds.NAME], whose service key and role are asked for then. A key that is in the
    /// file in plain text stays there until `keyfob import`.
    ///
    /// Where the file names an entry already, that one is kept unless you name another. Of several roles that are obtained with a
    /// deployment you name one: the deployment comes with it.
    ///
    /// Metaflow needs a package, too: metaflow-keyfob, and metaflow-keyfob-outerbounds where Outerbounds' own is installed. Both are in
    /// integrations/ of keyfob's repository.
    #[command(after_long_help = "\
EXAMPLES
  keyfob setup metaflow
  keyfob setup metaflow aws.dev
  keyfob setup metaflow prod --print
  METAFLOW_PROFILE=test keyfob setup metaflow aws.test
  keyfob setup metaflow --remove

EXIT CODES
  0 done, 1 refused, 2 wrong use, 4 agent not reachable")]
    Metaflow(metaflow::Options),
    /// Print a workflow of GitHub Actions that needs no stored secret.
    ///
    /// Writes to standard output a workflow whose job gets its own identity (`id-token: write`) and runs a command below
    /// `keyfob run`, from [machine.*] and [aws.*] of the configuration. It only prints: a workflow belongs to its
    /// repository, where its own review is. Nothing is downloaded in it: keyfob is to be on the runner's PATH. What is to be
    /// replaced is marked as a placeholder.
    #[command(after_long_help = "\
EXAMPLES
  keyfob setup github-actions --print
  keyfob setup github-actions ci --print
  mkdir -p .github/workflows &&
    keyfob setup github-actions --print > .github/workflows/keyfob.yml

EXIT CODES
  0 printed, 1 refused, 2 wrong use (without --print, too), 4 agent not reachable")]
    GithubActions(ci::Options),
    /// Print a workflow of CircleCI that needs no stored secret.
    ///
    /// Writes to standard output a configuration of CircleCI whose job runs a command below `keyfob run` with the ID token that
    /// it has by itself, from [machine.*] and [aws.*] of the configuration. It only prints: a workflow belongs to its
    /// repository, where its own review is, and CircleCI has one file for all of them: put the parts in there by hand. What is
    /// to be replaced is marked as a placeholder.
    #[command(
        name = "circleci",
        after_long_help = "\
EXAMPLES
  keyfob setup circleci --print
  keyfob setup circleci ci --print

EXIT CODES
  0 printed, 1 refused, 2 wrong use (without --print, too), 4 agent not reachable"
    )]
    CircleCi(ci::Options),
}

/// What all tools have in common.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Write the lines to standard output and change no file.
    #[arg(long, conflicts_with = "remove")]
    print: bool,
    /// Take the lines out again; the file is as it was before.
    #[arg(long)]
    remove: bool,
    /// Edit this file instead of the tool's usual one.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// What a tool's configuration needs from us.
#[derive(Debug)]
struct Lines {
    /// The lines of the block, each with its line end.
    text: String,
    /// What they do, as the end of a sentence: `3 hosts ask keyfob`.
    summary: String,
    /// What a person should know.
    warnings: Vec<String>,
}

pub fn run(command: &Command, world: &mut World) -> Outcome {
    match command {
        Command::Bazel(options) => {
            let path = options.file.clone().map_or_else(|| bazel::default_file(world), Ok)?;
            if options.remove {
                remove(&path, world)
            } else {
                write(options, &path, BAZEL, bazel::lines, world)
            }
        }
        Command::Aws(options) => {
            let path = options.file.clone().map_or_else(|| aws::default_file(world), Ok)?;
            if options.remove { remove(&path, world) } else { write(options, &path, AWS, aws::lines, world) }
        }
        Command::Metaflow(options) => metaflow::run(options, world),
        Command::GithubActions(options) => ci::run(ci::System::GithubActions, options, world),
        Command::CircleCi(options) => ci::run(ci::System::CircleCi, options, world),
    }
}

/// Takes out what every setup wrote into its usual file.
///
/// # Errors
/// As for each of them.
pub fn remove_all(world: &mut World) -> Result<(), Refusal> {
    for path in [bazel::default_file(world)?, aws::default_file(world)?] {
        let file = read(&path)?;
        if !block::line_numbers(file.content.as_deref().unwrap_or_default()).is_ok_and(|ours| ours.is_empty())
        {
            remove(&path, world)?;
        }
    }
    crate::metaflow_file::all(world)?.iter().try_for_each(|path| metaflow::remove_all(path, world))
}

const BAZEL: &str = "keyfob setup bazel";
const AWS: &str = "keyfob setup aws";

/// Makes the lines of a block from the entries and from what the file holds beside it.
type MakeLines = fn(&Status, &Place<'_>, &World) -> Result<Lines, Refusal>;

/// Where the lines go.
struct Place<'a> {
    /// The tool's file.
    path: &'a Path,
    /// What it holds outside of our marks.
    beside: &'a str,
    /// Which of its lines are ours, from 1; empty where none are.
    ours: Range<usize>,
    /// Whether the lines are only shown.
    print: bool,
}

impl Place<'_> {
    /// The lines beside ours, each by where it is for a person: `line 4 of `FILE``.
    fn lines_beside(&self) -> impl Iterator<Item = (String, &str)> {
        self.beside.lines().enumerate().map(|(index, line)| {
            let number = index + 1;
            let number = if number < self.ours.start { number } else { number + self.ours.len() };
            (format!("line {number} of `{}`", self.path.display()), line)
        })
    }
}

/// A configuration that never loaded has no entries either, but that is not what is wrong with it.
///
/// # Errors
/// [`Code::ConfigBroken`] with the first error.
pub fn refuse_broken_configuration(status: &Status) -> Result<(), Refusal> {
    match status.config.errors.first() {
        Some(error) if status.entries.is_empty() => Err(Refusal::new(
            Code::ConfigBroken,
            format!("the configuration `{}` does not load: {error}", status.config.path),
        )
        .hint("keyfob config check")),
        _ => Ok(()),
    }
}

/// The entries that this one is obtained through, the nearest first.
fn behind<'a>(all: &'a [EntryReport], entry: &'a EntryReport) -> impl Iterator<Item = &'a EntryReport> {
    let next = |entry: &&'a EntryReport| {
        let name = entry.through.as_ref()?;
        all.iter().find(|other| other.name == *name)
    };
    // A chain is no longer than there are entries.
    std::iter::successors(next(&entry), next).take(all.len())
}

fn remove_command(command: &str, options: &Options) -> String {
    match &options.file {
        Some(file) => format!("{command} --remove --file {}", file.display()),
        None => format!("{command} --remove"),
    }
}

fn write(options: &Options, path: &Path, command: &str, make: MakeLines, world: &mut World) -> Outcome {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_broken_configuration(&status)?;
    let file = read(path)?;
    let current = file.content.as_deref();
    let beside = block::outside(current.unwrap_or_default()).map_err(|broken| refuse_marks(path, &broken))?;
    let ours =
        block::line_numbers(current.unwrap_or_default()).map_err(|broken| refuse_marks(path, &broken))?;
    let place = Place { path: &file.path, beside: &beside, ours: ours.clone(), print: options.print };
    let mut lines = make(&status, &place, world).map_err(|refusal| {
        let is_empty = matches!(refusal.code, Code::UnknownHost | Code::UnknownEntry);
        if is_empty && !ours.is_empty() { refusal.hint(remove_command(command, options)) } else { refusal }
    })?;
    if status.agent.own_profile {
        lines
            .warnings
            .push("the tool must run with the same KEYFOB_ variables and HOME as this command".to_owned());
    }
    if options.print {
        world.printer.result(&lines.text);
        lines.warnings.iter().for_each(|warning| world.printer.note(warning));
        return Ok(DONE);
    }
    let content = block::put(current, command, &lines.text).map_err(|broken| refuse_marks(path, &broken))?;
    let changed = current != Some(&content);
    if changed {
        file.replace(&content).map_err(|error| refuse_write(&file.path, &error))?;
    }
    let verb = if changed { "is written" } else { "was up to date" };
    report(&file.path, changed, &format!("{verb}: {}", lines.summary), &lines.warnings, world)
}

fn remove(path: &Path, world: &mut World) -> Outcome {
    let file = read(path)?;
    let content = file.content.as_deref().unwrap_or_default();
    let rest = block::take_out(content).map_err(|broken| refuse_marks(path, &broken))?;
    match &rest {
        None => return report(&file.path, false, "has no lines of keyfob's", &[], world),
        Some(rest) if rest.is_no_file => file.remove(),
        Some(rest) => file.replace(&rest.bytes),
    }
    .map_err(|error| refuse_write(&file.path, &error))?;
    report(&file.path, true, "is as it was before", &[], world)
}

/// For programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: String,
    changed: bool,
    warnings: &'a [String],
}

fn report(path: &Path, changed: bool, what: &str, warnings: &[String], world: &mut World) -> Outcome {
    if world.json {
        world.printer.json(&Report { file: path.display().to_string(), changed, warnings });
    } else {
        world.printer.say(&format!("`{}` {what}", path.display()));
        warnings.iter().for_each(|warning| world.printer.note(warning));
    }
    Ok(DONE)
}

fn read(path: &Path) -> Result<Dotfile, Refusal> {
    Dotfile::read(path).map_err(|error| {
        Refusal::new(Code::PlaceUnsafe, format!("`{}` cannot be read ({error})", path.display()))
    })
}

fn refuse_write(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::PlaceUnsafe, format!("`{}` cannot be written ({error})", path.display()))
        .hint("add the lines yourself, --print shows them")
}

fn refuse_marks(path: &Path, broken: &Broken) -> Refusal {
    Refusal::new(Code::BadRequest, format!("in `{}`, {broken}", path.display()))
        .hint("remove both marks and the lines between them")
}

/// The program that keyfob is, or one beside it.
fn program(world: &World, name: Option<&str>) -> Result<PathBuf, Refusal> {
    let own = world
        .program
        .clone()
        .ok_or_else(|| Refusal::new(Code::Internal, "this program cannot find its own file"))?;
    Ok(match name {
        Some(name) => own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)),
        None => own,
    })
}

/// Where keyfob is, for configuration files.
///
/// # Errors
/// Nobody knows, or it is no Unicode text.
pub fn own_path(world: &World) -> Result<String, Refusal> {
    plain_path(&program(world, None)?)
}

/// A path as configuration files want it: forward slashes on Windows too.
fn plain_path(path: &Path) -> Result<String, Refusal> {
    let text = path.to_str().ok_or_else(|| {
        Refusal::new(Code::PlaceUnsafe, format!("the path `{}` is no Unicode text", path.display()))
            .hint("install keyfob in another folder")
    })?;
    // What canonical paths begin with on Windows is understood by no tool.
    let text = text.strip_prefix(r"\\?\").unwrap_or(text);
    Ok(if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() })
}
