//! `keyfob token add|rotate|remove|ends|snooze|rescue`.

pub(super) mod pair;
mod report;
mod value;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::EntryReport;
use keyfob_ipc::secret::exposed;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, text};
use serde::Serialize;

use self::value::Occasion;
use super::{DONE, Outcome, ask_service, date, done, of_kind};
use crate::reach::unexpected;
use crate::world::World;

/// Keep, replace and forget personal access tokens.
///
/// A personal access token is good for months, and its service shows it once. Keyfob keeps it in the keychain with what
/// the service tells about it, hands it to the hosts of its entry only, reminds you before it ends, and replaces it.
#[derive(Debug, Subcommand)]
pub enum Command {
    Add(Add),
    Rotate(Rotate),
    Remove(Remove),
    Ends(Ends),
    Snooze(Snooze),
    Rescue(Rescue),
}

/// Keep a personal access token.
///
/// On a terminal it opens the page where the token is made, if the entry names one, and asks for the value without showing
/// it. Otherwise the value is read from standard input, and nothing is opened or asked. The value is never an argument:
/// those can be seen by every process. White space around it is dropped. The token service is asked who the token belongs
/// to, until when and what it may do; a token of another person or one that has ended is refused.
///
/// An entry of OUTSCALE, such as `outscale.monitoring`, gets the access key with which the agent makes keys: on a terminal both
/// halves are asked for, else they are read as ACCESS:SECRET, in two lines, or as JSON. One of Outerbounds, such as
/// `outerbounds.prod`, gets the string that its page offers to copy, the whole command `outerbounds configure ...`, or the JSON in it.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob token add aspect
  keyfob token add aspect --ends 2027-03-01
  pass show aspect | keyfob token add aspect
  keyfob token add outscale.monitoring
  keyfob token add outerbounds.prod

EXIT CODES
  0 kept, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Add {
    /// The entry: `token.aspect`, `outscale.monitoring`, `outerbounds.prod`, or the bare name.
    name: String,
    /// When it ends, if its service cannot tell: 2027-03-01, or a time of RFC 3339.
    #[arg(long, value_name = "DATE", value_parser = date)]
    ends: Option<String>,
}

/// Replace a personal access token by a new one.
///
/// Where the service has an API for it, the agent does it. Else the page opens and the new value is asked for, as in
/// `keyfob token add`; standard input is read only then. Tools get the old value until the new one is stored and proven.
/// What the new token may no longer do is reported.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob token rotate aspect
  keyfob token rotate gitlab --by-hand
  pass show aspect | keyfob token rotate aspect

EXIT CODES
  0 replaced, 1 refused, 2 wrong use, 3 no token to replace,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Rotate {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
    /// Take a value that you made on the service's page, although the service has an API.
    #[arg(long)]
    by_hand: bool,
    /// When the new one ends, if its service cannot tell: 2027-03-01, or a time of RFC 3339.
    #[arg(long, value_name = "DATE", value_parser = date)]
    ends: Option<String>,
}

/// Forget a personal access token.
///
/// Removes the token from the keychain, and deletes it at its service where that can be done. Elsewhere it stays valid:
/// withdraw it on its page if nobody else uses it.
///
/// For an entry of OUTSCALE the access keys that the agent made are deleted there, and the one that you gave, too, unless it
/// is another user's or you say --keep-at-service. The last of them cannot delete itself: it is switched off and named.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob token remove aspect
  keyfob token remove aspect --keep-at-service
  keyfob token remove outscale.monitoring --keep-at-service

EXIT CODES
  0 removed, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Remove {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
    /// Leave it valid at its service: another machine may use it. Of OUTSCALE: the access key that you gave.
    #[arg(long)]
    keep_at_service: bool,
}

/// Say when a personal access token ends.
///
/// For services that cannot tell. It replaces the end that is taken from `lifetime` in the configuration, and moves the
/// reminders.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  keyfob token ends aspect 2027-03-01

EXIT CODES
  0 noted, 1 refused, 2 wrong use, 3 nothing is held, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Ends {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
    /// A day (2027-03-01) or a time of RFC 3339 (2027-03-01T08:00:00Z).
    #[arg(value_name = "DATE", value_parser = date)]
    ends: String,
}

/// Have no reminders about a personal access token for a while.
///
/// Without a number of days there is quiet until the next threshold of `reminders` in the configuration. `keyfob status`
/// goes on to show the end.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob token snooze aspect
  keyfob token snooze aspect 5
  keyfob token snooze aspect 0   ends a snooze

EXIT CODES
  0 noted, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Snooze {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
    /// Whole days from now; 0 ends a snooze.
    days: Option<u32>,
}

