//! `keyfob exec`: a program with keys, for as long as it runs.

mod child;
mod defaults;
mod mask;
mod variables;

use std::ffi::{OsStr, OsString};

use clap::Args;
use keyfob_ipc::reply::ExecKeys;
use keyfob_ipc::start::Launch;
use keyfob_ipc::{Code, Places, Refusal, Reply, ToolAsk};

use super::{Outcome, WRONG_USE};
use crate::endpoint::Endpoint;
use crate::reach::{ask_tool_at, unexpected};
use crate::world::World;
pub use child::Program;
pub use variables::Variables;

/// Run a program with AWS or OUTSCALE keys.
///
/// The program and those that it starts find the keys of the entry where every AWS SDK looks: at an endpoint on 127.0.0.1
/// that this command opens for it, with a port and a token of this run. They ask there again before their keys end, so a run
/// may take longer than the keys live. With --env the keys are plain variables, which end. Keys of an [outscale.*] entry are
/// plain variables always. Variables of AWS that would win over these are not passed on.
///
/// Where somebody has to sign in first, that is said before the program starts. Its exit code is the one of this command,
/// and signals reach it.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob exec dev -- terraform apply
  keyfob exec aws.dev outscale.monitoring -- ./deploy.sh
  keyfob exec dev --env -- ./program-without-an-sdk

EXIT CODES
  0 or any other: the program's own
  before it runs: 1 refused, 2 wrong use, 3 sign-in needed, 4 agent not reachable,
  5 waiting for an unlock or an approval, 126 not executable, 127 no such program
  a signal that ended the program ends this command, too")]
pub struct Options {
    /// The entries: `aws.dev`, or `dev` where only one entry has that name. One of each kind at most.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Put the keys themselves into variables. They end, and nothing renews them there.
    #[arg(long)]
    env: bool,
    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(options: Options, world: &mut World) -> Outcome {
    if options.names.is_empty() || options.command.is_empty() {
        let (name, mut command) = match options.names.as_slice() {
            [] => ("NAME", options.command.join(OsStr::new(" ")).to_string_lossy().into_owned()),
            [name, command @ ..] => (name.as_str(), command.join(" ")),
        };
        if command.is_empty() {
            "COMMAND".clone_into(&mut command);
        }
        let say = "an entry is named first, and what to run follows `--`";
        return wrong_use(say, format!("keyfob exec {name} -- {command}"), world);
    }
    let doors = Doors { places: world.reach.places()?, launch: (world.reach.launch)() };
    let mut variables = Variables::default();
    let endpoint = provide(&options.names, options.env, &doors, &mut variables, world)?;
    Ok(Program::new(options.command, &variables).run(endpoint, &mut world.printer).leave())
}

/// Says how it is used.
pub fn wrong_use(say: &str, hint: String, world: &mut World) -> Outcome {
    world.printer.refuse(&Refusal::new(Code::BadRequest, say).hint(hint));
    Ok(WRONG_USE)
}

/// The way to the agent for as long as a program runs. What starts an agent is looked for now: an upgrade may put another file
/// in this one's place.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Where the agent is.
    pub places: Places,
    /// How it is started.
    pub launch: Result<Launch, Refusal>,
}

impl Doors {
    fn keys(&self, name: &str) -> Result<ExecKeys, Refusal> {
        let ask = || ToolAsk::Exec { name: name.to_owned() };
        match ask_tool_at(&self.places, || self.launch.clone(), ask)? {
            Reply::Exec(keys) => Ok(*keys),
            _ => Err(unexpected()),
        }
    }
}

/// Asks for the keys of these entries and puts into the variables how a program finds them.
///
/// # Errors
/// The agent's refusal, or [`Code::BadRequest`] for entries that have no place beside each other.
pub fn provide(
    names: &[String],
    plain: bool,
    doors: &Doors,
    variables: &mut Variables,
    world: &mut World,
) -> Result<Option<Endpoint>, Refusal> {
    let mut endpoint = None;
    let mut kinds: Vec<(String, String)> = Vec::new();
    for name in names {
        // Before anything runs: who is not signed in is told so, and the first request is answered from memory.
        let keys = doors.keys(name)?;
        let kind = keys.entry.split('.').next().unwrap_or_default().to_owned();
        if let Some((_, first)) = kinds.iter().find(|(known, _)| *known == kind) {
            let say = format!("`{first}` and `{}` would be in the same variables", keys.entry);
            return Err(Refusal::new(Code::BadRequest, say).hint("name one entry of each kind"));
        }
        match kind.as_str() {
            "aws" if plain => variables.plain_aws(&keys),
            "aws" => {
                if keys.credentials.session_token.is_none() || keys.credentials.expiration.is_none() {
                    let say = format!("`{}`: {}", keys.entry, crate::endpoint::NO_TOKEN);
                    let hint = format!("keyfob exec {name} --env -- COMMAND");
                    return Err(Refusal::new(Code::BadRequest, say).hint(hint));
                }
                let opened = open(doors.clone(), keys.entry.clone())?;
                mask::hide(opened.token(), &world.environment)?;
                variables.endpoint(&opened, keys.region.as_deref());
                defaults::hide(variables, world);
                endpoint = Some(opened);
            }
            "outscale" => variables.outscale(&keys),
            _ => return Err(unexpected()),
        }
        if kind == "aws" {
            variables.set(keyfob_ipc::start::HAS_OUR_KEYS, "1");
        }
        kinds.push((kind, keys.entry));
    }
    Ok(endpoint)
}

fn open(doors: Doors, entry: String) -> Result<Endpoint, Refusal> {
    Endpoint::open(Box::new(move || doors.keys(&entry)))
}
