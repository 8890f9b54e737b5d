//! Where the value of a token comes from: a hidden prompt on a terminal, else standard input.

use std::io::Read;

use keyfob_ipc::reply::{EntryReport, EntryState};
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, Secret, text};
use zeroize::Zeroizing;

use super::super::refuse_locked;
use crate::browser;
use crate::prompt::{self, Ends};
use crate::reach::unexpected;
use crate::world::World;

/// The kind whose value is a whole configuration, as its page offers it to be copied.
pub(super) const OUTERBOUNDS: &str = "outerbounds";

/// What a value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// `token add`.
    Add,
    /// `token rotate`, where there is no other way.
    Rotate,
    /// `token rotate --by-hand`.
    RotateByHand,
}

impl Occasion {
    /// The command that asks again.
    fn again(self, entry: &EntryReport) -> String {
        let name = text::escape(entry.name.strip_prefix("token.").unwrap_or(&entry.name));
        match self {
            Self::Add => format!("keyfob token add {name}"),
            Self::Rotate => format!("keyfob token rotate {name}"),
            Self::RotateByHand => format!("keyfob token rotate {name} --by-hand"),
        }
    }
}

/// Takes a value that may be one of this entry.
pub fn take(entry: &EntryReport, occasion: Occasion, world: &mut World) -> Result<Secret<String>, Refusal> {
    let given = if world.input.is_terminal {
        refuse_in_vain(entry, occasion, world)?;
        ask(entry, occasion, world)?
    } else {
        read(&mut world.input.reader).map_err(|refusal| refusal.hint(copy_again(entry, occasion)))?
    };
    let value = match entry.kind == OUTERBOUNDS {
        true => without_command(given.expose()),
        false => Secret::from(given.expose().trim()),
    };
    check(value.expose(), entry).map_err(|refusal| refusal.hint(copy_again(entry, occasion)))?;
    Ok(value)
}

/// Services show a token once: nobody should make one that then cannot be kept.
fn refuse_in_vain(entry: &EntryReport, occasion: Occasion, world: &World) -> Result<(), Refusal> {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_locked(&status)?;
    status.keychain.refusal.map_or(Ok(()), Err)?;
    // A token that has ended is still held, and has an end.
    if occasion != Occasion::Add && entry.state == EntryState::SignedOut && entry.until.is_none() {
        let say = format!("`{}` holds no token that could be replaced", text::escape(&entry.name));
        return Err(Refusal::new(Code::TokenNeeded, say).hint(Occasion::Add.again(entry)));
    }
    Ok(())
}

fn portal(entry: &EntryReport) -> Option<&str> {
    entry.facts.get("portal").map(String::as_str).filter(|portal| browser::is_web_address(portal))
}

/// The next step after a value that is no token of this entry.
fn copy_again(entry: &EntryReport, occasion: Occasion) -> String {
    let again = occasion.again(entry);
    match portal(entry) {
        Some(portal) => format!("copy it again from {portal}, then {again}"),
        None => format!("copy it again, then {again}"),
    }
}

/// Whether the service shows JSON, of which the agent takes what it needs.
fn shows_json(entry: &EntryReport) -> bool {
    entry.kind == OUTERBOUNDS || entry.facts.get("service").is_some_and(|service| service == "jfrog")
}

fn ask(entry: &EntryReport, occasion: Occasion, world: &mut World) -> Result<Secret<String>, Refusal> {
    let is_new = occasion != Occasion::Add;
    if let Some(portal) = portal(entry) {
        let opened = !world.json
            && world.environment.can_browse()
            && browser::open(portal, &world.environment).is_ok();
        let token = if is_new { "new token" } else { "token" };
        let how = if opened {
            format!("opening the page where the {token} is made")
        } else {
            format!("the {token} is made at")
        };
        world.printer.note(&format!("{how}:\n\n  {portal}\n"));
    }
    if is_new {
        world.printer.note("tools get the old token until the new one is here; Ctrl-C leaves it as it is");
    }
    let what = match (entry.kind == OUTERBOUNDS, is_new) {
        (true, _) => "Configuration string",
        (false, true) => "New token",
        (false, false) => "Token",
    };
    let question = format!("{what} for {} (not shown): ", text::escape(&entry.name));
    prompt::hidden(&question, if shows_json(entry) { Ends::WithJson } else { Ends::WithLine })
}

