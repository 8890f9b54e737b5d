//! What breaks around the agent, and the agent itself: nothing is lost, a tool is told why and what to run, what is in
//! memory is served meanwhile, and nobody has to restart anything afterwards. `docs/reliability.md` lists every fault.
#![cfg(target_os = "linux")]

mod apart;
mod disk;
mod keychain;
mod kill;
mod many;
mod names;
mod race;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use keyfob_e2e::{Output, Profile};

/// No tool waits longer for an answer, or for the word that there is none.
const ANSWER: Duration = Duration::from_secs(2);
/// What a call may take that has to start the agent: the shortest limit among the tools.
const FIRST_CALL: Duration = Duration::from_secs(5);
/// The keychain that is one file an entry.
const FILE: &str = "[agent]\nkeychain = \"file\"\n";
/// The host of `token.aspect`, and an address there.
const HOST: &str = "aw-remote-ext.acme.dev";
const ASPECT: &str = "https://aw-remote-ext.acme.dev/";
/// An address of `sso.okta`.
const SESSION: &str = "https://x.cache.acme.dev/";
/// What `token.aspect` holds.
const VALUE: &str = "aw_0123456789abcdef0123456789";

/// Gives a profile a passphrase file, by which its encrypted keychain opens.
fn add_passphrase(profile: &mut Profile) {
    let passphrase = profile.path().join("passphrase");
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&passphrase).expect("a new file");
    std::io::Write::write_all(&mut file, b"correct horse battery staple\n").expect("room");
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
}

/// The value under a header, where a call was answered.
#[track_caller]
fn header(output: Output, name: &str) -> String {
    let answer = output.ok().json();
    answer["headers"][name][0].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// A refusal that leaves a tool nothing to misread, and a person the way out: code, words and hint.
#[track_caller]
fn refused(output: Output, code: i32, words: &[&str], hint: &str) {
    let output = output.exits(code);
    assert_eq!(output.stdout, "", "{output:?}");
    assert!(output.took < ANSWER, "too late: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no `{word}`: {output:?}");
    }
    let hints = [format!(" Run: {hint}"), format!(" Next: {hint}")];
    assert!(hints.iter().any(|hint| output.stderr.contains(hint)), "no hint `{hint}`: {output:?}");
}

/// The step of a linear congruential generator (Knuth's MMIX constants): the same numbers for the same seed.
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Tells whoever runs the tests, also where they pass.
fn tell(line: &str) {
    use std::io::Write as _;
    // Past the test runner, which keeps to itself what a test that passes prints.
    let _ = writeln!(std::io::stderr(), "{line}");
}
