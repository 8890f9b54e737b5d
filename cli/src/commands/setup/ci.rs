//! `keyfob setup github-actions|circleci`: the workflow of a job that has an identity of its own, for its repository.

mod circleci;
mod github_actions;

use clap::Args;
use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};
use serde::Serialize;

use super::super::{DONE, Outcome, WRONG_USE, of_kind};
use super::{behind, refuse_broken_configuration};
use crate::reach::unexpected;
use crate::world::World;

/// Where the configuration of a job stands in its repository, from its root.
const CONFIG: &str = "ci/keyfob.toml";

/// What both have.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// The [machine.NAME] that the job is. May be left out: then the first one that fits.
    name: Option<String>,
    /// Write the workflow to standard output; nothing else is ever written.
    #[arg(long)]
    print: bool,
}

/// Whose workflow it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    GithubActions,
    CircleCi,
}

impl System {
    /// Of the command and of the identity.
    fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::CircleCi => "circleci",
        }
    }

    /// For people.
    fn title(self) -> &'static str {
        match self {
            Self::GithubActions => "GitHub Actions",
            Self::CircleCi => "CircleCI",
        }
    }

    /// How to come by a workflow. CircleCI has one file for all workflows of a repository: there is something in it already.
    fn hint(self) -> &'static str {
        match self {
            Self::GithubActions => {
                "mkdir -p .github/workflows && keyfob setup github-actions --print > .github/workflows/keyfob.yml"
            }
            Self::CircleCi => {
                "look at `keyfob setup circleci --print`, and put its job and workflow into .circleci/config.yml by hand"
            }
        }
    }
}

/// What a workflow says of the configuration.
struct Job {
    /// The machine entry, by its bare name.
    machine: String,
    /// One AWS role whose keys the command gets, by its full name.
    role: Option<String>,
    /// The least that the configuration of the job has, in TOML.
    config: String,
}

/// For programs.
#[derive(Debug, Serialize)]
struct Printed {
    workflow: String,
}

pub fn run(system: System, options: &Options, world: &mut World) -> Outcome {
    if !options.print {
        let say = format!("setup {} only prints: a workflow belongs to its repository", system.name());
        world.printer.refuse(&Refusal::new(Code::BadRequest, say).hint(system.hint()));
        return Ok(WRONG_USE);
    }
    let Reply::Status(status) = world.reach.ask_control(ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_broken_configuration(&status)?;
    let (machine, others) = machine(&status, system, options.name.as_deref())?;
    let job = job(&status, machine);
    let workflow = match system {
        System::GithubActions => github_actions::workflow(&job),
        System::CircleCi => circleci::workflow(&job),
    };
    if world.json {
        world.printer.json(&Printed { workflow });
        return Ok(DONE);
    }
    world.printer.result(&workflow);
    world.printer.note(&format!("the job reads {CONFIG} of its repository: keep there what it needs"));
    if let [other, ..] = others.as_slice() {
        world.printer.note(&format!(
            "the job is `{}`; for another one: keyfob setup {} {other} --print",
            machine.name,
            system.name()
        ));
    }
    Ok(DONE)
}

/// The machine entry that is named, else the first that can be a job of this system; and the names of the others that can.
fn machine<'a>(
    status: &'a Status,
    system: System,
    name: Option<&str>,
) -> Result<(&'a EntryReport, Vec<&'a str>), Refusal> {
    let is_named = |entry: &&EntryReport| name.is_none_or(|name| entry.name == of_kind("machine", name));
    let machines: Vec<&EntryReport> = status.entries.iter().filter(|entry| entry.kind == "machine").collect();
    let named: Vec<&EntryReport> = machines.iter().copied().filter(is_named).collect();
    let fits = |entry: &&EntryReport| entry.facts.get("identity").is_none_or(|own| own == system.name());
    let mut fitting = named.iter().copied().filter(fits);
    if let Some(machine) = fitting.next() {
        return Ok((machine, fitting.map(|entry| entry.name.as_str()).collect()));
    }
    let path = &status.config.path;
    let (say, hint) = match (named.first(), name) {
        (Some(other), _) => (
            format!(
                "`{}` has the identity {}, so a job of {} cannot be it",
                other.name,
                other.facts.get("identity").map(|own| text::escape(own)).unwrap_or_default(),
                system.title()
            ),
            format!("add another [machine.NAME] with `identity = \"{}\"` to {path}", system.name()),
        ),
        (None, Some(name)) if !machines.is_empty() => {
            let names: Vec<&str> = machines.iter().map(|entry| entry.name.as_str()).collect();
            let name = text::escape(&of_kind("machine", name));
            (format!("there is no entry `{name}`; there is {}", names.join(", ")), "keyfob status".to_owned())
        }
        (None, _) => {
            ("the configuration has no `machine` entry".to_owned(), format!("add [machine.ci] to {path}"))
        }
    };
    Err(Refusal::new(Code::UnknownEntry, say).hint(hint))
}

