//! Completions for the shells: of commands and options, and of the names of entries, which are read from the configuration.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use clap::{Command, ValueHint};
use clap_complete::{Shell, generate};

/// Each shell, and the file under which it looks for `keyfob`.
const SHELLS: [(Shell, &str); 4] = [
    (Shell::Bash, "bash/keyfob"),
    (Shell::Zsh, "zsh/_keyfob"),
    (Shell::Fish, "fish/keyfob.fish"),
    (Shell::PowerShell, "powershell/keyfob.ps1"),
];

/// The commands whose first argument is the name of an entry, and the kind of that. The hint marks the argument for zsh.
const ENTRIES: [(&str, ValueHint, &[&str]); 4] = [
    ("sso", ValueHint::Username, &["login", "logout"]),
    (
        "token",
        ValueHint::Hostname,
        &["token add", "token rotate", "token remove", "token ends", "token snooze", "token rescue"],
    ),
    ("secret", ValueHint::Url, &["secret set", "secret get", "secret remove"]),
    ("aws", ValueHint::EmailAddress, &["aws console", "credential-process", "exec"]),
];

/// What zsh's script calls for an argument with one of these hints.
const MARKS: [(&str, &str); 4] = [
    (":_users'", ":_keyfob_entries sso'"),
    (":_hosts'", ":_keyfob_entries token'"),
    (":_urls'", ":_keyfob_entries secret'"),
    (":_email_addresses'", ":_keyfob_entries aws'"),
];

/// Writes them below the folder.
pub fn write(command: &Command, folder: &Path) -> io::Result<()> {
    for (shell, file) in SHELLS {
        let mut script = Vec::new();
        generate(shell, &mut marked(command.clone()), "keyfob", &mut script);
        let script = with_entries(shell, String::from_utf8_lossy(&script).into_owned());
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, script)?;
    }
    Ok(())
}

fn marked(mut command: Command) -> Command {
    for (_, hint, commands) in ENTRIES {
        for words in commands {
            command = mark(command, &words.split(' ').collect::<Vec<_>>(), hint);
        }
    }
    command
}

/// In its place: what is taken out and put in again would come last.
fn mark(command: Command, words: &[&str], hint: ValueHint) -> Command {
    let Some((first, rest)) = words.split_first() else {
        let name = command.get_positionals().next().map(|argument| argument.get_id().clone());
        return command.mut_args(|argument| match Some(argument.get_id()) == name.as_ref() {
            true => argument.value_hint(hint),
            false => argument,
        });
    };
    command.mut_subcommands(|sub| if sub.get_name() == *first { mark(sub, rest, hint) } else { sub })
}

fn with_entries(shell: Shell, mut script: String) -> String {
    match shell {
        Shell::Bash => {
            let mut cases = String::new();
            for (kind, _, commands) in ENTRIES {
                let patterns: Vec<_> = commands.iter().map(|words| format!("\"{words}\"")).collect();
                let _ = writeln!(cases, "    {}) kind={kind} ;;", patterns.join(" | "));
            }
            script.push_str(&include_str!("entries.bash").replace("@CASES@", &cases));
        }
        Shell::Zsh => {
            for (mark, function) in MARKS {
                script = script.replace(mark, function);
            }
            let end = script.find("if [ \"$funcstack[1]\"").unwrap_or(script.len());
            script.insert_str(end, include_str!("entries.zsh"));
        }
        Shell::Fish => {
            script.push_str(include_str!("entries.fish"));
            for (kind, words) in
                ENTRIES.iter().flat_map(|(kind, _, all)| all.iter().map(move |words| (kind, words)))
            {
                let (first, second) = words.split_once(' ').unwrap_or((words, ""));
                let seen = match second {
                    "" => String::new(),
                    second => format!("; and __fish_seen_subcommand_from {second}"),
                };
                let _ = writeln!(
                    script,
                    "complete -c keyfob -n \"__fish_keyfob_using_subcommand {first}{seen}\" -f -a \"(__keyfob_entries {kind})\""
                );
            }
        }
        _ => {}
    }
    script
}
