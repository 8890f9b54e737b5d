//! `keyfob admin tokens list|permissions|rotate|delete|create`.

mod page;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::{ClusterRights, Issued, Right, Rights};
use keyfob_ipc::{AdminAct, Code, ControlAsk, Refusal, Reply, text};

use super::{DONE, Outcome, ask_service, date, done, of_kind};
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Administer a token service.
///
/// For administrators of a service that speaks the open token API (`service = "keyfob"`). Their own token is the one of a
/// `token` entry.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(subcommand)]
    Tokens(Tokens),
}

/// List, change, rotate, delete and make tokens of others.
///
/// A new value is kept by the entry of --into; else it is written to standard output, alone, this once.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    List(List),
    Permissions(Permissions),
    Rotate(Rotate),
    Delete(Delete),
    Create(Create),
}

/// Which administrator.
#[derive(Debug, Args)]
#[group(skip)]
struct With {
    /// The entry with the administrator's token; may be left out where only one can be it.
    #[arg(long, value_name = "ENTRY")]
    with: Option<String>,
}

/// List tokens.
///
/// Shows owner, end, last use and permissions of every token that the service knows, or of one owner. No value is shown:
/// services keep none.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob admin tokens list
  keyfob admin tokens list --owner bot-ci --json

EXIT CODES
  0 listed, 1 refused, 2 wrong use, 3 no administrator's token is held,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct List {
    /// Tokens of this owner only.
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    with: With,
}

/// Change what a token may do.
///
/// What is given replaces all that it may do: a cluster that is not named is taken away. Its value stays the same; clusters
/// may take an hour to notice.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob admin tokens permissions 42 --cluster aw-remote-ext=read,write
  keyfob admin tokens permissions 42 --cluster aw-remote-ext=none

EXIT CODES
  0 changed, 1 refused, 2 wrong use, 3 no administrator's token is held,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Permissions {
    /// The token, as `keyfob admin tokens list` names it.
    id: String,
    /// What it may do at a cluster: read, write, execute or none. May be given several times.
    #[arg(long = "cluster", value_name = "NAME=RIGHTS", value_parser = rights, required = true)]
    clusters: Vec<ClusterRights>,
    #[command(flatten)]
    with: With,
}

/// Give a token another value.
///
/// The old value is dead at once. The new one is kept by the entry of --into; else it is the only thing on standard output,
/// and shown this once.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob admin tokens rotate 42 --into ci
  keyfob admin tokens rotate 42 | vault kv put secret/ci token=-

EXIT CODES
  0 rotated, 1 refused, 2 wrong use, 3 no administrator's token is held,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Rotate {
    /// The token, as `keyfob admin tokens list` names it.
    id: String,
    /// The `token` entry that keeps the new value.
    #[arg(long, value_name = "ENTRY")]
    into: Option<String>,
    #[command(flatten)]
    with: With,
}

/// Delete a token.
///
/// Whoever uses it is locked out. On a terminal you type its id; without one nothing is deleted, unless --yes is given.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob admin tokens delete 42
  keyfob admin tokens delete 42 --yes

EXIT CODES
  0 deleted, 1 refused or called off, 2 wrong use,
  3 no administrator's token is held, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Delete {
    /// The token, as `keyfob admin tokens list` names it.
    id: String,
    /// Delete it without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    with: With,
}

/// Make a token for a machine.
///
/// The value is kept by the entry of --into; else it is the only thing on standard output, and shown this once. Without
/// --ends the service decides when it ends.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob admin tokens create bot-ci --cluster aw-remote-ext=read,write --ends 2027-03-01
  keyfob admin tokens create bot-ci --cluster aw-remote-ext=read --into ci

