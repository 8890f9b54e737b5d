//! Completions and man pages. Those of the commands are made by a program of `cli` (`cli/src/documents.rs`), the page of the
//! configuration from `docs/configuration.md`; the others are written by hand in `installers/man`.

mod markdown;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::linux::tree::Entry;
use super::{Release, gzip};
use crate::Checkout;
use crate::build::OTHER_NAMES;
use crate::cargo::Kind;
use crate::failure::{Doing as _, Failure, run};

/// Where each shell looks for completions, by what `documents` calls the file.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash/keyfob", "usr/share/bash-completion/completions/keyfob"),
    ("zsh/_keyfob", "usr/share/zsh/vendor-completions/_keyfob"),
    ("fish/keyfob.fish", "usr/share/fish/vendor_completions.d/keyfob.fish"),
];

/// Of `keyfob` by all its names and of `keyfobd`.
pub fn of_command_line(checkout: &Checkout, release: &Release) -> Result<Vec<Entry>, Failure> {
    let made = tempfile::tempdir().doing("make a folder for documents")?;
    make(checkout, &day(release.epoch)?, made.path())?;
    check_completions(&made.path().join("completions"))?;
    let mut entries = Vec::new();
    for (file, path) in COMPLETIONS {
        entries.push(Entry::bytes(path, read(&made.path().join("completions").join(file))?));
    }
    let pages = made.path().join("man/man1");
    let listed = fs::read_dir(&pages).doing("list the man pages")?;
    let mut files = listed.map(|file| Ok(file?.path())).collect::<Result<Vec<_>, std::io::Error>>();
    files.as_mut().map(|files| files.sort()).ok();
    for file in files.doing("list the man pages")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.push(page(&name, &read_text(&file)?)?);
    }
    let configuration = read_text(&checkout.root.join("docs/configuration.md"))?;
    let about = "the configuration of Keyfob";
    let heading = markdown::Heading { name: "keyfob-config", section: 5, about };
    let text = markdown::page(&configuration, &heading, &day(release.epoch)?, &release.version);
    entries.push(page("keyfob-config.5", &text)?);
    entries.push(written(checkout, release, "keyfobd.1")?);
    entries.extend(
        OTHER_NAMES.map(|name| Entry::link(format!("usr/share/man/man1/{name}.1.gz"), "keyfob.1.gz")),
    );
    Ok(entries)
}

/// Of `keyfob-tray`.
pub fn of_tray(checkout: &Checkout, release: &Release) -> Result<Vec<Entry>, Failure> {
    Ok(vec![written(checkout, release, "keyfob-tray.1")?])
}

/// Makes `completions` and `man` of the commands below a folder.
pub fn make(checkout: &Checkout, day: &str, folder: &Path) -> Result<(), Failure> {
    let arguments = ["build", "--package", "keyfob", "--example", "documents"];
    let built = checkout.artifacts(&arguments, &[])?;
    let program = built.into_iter().find(|made| made.name == "documents" && made.kind == Kind::Program);
    let Some(program) = program else { return Err(Failure::new("cargo built no program documents")) };
    run(Command::new(program.path).arg(folder).arg(day).stdin(Stdio::null()))
}

/// The day of a release, as man pages write it: `2026-11-22`.
pub fn day(epoch: u64) -> Result<String, Failure> {
    let seconds = i64::try_from(epoch).doing("date the pages")?;
    let time = jiff::Timestamp::from_second(seconds).doing("date the pages")?;
    Ok(time.strftime("%Y-%m-%d").to_string())
}

/// A page that is written by hand.
fn written(checkout: &Checkout, release: &Release, name: &str) -> Result<Entry, Failure> {
    let text = read_text(&checkout.root.join("installers/man").join(name))?;
    page(name, &text.replace("@VERSION@", &release.version).replace("@DATE@", &day(release.epoch)?))
}

