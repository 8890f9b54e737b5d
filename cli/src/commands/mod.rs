//! The commands, one file per noun.

mod admin;
mod agent;
mod approve;
mod aws;
mod config;
mod credential_process;
mod doctor;
mod exec;
mod get;
mod grants;
mod import;
mod lock;
mod log;
mod login;
mod machine;
mod metaflow;
mod misuse;
mod outscale;
mod permissions;
mod run;
mod secret;
mod setup;
mod status;
mod token;
mod uninstall;
mod unlock;
mod why;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use keyfob_ipc::reply::{Status, Teller};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply};

use crate::world::World;

/// How a command ends: its exit code, or why not.
type Outcome = Result<u8, Refusal>;
/// Done.
const DONE: u8 = 0;
/// Refused or failed.
const FAILED: u8 = 1;
/// Wrong use.
const WRONG_USE: u8 = 2;

const AFTER_HELP: &str = "\
FIRST STEPS
  keyfob login okta              sign in to [sso.okta] of the configuration
  keyfob setup bazel             let Bazel ask keyfob for credentials
  keyfob setup aws               one AWS profile for each [aws.*] entry
  keyfob setup metaflow          let Metaflow ask keyfob for AWS and service keys
  keyfob import                  move Metaflow's service key into the keychain
  keyfob exec dev -- terraform apply
                                 a program with keys that are renewed
  keyfob token add aspect        keep a personal access token of [token.aspect]
  keyfob secret set my-secret    values for programs, of [secret.my-secret]
  keyfob aws console dev         the AWS console as a role, in the browser
  keyfob status                  what is held, until when, and what to do next
  keyfob permissions             what each entry may do, and who says so
  keyfob why cache.acme.dev      which entry answers for a host, or why none
  keyfob doctor                  everything that must hold, and the first broken link

EXIT CODES
  0  done
  1  refused or failed
  2  wrong use
  3  sign-in or token needed (`keyfob login`, `keyfob token add`)
  4  the agent cannot be reached
  5  waiting for an unlock or an approval
  6  found (`keyfob import --check`)

FILES
  ~/.config/keyfob/config.toml   the configuration; it never holds a secret
  ~/.local/state/keyfob/         the agent's lock and log, the file keychain
  $XDG_RUNTIME_DIR/keyfob/       the sockets: agent.sock for tools, control.sock
                                 for people
  ~/.bazelrc, ~/.aws/config      edited by `keyfob setup`, between two marks
  ~/.metaflowconfig/config.json  members of it, by `keyfob setup metaflow`; `keyfob
                                 import` moves the service key out of it

  A first configuration:
    [sso.okta]
    issuer = \"https://acme.okta.com\"
    client_id = \"0oa1example\"

  On macOS all but the tools' own are in ~/Library/Application Support/Keyfob, on
  Windows in %APPDATA%\\Keyfob (configuration) and %LOCALAPPDATA%\\Keyfob.

ENVIRONMENT
  BROWSER                        programs that show an address, parted by
                                 colons; %s stands for the address
  SSH_CONNECTION, SSH_TTY        set over SSH: `login` uses the device flow
  DISPLAY, WAYLAND_DISPLAY       neither is set (Linux): `login` uses the device
                                 flow, unless BROWSER is set
  CI                             set: nothing is ever opened or asked for
  NO_COLOR                       set: no colour
  COLUMNS                        how wide tables may be; else as the terminal
                                 is, or 80
  AWS_CONFIG_FILE                edited by `setup aws` instead of ~/.aws/config
  AWS_SHARED_CREDENTIALS_FILE    looked through by `setup aws` instead of
                                 ~/.aws/credentials
  METAFLOW_HOME, METAFLOW_PROFILE
                                 which file `setup metaflow` edits, and where
                                 `import` looks
  KEYFOB_CONFIG, KEYFOB_STATE_DIR, KEYFOB_RUNTIME_DIR
                                 absolute paths that make a second profile, with
                                 an agent and a keychain namespace of its own";

/// Short-lived credentials for Bazel, AWS and Metaflow from one sign-in.
///
/// Keyfob holds the long-lived things (single sign-on sessions, personal access tokens, secrets for programs) in the keychain of
/// the operating system, in one background agent per user. Tools ask it for credentials and get something short-lived, in
/// the format that they already speak. This command talks to the agent, and starts it where it does not run.
#[derive(Debug, Parser)]
#[command(
    name = "keyfob",
    version = keyfob_ipc::VERSION,
    after_long_help = AFTER_HELP,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct CommandLine {
    /// Write JSON for programs: one object per line on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(get::Options),
    CredentialProcess(credential_process::Options),
    Exec(exec::Options),
    Run(run::Options),
    Login(login::Options),
    Logout(login::LogoutOptions),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Secret(secret::Command),
    Metaflow(metaflow::Options),
    Status(status::Options),
    Permissions(permissions::Options),
    Why(why::Options),
    Approve(approve::Options),
    #[command(subcommand)]
    Aws(aws::Command),
    #[command(subcommand)]
    Machine(machine::Command),
    #[command(subcommand)]
    Outscale(outscale::Command),
    Grants(grants::Options),
    Log(log::Options),
    Doctor(doctor::Options),
    #[command(subcommand)]
    Setup(setup::Command),
    Import(import::Options),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Admin(admin::Command),
    #[command(subcommand)]
    Agent(agent::Command),
    Lock(lock::Options),
    Unlock(unlock::Options),
    Uninstall(uninstall::Options),
}

