//! `keyfob outscale bootstrap`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::{BootstrapStep, is_eim_action};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};
use serde::Serialize;

use super::token::pair::{self, Pair};
use super::{DONE, Outcome, ask_service};
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
/// that broke goes on where it was. A run with other --actions replaces what the policy allows. The user may also manage
/// access keys and read groups and policies, which `keyfob permissions` shows. Its key ends after 365 days, or earlier where
/// the account allows no such life; run this again before that.
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
    /// What the user may do, beside what it needs for itself: `ec2:Describe*`, parted by commas. Replaces what its policy
    /// allows.
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
    let Command::Bootstrap(mut options) = command;
    options.actions.iter_mut().for_each(|action| *action = action.trim().to_owned());
    let name = checked(&options, world)?;
    let again = again(&name, &options.actions);
    let key = pair::take("of an administrator", &again, world)?;
    let plan = steps(&name, &options, &key, None, world)?;
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
    let done = steps(&name, &options, &key, Some(plan), world)?;
    Ok(report(&done, true, world))
}

/// The entry's whole name. Whatever is wrong is said, all of it, before anybody looks for an administrator's key.
fn checked(options: &Bootstrap, world: &World) -> Result<String, Refusal> {
    let ask = ControlAsk::OutscaleEntry { name: options.name.clone() };
    let entry = match world.reach.ask_control(ask) {
        Ok(Reply::Entry(entry)) => Ok(entry),
        Ok(_) => return Err(unexpected()),
        Err(refusal) => Err(refusal),
    };
    let entry = entry.and_then(|entry| match &entry.refusal {
        // No key goes to a place that nobody has confirmed.
        Some(refusal) if refusal.code == Code::DestinationChanged => Err(refusal.clone()),
        _ => Ok(entry),
    });
    let wrong: Vec<String> = options
        .actions
        .iter()
        .filter(|action| !is_eim_action(action))
        .map(|action| format!("`{}`", text::escape(action)))
        .collect();
    match (entry, wrong.as_slice()) {
        (Ok(entry), []) => Ok(entry.name),
        (Err(refusal), []) => Err(refusal),
        (entry, wrong) => {
            let mut say = format!("{}: no action, such as ec2:Describe*", wrong.join(", "));
            if let Err(refusal) = entry {
                say = format!("{}; and {say}", refusal.say);
            }
            Err(Refusal::new(Code::BadRequest, say).hint("keyfob outscale bootstrap --help"))
        }
    }
}

/// The command once more, for a shell: `*` would be a pattern there.
fn again(name: &str, actions: &[String]) -> String {
    let name = name.strip_prefix("outscale.").unwrap_or(name);
    format!("keyfob outscale bootstrap {} --actions '{}'", text::escape(name), actions.join(","))
}

fn steps(
    name: &str,
    options: &Bootstrap,
    key: &Pair,
    accept: Option<Vec<BootstrapStep>>,
    world: &mut World,
) -> Result<Vec<BootstrapStep>, Refusal> {
    let ask = ControlAsk::OutscaleBootstrap {
        name: name.to_owned(),
        actions: options.actions.clone(),
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
            is_new: false,
        };
        let plan = [step("the group x", true), step("create the policy \u{202e}", false)];
        assert_eq!(
            shown(&plan),
            "  there already: the group x\n  create the policy \\u{202e}\n    {\\u{1b}}\n"
        );
    }

    #[test]
    fn the_command_that_goes_on_is_whole() {
        let actions = ["ec2:Describe*".to_owned(), "api:Read*".to_owned()];
        assert_eq!(
            again("outscale.monitoring", &actions),
            "keyfob outscale bootstrap monitoring --actions 'ec2:Describe*,api:Read*'"
        );
    }
}
