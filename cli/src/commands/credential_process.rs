//! `keyfob credential-process`, as clap sees it. The usual call is answered by [`crate::helper`] before clap.

use clap::Args;

use super::Outcome;
use crate::helper;
use crate::world::World;

/// Give the AWS tools and SDKs keys of an entry.
///
/// Writes the JSON that `credential_process` of the AWS configuration asks for: short-lived keys of the role that the
/// entry names. The agent keeps them and renews them ahead of their end, so a call costs no request to AWS.
/// Standard input is never read, nobody is asked anything. `keyfob setup aws` writes the profiles that call it.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob credential-process aws.dev
  [profile dev]                                          in ~/.aws/config
  credential_process = /usr/bin/keyfob credential-process aws.dev

EXIT CODES
  0 answered, 1 refused, 2 wrong use, 3 sign-in needed, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Options {
    /// The entry: `aws.dev`, or `dev` where only one entry has that name.
    name: String,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    Ok(helper::credential_process(&world.reach, &options.name, &mut world.printer))
}