EXIT CODES
  0 made, 1 refused, 2 wrong use, 3 no administrator's token is held,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Create {
    /// The machine: `bot-…`.
    owner: String,
    /// What it may do at a cluster: read, write, execute or none. May be given several times.
    #[arg(long = "cluster", value_name = "NAME=RIGHTS", value_parser = rights, required = true)]
    clusters: Vec<ClusterRights>,
    /// When it ends: 2027-03-01, or a time of RFC 3339.
    #[arg(long, value_name = "DATE", value_parser = date)]
    ends: Option<String>,
    /// The `token` entry that keeps the value.
    #[arg(long, value_name = "ENTRY")]
    into: Option<String>,
    #[command(flatten)]
    with: With,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    let Command::Tokens(command) = command;
    let into = |entry: Option<String>| entry.map(|entry| of_kind("token", &entry));
    let (with, act) = match command {
        Tokens::List(List { owner, with }) => (with, AdminAct::List { owner }),
        Tokens::Permissions(Permissions { id, clusters, with }) => {
            (with, AdminAct::SetPermissions { id, permissions: clusters })
        }
        Tokens::Rotate(options) => {
            (options.with, AdminAct::Rotate { id: options.id, into: into(options.into) })
        }
        Tokens::Delete(Delete { id, yes, with }) => {
            if !yes {
                refuse_unasked(&id, world)?;
            }
            (with, AdminAct::Delete { id })
        }
        Tokens::Create(Create { owner, clusters, ends, into: entry, with }) => {
            (with, AdminAct::CreateMachine { owner, permissions: clusters, ends, into: into(entry) })
        }
    };
    let ask = ControlAsk::Admin { name: into(with.with), act };
    match ask_service(ask, "the token service", world)? {
        Reply::Tokens(tokens) if world.json => world.printer.json(&tokens),
        Reply::Tokens(tokens) => {
            let page = page::list(&tokens, world);
            world.printer.result(&page);
        }
        Reply::Issued(issued) => return show_issued(&issued, world),
        reply @ Reply::Done { .. } => return done(reply, world),
        _ => return Err(unexpected()),
    }
    Ok(DONE)
}

/// Reads `NAME=read,write,execute`; what is not named is not permitted.
fn rights(text: &str) -> Result<ClusterRights, String> {
    let (cluster, list) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("it is NAME=read,write,execute")?;
    let mut rights = Rights { read: Right::No, write: Right::No, execute: Right::No };
    for word in list.split(',') {
        match word {
            "read" => rights.read = Right::Yes,
            "write" => rights.write = Right::Yes,
            "execute" => rights.execute = Right::Yes,
            "none" if list == "none" => {}
            _ => return Err("rights are read, write and execute, or none".to_owned()),
        }
    }
    Ok(ClusterRights { cluster: cluster.to_owned(), rights })
}

/// Asks a person to type the id.
fn refuse_unasked(id: &str, world: &World) -> Result<(), Refusal> {
    let kept = Refusal::new(Code::CalledOff, "nothing was deleted");
    let shown = text::escape(id);
    if !world.input.is_terminal || world.json {
        return Err(kept.hint(format!("keyfob admin tokens delete {shown} --yes")));
    }
    let answer =
        prompt::shown(&format!("Whoever uses the token is locked out. Type `{shown}` to delete it: "))?;
    if answer == id { Ok(()) } else { Err(kept) }
}

/// A value goes to standard output alone; everything about it goes to standard error then.
fn show_issued(issued: &Issued, world: &mut World) -> Outcome {
    let (page, say) = (page::issued(issued, world), format!("keyfob: {}\n", text::escape(&issued.say)));
    let written = match &issued.value {
        _ if world.json => world.printer.answer(issued),
        None => {
            world.printer.result(&format!("{say}{page}"));
            Ok(())
        }
        Some(value) => {
            world.printer.aside(&format!("{say}{page}"));
            if world.is_watched {
                world.printer.note("this is its value, shown this once; keep it in a safe place");
            }
            world.printer.value(value)
        }
    };
    written.map(|()| DONE).map_err(|error| {
        let say = format!("the value could not be written ({error}), and is shown only once");
        Refusal::new(Code::Internal, say)
            .hint(format!("keyfob admin tokens rotate {}", text::escape(&issued.token.id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_a_list_and_what_is_not_named_is_not_permitted() {
        let read = rights("aw=read,execute").unwrap();
        assert_eq!(read.cluster, "aw");
        assert_eq!(read.rights, Rights { read: Right::Yes, write: Right::No, execute: Right::Yes });
        let none = rights("aw=none").unwrap().rights;
        assert_eq!(none, Rights { read: Right::No, write: Right::No, execute: Right::No });
        for wrong in ["aw", "=read", "aw=", "aw=reed", "aw=read,", "aw=read,none", "aw=read=write"] {
            assert!(rights(wrong).is_err(), "{wrong}");
        }
    }
}
