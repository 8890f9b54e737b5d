//! `keyfob doctor`.

mod environment;
mod places;
mod programs;

use std::time::Duration;

use clap::Args;
use keyfob_ipc::reply::{Check, Health, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, limits, text};
use serde::Serialize;

use super::{DONE, FAILED, Outcome, setup};
use crate::printer::{Paint, Printer, sentence};
use crate::reach::unexpected;
use crate::world::World;

/// Look at everything that must hold for a credential to be served.
///
/// Walks the chain from the programs to the tools: files and versions, folders and sockets with their owners, what
/// protects the agent's memory, the keychain, the configuration, each session, token and role, the network, and what
/// `keyfob setup` has written. Identity providers and AWS are asked now, all at once, and nothing waits longer than ten
/// seconds; no prompt is opened. A line with `ok` holds, one with `!` works and is worth a look, one with `x` does not
/// work. The end is the one next step: the first broken link of the chain.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob doctor
  keyfob doctor --json | jq '.checks[] | select(.health != \"good\")'

EXIT CODES
  0 nothing is broken, 1 something does not work, 4 agent not reachable:
  then what can be seen without it is shown")]
pub struct Options {}

/// The agent's own limit is ten seconds; this is to tell a slow one from a stuck one.
const PATIENCE: Duration = Duration::from_secs(15);
/// After this time a person is told what is waited for.
const SILENCE: Duration = Duration::from_millis(1000);

/// The exit code where no agent can be reached.
const UNREACHABLE: u8 = 4;

/// For programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    checks: &'a [Check],
    next: Option<&'a Check>,
}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    let seen = ask(world);
    let status = seen.as_ref().ok().map(|(status, _)| &**status);
    let mut checks = programs::look(status.map(|status| &status.agent), world);
    checks.extend(places::look(status, world));
    let exit = match &seen {
        Ok((_, theirs)) => {
            checks.extend(theirs.iter().cloned());
            DONE
        }
        Err(refusal) => {
            checks.push(bad("agent", refusal));
            // Whatever keeps it from being reached.
            if world.reach.running().is_ok() { refusal.code.exit() } else { UNREACHABLE }
        }
    };
    checks.extend(status.map(|status| setup::look(status, world)).unwrap_or_default());
    checks.extend(environment::look(status, world));
    if world.environment.unattended.is_some() {
        without_job(&mut checks, status);
    }
    let next = next(&checks);
    if world.json {
        world.printer.json(&Report { checks: &checks, next });
    } else {
        let page = page(&checks, next, &world.printer);
        world.printer.result(&page);
    }
    let is_broken = checks.iter().any(|check| check.health == Health::Bad);
    Ok(if exit == DONE && is_broken { FAILED } else { exit })
}

/// What the agent says of everything, and what it found now.
fn ask(world: &mut World) -> Result<(Box<Status>, Vec<Check>), Refusal> {
    let mut client = world.reach.control()?;
    client.send(ControlAsk::Doctor, limits::CONTROL_PATIENCE)?;
    // Meanwhile: a keychain that hangs takes its time once.
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    let asked = std::time::Instant::now();
    let answer = match client.receive(SILENCE) {
        Err(refusal) if refusal.code == Code::AgentUnreachable && asked.elapsed() >= SILENCE / 2 => {
            if world.is_watched && !world.json {
                world.printer.note("waiting for the keychain and the services");
            }
            client.receive(PATIENCE)
        }
        answer => answer,
    };
    match answer? {
        Reply::Checks(checks) => Ok((status, checks)),
        _ => Err(unexpected()),
    }
}

