//! `keyfob token add`, `keyfob token remove`.

use std::io::Read;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::EntryReport;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, text};
use zeroize::Zeroizing;

use super::{Outcome, done, of_kind};
use crate::browser;
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Keep and forget personal access tokens.
///
/// A personal access token is made by a person on a service's page and is good for months. Keyfob keeps it in the keychain
/// and hands it to the hosts of its entry only.
#[derive(Debug, Subcommand)]
pub enum Command {
    Add(Add),
    Remove(Remove),
}

/// Keep a personal access token.
///
/// On a terminal it opens the page where the token is made, if the entry names one, and asks for the value without showing
/// it. Otherwise the value is read from standard input, and nothing is opened or asked. The value is never an argument:
/// those can be seen by every process. White space around it is dropped.
#[derive(Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  keyfob token add aspect
  pass show aspect | keyfob token add aspect

EXIT CODES
  0 kept, 1 refused, 2 wrong use, 4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Add {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
}

/// Forget a personal access token.
///
/// Removes the token from the keychain. It stays valid at the service: withdraw it there if nobody else uses it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
EXAMPLE
  keyfob token remove aspect

EXIT CODES
  0 removed, 1 refused, 2 wrong use, 4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Remove {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
}

pub fn run(command: &Command, world: &mut World) -> Outcome {
    match command {
        Command::Add(options) => add(options, world),
        Command::Remove(options) => {
            let reply = world.reach.ask_control(ControlAsk::TokenRemove {
                name: options.name.clone(),
                keep_at_service: false,
            })?;
            done(reply, world)
        }
    }
}

fn add(options: &Add, world: &mut World) -> Outcome {
    let name = of_kind("token", &options.name);
    // Asked first, so that nobody makes a token for an entry that is not there.
    let Reply::Entry(entry) = world.reach.ask_control(ControlAsk::Entry { name })? else {
        return Err(unexpected());
    };
    if entry.kind != "token" {
        return Err(Refusal::new(
            Code::UnknownEntry,
            format!("`{}` takes no token", text::escape(&entry.name)),
        )
        .hint("keyfob status"));
    }
    let given = if world.input.is_terminal {
        refuse_without_keychain(world)?;
        ask(&entry, world)?
    } else {
        read(&mut world.input.reader).map_err(|refusal| refusal.hint(copy_again(&entry)))?
    };
    let value = Secret::from(given.expose().trim());
    check(value.expose(), entry.facts.get("prefix").map(String::as_str))
        .map_err(|refusal| refusal.hint(copy_again(&entry)))?;
    let reply = world.reach.ask_control(ControlAsk::TokenAdd { name: entry.name, value, ends: None })?;
    match reply {
        Reply::Token(report) => done(Reply::Done { say: report.say }, world),
        other => done(other, world),
    }
}

/// Services show a token once: nobody should make one that then cannot be kept.
fn refuse_without_keychain(world: &World) -> Result<(), Refusal> {
    let Reply::Status(status) = world.reach.ask_control(ControlAsk::Status)? else {
        return Err(unexpected());
    };
    status.keychain.refusal.map_or(Ok(()), Err)
}

fn portal(entry: &EntryReport) -> Option<&str> {
    entry.facts.get("portal").map(String::as_str).filter(|portal| browser::is_web_address(portal))
}

/// The next step after a value that is no token of this entry.
fn copy_again(entry: &EntryReport) -> String {
    let name = entry.name.strip_prefix("token.").unwrap_or(&entry.name);
    match portal(entry) {
        Some(portal) => format!("copy it again from {portal}, then keyfob token add {name}"),
        None => format!("copy it again, then keyfob token add {name}"),
    }
}

fn ask(entry: &EntryReport, world: &mut World) -> Result<Secret<String>, Refusal> {
    if let Some(portal) = portal(entry) {
        let opened = !world.json
            && world.environment.can_browse()
            && browser::open(portal, &world.environment).is_ok();
        let how = if opened { "opening the page where the token is made" } else { "the token is made at" };
        world.printer.note(&format!("{how}:\n\n  {portal}\n"));
    }
    prompt::hidden(&format!("Token for {} (not shown): ", text::escape(&entry.name)))
}

fn read(input: &mut impl Read) -> Result<Secret<String>, Refusal> {
    let refuse = |why: &str| Refusal::new(Code::TokenInvalid, format!("the value on standard input {why}"));
    let mut bytes = Zeroizing::new(Vec::with_capacity(prompt::LONGEST + 1));
    input
        .take(prompt::LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(&format!("cannot be read ({error})")))?;
    if bytes.len() > prompt::LONGEST {
        return Err(refuse(&format!("has more than {} bytes", prompt::LONGEST)));
    }
    std::str::from_utf8(&bytes).map(Secret::from).map_err(|_| refuse("is no text"))
}

/// What the agent checks too; here it saves the way. Nothing of the value is repeated.
fn check(value: &str, prefix: Option<&str>) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Code::TokenInvalid, why));
    if value.is_empty() {
        return refuse("no token was given".to_owned());
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(
            "the token holds characters that no token holds (white space, control or not ASCII)".to_owned(),
        );
    }
    match prefix {
        Some(prefix) if !value.starts_with(prefix) => {
            refuse(format!("the token does not begin with `{}`, so it is another one", text::escape(prefix)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::EntryState;

    use super::*;

    #[test]
    fn values_are_checked_and_not_repeated() {
        assert!(check("aw_1", Some("aw_")).is_ok());
        assert!(check("x", None).is_ok());
        for (value, prefix) in [
            ("", None),
            ("gh_s3cr3t", Some("aw_")),
            ("aw_s3 cr3t", Some("aw_")),
            ("aw_s3cr3t\u{e9}", None),
            ("a\u{7}", None),
        ] {
            let refusal = check(value, prefix).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!refusal.say.contains("s3"), "{refusal}");
        }
    }

    #[test]
    fn a_wrong_value_is_copied_again_from_its_page() {
        let mut entry = EntryReport {
            name: "token.aspect".to_owned(),
            kind: "token".to_owned(),
            state: EntryState::SignedOut,
            until: None,
            until_assumed: false,
            until_by: None,
            owner: None,
            hosts: vec![],
            through: None,
            facts: Default::default(),
            refusal: None,
            notes: vec![],
        };
        assert_eq!(copy_again(&entry), "copy it again, then keyfob token add aspect");
        entry.facts.insert("portal".to_owned(), "https://aw.acme.dev/token".to_owned());
        let hint = "copy it again from https://aw.acme.dev/token, then keyfob token add aspect";
        assert_eq!(copy_again(&entry), hint);
        entry.facts.insert("portal".to_owned(), "javascript:x".to_owned());
        assert!(!copy_again(&entry).contains("javascript"));
    }

    #[test]
    fn standard_input_is_bounded() {
        assert_eq!(read(&mut &b"aw_1\n"[..]).unwrap().expose(), "aw_1\n");
        assert!(read(&mut &vec![b'x'; prompt::LONGEST][..]).is_ok());
        assert!(read(&mut &vec![b'x'; prompt::LONGEST + 1][..]).is_err());
        assert!(read(&mut &b"\xff"[..]).is_err());
    }
}
