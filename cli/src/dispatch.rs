//! Which program this call is: by the name it was called under, then by its first argument.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::helper::Role;

/// What a call asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation<'a> {
    /// The credential helper's one verb.
    Get,
    /// AWS keys of this entry.
    CredentialProcess(Role<'a>),
    /// How a helper is used, as somebody asked: to standard output, exit 0.
    Help(&'static str),
    /// Wrong use of a helper, or a helper that this version does not have: the text goes to standard error, exit 1.
    Usage(String),
    /// Everything else; clap reads the arguments.
    Commands,
}

/// The name under which Bazel calls, which `keyfob setup bazel` writes.
pub const BAZEL_HELPER: &str = "bazel-credential-keyfob";
/// Names of helpers that are installed with this binary and do not answer yet.
const NOT_YET: &[&str] = &["docker-credential-keyfob", "git-credential-keyfob"];

const BAZEL_USAGE: &str = "\
usage: bazel-credential-keyfob get
Reads {\"uri\":\"https://host/path\"} from standard input and answers with {\"headers\":{...}}.
Bazel runs it; for everything else there is `keyfob`.
";

/// Reads the arguments, the program's own name first.
pub fn invocation(arguments: &[OsString]) -> Invocation<'_> {
    let name = arguments.first().map(|path| own_name(path)).unwrap_or_default();
    let first = arguments.get(1).map(OsString::as_os_str);
    if name == BAZEL_HELPER {
        return bazel_helper(first);
    }
    if NOT_YET.contains(&name.as_str()) {
        return Invocation::Usage(format!("keyfob: {name} is not supported by this version\n"));
    }
    let second = arguments.get(2).and_then(|argument| argument.to_str());
    match (first.and_then(OsStr::to_str), second) {
        // Tools may pass more than they must, people ask for help.
        (Some("get"), argument) if !is_call_for_help(argument) => Invocation::Get,
        (Some("credential-process"), Some(name)) if !name.starts_with('-') => {
            let more = arguments.get(3..).unwrap_or_default();
            match more {
                [] => Invocation::CredentialProcess(Role::of(name)),
                [option] if option == "--task-role" => {
                    Invocation::CredentialProcess(Role { task_role: true, ..Role::of(name) })
                }
                _ => Invocation::Commands,
            }
        }
        _ => Invocation::Commands,
    }
}

fn is_call_for_help(argument: Option<&str>) -> bool {
    matches!(argument, Some("--help" | "-h"))
}

/// Plain words are reserved by the helper protocol, so this name knows `get` and nothing that Keyfob has beside it.
fn bazel_helper(verb: Option<&OsStr>) -> Invocation<'static> {
    match verb {
        Some(verb) if verb == "get" => Invocation::Get,
        Some(verb) if is_call_for_help(verb.to_str()) => Invocation::Help(BAZEL_USAGE),
        Some(verb) => {
            let verb = keyfob_ipc::text::escape(&verb.to_string_lossy());
            Invocation::Usage(format!("Unknown command '{verb}'\n{BAZEL_USAGE}"))
        }
        None => Invocation::Usage(BAZEL_USAGE.to_owned()),
    }
}

/// The file name without folder and, on Windows, without `.exe`.
fn own_name(path: &OsStr) -> String {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if cfg!(windows) {
        let lower = name.to_ascii_lowercase();
        return lower.strip_suffix(".exe").map(str::to_owned).unwrap_or(lower);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn is(line: &str, expected: &Invocation<'_>) {
        let words = words(line);
        assert_eq!(&invocation(&words), expected, "{line}");
    }

    #[test]
    fn get_is_known_under_both_names() {
        is("keyfob get", &Invocation::Get);
        is("/usr/bin/bazel-credential-keyfob get", &Invocation::Get);
        is("bazel-credential-keyfob get more arguments", &Invocation::Get);
        is("keyfob get more", &Invocation::Get);
    }

    #[test]
    fn the_bazel_name_knows_nothing_else() {
        for line in
            ["bazel-credential-keyfob", "bazel-credential-keyfob login", "bazel-credential-keyfob help"]
        {
            let words = words(line);
            let Invocation::Usage(text) = invocation(&words) else { panic!("{line}") };
            assert!(text.contains("usage: bazel-credential-keyfob get"), "{text}");
        }
        is("bazel-credential-keyfob --help", &Invocation::Help(BAZEL_USAGE));
        is("bazel-credential-keyfob -h", &Invocation::Help(BAZEL_USAGE));
        let words = words("bazel-credential-keyfob frobnicate");
        let Invocation::Usage(text) = invocation(&words) else { panic!() };
        assert!(text.starts_with("Unknown command 'frobnicate'\n"), "{text}");
    }

    #[test]
    fn helpers_of_other_tools_say_that_they_are_not_there_yet() {
        for line in ["docker-credential-keyfob get", "/opt/git-credential-keyfob store"] {
            let words = words(line);
            let Invocation::Usage(text) = invocation(&words) else { panic!("{line}") };
            assert!(text.contains("not supported by this version"), "{text}");
        }
    }

    #[test]
    fn credential_process_with_a_name_is_fast_and_the_rest_is_claps() {
        is("keyfob credential-process aws.dev", &Invocation::CredentialProcess(Role::of("aws.dev")));
        let task_role = Role { task_role: true, ..Role::of("aws.dev") };
        is("keyfob credential-process aws.dev --task-role", &Invocation::CredentialProcess(task_role));
        for line in [
            "keyfob",
            "keyfob credential-process",
            "keyfob credential-process --help",
            "keyfob credential-process a b",
            "keyfob credential-process aws.dev --role-arn arn:aws:iam::123456789012:role/x",
            "keyfob credential-process --role-arn=arn aws.dev",
            "keyfob credential-process --task-role aws.dev",
            "keyfob credential-process aws.dev --task-role more",
            "keyfob get --help",
            "keyfob status",
        ] {
            is(line, &Invocation::Commands);
        }
    }

    #[test]
    fn no_arguments_at_all_are_no_panic() {
        assert_eq!(invocation(&[]), Invocation::Commands);
    }
}
