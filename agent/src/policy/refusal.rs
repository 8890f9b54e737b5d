//! A verdict in words.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use super::{Admitted, Allow, BAZEL_SERVER, Chain, Link, Reason, Role, Rules};
use crate::config::EntryName;

impl Reason {
    /// For people: what is wrong, and the next step. Looks at the files that are named, so it may wait.
    pub fn refusal(&self, rules: &Rules, asker: &Chain) -> Refusal {
        let entry = &rules.entry;
        let (say, hint) = match self {
            Self::Unknown => (
                format!("the system does not tell which program asks for `{entry}`, which has a policy"),
                format!("keyfob why {entry}"),
            ),
            Self::Elsewhere(path) => (
                format!(
                    "`{}` runs in a container or sandbox, where its path proves nothing, and `{entry}` has a policy",
                    shown(path)
                ),
                format!("run it outside, or take [policy.\"{entry}\"] out of the configuration"),
            ),
            Self::Replaced(path) => {
                (format!("`{}` was replaced while it ran", shown(path)), "start it again".to_owned())
            }
            Self::Copy(path) => (
                format!("`{}` is not the `keyfob` of this agent, and asks for whoever runs it", shown(path)),
                "run the `keyfob` that is installed beside the agent".to_owned(),
            ),
            Self::Never(id) => (
                format!("you have refused `{entry}` to {}", named_asker(asker)),
                format!("keyfob grants revoke {id}"),
            ),
            Self::NotAllowed(whose) => return not_allowed(whose, rules, asker),
        };
        Refusal::new(Code::NotAllowed, say).hint(hint)
    }
}

/// For people: a program by its name; one that decides by what it calls itself, with that.
pub(crate) fn named(path: &Path, role: &Role) -> String {
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    match role {
        Role::BazelServer(claim) => format!("`{}` (calls itself `{}`)", escape(&name), escape(claim)),
        Role::Keyfob | Role::OneCommand | Role::Copy | Role::Program | Role::Gone => {
            format!("`{}`", escape(&name))
        }
    }
}

fn named_asker(asker: &Chain) -> String {
    asker.asking().map_or_else(|| "this program".to_owned(), |(_, link)| named(&link.path, &link.role))
}

fn not_allowed(whose: &EntryName, rules: &Rules, asker: &Chain) -> Refusal {
    let behind = if *whose == rules.entry {
        String::new()
    } else {
        format!(", through which `{}` is obtained", rules.entry)
    };
    let mut say = match asker.asking() {
        Some((_, link)) => format!("the policy of `{whose}`{behind} does not allow `{}`", shown(&link.path)),
        None => format!("the policy of `{whose}`{behind} does not allow this program"),
    };
    if let Some(allow) = rules.allow.iter().find(|allow| allow.entry == *whose) {
        say.push_str(&remarks(allow));
    }
    let wanted = asker.asking().map(|(_, link)| line(link));
    let hint = match wanted {
        Some(wanted) => format!("add {wanted} to allow of [policy.\"{whose}\"]"),
        None => format!("keyfob why {whose}"),
    };
    Refusal::new(Code::NotAllowed, say).hint(hint)
}

/// As it is written in the configuration.
fn line(link: &Link) -> String {
    match link.role {
        Role::BazelServer(_) => format!("\"{BAZEL_SERVER}\""),
        Role::Keyfob | Role::OneCommand | Role::Copy | Role::Program | Role::Gone => {
            let path = shown(&link.path);
            // In a basic string of TOML these two have a meaning.
            format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

/// What a person would search for long: a path of the list that no program can match.
fn remarks(allow: &Allow) -> String {
    let mut said = String::new();
    for admitted in &allow.admitted {
        let Admitted::Program { path, file } = admitted else { continue };
        if file.is_none() {
            said.push_str(&format!("; `{}` in it is not there", shown(path)));
        } else if is_script(path) {
            said.push_str(&format!(
                "; `{}` in it is a script, and what runs is its interpreter",
                shown(path)
            ));
        }
    }
    said
}

/// Whether a file begins as a script does (`#!`, execve(2)).
fn is_script(path: &Path) -> bool {
    // A pipe would be waited for.
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut first = [0; 2];
    is_file && File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"#!"
}

fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}
