//! `keyfob uninstall`: takes out what keyfob has written beside its own programs, before these go.
//!
//! Each step leaves nothing to the next but what that one removes, so the same command goes on where a run has ended. What
//! opens the rest goes last: providers are told while there is a session, the keychain while the agent lives, the
//! configuration at the end.

mod next;
mod purge;
mod tray;

use std::io::{self, ErrorKind};
use std::path::Path;

use clap::Args;
use keyfob_ipc::{Code, Places, Refusal, text};
use serde::Serialize;

use super::{DONE, Outcome, agent, setup};
use crate::world::World;

/// Take keyfob's lines out of other programs' files, before you remove its programs.
///
/// Takes out what `keyfob setup` wrote for Bazel, AWS and Metaflow in their usual files and the tray's start at sign-in, ends the
/// agent and on Linux the tray (elsewhere quit it in its menu first), and removes sockets, locks and logs. The configuration, the history and everything in the keychain stay:
/// who installs keyfob again goes on as before. At the end it says the command that removes the programs.
///
/// With --purge all of that goes, too: sessions are signed out at their providers where these can be reached, and every item of
/// keyfob's is removed from the keychain, also of entries that the configuration has no more. What will be lost is shown first,
/// and asked about. Keys that `keyfob import` moved out of their files would be lost with it: put them back first.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob uninstall
  keyfob uninstall --purge
  keyfob uninstall --purge --yes

EXIT CODES
  0 done, 1 refused or failed (run it again), 2 wrong use, 4 agent does not end,
  5 waiting for an unlock")]
pub struct Options {
    /// Forget everything: sign out, empty the keychain, remove configuration and state.
    #[arg(long)]
    purge: bool,
    /// Purge without asking, also keys whose files have them no more.
    #[arg(long, requires = "purge")]
    yes: bool,
}

/// What lies in the state folder and is made anew whenever it is needed.
const WORTHLESS: &[&str] = &[
    "agent.json",
    "agent.lock",
    "import.lock",
    "keyfobd.log",
    "keyfobd.log.1",
    "raise-tray",
    "start-failure.json",
    "start.lock",
    "tray.lock",
];
/// What else does. The history is also in `ledger.NUMBER.jsonl`.
const KEPT: &[&str] = &["grants.json", "ledger.jsonl", "lock.json", "reminders.json", "tray.json"];

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Report {
    purged: bool,
    next: String,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    if world.environment.job {
        let say = "a job takes nothing of yours away: its agent is gone with it";
        return Err(Refusal::new(Code::BadRequest, say).hint("keyfob uninstall, outside of the job"));
    }
    let places = world.reach.places()?;
    if options.purge {
        purge::run(options.yes, world)?;
    }
    // These are the main profile's, whoever wrote them.
    if !places.own_profile {
        setup::remove_all(world)?;
        remove(&tray::autostart(world)?)?;
        tray::end(world);
    }
    #[cfg(target_os = "linux")]
    if !places.own_profile {
        close_doors();
    }
    #[cfg(target_os = "macos")]
    if !places.own_profile {
        agent::launchd::take_away(&world.reach.surroundings)?;
    }
    agent::stop(world)?;
    // A profile of its own may read the main one's configuration.
    let has_config = !places.own_profile || world.reach.surroundings.own_config.is_some();
    clean(&places, options.purge, has_config)?;
    let next = next::of(world.program.as_deref(), &Path::exists);
    if world.json {
        world.printer.json(&Report { purged: options.purge, next });
        return Ok(DONE);
    }
    world.printer.say(&if options.purge {
        "nothing of yours is left of keyfob but its programs".to_owned()
    } else {
        let config = text::escape(&places.config.display().to_string());
        format!("`{config}`, the history and the keychain's items stay (--purge removes them)")
    });
    world.printer.say(&format!("now remove the programs: {next}"));
    Ok(DONE)
}

/// Where the person's service manager holds the doors, they would start the agent again.
#[cfg(target_os = "linux")]
fn close_doors() {
    const SYSTEMCTL: &str = "/usr/bin/systemctl";
    let mut command = std::process::Command::new(SYSTEMCTL);
    command.args(["--user", "--quiet", "stop", "keyfobd.socket"]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    // Without one, or without the unit, there is nothing to close.
    let _ = command.stderr(std::process::Stdio::null()).status();
}

fn clean(places: &Places, all: bool, has_config: bool) -> Result<(), Refusal> {
    #[cfg(unix)]
    {
        remove_named(&places.runtime, &["agent.sock", "control.sock"])?;
        let _ = std::fs::remove_dir(&places.runtime);
    }
    remove_named(&places.state, WORTHLESS)?;
    if !all {
        return Ok(());
    }
    remove_named(&places.state, KEPT)?;
    for number in 1..10 {
        remove(&places.state.join(format!("ledger.{number}.jsonl")))?;
    }
    // What the web view of the tray keeps; a folder that somebody named may have another `tray` in it.
    if !places.own_profile {
        let tray = places.state.join("tray");
        std::fs::remove_dir_all(&tray).or_else(absent).map_err(|error| not_removed(&tray, &error))?;
    }
    if has_config {
        remove(&places.config)?;
    }
    // Only where nobody else has put anything there. The agent has emptied the encrypted keychain.
    let folders = [Some(&*places.state.join("keychain")), Some(&*places.state), places.config.parent()]
        .map(|folder| folder.map(Path::to_owned));
    for folder in folders.into_iter().flatten() {
        let _ = std::fs::remove_dir(folder);
    }
    Ok(())
}

/// The files of these names in a folder: it may be one that somebody named, with other things in it.
fn remove_named(folder: &Path, names: &[&str]) -> Result<(), Refusal> {
    names.iter().try_for_each(|name| remove(&folder.join(name)))
}

/// A file or a link; absent is as good as removed.
fn remove(path: &Path) -> Result<(), Refusal> {
    std::fs::remove_file(path).or_else(absent).map_err(|error| not_removed(path, &error))
}

fn not_removed(path: &Path, error: &io::Error) -> Refusal {
    let shown = text::escape(&path.display().to_string());
    Refusal::new(Code::PlaceUnsafe, format!("`{shown}` cannot be removed ({error})"))
        .hint("remove it yourself, then run this again")
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
