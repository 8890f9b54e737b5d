//! `keyfob credential-process`, as clap sees it. The usual call is answered by [`crate::helper`] before clap.

use clap::Args;

use super::Outcome;
use crate::helper::{self, Role};
use crate::world::World;

/// Give the AWS tools and SDKs keys of an entry.
///
/// Writes the JSON that `credential_process` of the AWS configuration asks for: short-lived keys of the role that the
/// entry names. The agent keeps them and renews them ahead of their end, so a call costs no request to AWS.
/// Standard input is never read, nobody is asked anything. `keyfob setup aws` writes the profiles that call it.
///
/// With --role-arn the keys are of another role: one that an entry behind this one has, or one that `may_assume` of this entry
/// allows, assumed with the entry's own keys and good for an hour. An entry with `outerbounds` gives the keys of the customer's
/// role where the platform has one behind that of its tasks; --task-role gives those of the tasks.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob credential-process aws.dev
  keyfob credential-process aws.dev --role-arn arn:aws:iam::123456789012:role/x
  keyfob credential-process aws.prod --task-role
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
    /// Of an entry with `outerbounds`: the role of the platform's own tasks.
    #[arg(long, conflicts_with = "role_arn")]
    task_role: bool,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let role =
        Role { name: &options.name, role_arn: options.role_arn.as_deref(), task_role: options.task_role };
    Ok(helper::credential_process(&world.reach, &role, &mut world.printer))
}
