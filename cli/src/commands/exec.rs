//! `keyfob exec`: a program with keys, for as long as it runs.

mod child;
mod defaults;
mod folder;
mod mask;
mod secrets;
mod variables;

use std::ffi::{OsStr, OsString};

use clap::Args;
use keyfob_ipc::reply::{EntryReport, ExecKeys, MetaflowConfig, SecretValues};
use keyfob_ipc::start::Launch;
use keyfob_ipc::{Client, Code, ControlAsk, Door, Places, Refusal, Reply, Secret, ToolAsk, limits};

use super::{Outcome, WRONG_USE, setup};
use crate::endpoint::Endpoint;
use crate::reach::{ask_tool_at, unexpected};
use crate::world::World;
pub use child::Program;
pub use folder::ELSEWHERE;
use folder::Folder;
pub use variables::Variables;

/// Run a program with keys, secrets or a Metaflow configuration.
///
/// The program and those that it starts find the keys of the entry where every AWS SDK looks: at an endpoint on 127.0.0.1
/// that this command opens for it, with a port and a token of this run. They ask there again before their keys end, so a run
/// may take longer than the keys live. With --env the keys are plain variables, which end. Keys of an [outscale.*] entry are
/// plain variables always. Variables of AWS that would win over these are not passed on.
///
/// A [secret.*] entry gives its values as variables; names that decide what a program runs or reads (PATH, LD_*, PYTHON*, ...)
/// are refused. An [outerbounds.*] entry gives the configuration of its deployment to Metaflow and the `outerbounds` command, in
/// files of a private folder in memory (METAFLOW_HOME, OBP_CONFIG_DIR) that is gone with the program. Flows below it get their AWS
/// keys from this agent, where one [aws.*] entry is obtained with the deployment and their Metaflow has our package. A bare name
/// that both kinds have, such as `prod` where [aws.prod] is obtained with [outerbounds.prod], means the deployment: `keyfob exec
/// prod` is `keyfob exec outerbounds.prod`, and `keyfob exec aws.prod` gives the keys.
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
  keyfob exec my-secret -- ./program-with-SECRET_KEY1
  keyfob exec outerbounds.prod -- outerbounds check

EXIT CODES
  0 or any other: the program's own
  before it runs: 1 refused, 2 wrong use, 3 sign-in needed, 4 agent not reachable,
  5 waiting for an unlock or an approval, 126 not executable, 127 no such program
  a signal that ended the program ends this command, too")]
pub struct Options {
    /// The entries: `aws.dev`, or `dev` where only one entry has that name. Of secrets any number, of
    /// other kinds one. One that is named twice is taken once.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Put the keys of an [aws.*] entry themselves into variables. They end, and nothing renews them there. For other
    /// entries it changes nothing.
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
    let given = provide(&options.names, options.env, &doors, &mut variables, world)?;
    Ok(Program::new(options.command, &variables).run(given, &mut world.printer).leave())
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
    fn ask(&self, name: &str) -> Result<Reply, Refusal> {
        let ask = || ToolAsk::Exec { name: name.to_owned() };
        ask_tool_at(&self.places, || self.launch.clone(), ask)
    }

    /// The only role of AWS that is obtained with this deployment. Where nobody can tell, flows use the deployment's own way.
    fn role_behind(&self, deployment: &str) -> Option<EntryReport> {
        let mut agent = Client::connect(&self.places, Door::Control).ok()?;
        let Reply::Status(status) = agent.ask(ControlAsk::Status, limits::CONTROL_PATIENCE).ok()? else {
            return None;
        };
        let is_behind =
            |entry: &EntryReport| entry.kind == "aws" && entry.through.as_deref() == Some(deployment);
        let mut roles = status.entries.into_iter().filter(is_behind);
        roles.next().filter(|_| roles.next().is_none())
    }

    fn keys(&self, name: &str) -> Result<ExecKeys, Refusal> {
        match self.ask(name)? {
            Reply::Exec(keys) => Ok(*keys),
            _ => Err(unexpected()),
        }
    }
}

/// What a program has beside its variables, for as long as it runs.
#[derive(Default)]
pub struct Given {
    endpoint: Option<Endpoint>,
    folder: Option<Folder>,
}