/// The machine, and the first role that is obtained with it.
fn job(status: &Status, machine: &EntryReport) -> Job {
    let is_behind = |entry: &&EntryReport| {
        entry.kind == "aws" && behind(&status.entries, entry).any(|other| other.name == machine.name)
    };
    let role = status.entries.iter().find(is_behind);
    let bare = machine.name.strip_prefix("machine.").unwrap_or(&machine.name).to_owned();
    Job {
        config: config(status, machine, role, &bare),
        role: role.map(|role| role.name.clone()),
        machine: bare,
    }
}

/// The machine, the role, and what is between them.
fn config(status: &Status, machine: &EntryReport, role: Option<&EntryReport>, bare: &str) -> String {
    let mut config = table(machine, &["identity"], &[]);
    let Some(role) = role else {
        // Nothing is obtained with it yet.
        return format!(
            "{config}[aws.deploy]\nmachine = \"{bare}\"\nrole_arn = \"arn:aws:iam::123456789012:role/Deploy\"\n\
             region = \"eu-west-1\"\n"
        );
    };
    let mut chain: Vec<&EntryReport> = std::iter::once(role)
        .chain(behind(&status.entries, role).take_while(|entry| entry.name != machine.name))
        .collect();
    chain.reverse();
    for entry in chain {
        let through = entry.through.as_deref().and_then(|through| through.split_once('.'));
        let through = through.map(|(kind, name)| (if kind == "aws" { "source" } else { kind }, name));
        config.push_str(&table(entry, &["role_arn", "region"], through.as_slice()));
    }
    config
}

fn table(entry: &EntryReport, facts: &[&str], first: &[(&str, &str)]) -> String {
    let facts = facts.iter().filter_map(|name| Some((*name, entry.facts.get(*name)?.as_str())));
    let lines = first.iter().copied().chain(facts);
    let lines: String =
        lines.map(|(name, value)| format!("{name} = \"{}\"\n", text::escape(value))).collect();
    format!("[{}]\n{lines}", text::escape(&entry.name))
}

impl Job {
    /// What the job runs, behind `keyfob run`.
    fn run(&self, identity: System) -> String {
        let role = self.role.as_deref().map(|role| format!("{role} ")).unwrap_or_default();
        format!("keyfob run {role}--config {CONFIG} --identity {} -- make deploy", identity.name())
    }

    fn claims(&self, identity: System) -> String {
        format!(
            "keyfob run --config {CONFIG} --identity {} -- keyfob machine claims {}",
            identity.name(),
            self.machine
        )
    }

    /// The configuration as a comment.
    fn comment(&self) -> String {
        let lines: String = self.config.lines().map(|line| format!("#   {line}\n")).collect();
        format!("# {CONFIG} of this repository has at the least (it holds no secret):\n{lines}")
    }
}