/// `name` ends with the number of its section. What `man` warns of, and what `apropos` would not find, is no page.
fn page(name: &str, text: &str) -> Result<Entry, Failure> {
    let folder = tempfile::tempdir().doing("make a folder for a page")?;
    let file = folder.path().join(name);
    fs::write(&file, text).doing(format_args!("write {name}"))?;
    let section = name.rsplit('.').next().unwrap_or("1");
    let mut man = Command::new("man");
    man.args(["--warnings", "--local-file", "--encoding=UTF-8"]).arg(&file);
    man.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80");
    held_to(&mut man, name)?;
    held_to(Command::new("lexgrog").arg(&file), name)?;
    Ok(Entry::bytes(format!("usr/share/man/man{section}/{name}.gz"), gzip(text.as_bytes())?))
}

/// By the shells themselves.
fn check_completions(folder: &Path) -> Result<(), Failure> {
    for (shell, file) in [("bash", "bash/keyfob"), ("zsh", "zsh/_keyfob"), ("fish", "fish/keyfob.fish")] {
        held_to(Command::new(shell).arg("-n").arg(folder.join(file)), file)?;
    }
    complete_in_bash(&folder.join("bash/keyfob"))
}

/// What bash offers behind each line: a command, and entries of a configuration.
fn complete_in_bash(script: &Path) -> Result<(), Failure> {
    let folder = tempfile::tempdir().doing("make a folder for a configuration")?;
    let configuration = folder.path().join("config.toml");
    fs::write(&configuration, CONFIGURATION).doing("write a configuration")?;
    for (line, expected) in OFFERED {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", ASK, "bash"]).arg(script).args(line.split(' '));
        bash.env_clear().env("PATH", "/usr/bin:/bin").env("KEYFOB_CONFIG", &configuration);
        let output = bash.stdin(Stdio::null()).output().doing("start bash")?;
        let offered = String::from_utf8_lossy(&output.stdout);
        if offered.trim() != *expected {
            let offered = offered.trim();
            return Err(Failure::new(format!(
                "bash offers \"{offered}\" behind \"{line}\", not \"{expected}\""
            )));
        }
    }
    Ok(())
}

const CONFIGURATION: &str = "[sso.okta]\n[token.aspect]\n[token.second]\n[aws.dev]\n";
/// Lines, and what is offered where they end.
const OFFERED: &[(&str, &str)] = &[
    ("keyfob logi", "login"),
    ("keyfob login ", "okta"),
    ("keyfob login --d", "--device"),
    ("keyfob token rotate ", "aspect second"),
    ("keyfob exec d", "dev"),
];
/// Does what bash does at the key, with the script and the words of a line.
const ASK: &str = r#"
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
read -ra spec <<< "$(complete -p keyfob)"
for at in "${!spec[@]}"; do [[ ${spec[at]} == -F ]] && function=${spec[at + 1]}; done
"$function" keyfob "${@: -1}" "${@: -2:1}"
echo "${COMPREPLY[@]}"
"#;

/// Runs a checker, which has to end well and say nothing about it on standard error.
fn held_to(checker: &mut Command, what: &str) -> Result<(), Failure> {
    let name = checker.get_program().to_string_lossy().into_owned();
    let output = checker.stdin(Stdio::null()).output().doing(format_args!("start {name}"))?;
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let said = if said[1].is_empty() { &said[0] } else { &said[1] };
    Err(Failure::new(format!("{name} says of {what}: {}", said.trim())))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    fs::read(path).doing(format_args!("read {}", path.display()))
}

fn read_text(path: &PathBuf) -> Result<String, Failure> {
    fs::read_to_string(path).doing(format_args!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_bash_does_not_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "if true; then\n").unwrap();
        assert!(held_to(Command::new("bash").arg("-n").arg(&script), "script").is_err());
        fs::write(&script, "if true; then :; fi\n").unwrap();
        held_to(Command::new("bash").arg("-n").arg(&script), "script").unwrap();
    }

    #[test]
    fn pages_have_the_day_of_the_release() {
        assert_eq!(day(1_767_225_600).unwrap(), "2026-01-01");
    }
}
