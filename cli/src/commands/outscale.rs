//! `keyfob outscale bootstrap`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::BootstrapStep;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};
use serde::Serialize;

use super::token::pair::{self, Pair};
use super::{DONE, Outcome, ask_service, of_kind};
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Make the user of an OUTSCALE entry.
///
/// An [outscale.*] entry makes access keys for one user, each with an end. This makes that user, with the rights that it needs
/// and no others, and keeps its first key.
#[derive(Debug, Subcommand)]
pub enum Command {
    Bootstrap(Bootstrap),
}

/// Make the group, policy, user and first key of an OUTSCALE entry.
///
/// Asks for the access key of somebody who may manage users, shows what there is to do, and does it once you type `yes`. That
/// key is used for this alone and kept nowhere; where standard input is no terminal it is read from there, as
/// ACCESS:SECRET, in two lines, or as JSON. What is there already stays as it is: a second run changes nothing, and one
/// that broke goes on where it was.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob outscale bootstrap monitoring --actions 'ec2:Describe*,api:Read*'
  keyfob outscale bootstrap monitoring --actions 'api:Read*' --dry-run
  pass show osc-admin | keyfob outscale bootstrap monitoring --actions 'api:Read*' --yes

EXIT CODES
  0 done, or nothing to do; 1 refused or not agreed to, 2 wrong use,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Bootstrap {
    /// The entry: `outscale.monitoring` or `monitoring`.
    name: String,
    /// What the user may do, beside renewing its own keys: `ec2:Describe*`, parted by commas.
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',', required = true)]
    actions: Vec<String>,
    /// Show what there is to do, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

/// For programs.
#[derive(Debug, Serialize)]
struct Bootstrapped<'a> {
    steps: &'a [BootstrapStep],
    done: bool,
}

const OUTSCALE: &str = "OUTSCALE";

pub fn run(command: Command, world: &mut World) -> Outcome {
    let Command::Bootstrap(options) = command;
    let again = format!("keyfob outscale bootstrap {}", text::escape(&options.name));
    let key = pair::take("of an administrator", &again, world)?;
    let plan = steps(&options, &key, None, world)?;
    let is_done = plan.iter().all(|step| step.is_done);
    if !world.json {
        world.printer.result(&shown(&plan));
    }
    if is_done || options.dry_run {
        return Ok(report(&plan, is_done, world));
    }
    if !options.yes && !agreed(world)? {
        let refusal = Refusal::new(Code::CalledOff, "nothing was done");
        return Err(if asks(world) { refusal } else { refusal.hint(format!("{again} --yes")) });
    }
    let done = steps(&options, &key, Some(plan), world)?;
    Ok(report(&done, true, world))
}

fn steps(
    options: &Bootstrap,
    key: &Pair,
    accept: Option<Vec<BootstrapStep>>,
    world: &mut World,
) -> Result<Vec<BootstrapStep>, Refusal> {
    let ask = ControlAsk::OutscaleBootstrap {
        name: of_kind("outscale", &options.name),
        actions: options.actions.iter().map(|action| action.trim().to_owned()).collect(),
        access_key: key.access_key.clone(),
        secret_key: key.secret_key.clone(),
        accept,
    };
    match ask_service(ask, OUTSCALE, world)? {
        Reply::Bootstrap(steps) => Ok(steps),
        _ => Err(unexpected()),
    }
}

fn report(steps: &[BootstrapStep], done: bool, world: &mut World) -> u8 {
    if world.json {
        world.printer.json(&Bootstrapped { steps, done });
    } else if done {
        world.printer.say("everything is there, and the key is kept");
    }
    DONE
}

/// Each step in a line, what is there already marked so.
fn shown(plan: &[BootstrapStep]) -> String {
    plan.iter().fold(String::new(), |mut lines, step| {
        let mark = if step.is_done { "there already: " } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "  {mark}{}", text::escape(&step.say));
        if let Some(document) = step.document.as_ref().filter(|_| !step.is_done) {
            let _ = writeln!(lines, "    {}", text::escape(document));
        }
        lines
    })
}

fn asks(world: &World) -> bool {
    world.input.is_terminal && !world.json
}

fn agreed(world: &World) -> Result<bool, Refusal> {
    Ok(asks(world) && prompt::shown("Type `yes` to do that: ")? == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_there_and_escapes_what_it_shows() {
        let step = |say: &str, is_done| BootstrapStep {
            what: "group".to_owned(),
            say: say.to_owned(),
            document: Some("{\u{1b}}".to_owned()),
            is_done,
        };
        let plan = [step("create the group x", true), step("create the policy \u{202e}", false)];
        assert_eq!(
            shown(&plan),
            "  there already: create the group x\n  create the policy \\u{202e}\n    {\\u{1b}}\n"
        );
    }
}
