//! `keyfob get`, as clap sees it: help. The call itself is answered by [`crate::helper`] before clap.

use clap::Args;

use super::Outcome;
use crate::helper;
use crate::world::World;

/// Answer a Bazel credential helper request.
///
/// Reads {"uri":"https://host/path"} from standard input and writes {"headers":{...},"expires":"..."} to standard output,
/// as the credential helper protocol of Bazel asks. It answers or refuses within two seconds (five where it has to start
/// the agent), never asks a person, and writes nothing to standard output but the answer. Bazel runs it under the name
/// bazel-credential-keyfob, which `keyfob setup bazel` configures.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  echo '{\"uri\":\"https://cache.acme.dev/\"}' | keyfob get

EXIT CODES
  0 answered, 1 refused or malformed input, 2 wrong use, 3 sign-in needed,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Options {
    /// Taken and ignored: the protocol lets tools pass more.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _more: Vec<String>,
}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    Ok(helper::get(&world.reach, &mut world.input.reader, &mut world.printer))
}
