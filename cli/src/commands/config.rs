//! `keyfob config check`, `keyfob config confirm`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::Change;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};
use serde::Serialize;

use super::{DONE, FAILED, Outcome};
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Check the configuration, and confirm where it sends credentials.
///
/// The agent takes saved edits without a restart. A broken edit leaves the last good configuration in force, and an edit
/// that would send a held credential to a new place waits until it is confirmed.
#[derive(Debug, Subcommand)]
pub enum Command {
    Check(Check),
    Confirm(Confirm),
}

/// Report every error of the configuration.
///
/// Reads the configuration again and lists each error with its line. With any, the last good configuration stays in force.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  keyfob config check

EXIT CODES
  0 no error, 1 errors, 4 agent not reachable")]
pub struct Check {}

/// Let credentials go to the places that an edit added.
///
/// Lists the credentials that an edit of the configuration would send to a new host, issuer or service, and lets them go
/// there once you type `yes`. Without a terminal nothing is confirmed, unless --yes is given.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob config confirm
  keyfob config confirm token.aspect --yes

EXIT CODES
  0 confirmed, or nothing to confirm; 1 not confirmed, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Confirm {
    /// One entry; all of them where it is left out.
    name: Option<String>,
    /// Confirm without asking.
    #[arg(long)]
    yes: bool,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    match command {
        Command::Check(_) => check(world),
        Command::Confirm(options) => confirm(&options, world),
    }
}

fn check(world: &mut World) -> Outcome {
    let Reply::Config(report) = world.reach.ask_control(ControlAsk::ConfigCheck)? else {
        return Err(unexpected());
    };
    let exit = if report.errors.is_empty() { DONE } else { FAILED };
    if world.json {
        world.printer.json(&report);
        return Ok(exit);
    }
    let path = text::escape(&report.path);
    for error in &report.errors {
        world.printer.result(&format!("{path}: {}\n", text::escape(error)));
    }
    match (report.errors.len(), report.exists) {
        (0, true) => world.printer.say(&format!("`{path}` has no errors")),
        (0, false) => world.printer.say(&format!("`{path}` does not exist")),
        (count, _) => {
            let plural = if count == 1 { "" } else { "s" };
            let now = match report.in_force {
                true => "the last good configuration stays in force",
                false => "nothing is in force until this is mended",
            };
            world.printer.note(&format!("{count} error{plural}; {now}"));
        }
    }
    Ok(exit)
}

/// For programs.
#[derive(Debug, Serialize)]
struct Confirmed<'a> {
    changes: &'a [Change],
    confirmed: bool,
}

fn confirm(options: &Confirm, world: &mut World) -> Outcome {
    let changes = changes(world, options.name.as_ref())?;
    if changes.is_empty() {
        if world.json {
            world.printer.json(&Confirmed { changes: &changes, confirmed: true });
        } else {
            world.printer.say("nothing waits for a confirmation");
        }
        return Ok(DONE);
    }
    if !world.json {
        world.printer.result(&list(&changes));
    }
    if !options.yes && !agreed(world)? {
        if world.json {
            world.printer.json(&Confirmed { changes: &changes, confirmed: false });
        }
        let refusal = Refusal::new(Code::DestinationChanged, "nothing was confirmed");
        // Whoever was asked and said no needs no way around the question.
        return Err(if asks(world) { refusal } else { refusal.hint("keyfob config confirm --yes") });
    }
    accept(options, &changes, world)
}

fn accept(options: &Confirm, listed: &[Change], world: &mut World) -> Outcome {
    let ask = ControlAsk::ConfigConfirm { name: options.name.clone(), accept: Some(listed.to_vec()) };
    let Reply::Changes(_) = world.reach.ask_control(ask)? else { return Err(unexpected()) };
    if world.json {
        world.printer.json(&Confirmed { changes: listed, confirmed: true });
    } else {
        world.printer.say("confirmed");
    }
    Ok(DONE)
}

fn changes(world: &World, name: Option<&String>) -> Result<Vec<Change>, Refusal> {
    match world.reach.ask_control(ControlAsk::ConfigConfirm { name: name.cloned(), accept: None })? {
        Reply::Changes(changes) => Ok(changes),
        _ => Err(unexpected()),
    }
}

fn list(changes: &[Change]) -> String {
    changes.iter().fold(String::new(), |mut text, change| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} would go to", text::escape(&change.entry));
        for place in &change.places {
            let _ = writeln!(text, "  {}", text::escape(place));
        }
        text
    })
}

/// Whether there is a person to ask.
fn asks(world: &World) -> bool {
    world.input.is_terminal && !world.json
}

fn agreed(world: &World) -> Result<bool, Refusal> {
    Ok(asks(world) && prompt::shown("Type `yes` to allow that: ")? == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(entry: &str, places: &[&str]) -> Change {
        Change { entry: entry.to_owned(), places: places.iter().map(|place| (*place).to_owned()).collect() }
    }

    #[test]
    fn every_new_place_is_listed_and_escaped() {
        assert_eq!(
            list(&[change("token.aspect", &["host *.evil.example\u{202e}", "header X"])]),
            "token.aspect would go to\n  host *.evil.example\\u{202e}\n  header X\n"
        );
    }
}
