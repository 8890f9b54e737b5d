//! `keyfob secret set|get|list|remove`.

mod list;
mod values;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use keyfob_ipc::reply::{EntryReport, is_variable};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, ToolAsk, text};
use serde::{Serialize, Serializer};

use super::{DONE, Outcome, WRONG_USE, done, of_kind, refuse_locked};
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// Keep values for programs, and give them.
///
/// A [secret.*] entry has values by their names: for `@secrets` of Metaflow, for `keyfob exec`, and for you. They are in the
/// keychain, or in AWS Secrets Manager behind a role that the agent assumes; in the configuration are the names alone.
#[derive(Debug, Subcommand)]
pub enum Command {
    Set(Set),
    Get(Get),
    List(List),
    Remove(Remove),
}

/// Keep values of a secret in the keychain.
///
/// On a terminal it asks for the value of KEY, or for each one that the entry names, without showing it; an empty answer leaves
/// that one as it is. Otherwise standard input is read: with KEY it is the value, without its last line end, else a JSON
/// object of strings, of at most 60 KiB. A value of several lines comes through standard input: pasted at the prompt it is refused. A
/// value is never an argument: those can be seen by every process. Values that are not given stay, unless you say --replace.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob secret set my-secret
  keyfob secret set my-secret SECRET_KEY1
  keyfob secret set my-secret SECRET_KEY1 < key.pem
  pass show my-secret.json | keyfob secret set my-secret --replace

EXIT CODES
  0 kept, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Set {
    /// The entry: `secret.my-secret` or `my-secret`.
    name: String,
    /// The name of one value.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Forget every value that is not given now.
    #[arg(long)]
    replace: bool,
}

/// Give the values of a secret.
///
/// With KEY that one value, as it is, and a line end; on a terminal, signs that could steer it are written as escapes. Without
/// KEY, or with --json, a JSON object of the values by their names. Values behind a role in AWS are asked for there; with
/// --role-arn as another role, one that `may_assume` of the entry's role allows. Standard input is never read, nobody is asked anything.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob secret get my-secret SECRET_KEY1
  keyfob secret get my-secret | jq -r .SECRET_KEY1
  keyfob secret get db --role-arn arn:aws:iam::123456789012:role/x

EXIT CODES
  0 given, 1 refused, 2 wrong use, 3 a value or a sign-in is needed,
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Get {
    /// The entry: `secret.my-secret`, or `my-secret`.
    name: String,
    /// The name of one value.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// For values behind a role in AWS: another role, reached through that one.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
}

/// Show which secrets there are.
///
/// One line for each [secret.*] entry of the configuration: the names of its values, where they are, and its state. No value is
/// looked at.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob secret list
  keyfob secret list --json | jq -r '.[].name'

EXIT CODES
  0 shown, whatever the states are; 4 agent not reachable")]
pub struct List {}

/// Forget the values of a secret.
///
/// Removes them from the keychain, all or the one of KEY, where they may be the only copy: on a terminal it asks first. What is in
/// AWS Secrets Manager stays there.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob secret remove my-secret
  keyfob secret remove my-secret SECRET_KEY1
  keyfob secret remove my-secret --yes

EXIT CODES
  0 removed, 1 refused, 2 wrong use, 4 agent not reachable,
  5 waiting for an unlock or an approval")]
