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

/// Open the encrypted file keychain.
///
/// For machines without a keychain of their own (`[agent] keychain = "file"`). The passphrase opens it until the agent
/// ends. On a terminal it is asked for without being shown, twice the first time; otherwise it is the first line of
/// standard input.
#[derive(Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  keyfob unlock
  keyfob unlock < /run/secrets/keyfob-passphrase

EXIT CODES
  0 open, 1 refused, 4 agent not reachable, 5 still locked")]
pub struct Options {}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    let Reply::Status(status) = world.reach.ask_control(ControlAsk::Status)? else {
        return Err(unexpected());
    };
    let keychain = status.keychain;
    if keychain.kind != "file" {
        // Not `keyfob unlock` mends these, whatever is the matter with them.
        return match keychain.refusal {
            Some(refusal) => Err(refusal),
            None => nothing_to_do(world),
        };
    }
    // A passphrase from a pipe is tried even so: a wrong one must not pass for a right one.
    if keychain.state == KeychainState::Present && world.input.is_terminal {
        return nothing_to_do(world);
    }
    let passphrase =
        if world.input.is_terminal { ask(keychain.state)? } else { read(&mut world.input.reader)? };
    if passphrase.expose().is_empty() {
        return Err(Refusal::new(Code::BadRequest, "no passphrase was given").hint("keyfob unlock"));
    }
    let reply = world.reach.ask_control(ControlAsk::Unlock { passphrase: Some(passphrase) })?;
    done(reply, world)
}

fn nothing_to_do(world: &mut World) -> Outcome {
    done(Reply::Done { say: "this keychain needs no unlock".to_owned() }, world)
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
