//! `--purge`: what is held is shown, signed out and forgotten.

use keyfob_ipc::reply::{EntryState, KeychainState, Status};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, text};

use super::super::{ask_service, refuse_locked};
use crate::metaflow_file::{self, IMPORT, MetaflowFile};
use crate::prompt;
use crate::reach::unexpected;
use crate::world::World;

/// What is to be typed.
const WORD: &str = "purge";

/// # Errors
/// A locked keychain, keys that are nowhere else, or a person who does not want it: then nothing has changed. Else what the
/// keychain says; then this can be done again.
pub fn run(yes: bool, world: &mut World) -> Result<(), Refusal> {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else { return Err(unexpected()) };
    refuse_locked(&status)?;
    if status.keychain.kind == "system" {
        refuse_without_keychain(&status)?;
    }
    let imported = imported(world)?;
    if !world.json {
        show(&status, &imported, world);
    }
    if !yes {
        if !imported.is_empty() {
            let say = "keys that were imported would be lost: their files have them no more";
            return Err(Refusal::new(Code::BadRequest, say).hint("keyfob import --undo"));
        }
        agree(world)?;
    }
    for entry in status.entries.iter().filter(|entry| entry.kind == "sso" && is_held(entry.state)) {
        let ask = ControlAsk::Logout { name: Some(entry.name.clone()) };
        // A courtesy: the keychain forgets the session in any case.
        match ask_service(ask, "the provider", world) {
            Ok(Reply::Done { say }) => world.printer.note(&say),
            Ok(_) => return Err(unexpected()),
            Err(refusal) => world.printer.note(&refusal.say),
        }
    }
    let Reply::Done { say } = ask_service(ControlAsk::Purge, "the keychain", world)? else {
        return Err(unexpected());
    };
    world.printer.note(&say);
    Ok(())
}

/// The encrypted file is removed whoever knows its passphrase; the desktop's keychain removes nothing while it is locked, and one that
/// is not here may be there when the person signs in to their desktop.
fn refuse_without_keychain(status: &Status) -> Result<(), Refusal> {
    match (&status.keychain.refusal, status.keychain.state) {
        (Some(refusal), KeychainState::Locked) => Err(refusal.clone()),
        (Some(_), KeychainState::Missing) => {
            let say = "there is no keychain here, so nothing in it can be removed";
            let hint = "sign in to your desktop and run this again; or leave what is in its keychain: keyfob uninstall";
            Err(Refusal::new(Code::KeychainMissing, say).hint(hint))
        }
        _ => Ok(()),
    }
}

fn is_held(state: EntryState) -> bool {
    state != EntryState::SignedOut
}

/// The files whose key only the keychain has.
fn imported(world: &World) -> Result<Vec<String>, Refusal> {
    let files = metaflow_file::all(world)?;
    let files = files.iter().filter_map(|path| MetaflowFile::read(path).ok());
    Ok(files.filter(|file| file.remembers(IMPORT) && !file.has_key()).map(|file| file.shown()).collect())
}

fn show(status: &Status, imported: &[String], world: &mut World) {
    let held: Vec<_> = status.entries.iter().filter(|entry| is_held(entry.state)).collect();
    let mut lines = String::from("this will be lost:\n");
    for entry in held {
        let until = entry.until.as_deref().map(|until| format!(", good until {until}")).unwrap_or_default();
        lines.push_str(&text::escape(&format!("  {}{until}", entry.name)));
        lines.push('\n');
    }
    for file in imported {
        lines.push_str(&format!("  the key of {file}\n"));
    }
    lines.push_str(&format!(
        "  everything else of keyfob's in the keychain, {}, history and answers\n",
        text::escape(&status.config.path)
    ));
    world.printer.result(&lines);
}

fn agree(world: &World) -> Result<(), Refusal> {
    let refusal = Refusal::new(Code::CalledOff, "nothing was removed");
    if !world.input.is_terminal || world.json {
        return Err(refusal.hint("keyfob uninstall --purge --yes"));
    }
    match prompt::now(&format!("Type `{WORD}` to remove all of it: "))?.trim() {
        WORD => Ok(()),
        _ => Err(refusal),
    }
}
