//! Opening an address in the person's browser, and a file in whatever edits it.
//!
//! Addresses are `http` and `https` only, of visible ASCII only: they come over a socket and go into another program's
//! arguments. No shell is involved, the program gets no standard stream of ours, and nobody waits for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Surroundings;
use crate::view::safe::is_web_address;

/// A program and its arguments.
type Candidate = (PathBuf, Vec<OsString>);

/// Opens an address; `false` where no program could be started.
pub fn open_address(address: &str, surroundings: &Surroundings) -> bool {
    is_web_address(address) && browsers(address, surroundings).into_iter().any(start)
}

/// Opens a file; `false` where no program could be started.
pub fn open_file(file: &Path, surroundings: &Surroundings) -> bool {
    // An absolute path is no option to anybody.
    file.is_absolute() && start(editor(file, surroundings))
}

/// Those of `BROWSER` (a list parted by colons, `%s` stands for the address), then the platform's own.
fn browsers(address: &str, surroundings: &Surroundings) -> Vec<Candidate> {
    let mut all = Vec::new();
    if cfg!(unix) {
        let named = surroundings.browser.as_deref().unwrap_or_default();
        all.extend(named.split(':').filter_map(|command| named_browser(command, address)));
    }
    all.push(if cfg!(windows) {
        let handler = ["url.dll,FileProtocolHandler".into(), address.into()];
        (system(surroundings).join("System32").join("rundll32.exe"), handler.into())
    } else {
        (opener(), vec![address.into()])
    });
    all
}

fn named_browser(command: &str, address: &str) -> Option<Candidate> {
    let mut words = command.split_ascii_whitespace();
    let program = PathBuf::from(words.next()?);
    let mut arguments: Vec<OsString> = words.map(|word| word.replace("%s", address).into()).collect();
    if !command.contains("%s") {
        arguments.push(address.into());
    }
    Some((program, arguments))
}

fn editor(file: &Path, surroundings: &Surroundings) -> Candidate {
    if cfg!(windows) {
        (system(surroundings).join("explorer.exe"), vec![file.into()])
    } else if cfg!(target_os = "macos") {
        // As text, whatever program its ending belongs to.
        (opener(), vec!["-t".into(), file.into()])
    } else {
        (opener(), vec![file.into()])
    }
}

fn opener() -> PathBuf {
    PathBuf::from(if cfg!(target_os = "macos") { "/usr/bin/open" } else { "xdg-open" })
}

fn system(surroundings: &Surroundings) -> PathBuf {
    surroundings.system_root.clone().unwrap_or_else(|| PathBuf::from(r"C:\Windows"))
}

fn start((program, arguments): Candidate) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // What ends this program's group must not end the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let Ok(mut child) = command.spawn() else { return false };
    // This program runs for weeks; without somebody who waits, each would stay as a dead process.
    let waiting = std::thread::Builder::new().name("opened".to_owned());
    waiting.spawn(move || child.wait()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    const ADDRESS: &str = "https://acme.example/authorize?state=%41&x=1";

    #[test]
    fn only_the_web_is_opened() {
        for bad in ["file:///etc/passwd", "javascript:alert(1)", "-h", "https://a.example/ -x", ""] {
            assert!(!open_address(bad, &Surroundings::default()));
        }
    }

    #[test]
    fn a_file_is_never_an_option() {
        assert!(!open_file(Path::new("--help"), &Surroundings::default()));
    }

    #[cfg(unix)]
    #[test]
    fn named_browsers_come_first_and_get_the_address_as_one_argument() {
        let browser = Some("firefox --new-window %s::w3m".to_owned());
        let all = browsers(ADDRESS, &Surroundings { browser, ..Surroundings::default() });
        assert_eq!(all[0], ("firefox".into(), vec!["--new-window".into(), ADDRESS.into()]));
        assert_eq!(all[1], ("w3m".into(), vec![ADDRESS.into()]));
        assert_eq!(all.len(), 3);
    }
}
