//! Wrong use of commands that take a secret. What clap would say repeats the argument, and that may be the token.

use std::ffi::OsString;

use clap::error::{Error, ErrorKind};
use keyfob_ipc::{Code, Refusal};

/// What a date is.
pub const DATE: &str = "a date is 2027-03-01, or a time of RFC 3339 like 2027-03-01T08:00:00Z";

const BY_PROMPT: &str = "the value is never an argument: it comes by the hidden prompt or a pipe";

/// The first words of the command, without options.
pub fn first_words(arguments: &[OsString]) -> Vec<String> {
    let words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    words.filter(|word| !word.starts_with('-')).take(2).map(str::to_owned).collect()
}

/// What to say instead; `None` where clap may speak.
pub fn unsaid(usage: &Error, words: &[String]) -> Option<Refusal> {
    let noun = words.first().map(String::as_str)?;
    let known: &[&str] = match noun {
        "token" => &["add", "rotate", "remove", "ends", "snooze", "rescue"],
        "secret" => &["set", "get", "list", "remove"],
        _ => return None,
    };
    let verb = words.get(1).and_then(|word| known.iter().find(|verb| *verb == word).copied());
    let (say, hint) = match (usage.kind(), verb) {
        (
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::ArgumentConflict,
            _,
        ) => return None,
        (_, None) => {
            let (last, first) = known.split_last().unwrap_or((&"", &[]));
            (format!("`keyfob {noun}` goes on with {} or {last}", first.join(", ")), "--help".to_owned())
        }
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some("snooze")) => {
            ("days are a whole number".to_owned(), "snooze NAME 5".to_owned())
        }
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(verb)) => {
            (DATE.to_owned(), format!("{verb} --help"))
        }
        (_, Some(verb @ ("add" | "rotate"))) => (BY_PROMPT.to_owned(), format!("{verb} NAME")),
        (_, Some("set")) => (BY_PROMPT.to_owned(), "set NAME KEY".to_owned()),
        (_, Some(verb)) => (
            "an argument is unknown or too many; it is not repeated here, because it may be a value"
                .to_owned(),
            format!("{verb} --help"),
        ),
    };
    Some(Refusal::new(Code::BadRequest, say).hint(format!("keyfob {noun} {hint}")))
}
