//! `keyfob aws`.

use std::time::Duration;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, limits};

use super::{Outcome, done};
use crate::browser::{self, NotOpened};
use crate::reach::unexpected;
use crate::world::{Environment, World};

/// The agent keeps the address for a minute, and says how it ended; before that it asks AWS twice.
const PATIENCE: Duration = Duration::from_secs(120);

/// The AWS console.
///
/// What a role's keys are good for beside programs: the console of AWS in your browser, without another sign-in.
#[derive(Debug, Subcommand)]
pub enum Command {
    Console(Console),
}

/// Open the AWS console as a role.
///
/// Asks AWS for a sign-in with the role's keys, and opens it in your browser. The link that signs in is a credential: it is
/// on no command line, in no output and in no log. What your browser is started with is an address of this machine, which
/// leads to it once, within a minute. If the page says that it was used already and you have not seen the console, another
/// program was faster: revoke the sessions of the role in IAM.
/// The console ends with the keys. With --json nothing is opened: the address is one line {"step":...}, and the end is
/// {"done":...} or {"refused":...}. Ctrl-C calls it off.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob aws console dev                     the console's home, in the region of
                                             the entry
  keyfob aws console dev --service ec2       the page of a service
  keyfob aws console dev --to https://console.aws.amazon.com/iam/home

EXIT CODES
  0 opened, 1 refused or called off, 2 wrong use, 3 sign-in needed,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Console {
    /// The entry: `aws.dev` or `dev`.
    name: String,
    /// A page of the console, by its address.
    #[arg(long, value_name = "URL", conflicts_with = "service")]
    to: Option<String>,
    /// The page of a service, as it stands in the console's addresses: ec2, s3, iam.
    #[arg(long, value_name = "NAME", value_parser = service)]
    service: Option<String>,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    let Command::Console(options) = command;
    console(options, world)
}

fn console(options: Console, world: &mut World) -> Outcome {
    if let Some(why) = world.environment.unattended.filter(|_| !world.json) {
        let say = format!("{}, so no browser is opened", why.words());
        return Err(Refusal::new(Code::CalledOff, say));
    }
    let page = options.service.map(|service| format!("/{service}/home"));
    let destination = options.to.or(page);
    let mut client = world.reach.control()?;
    client.send(ControlAsk::AwsConsole { name: options.name, destination }, limits::CONTROL_PATIENCE)?;
    loop {
        match client.receive(PATIENCE)? {
            reply @ Reply::Step(_) if world.json => world.printer.json(&reply),
            Reply::Step(Step::OpenBrowser { url }) => open(&url, world)?,
            Reply::Step(_) => return Err(unexpected()),
            reply => return done(reply, world),
        }
    }
}

fn open(url: &str, world: &mut World) -> Result<(), Refusal> {
    // What leads to the console is on this machine, whatever an agent says.
    if !url.starts_with("http://127.0.0.1:") || !browser::is_web_address(url) {
        return Err(unexpected());
    }
    let begin = begin(&world.environment, || browser::open(url, &world.environment));
    world.printer.note(&format!(
        "{begin}, on this machine alone:\n\n  {url}\n\nIt works once, for a minute. Ctrl-C calls it off."
    ));
    Ok(())
}

/// What is said before the address. A browser that was named is tried over SSH, too: it may know a way to the person's screen.
fn begin(environment: &Environment, open: impl FnOnce() -> Result<(), NotOpened>) -> String {
    if environment.browser.is_none() && environment.remote {
        return "this is an SSH connection, so no browser was started: the address is of no use where you sit, only in \
                a browser that runs here. Run the command where you sit, or go to"
            .to_owned();
    }
    if environment.browser.is_none() && !environment.display {
        return "no browser was started: there is no display, and BROWSER is not set; go to".to_owned();
    }
    match open() {
        Ok(()) => "opening the AWS console; if nothing opens, go to".to_owned(),
        Err(error) => format!("no browser was started ({error}); go to"),
    }
}

/// A service as the console's addresses have it.
fn service(text: &str) -> Result<String, String> {
    let is_service = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_service {
        Ok(text.to_owned())
    } else {
        Err("a service is written as in the console's addresses: ec2, s3, cloudformation".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_where_no_browser_was_started() {
        let began = |environment: &Environment, opened: Result<(), NotOpened>| {
            let mut was_tried = false;
            let say = begin(environment, || {
                was_tried = true;
                opened
            });
            (say, was_tried)
        };
        let desk = Environment { display: true, ..Environment::default() };
        let (say, was_tried) = began(&desk, Ok(()));
        assert!(say.starts_with("opening") && was_tried, "{say}");
        let (say, _) = began(&desk, Err(NotOpened::NoBrowser));
        assert_eq!(say, "no browser was started (no browser was found); go to");
        let (say, was_tried) = began(&Environment::default(), Ok(()));
        assert!(say.contains("no display") && !was_tried, "{say}");
        let ssh = Environment { remote: true, ..desk };
        let (say, was_tried) = began(&ssh, Ok(()));
        assert!(say.contains("SSH") && say.contains("no use where you sit") && !was_tried, "{say}");
        let (say, was_tried) = began(&Environment { browser: Some("code".to_owned()), ..ssh }, Ok(()));
        assert!(say.starts_with("opening") && was_tried, "{say}");
    }

    #[test]
    fn a_service_is_one_word() {
        assert_eq!(service("ec2").as_deref(), Ok("ec2"));
        for bad in ["", "EC2", "ec2/home", "../x", "a b", "https://evil.example"] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }
}