/// Where nobody sits, what is obtained with the identity of a job is meant to serve now, whether the agent knows the system that
/// runs the job or not.
fn without_job(checks: &mut [Check], status: Option<&Status>) {
    let entries = status.map(|status| status.entries.as_slice()).unwrap_or_default();
    for check in checks.iter_mut().filter(|check| check.health == Health::Good) {
        let Some(entry) = entries.iter().find(|entry| entry.name == check.name) else { continue };
        let missing = entry.refusal.as_ref().filter(|refusal| refusal.code == Code::MachineIdentityMissing);
        let is_needed = entries.iter().any(|other| other.through.as_deref() == Some(entry.name.as_str()));
        match missing {
            Some(refusal) if entry.through.is_some() => *check = bad(&check.name, refusal),
            Some(refusal) if is_needed => {
                let hint = format!("{}; then see: keyfob machine claims {}", refusal.hint, entry.name);
                *check = attention(&check.name, refusal.say.clone(), &hint);
            }
            _ => {}
        }
    }
}

/// What to do first: about the first link that is broken, else about the first one that is worth a look.
fn next(checks: &[Check]) -> Option<&Check> {
    let first = |health| checks.iter().find(|check| check.health == health);
    first(Health::Bad).or_else(|| first(Health::Attention))
}

fn page(checks: &[Check], next: Option<&Check>, printer: &Printer) -> String {
    let widest =
        checks.iter().map(|check| text::escape(&check.name).chars().count()).max().unwrap_or_default();
    let mut page = String::new();
    for check in checks {
        let (mark, paint) = match check.health {
            Health::Good => ("ok", Paint::Good),
            Health::Attention => ("! ", Paint::Warning),
            Health::Bad => ("x ", Paint::Bad),
        };
        let (mark, name) = (printer.paint(paint, mark), text::escape(&check.name));
        page.push_str(&format!("{mark}  {name:<widest$}  {}\n", text::escape(&check.say)));
    }
    page.push('\n');
    page.push_str(&match next {
        None => "everything is as it should be\n".to_owned(),
        Some(check) => {
            let begin =
                if check.health == Health::Bad { "to mend first" } else { "nothing is broken; to look at" };
            format!("{begin}: {}: {}\n", text::escape(&check.name), sentence(&check.say, &check.hint))
        }
    });
    page
}

fn good(name: &str, say: String) -> Check {
    Check { name: name.to_owned(), health: Health::Good, say, hint: String::new() }
}

fn attention(name: &str, say: String, hint: &str) -> Check {
    Check { name: name.to_owned(), health: Health::Attention, say, hint: hint.to_owned() }
}

fn bad(name: &str, refusal: &Refusal) -> Check {
    Check { name: name.to_owned(), health: Health::Bad, say: refusal.say.clone(), hint: refusal.hint.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(checks: &[Check]) -> String {
        let printer = Printer::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        page(checks, next(checks), &printer)
    }

    #[test]
    fn the_next_step_is_the_first_broken_link() {
        let warned =
            attention("bazel", "`/home/ada/.bazelrc` does not ask keyfob".to_owned(), "keyfob setup bazel");
        let locked = Refusal::new(Code::KeychainLocked, "the keychain is locked").hint("keyfob unlock");
        let other = Refusal::new(Code::Offline, "no network");
        let checks = [
            good("keyfob", "version 0.1.0".to_owned()),
            warned,
            bad("keychain", &locked),
            bad("sso.okta", &other),
        ];
        assert_eq!(
            shown(&checks),
            "\
ok  keyfob    version 0.1.0
!   bazel     `/home/ada/.bazelrc` does not ask keyfob
x   keychain  the keychain is locked
x   sso.okta  no network

to mend first: keychain: the keychain is locked. Run: keyfob unlock
"
        );
        assert!(
            shown(&checks[..2]).ends_with(
                "nothing is broken; to look at: bazel: `/home/ada/.bazelrc` does not ask keyfob. Run: keyfob setup bazel\n"
            )
        );
        assert!(shown(&checks[..1]).ends_with("\neverything is as it should be\n"));
    }

    #[test]
    fn text_from_outside_cannot_paint() {
        let odd = [good("a\u{1b}[2J", "b\u{1b}[2J\nc".to_owned())];
        assert_eq!(shown(&odd).matches('\u{1b}').count(), 0);
        assert_eq!(shown(&odd).lines().count(), 3);
    }
}
