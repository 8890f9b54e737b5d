//! The two verbs that tools run: `get` and `credential-process`.
//!
//! Standard output carries the answer and nothing else, in one write; where there is none it stays empty, and one
//! line of standard error says why and what to run, a short one where no person sees it. Nothing here opens a window or waits for a person.

mod request;

use std::io::Read;

use keyfob_ipc::{Refusal, Reply, ToolAsk};

use crate::printer::Printer;
use crate::prompt;
use crate::reach::{Reach, unexpected};

/// Answers a Bazel credential helper request. Returns the exit code.
pub fn get(reach: &Reach, input: &mut impl Read, printer: &mut Printer) -> u8 {
    let answer = request::read(input)
        .and_then(|request| reach.ask_tool(|| ToolAsk::Get { uri: request.uri.clone() }))
        .and_then(|reply| match reply {
            Reply::Headers(headers) => Ok(headers),
            _ => Err(unexpected()),
        });
    finish(answer, printer, Printer::refuse_bazel)
}

/// Whose keys an AWS SDK wants.
#[derive(Debug, PartialEq, Eq)]
pub struct Role<'a> {
    /// The entry.
    pub name: &'a str,
    /// Another role that is reached through it.
    pub role_arn: Option<&'a str>,
    /// The role of the platform's own tasks, behind which the entry's is.
    pub task_role: bool,
}

impl<'a> Role<'a> {
    /// The entry's own.
    pub fn of(name: &'a str) -> Self {
        Self { name, role_arn: None, task_role: false }
    }
}

/// Answers an AWS SDK. Standard input is the SDK's own and is never read. Returns the exit code.
pub fn credential_process(reach: &Reach, role: &Role<'_>, printer: &mut Printer) -> u8 {
    let answer = reach
        .ask_tool(|| ToolAsk::CredentialProcess {
            name: role.name.to_owned(),
            role_arn: role.role_arn.map(str::to_owned),
            task_role: role.task_role,
        })
        .and_then(|reply| match reply {
            Reply::AwsCredentials(credentials) => Ok(credentials),
            _ => Err(unexpected()),
        });
    // SDKs show all of it.
    finish(answer, printer, Printer::refuse)
}

fn finish(
    answer: Result<impl serde::Serialize, Refusal>,
    printer: &mut Printer,
    refuse: fn(&mut Printer, &Refusal),
) -> u8 {
    match answer {
        Ok(answer) => match printer.answer(&answer) {
            Ok(()) => 0,
            Err(error) => {
                printer.note(&format!("the answer cannot be written ({error})"));
                1
            }
        },
        Err(refusal) => {
            let refusal = prompt::mended(refusal);
            refuse(printer, &refusal);
            refusal.code.exit()
        }
    }
}
