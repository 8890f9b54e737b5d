//! `keyfob lock`.

use clap::Args;
use keyfob_ipc::ControlAsk;

use super::{Outcome, done};
use crate::world::World;

/// Give nothing to anybody until `keyfob unlock`.
///
/// Drops every credential from the agent's memory and closes the keychain where it can be closed. Tools are refused until
/// you unlock; a restart of the agent or of the machine does not lift the lock. `lock_on` under [agent] of the
/// configuration does the same when the screen is locked or the machine goes to sleep.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  keyfob lock

EXIT CODES
  0 locked, 1 refused, 4 agent not reachable")]
pub struct Options {}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    let reply = world.reach.ask_control(ControlAsk::Lock)?;
    done(reply, world)
}
