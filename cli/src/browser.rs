//! Opening an address in the person's browser.
//!
//! `http` and `https` only, and only visible ASCII: the address came over a socket and goes into another program's
//! arguments. No shell is involved, the program gets no standard stream of ours, and nobody waits for it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::world::Environment;

/// Why nothing was opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The address is of another scheme, or holds what no address holds.
    #[error("the address is no web address")]
    NotTheWeb,
    /// No program to show it could be started.
    #[error("no browser was found")]
    NoBrowser,
}

/// Whether a text is an address that may be opened, and printed as it is.
pub fn is_web_address(url: &str) -> bool {
    let lower = url.get(..8).unwrap_or_default().to_ascii_lowercase();
    (lower.starts_with("http://") || lower.starts_with("https://"))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Starts the first browser that starts.
pub fn open(url: &str, environment: &Environment) -> Result<(), NotOpened> {
    if !is_web_address(url) {
        return Err(NotOpened::NotTheWeb);
    }
    let started =
        candidates(url, environment).into_iter().any(|(program, arguments)| start(program, &arguments));
    if started { Ok(()) } else { Err(NotOpened::NoBrowser) }
}

/// Programs to try, with their arguments: those of `BROWSER` (a list parted by colons, `%s` stands for the address),
/// then the platform's own.
fn candidates(url: &str, environment: &Environment) -> Vec<(PathBuf, Vec<String>)> {
    let mut all = Vec::new();
    if cfg!(unix) {
        let named = environment.browser.as_deref().unwrap_or_default();
        all.extend(named.split(':').filter_map(|command| named_browser(command, url)));
    }
    all.push(if cfg!(target_os = "macos") {
        (PathBuf::from("/usr/bin/open"), vec![url.to_owned()])
    } else if cfg!(windows) {
        let root = environment.system_root.clone().unwrap_or_else(|| PathBuf::from(r"C:\Windows"));
        (
            root.join("System32").join("rundll32.exe"),
            vec!["url.dll,FileProtocolHandler".to_owned(), url.to_owned()],
        )
    } else {
        (PathBuf::from("xdg-open"), vec![url.to_owned()])
    });
    all
}

fn named_browser(command: &str, url: &str) -> Option<(PathBuf, Vec<String>)> {
    let mut words = command.split_ascii_whitespace();
    let program = PathBuf::from(words.next()?);
    let mut arguments: Vec<String> = words.map(|word| word.replace("%s", url)).collect();
    if !command.contains("%s") {
        arguments.push(url.to_owned());
    }
    Some((program, arguments))
}

fn start(program: PathBuf, arguments: &[String]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C here must not close the browser there.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://acme.example/authorize?state=%41&x=1";

    #[test]
    fn only_the_web_is_opened() {
        assert!(is_web_address(URL));
        assert!(is_web_address("HTTP://127.0.0.1:4711/x"));
        for bad in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "-h",
            "https://a.example/ -x",
            "https://a.example/\n",
            "https://a.example/\u{202e}",
            "",
            "https:/",
        ] {
            assert!(!is_web_address(bad), "{bad}");
            assert_eq!(open(bad, &Environment::default()), Err(NotOpened::NotTheWeb));
        }
    }

    #[cfg(unix)]
    #[test]
    fn named_browsers_come_first_and_get_the_address_as_one_argument() {
        let environment = Environment {
            browser: Some("firefox --new-window %s::w3m".to_owned()),
            ..Environment::default()
        };
        let all = candidates(URL, &environment);
        assert_eq!(all[0], (PathBuf::from("firefox"), vec!["--new-window".to_owned(), URL.to_owned()]));
        assert_eq!(all[1], (PathBuf::from("w3m"), vec![URL.to_owned()]));
        assert_eq!(all.len(), 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_named_browser_gets_the_address_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        // A link to the address: made at once, and by a program that every system has.
        let browser = Some(format!("ln -s %s {}", seen.display()));
        let environment = Environment { browser, ..Environment::default() };
        assert_eq!(open(URL, &environment), Ok(()));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::fs::symlink_metadata(&seen).is_err() {
            assert!(std::time::Instant::now() < deadline, "the browser was not started");
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_link(&seen).unwrap(), PathBuf::from(URL));
    }
}
