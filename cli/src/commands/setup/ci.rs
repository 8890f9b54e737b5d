//! `keyfob setup github-actions|circleci`: the workflow of a job that has an identity of its own, for its repository.

mod circleci;
mod github_actions;

use clap::Args;
use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply};

use super::super::{DONE, Outcome, WRONG_USE};
use super::refuse_broken_configuration;
use crate::reach::unexpected;
use crate::world::World;

/// Where the configuration of a job stands in its repository, from its root.
const CONFIG: &str = "ci/keyfob.toml";

/// What both have.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
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
    fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::CircleCi => "circleci",
        }
    }

    /// Where such a workflow stands in a repository.
    fn file(self) -> &'static str {
        match self {
            Self::GithubActions => ".github/workflows/keyfob.yml",
            Self::CircleCi => ".circleci/config.yml",
        }
    }
}

/// What a workflow says of the configuration.
struct Job {
    /// The machine entry, by its bare name.
    machine: String,
    /// One AWS role whose keys the command gets, by its full name.
    role: Option<String>,
}

pub fn run(system: System, options: &Options, world: &mut World) -> Outcome {
    let name = system.name();
    if !options.print {
        let say = format!("setup {name} only prints: a workflow belongs to its repository");
        let hint = format!("keyfob setup {name} --print > {}", system.file());
        world.printer.refuse(&Refusal::new(Code::BadRequest, say).hint(hint));
        return Ok(WRONG_USE);
    }
    let Reply::Status(status) = world.reach.ask_control(ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_broken_configuration(&status)?;
    let job = job(&status)?;
    let workflow = match system {
        System::GithubActions => github_actions::workflow(&job),
        System::CircleCi => circleci::workflow(&job),
    };
    world.printer.result(&workflow);
    world.printer.note(&format!("the job reads {CONFIG} of its repository: keep there what it needs"));
    Ok(DONE)
}

/// The first machine entry, and the first role that is obtained with it.
fn job(status: &Status) -> Result<Job, Refusal> {
    let of_kind = |kind: &'static str| status.entries.iter().filter(move |entry| entry.kind == kind);
    let machine = of_kind("machine").next().ok_or_else(|| {
        Refusal::new(Code::UnknownEntry, "the configuration has no `machine` entry")
            .hint(format!("add [machine.ci] to {}", status.config.path))
    })?;
    let is_behind = |entry: &&EntryReport| {
        let mut through = entry.through.as_ref();
        // A chain is no longer than there are entries.
        for _ in 0..status.entries.len() {
            let Some(name) = through else { return false };
            if *name == machine.name {
                return true;
            }
            through =
                status.entries.iter().find(|other| other.name == *name).and_then(|it| it.through.as_ref());
        }
        false
    };
    let role = of_kind("aws").find(is_behind).map(|entry| entry.name.clone());
    let bare = machine.name.strip_prefix("machine.").unwrap_or(&machine.name);
    Ok(Job { machine: bare.to_owned(), role })
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
}
