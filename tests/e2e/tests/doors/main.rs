//! The doors while the agent lives: names that are taken away, more callers than there is room for, and another version
//! that takes over.
#![cfg(target_os = "linux")]

mod descriptors;
mod earlier;
mod handed;
mod load;
mod removed;
mod upgrade;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyfob_e2e::{MEMORY, Output, Profile, token};

/// An address that no entry has: answered without any credential.
const ELSEWHERE: &str = "https://elsewhere.example/";
/// An address of `token.aspect`.
const ASPECT: &str = "https://aw.acme.dev/ac/1";
/// What `token.aspect` holds.
const VALUE: &str = "aw_0123456789abcdef0123456789";
/// How soon the agent must have done what it does on its own.
const SOON: Duration = Duration::from_secs(10);
/// How long a client waits for an answer (`keyfob_ipc::limits::TOOL_PATIENCE`).
const ANSWER: Duration = keyfob_ipc::limits::TOOL_PATIENCE;

/// A configuration that needs no company.
fn config() -> String {
    [MEMORY.to_owned(), token("aspect", "aw.acme.dev")].concat()
}

/// The value under a header, where a call was answered.
#[track_caller]
fn header(output: Output, name: &str) -> String {
    let answer = output.ok().json();
    answer["headers"][name][0].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned()
}

/// How often the agent has written these words into its log.
fn told(profile: &Profile, words: &str) -> usize {
    log(profile).matches(words).count()
}

fn log(profile: &Profile) -> String {
    std::fs::read_to_string(profile.state().join("keyfobd.log")).unwrap_or_default()
}

fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::symlink_metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// Tells threads to stop when it is dropped, also by a panic: the others would never end.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets this process have as many open files as the system allows it.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(maximum.is_none_or(|maximum| maximum >= 4096), "this test needs 4096 open files (ulimit -Hn)");
    setrlimit(Resource::Nofile, Rlimit { current: maximum.or(Some(4096)), maximum })
        .expect("the limit can be raised");
}

/// Tells whoever runs the tests, also where they pass.
fn tell(line: &str) {
    use std::io::Write as _;
    // Past the test runner, which keeps to itself what a test that passes prints.
    let _ = writeln!(std::io::stderr(), "{line}");
}
