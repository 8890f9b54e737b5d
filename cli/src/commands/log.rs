//! `keyfob log`.

mod follow;
mod line;

use clap::Args;
use keyfob_ipc::reply::LedgerLine;
use keyfob_ipc::{ControlAsk, Reply};

use self::line::Lines;
use super::{DONE, Outcome};
use crate::reach::unexpected;
use crate::world::World;

/// Show who got what, for which target, and when.
///
/// The agent keeps a ledger: one line for each answer to a tool, and for what you did yourself. It names the program, the
/// entry, host and port of the target, and what became of it; never a value, a path or a query. Times are those of this
/// machine's time zone; with --json they are in UTC. With --follow new lines are shown as they are written, until
/// Ctrl-C; where the agent ends, it is waited for, and what the next one has written meanwhile is shown, too.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob log
  keyfob log aws.dev --last 500
  keyfob log --follow
  keyfob log --json | jq 'select(.outcome == \"refused\")'

EXIT CODES
  0 shown, 1 refused, 2 wrong use, 4 agent not reachable")]
pub struct Options {
    /// Only lines about this entry: `aws.dev` or `dev`.
    name: Option<String>,
    /// Go on with new lines.
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest lines; 50, or 10 with --follow.
    #[arg(long, value_name = "N")]
    last: Option<u32>,
}

impl Options {
    fn last(&self) -> u32 {
        self.last.unwrap_or(if self.follow { 10 } else { 50 })
    }
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let mut lines = Lines::new(world);
    if options.follow {
        return follow::run(options, &mut lines, world);
    }
    let newest = newest(options.last(), options.name.as_ref(), world)?;
    if newest.is_empty() && !world.json {
        world.printer.say("the ledger has no lines yet");
    }
    lines.show(&newest, world);
    Ok(DONE)
}

fn newest(last: u32, name: Option<&String>, world: &World) -> Result<Vec<LedgerLine>, keyfob_ipc::Refusal> {
    match world.reach.ask_control(ControlAsk::Log { last, name: name.cloned() })? {
        Reply::Ledger(lines) => Ok(lines),
        _ => Err(unexpected()),
    }
}