/// Reads the arguments and runs the command. Returns the exit code.
pub fn run(arguments: Vec<OsString>, world: &mut World) -> u8 {
    let words = misuse::first_words(&arguments);
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(usage) => {
            match misuse::unsaid(&usage, &words) {
                Some(refusal) => world.printer.refuse(&refusal),
                // Help asked for goes to standard output, wrong use to standard error; a closed stream changes neither.
                None => drop(usage.print()),
            }
            return u8::try_from(usage.exit_code()).unwrap_or(WRONG_USE);
        }
    };
    world.json = line.json;
    let outcome = match line.command {
        Command::Get(options) => get::run(&options, world),
        Command::CredentialProcess(options) => credential_process::run(&options, world),
        Command::Exec(options) => exec::run(options, world),
        Command::Run(options) => run::run(options, world),
        Command::Login(options) => login::run(&options, world),
        Command::Logout(options) => login::logout(options, world),
        Command::Token(command) => token::run(command, world),
        Command::Secret(command) => secret::run(command, world),
        Command::Metaflow(options) => metaflow::run(&options, world),
        Command::Status(options) => status::run(&options, world),
        Command::Permissions(options) => permissions::run(options, world),
        Command::Why(options) => why::run(&options, world),
        Command::Approve(options) => approve::run(&options, world),
        Command::Aws(command) => aws::run(command, world),
        Command::Machine(command) => machine::run(command, world),
        Command::Outscale(command) => outscale::run(command, world),
        Command::Grants(options) => grants::run(options, world),
        Command::Log(options) => log::run(&options, world),
        Command::Doctor(options) => doctor::run(&options, world),
        Command::Setup(command) => setup::run(&command, world),
        Command::Import(options) => import::run(&options, world),
        Command::Config(command) => config::run(command, world),
        Command::Admin(command) => admin::run(command, world),
        Command::Agent(command) => agent::run(&command, world),
        Command::Lock(options) => lock::run(&options, world),
        Command::Unlock(options) => unlock::run(&options, world),
        Command::Uninstall(options) => uninstall::run(&options, world),
    };
    outcome.map_err(crate::prompt::mended).unwrap_or_else(|refusal| {
        let exit = refusal.code.exit();
        world.printer.refuse(&refusal);
        if world.json {
            world.printer.json(&Reply::Refused(refusal));
        }
        exit
    })
}

/// Asks for what the agent has to ask others about; a person is told what is waited for.
fn ask_service(ask: ControlAsk, of_whom: &str, world: &mut World) -> Result<Reply, Refusal> {
    let World { reach, printer, is_watched, json, .. } = world;
    reach.ask_service(ask, || {
        if *is_watched && !*json {
            printer.note(&format!("waiting for {of_whom}"));
        }
    })
}

/// Reads a day or a time; what it is exactly is the agent's to say.
fn date(text: &str) -> Result<String, String> {
    if crate::life::is_day_or_time(text) { Ok(text.to_owned()) } else { Err(misuse::DATE.to_owned()) }
}

/// While the agent is locked it keeps nothing, so nobody should look for a value.
fn refuse_locked(status: &Status) -> Result<(), Refusal> {
    match status.lock {
        Some(_) => Err(Refusal::new(Code::Locked, "keyfob is locked").hint("keyfob unlock")),
        None => Ok(()),
    }
}

/// Reports the end of a request that is answered by `Done`.
fn done(reply: Reply, world: &mut World) -> Outcome {
    match reply {
        reply @ Reply::Done { .. } if world.json => world.printer.json(&reply),
        Reply::Done { say } => world.printer.say(&say),
        _ => return Err(crate::reach::unexpected()),
    }
    Ok(DONE)
}

/// Who told an end, behind it.
fn says(teller: Option<Teller>) -> String {
    match teller {
        None => String::new(),
        Some(Teller::Person) => ", as you said".to_owned(),
        Some(Teller::Configuration) => ", from `lifetime`".to_owned(),
        Some(teller) => format!(", {} says so", teller.words()),
    }
}

/// `kind.name` for a name that may be bare.
fn of_kind(kind: &str, name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{kind}.{name}") }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_paragraph_and_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                let about = sub.get_long_about().map(ToString::to_string).unwrap_or_default();
                assert!(about.len() > 80, "{path}: no paragraph: {about}");
                if sub.has_subcommands() {
                    visit(sub, &path);
                } else {
                    let after = sub.get_after_long_help().map(ToString::to_string).unwrap_or_default();
                    assert!(after.contains("EXAMPLE"), "{path}: no example");
                    assert!(after.contains("EXIT CODES\n  0 "), "{path}: no exit codes");
                    assert!(after.lines().all(|line| line.len() <= 90), "{path}: not readable as it is");
                }
            }
        }
        visit(&CommandLine::command(), "keyfob");
    }

    #[test]
    fn json_is_understood_before_and_after_the_command() {
        for line in [["keyfob", "--json", "status"], ["keyfob", "status", "--json"]] {
            assert!(CommandLine::try_parse_from(line).unwrap().json);
        }
    }

    #[test]
    fn wrong_use_ends_with_two() {
        for line in [&["keyfob", "frobnicate"][..], &["keyfob", "login", "--device", "--browser"]] {
            assert_eq!(CommandLine::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn bare_names_get_their_kind() {
        assert_eq!(of_kind("token", "aspect"), "token.aspect");
        assert_eq!(of_kind("token", "sso.okta"), "sso.okta");
    }
}
