//! `keyfob login`, `keyfob logout`.

use std::time::Duration;

use clap::Args;
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, ControlAsk, Flow, Refusal, Reply, limits, text};

use super::{Outcome, done};
use crate::printer::Paint;
use crate::unattended::Unattended;
use crate::world::{Environment, World};
use crate::{browser, life};

/// The agent ends a sign-in at its limit and says so; the client leaves it the time to.
const GRACE: Duration = Duration::from_secs(15);

/// Sign in to an SSO session.
///
/// Opens the identity provider's page in your browser, and keeps the session in the keychain once you have signed in.
/// Where no browser can be shown (over SSH, without a display) it shows a code to be entered on any other device instead.
/// With --json nothing is opened: each step is one line {"step":...}, and the end is {"done":...} or {"refused":...}.
/// Ctrl-C calls the sign-in off.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob login                   the only SSO session of the configuration
  keyfob login okta --device     a code for another device, without a browser here

EXIT CODES
  0 signed in, 1 refused or called off, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Options {
    /// The session: `sso.okta` or `okta`. May be left out where only one is configured.
    name: Option<String>,
    /// Show a code to be entered on another device.
    #[arg(long, conflicts_with = "browser")]
    device: bool,
    /// Use the browser of this machine, also over SSH.
    #[arg(long)]
    browser: bool,
}

/// Forget an SSO session.
///
/// Removes the session from the keychain, takes back what was obtained with it, and revokes it at the provider where that
/// can be done. Tools get nothing more from it until the next `keyfob login`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  keyfob logout okta

EXIT CODES
  0 signed out, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct LogoutOptions {
    /// The session: `sso.okta` or `okta`. May be left out where only one is configured.
    name: Option<String>,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let (flow, why) = choose(options, &world.environment);
    if let Some(why) = world.environment.unattended {
        return Err(nobody_signs_in(why));
    }
    let mut client = world.reach.control()?;
    client.send(ControlAsk::Login { name: options.name.clone(), flow }, limits::CONTROL_PATIENCE)?;
    loop {
        match client.receive(limits::SIGN_IN + GRACE)? {
            reply @ Reply::Step(_) if world.json => world.printer.json(&reply),
            Reply::Step(step) => show(&step, options.name.as_deref(), why, world)?,
            reply => return done(reply, world),
        }
    }
}

pub fn logout(options: LogoutOptions, world: &mut World) -> Outcome {
    let reply = world.reach.ask_control(ControlAsk::Logout { name: options.name })?;
    done(reply, world)
}

/// A job has an identity of its own. Below `keyfob run` that command is no next step.
fn nobody_signs_in(why: Unattended) -> Refusal {
    let mut hint =
        "give what uses this session `machine = \"ci\"` in place of `sso`, and add [machine.ci]".to_owned();
    if why == Unattended::Ci {
        hint.push_str("; then `keyfob run -- COMMAND`");
    }
    Refusal::new(Code::CalledOff, format!("{}, so nobody is asked to sign in", why.words())).hint(hint)
}

/// The flow, and why it is the one by a code where nobody asked for that.
fn choose(options: &Options, environment: &Environment) -> (Flow, Option<&'static str>) {
    // In CI the device flow would wait for a person who is not there; the browser flow is refused at once.
    let shown = environment.can_browse() || environment.unattended.is_some();
    if options.device {
        (Flow::Device, None)
    } else if options.browser || shown {
        (Flow::Browser, None)
    } else if environment.remote {
        (
            Flow::Device,
            Some("this is an SSH connection, so you sign in by a code (--browser: in a browser here)"),
        )
    } else {
        (Flow::Device, Some("there is no display, so you sign in by a code (--browser: in a browser here)"))
    }
}

/// The command that signs in without a browser here.
fn by_code(name: Option<&str>) -> String {
    let name = name.map(|name| format!(" {}", text::escape(name))).unwrap_or_default();
    format!("keyfob login{name} --device")
}

const WAITING: &str = "waiting for you to come back from the browser; Ctrl-C calls it off";

fn show(
    step: &Step,
    name: Option<&str>,
    why: Option<&'static str>,
    world: &mut World,
) -> Result<(), Refusal> {
    match step {
        Step::OpenBrowser { url } => {
            if !browser::is_web_address(url) {
                return Err(Refusal::new(
                    Code::ProviderUntrusted,
                    "the provider's sign-in page is no web address",
                ));
            }
            // The address is printed even so: what starts is not always what shows.
            world.printer.note(&match browser::open(url, &world.environment) {
                Ok(()) => format!("opening your browser; if nothing opens, go to:\n\n  {url}\n\n{WAITING}"),
                Err(error) => format!(
                    "{error}; go to:\n\n  {url}\n\n{WAITING}\n(for a browser on another device: {})",
                    by_code(name)
                ),
            });
        }
        Step::DeviceCode { user_code, verification_uri, verification_uri_complete, expires_in } => {
            if let Some(why) = why {
                world.printer.note(why);
            }
            let code = device_text(world, user_code, verification_uri, verification_uri_complete.as_deref());
            let limit = life::words(i64::try_from(*expires_in).unwrap_or(i64::MAX));
            world.printer.note(&format!(
                "{code}\nThe code is good for {limit}. Enter it only if it was you who ran this command. Waiting; Ctrl-C calls it off."
            ));
        }
    }
    Ok(())
}

fn device_text(world: &World, code: &str, uri: &str, complete: Option<&str>) -> String {
    let code = text::escape(code);
    let frame = "-".repeat(code.chars().count() + 4);
    let strong = world.printer.paint(Paint::Strong, &code);
    let shown = |uri: &str| if browser::is_web_address(uri) { uri.to_owned() } else { text::escape(uri) };
    let direct = complete
        .map(|complete| format!("\nOr go straight to:\n\n  {}\n", shown(complete)))
        .unwrap_or_default();
    format!(
        "to sign in, open this page on any device:\n\n  {}\n\nand enter the code\n\n  +{frame}+\n  |  {strong}  |\n  +{frame}+\n{direct}",
        shown(uri)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(device: bool, browser: bool) -> Options {
        Options { name: None, device, browser }
    }

    #[test]
    fn the_flow_follows_the_place_unless_it_is_named() {
        let desk = Environment { display: true, ..Environment::default() };
        let ssh = Environment { remote: true, ..desk.clone() };
        let bare = Environment::default();
        let bare_with_browser = Environment { browser: Some("w3m".to_owned()), ..Environment::default() };
        assert_eq!(choose(&options(false, false), &desk), (Flow::Browser, None));
        let (flow, why) = choose(&options(false, false), &ssh);
        assert!(flow == Flow::Device && why.is_some_and(|why| why.contains("SSH")));
        let (flow, why) = choose(&options(false, false), &bare);
        assert!(flow == Flow::Device && why.is_some_and(|why| why.contains("no display")));
        assert_eq!(choose(&options(false, false), &bare_with_browser), (Flow::Browser, None));
        assert_eq!(choose(&options(true, false), &ssh), (Flow::Device, None));
        assert_eq!(choose(&options(false, true), &ssh), (Flow::Browser, None));
    }

    #[test]
    fn the_command_without_a_browser_can_be_pasted() {
        assert_eq!(by_code(Some("okta")), "keyfob login okta --device");
        assert_eq!(by_code(None), "keyfob login --device");
    }
}
