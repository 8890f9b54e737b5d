//! `keyfob machine`.

use clap::{Args, Subcommand};
use keyfob_ipc::reply::{Claim, ClaimsReport};
use keyfob_ipc::{ControlAsk, Reply, text};

use super::{DONE, Outcome, of_kind};
use crate::printer::Paint;
use crate::reach::unexpected;
use crate::table::{labelled, wrap};
use crate::world::World;

/// The identity that a job has by itself.
///
/// In CI nobody signs in: a job of GitHub Actions, CircleCI or Kubernetes, or a machine of AWS, has an identity of its own, which
/// [machine.NAME] of the configuration names.
#[derive(Debug, Subcommand)]
pub enum Command {
    Claims(ClaimsOptions),
}

/// Show what the job's own token says, beside what a trust policy must name.
///
/// Run it in the job, below `keyfob run`: whoever creates the role or the machine user then need not guess. It shows issuer,
/// audience, subject, organisation, repository, branch, workflow and what else the token tells, how an IAM trust policy names each,
/// and a whole policy for this subject, with whom that lets in (every job of this branch, environment or pull request) and the roles of
/// the configuration that should carry it. For the identity aws-iam it shows who the machine is to AWS, and whether
/// it may read its secret. The token itself and what is in the secret are never shown.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob run -- keyfob machine claims ci
  keyfob run -- keyfob machine claims ci --json | jq -r .trust_policy

EXIT CODES
  0 shown, 1 refused (outside of a job, too), 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock")]
pub struct ClaimsOptions {
    /// A [machine.NAME] of the configuration.
    name: String,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    let Command::Claims(options) = command;
    let name = of_kind("machine", &options.name);
    let Reply::Claims(report) = world.reach.ask_control(ControlAsk::MachineClaims { name })? else {
        return Err(unexpected());
    };
    if world.json {
        world.printer.json(&report);
    } else {
        let page = page(&report, world);
        world.printer.result(&page);
    }
    Ok(DONE)
}

fn page(report: &ClaimsReport, world: &World) -> String {
    let strong = |text: &str| world.printer.paint(Paint::Strong, text);
    let (entry, identity) = (text::escape(&report.entry), text::escape(&report.identity));
    let mut page = format!("{}\n", strong(&format!("{entry}: {identity}")));
    let said: Vec<(String, String)> = report.claims.iter().map(said).collect();
    page.push_str(&labelled(&said, world.width));
    let named: Vec<(String, String)> = report.claims.iter().filter_map(named).collect();
    if !named.is_empty() {
        page.push_str(&format!("\n{}\n", strong("A trust policy names")));
        page.push_str(&conditions(&named, world.width));
    }
    if let Some(policy) = &report.trust_policy {
        // To be copied as it is: not broken into lines.
        page.push_str(&format!("\n{}\n", strong("A trust policy for it")));
        policy.lines().for_each(|line| page.push_str(&format!("{}\n", plain(line))));
    }
    for (index, note) in report.notes.iter().enumerate() {
        let before = if index == 0 { "\n" } else { "" };
        page.push_str(before);
        for (number, line) in wrap(&text::escape(note), world.width.saturating_sub(2)).iter().enumerate() {
            page.push_str(&format!("{}{line}\n", if number == 0 { "* " } else { "  " }));
        }
    }
    page
}

/// A claim, and what the token calls it.
fn said(claim: &Claim) -> (String, String) {
    let (name, value) = (text::escape(&claim.name), text::escape(&claim.value));
    (name, format!("{value} ({})", text::escape(&claim.claim)))
}

fn named(claim: &Claim) -> Option<(String, String)> {
    let condition = claim.condition.as_deref()?;
    Some((text::escape(condition), text::escape(&claim.value)))
}

/// What a policy names, as a table. It is there to be copied, so what is too long for a line of the table stands below it, whole:
/// the condition in one line, its value in the next.
fn conditions(named: &[(String, String)], width: usize) -> String {
    // As much for names as for values, with what stands between them.
    let half = width / 2;
    let fits = |text: &str, room: usize| text.chars().count() <= room;
    let (short, long): (Vec<_>, Vec<_>) = named
        .iter()
        .cloned()
        .partition(|(name, value)| fits(name, half) && fits(value, half.saturating_sub(GAPS)));
    let below: String = long.iter().map(|(name, value)| format!("  {name}\n    {value}\n")).collect();
    labelled(&short, width) + &below
}

/// Signs that a line of the table has beside a name and a value.
const GAPS: usize = 4;

/// The agent writes a policy in plain ASCII; whoever answered in its place may not have.
fn plain(line: &str) -> String {
    if line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        line.to_owned()
    } else {
        text::escape(line)
    }
}