/// Standard input, whole.
pub(super) fn read(input: &mut impl Read) -> Result<Secret<String>, Refusal> {
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

/// What the page of Outerbounds offers is a command, which people copy as a shell would have it: behind its prompt, in quotes, in
/// several lines. What the string in it is worth is the agent's to say.
fn without_command(given: &str) -> Secret<String> {
    let mut text = Zeroizing::new(given.trim().to_owned());
    if !text.starts_with('{') {
        for end in ["\\\r\n", "\\\n", "\\\r"] {
            text = Zeroizing::new(text.replace(end, ""));
        }
    }
    let line = unquoted(text.strip_prefix("$ ").unwrap_or(&text));
    let argument = ["outerbounds", "configure"].iter().try_fold(line, |rest, word| {
        let rest = rest.trim_start().strip_prefix(word)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
    });
    Secret::from(unquoted(argument.unwrap_or(line)))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).unwrap_or(text).trim()
}

/// What the agent checks too; here it saves the way. Nothing of the value is repeated.
fn check(value: &str, entry: &EntryReport) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Code::TokenInvalid, why));
    if entry.kind == OUTERBOUNDS {
        // The agent bounds and reads it.
        return if value.is_empty() { refuse("no string was given".to_owned()) } else { Ok(()) };
    }
    if value.is_empty() {
        return refuse("no token was given".to_owned());
    }
    if value.starts_with('{') && shows_json(entry) {
        return Ok(());
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(
            "the token holds characters that no token holds (white space, control or not ASCII)".to_owned(),
        );
    }
    match entry.facts.get("prefix") {
        Some(prefix) if !value.starts_with(prefix.as_str()) => {
            refuse(format!("the token does not begin with `{}`, so it is another one", text::escape(prefix)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(facts: &[(&str, &str)]) -> EntryReport {
        EntryReport {
            name: "token.aspect".to_owned(),
            kind: "token".to_owned(),
            state: EntryState::SignedOut,
            until: None,
            until_assumed: false,
            until_by: None,
            owner: None,
            hosts: vec![],
            through: None,
            facts: facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect(),
            refusal: None,
            notes: vec![],
            since: None,
            plan: Vec::new(),
            quiet_until: None,
        }
    }

    #[test]
    fn values_are_checked_and_not_repeated() {
        let (any, aspect) = (entry(&[]), entry(&[("prefix", "aw_")]));
        assert!(check("aw_1", &aspect).is_ok());
        assert!(check("x", &any).is_ok());
        for (value, entry) in [
            ("", &any),
            ("gh_s3cr3t", &aspect),
            ("aw_s3 cr3t", &aspect),
            ("aw_s3cr3t\u{e9}", &aspect),
            ("a\u{7}", &any),
            ("{\"a\": \"s3cr3t\"}", &any),
            ("{\"s3cr3t\":1}", &aspect),
        ] {
            let refusal = check(value, entry).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!refusal.say.contains("s3"), "{refusal}");
        }
    }

    #[test]
    fn json_is_for_the_agent_to_judge_where_the_service_shows_it() {
        let jfrog = entry(&[("service", "jfrog"), ("prefix", "cmVm")]);
        assert!(check("{\n  \"access_token\": \"ey\"\n}", &jfrog).is_ok());
        assert!(check("cmVm1", &jfrog).is_ok());
        assert!(check("ey y", &jfrog).is_err());
        assert!(check("ey", &jfrog).is_err());
    }

    #[test]
    fn a_wrong_value_is_copied_again_from_its_page() {
        assert_eq!(copy_again(&entry(&[]), Occasion::Add), "copy it again, then keyfob token add aspect");
        assert_eq!(
            copy_again(&entry(&[("portal", "https://aw.acme.dev/token")]), Occasion::RotateByHand),
            "copy it again from https://aw.acme.dev/token, then keyfob token rotate aspect --by-hand"
        );
        let hostile = copy_again(&entry(&[("portal", "javascript:x")]), Occasion::Rotate);
        assert_eq!(hostile, "copy it again, then keyfob token rotate aspect");
    }

    #[test]
    fn standard_input_is_bounded() {
        assert_eq!(read(&mut &b"aw_1\n"[..]).unwrap().expose(), "aw_1\n");
        assert!(read(&mut &vec![b'x'; prompt::LONGEST][..]).is_ok());
        assert!(read(&mut &vec![b'x'; prompt::LONGEST + 1][..]).is_err());
        assert!(read(&mut &b"\xff"[..]).is_err());
    }
}