pub struct Remove {
    /// The entry: `secret.my-secret` or `my-secret`.
    name: String,
    /// The name of one value.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

pub fn run(command: Command, world: &mut World) -> Outcome {
    let misused = match &command {
        Command::Set(Set { name, key, .. }) => named("set", name, key.as_deref()),
        Command::Get(Get { name, key, .. }) => named("get", name, key.as_deref()),
        Command::Remove(Remove { name, key, .. }) => named("remove", name, key.as_deref()),
        Command::List(_) => Ok(()),
    };
    if let Err(refusal) = misused {
        world.printer.refuse(&refusal);
        return Ok(WRONG_USE);
    }
    match command {
        Command::Set(options) => set(&options, world),
        Command::Get(options) => get(&options, world),
        Command::List(_) => list::run(world),
        Command::Remove(options) => remove(options, world),
    }
}

const KIND: &str = "secret";

fn set(options: &Set, world: &mut World) -> Outcome {
    let name = of_kind(KIND, &options.name);
    // Asked first, so that nobody types a value that then cannot be kept.
    let entry = entry(&name, world)?;
    let values = values::take(&entry, options.key.as_deref(), world)?;
    let ask = ControlAsk::SecretSet { name: entry.name, values, replace: options.replace };
    done(world.reach.ask_control(ask)?, world)
}

/// A value in the place of a name is not repeated, nor sent anywhere.
fn named(verb: &str, entry: &str, key: Option<&str>) -> Result<(), Refusal> {
    if key.is_none_or(is_variable) {
        return Ok(());
    }
    let say =
        "what follows the entry is the name of a value (letters, digits and `_`), and never the value itself";
    let entry = text::escape(&of_kind(KIND, entry));
    Err(Refusal::new(Code::BadRequest, say).hint(format!("keyfob secret {verb} {entry} KEY")))
}

fn remove(options: Remove, world: &mut World) -> Outcome {
    let name = of_kind(KIND, &options.name);
    let asks = world.input.is_terminal && !world.json && world.environment.unattended.is_none();
    if asks && !options.yes && !agreed(&name, options.key.as_deref(), world)? {
        return Err(Refusal::new(Code::CalledOff, "nothing was removed"));
    }
    done(world.reach.ask_control(ControlAsk::SecretRemove { name, key: options.key })?, world)
}

fn agreed(name: &str, key: Option<&str>, world: &World) -> Result<bool, Refusal> {
    // What the configuration names no more may be kept yet.
    let entry = match entry(name, world) {
        Err(refusal) if refusal.code == Code::UnknownEntry => None,
        found => Some(found?),
    };
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_locked(&status)?;
    let known: Vec<&str> = entry.iter().flat_map(keys).collect();
    // A value that `keys` names no more may be there yet; a name that is none was perhaps a value.
    let what = match key {
        Some(key) if known.contains(&key) => text::escape(key),
        Some(_) => "that value".to_owned(),
        None if known.is_empty() => "the values".to_owned(),
        None => text::escape(&known.join(", ")),
    };
    let are = if key.is_none() && known.len() != 1 { "are" } else { "is" };
    let name = text::escape(entry.as_ref().map_or(name, |entry| &entry.name));
    let question = format!("Forget {what} of {name}, which {are} kept nowhere else? [y/N] ");
    Ok(matches!(prompt::now(&question)?.as_str(), "y" | "Y" | "yes"))
}

fn entry(name: &str, world: &World) -> Result<EntryReport, Refusal> {
    let Reply::Entry(entry) = world.reach.look(|| ControlAsk::Entry { name: name.to_owned() })? else {
        return Err(unexpected());
    };
    let refuse = |why: &str, hint: &str| {
        let say = format!("`{}` {why}", text::escape(&entry.name));
        Err(Refusal::new(Code::BadRequest, say).hint(hint))
    };
    if entry.kind != KIND {
        return refuse("is no secret", "keyfob secret list");
    }
    if entry.facts.contains_key("from") {
        return refuse("has its values in AWS Secrets Manager", "change them there");
    }
    Ok(*entry)
}

/// The names of an entry's values, as it is configured.
fn keys(entry: &EntryReport) -> impl Iterator<Item = &str> {
    let keys = entry.facts.get("keys").map(String::as_str).unwrap_or_default();
    keys.split([',', ' ']).filter(|key| !key.is_empty())
}

/// Values by their names, as JSON.
struct Shown(BTreeMap<String, Secret<String>>);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.expose())))
    }
}

fn get(options: &Get, world: &mut World) -> Outcome {
    // A bare name could be another entry's.
    let name = of_kind(KIND, &options.name);
    let ask = || ToolAsk::Secret { name: name.clone(), role_arn: options.role_arn.clone() };
    let Reply::Secret(secret) = world.reach.ask_tool(ask)? else { return Err(unexpected()) };
    let mut values = secret.values;
    if let Some(key) = &options.key {
        let Some(found) = values.remove(key) else { return Err(no_such(&secret.entry, values.into_keys())) };
        values = BTreeMap::from([(key.clone(), found)]);
    }
    let shown = match values.values().next().filter(|_| options.key.is_some() && !world.json) {
        Some(value) => world.printer.raw(value, world.is_shown),
        // JSON escapes most of what steers a terminal, and not all of it.
        None if world.is_shown => world.printer.raw(&Secret::new(json(&Shown(values))?), true),
        None => world.printer.answer(&Shown(values)),
    };
    shown.map(|()| DONE).map_err(|error| {
        Refusal::new(Code::Internal, format!("the answer cannot be written ({error})"))
            .hint(format!("keyfob secret get {}", text::escape(&options.name)))
    })
}

fn json(values: &Shown) -> Result<String, Refusal> {
    serde_json::to_string(values).map_err(|_| unexpected())
}

/// The name may be a value that somebody mistook for one, so it is not repeated.
fn no_such(entry: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Refusal {
    let known: Vec<String> = known.map(|name| text::escape(name.as_ref())).collect();
    let has =
        if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    let entry = text::escape(entry);
    Refusal::new(Code::UnknownEntry, format!("`{entry}` has no value of that name; {has}"))
        .hint("keyfob secret list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_the_place_of_a_name_is_not_repeated() {
        assert!(named("set", "x", None).is_ok() && named("set", "x", Some("SECRET_KEY1")).is_ok());
        for value in ["KEY=s3cret", "s3cret!", "", "s3\u{e9}cret"] {
            let refusal = named("get", "x", Some(value)).unwrap_err();
            assert_eq!(refusal.hint, "keyfob secret get secret.x KEY");
            assert!(!refusal.to_string().contains("s3"), "{refusal}");
        }
        let refusal = no_such("secret.x", ["A", "B"].iter());
        assert_eq!(refusal.say, "`secret.x` has no value of that name; it has A, B");
    }
}