/// Asks for what these entries give and puts into the variables how a program finds it.
///
/// # Errors
/// The agent's refusal, or [`Code::BadRequest`] for entries that have no place beside each other.
pub fn provide(
    names: &[String],
    plain: bool,
    doors: &Doors,
    variables: &mut Variables,
    world: &mut World,
) -> Result<Given, Refusal> {
    let places = folder::places(world.reach.surroundings.runtime.as_deref(), &world.environment.temporary);
    folder::sweep(&places);
    let mut given = Given::default();
    let mut entries: Vec<String> = Vec::new();
    let (mut secrets, mut deployment) = (Vec::<SecretValues>::new(), None);
    let unlike_before = |(index, name): &(usize, &String)| !names[..*index].contains(name);
    for (_, name) in names.iter().enumerate().filter(unlike_before) {
        // Before anything runs: who is not signed in is told so, and the first request is answered from memory.
        match doors.ask(name)? {
            // By another of its names.
            Reply::Exec(keys) if entries.contains(&keys.entry) => {}
            Reply::Metaflow(config) if entries.contains(&config.entry) => {}
            Reply::Secret(values) if secrets.iter().any(|known| known.entry == values.entry) => {}
            Reply::Exec(keys) => {
                stand_alone(&keys.entry, &mut entries)?;
                give_keys(names, &keys, plain, doors, variables, &mut given, world)?;
            }
            Reply::Metaflow(config) => {
                stand_alone(&config.entry, &mut entries)?;
                variables.no_metaflow();
                deployment = Some(*config);
            }
            Reply::Secret(values) => secrets.push(*values),
            _ => return Err(unexpected()),
        }
    }
    // Behind all others, in whatever order they are named: a secret takes no variable of theirs.
    secrets::add(&secrets, variables)?;
    if let Some(config) = deployment {
        // Last of all: from here on nothing is refused.
        given.folder = Some(give_folder(&config, &places, variables)?);
        variables
            .extension(setup::own_path(world).ok().as_deref(), doors.role_behind(&config.entry).as_ref());
    }
    Ok(given)
}

/// Entries of a kind would be in the same variables, but for secrets.
fn stand_alone(entry: &str, entries: &mut Vec<String>) -> Result<(), Refusal> {
    let kind = kind(entry);
    if let Some(first) = entries.iter().find(|known| self::kind(known) == kind) {
        let say = format!("`{first}` and `{entry}` would be in the same variables");
        return Err(Refusal::new(Code::BadRequest, say).hint("name one entry of each kind"));
    }
    entries.push(entry.to_owned());
    Ok(())
}

fn kind(entry: &str) -> &str {
    entry.split('.').next().unwrap_or_default()
}

fn give_keys(
    names: &[String],
    keys: &ExecKeys,
    plain: bool,
    doors: &Doors,
    variables: &mut Variables,
    given: &mut Given,
    world: &mut World,
) -> Result<(), Refusal> {
    match kind(&keys.entry) {
        "aws" if plain => variables.plain_aws(keys),
        "aws" => {
            if keys.credentials.session_token.is_none() || keys.credentials.expiration.is_none() {
                let say = format!("`{}`: {}", keys.entry, crate::endpoint::NO_TOKEN);
                let hint = format!("keyfob exec {} --env -- COMMAND", names.join(" "));
                return Err(Refusal::new(Code::BadRequest, say).hint(hint));
            }
            let opened = open(doors.clone(), keys.entry.clone())?;
            mask::hide(opened.token(), &world.environment)?;
            variables.endpoint(&opened, keys.region.as_deref());
            defaults::hide(variables, world);
            given.endpoint = Some(opened);
        }
        "outscale" => {
            variables.outscale(keys);
            return Ok(());
        }
        _ => return Err(unexpected()),
    }
    variables.set(keyfob_ipc::start::HAS_OUR_KEYS, "1");
    Ok(())
}

fn open(doors: Doors, entry: String) -> Result<Endpoint, Refusal> {
    Endpoint::open(Box::new(move || doors.keys(&entry)))
}

/// Writes the configuration where both of its readers look: the `outerbounds` command and Outerbounds' extension of Metaflow. They
/// ask the service again at the address in the second file, with the key in the first.
fn give_folder(
    config: &MetaflowConfig,
    places: &[std::path::PathBuf],
    variables: &mut Variables,
) -> Result<Folder, Refusal> {
    let folder = Folder::make(places)?;
    folder.write("config.json", &config.config)?;
    if let Some(url) = &config.url {
        let perimeter = serde_json::json!({
            "OB_CURRENT_PERIMETER": config.perimeter,
            "OB_CURRENT_PERIMETER_MF_CONFIG_URL": url,
        });
        folder.write("ob_config.json", &Secret::new(perimeter.to_string()))?;
    }
    variables.metaflow(folder.path(), config.url.is_some());
    Ok(folder)
}
