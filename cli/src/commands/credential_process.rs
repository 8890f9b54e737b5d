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
///
/// With --role-arn the keys are of another role: one that an entry behind this one has, or one that `may_assume` of this entry
/// allows, assumed with the entry's own keys and good for an hour.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob credential-process aws.dev
  keyfob credential-process aws.dev --role-arn arn:aws:iam::123456789012:role/x
  [profile dev]                                          in ~/.aws/config
  credential_process = /usr/bin/keyfob credential-process aws.dev

EXIT CODES
  0 answered, 1 refused, 2 wrong use, 3 sign-in needed, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Options {
    /// The entry: `aws.dev`, or `dev` where only one entry has that name.
    name: String,
    /// Another role, reached through the entry: arn:aws:iam::123456789012:role/Name.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let role_arn = options.role_arn.as_deref();
    Ok(helper::role_credentials(&world.reach, &options.name, role_arn, &mut world.printer))
}
