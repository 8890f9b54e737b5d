//! `keyfob unlock`.

use std::io::Read;

use clap::Args;
use keyfob_ipc::reply::KeychainState;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret};
use zeroize::Zeroizing;

use super::{Outcome, done};
use crate::prompt::{self, Ends};
use crate::reach::unexpected;
use crate::world::World;

/// Open the keychain, and lift the lock.
///
/// Lifts what `keyfob lock` or `lock_on` has locked, and opens the encrypted file keychain of a machine without a keychain of
/// its own (`[agent] keychain = "file"`). Its passphrase is asked for without being shown, twice the first time; without
/// a terminal it is the first line of standard input. A keychain of the operating system asks for its password in a window
/// of its own; where it is open anyway, nothing is asked for, and the lock was a pause. A lock is lifted only for somebody
/// at a terminal, or in Keyfob's own window.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob unlock
  keyfob unlock < /run/secrets/keyfob-passphrase

EXIT CODES
  0 open, 1 refused, 4 agent not reachable, 5 still locked")]
pub struct Options {}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    let keychain = status.keychain;
    let is_open = keychain.state == KeychainState::Present;
    // A passphrase from a pipe is tried even where it is open: a wrong one must not pass for a right one.
    let is_pause = status.lock.as_ref().is_some_and(|lock| lock.is_pause);
    let takes_passphrase = keychain.kind == "file" && !is_pause && !(is_open && world.input.is_terminal);
    let passphrase = match (takes_passphrase, &status.lock) {
        (true, _) => Some(passphrase(keychain.state, world)?),
        (false, None) if is_open => {
            return done(Reply::Done { say: "nothing is locked".to_owned() }, world);
        }
        // The keychain's own window asks for whatever it needs.
        (false, Some(_)) => None,
        (false, None) if keychain.state == KeychainState::Locked => None,
        // Not `keyfob unlock` mends these.
        (false, None) => return Err(keychain.refusal.unwrap_or_else(unexpected)),
    };
    let reply = super::ask_service(
        ControlAsk::Unlock { passphrase },
        "the keychain; look for its prompt, it may be behind another window",
        world,
    )?;
    done(reply, world)
}

fn passphrase(state: KeychainState, world: &mut World) -> Result<Secret<String>, Refusal> {
    let passphrase = if world.input.is_terminal { ask(state)? } else { read(&mut world.input.reader)? };
    if passphrase.expose().is_empty() {
        return Err(Refusal::new(Code::BadRequest, "no passphrase was given").hint("keyfob unlock"));
    }
    Ok(passphrase)
}

fn ask(state: KeychainState) -> Result<Secret<String>, Refusal> {
    if state != KeychainState::Missing {
        return prompt::hidden("Passphrase of the keychain (not shown): ", Ends::WithLine);
    }
    // A typing mistake in the first passphrase would lock its owner out.
    let first = prompt::hidden("New passphrase for the keychain (not shown): ", Ends::WithLine)?;
    let second = prompt::hidden("The same again: ", Ends::WithLine)?;
    if first != second {
        return Err(Refusal::new(Code::BadRequest, "the two passphrases differ").hint("keyfob unlock"));
    }
    Ok(first)
}

/// The first line; a passphrase may begin or end with a space.
fn read(input: &mut impl Read) -> Result<Secret<String>, Refusal> {
    let refuse = |why: String| Refusal::new(Code::BadRequest, why);
    let mut bytes = Zeroizing::new(Vec::with_capacity(prompt::LONGEST + 1));
    input
        .take(prompt::LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(format!("standard input cannot be read ({error})")))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if bytes.len() > prompt::LONGEST {
        return Err(refuse(format!("standard input has more than {} bytes", prompt::LONGEST)));
    }
    std::str::from_utf8(line).map(Secret::from).map_err(|_| refuse("standard input is no text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_its_spaces() {
        assert_eq!(read(&mut &b" a b \r\nmore\n"[..]).unwrap().expose(), " a b ");
        assert_eq!(read(&mut &b"last"[..]).unwrap().expose(), "last");
        assert!(read(&mut &vec![b'x'; prompt::LONGEST + 1][..]).is_err());
    }
}