/// Show a new token that the keychain did not take.
///
/// After a rotation the old value is often dead. If the keychain fails in that moment, the agent keeps the new value in
/// memory and goes on trying; this command writes that value to standard output, so that it is not lost with the agent. No
/// other value is ever shown.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLE
  keyfob token rescue aspect | pass insert --echo aspect

EXIT CODES
  0 shown, 1 nothing to rescue, 2 wrong use, 4 agent not reachable")]
pub struct Rescue {
    /// The entry: `token.aspect` or `aspect`.
    name: String,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    match command {
        Command::Add(options) => add(&options, world),
        Command::Rotate(options) => rotate(&options, world),
        Command::Remove(options) => {
            let name = token_entry(&options.name, world)?.name;
            let ask = ControlAsk::TokenRemove { name, keep_at_service: options.keep_at_service };
            done(ask_service(ask, SERVICE, world)?, world)
        }
        Command::Ends(options) => {
            let name = token_entry(&options.name, world)?.name;
            let reply = world.reach.ask_control(ControlAsk::TokenEnds { name, ends: options.ends })?;
            report::show(reply, world)
        }
        Command::Snooze(options) => {
            let name = token_entry(&options.name, world)?.name;
            done(world.reach.ask_control(ControlAsk::TokenSnooze { name, days: options.days })?, world)
        }
        Command::Rescue(options) => rescue(&options, world),
    }
}

/// The kind whose value is an access key.
const OUTSCALE: &str = "outscale";

/// What is waited for.
const SERVICE: &str = "the token service";

fn add(options: &Add, world: &mut World) -> Outcome {
    // Asked first, so that nobody makes a token for an entry that is not there.
    let entry = token_entry(&options.name, world)?;
    let value = if entry.kind == OUTSCALE {
        let again = format!("copy both halves again, then keyfob token add {}", text::escape(&entry.name));
        pair::take(&format!("for {}", entry.name), &again, world)?.to_value()
    } else {
        value::take(&entry, Occasion::Add, world)?
    };
    let ask = ControlAsk::TokenAdd { name: entry.name, value, ends: options.ends.clone() };
    let reply = ask_service(ask, SERVICE, world)?;
    report::show(reply, world)
}

fn rotate(options: &Rotate, world: &mut World) -> Outcome {
    let entry = token_entry(&options.name, world)?;
    // Keys of OUTSCALE are renewed by themselves, as the agent says: there is nothing to type.
    let by_hand = options.by_hand && entry.kind != OUTSCALE;
    let only_by_hand = entry.facts.get("rotation").is_some_and(|rotation| rotation == "by-hand");
    let value = match (only_by_hand, by_hand) {
        (true, _) => Some(value::take(&entry, Occasion::Rotate, world)?),
        (false, true) => Some(value::take(&entry, Occasion::RotateByHand, world)?),
        (false, false) => None,
    };
    let ask = ControlAsk::TokenRotate { name: entry.name, value, ends: options.ends.clone() };
    let reply = ask_service(ask, SERVICE, world)?;
    report::show(reply, world)
}

fn token_entry(name: &str, world: &World) -> Result<EntryReport, Refusal> {
    let Reply::Entry(entry) = world.reach.look(|| ControlAsk::TokenEntry { name: name.to_owned() })? else {
        return Err(unexpected());
    };
    if !["token", OUTSCALE, value::OUTERBOUNDS].contains(&entry.kind.as_str()) {
        let say = format!("`{}` takes no token", text::escape(&entry.name));
        return Err(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"));
    }
    Ok(*entry)
}

/// For programs.
#[derive(Serialize)]
struct Rescued {
    #[serde(serialize_with = "exposed")]
    value: Secret<String>,
}

fn rescue(options: &Rescue, world: &mut World) -> Outcome {
    // What waits there may be of an entry that is configured no more.
    let name = match token_entry(&options.name, world) {
        Ok(entry) => entry.name,
        Err(refusal) if refusal.code == Code::UnknownEntry => of_kind("token", &options.name),
        Err(refusal) => return Err(refusal),
    };
    let Reply::Value { value } = world.reach.ask_control(ControlAsk::TokenRescue { name: name.clone() })?
    else {
        return Err(unexpected());
    };
    if world.is_watched && !world.json {
        world.printer.note(&format!(
            "this is the new value of `{}`, which the keychain has not taken yet; keep it in a password manager until \
             `keyfob status` no longer speaks of it",
            text::escape(&name)
        ));
    }
    let shown =
        if world.json { world.printer.answer(&Rescued { value }) } else { world.printer.value(&value) };
    shown.map(|()| DONE).map_err(|error| {
        Refusal::new(Code::Internal, format!("the value could not be written ({error})"))
            .hint(format!("keyfob token rescue {}", text::escape(&options.name)))
    })
}
