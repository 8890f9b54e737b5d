//! The whole life of a personal access token on the real programs: added, looked at, rotated, reminded of, removed; and
//! nowhere to be found meanwhile.
#![cfg(target_os = "linux")]

mod add;
mod administration;
mod by_hand;
mod crash;
mod keychains;
mod leaks;
mod permissions;
mod reminders;
mod remove;
mod rotate;
mod services;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use keyfob_e2e::real::http;
use keyfob_e2e::{Company, MEMORY, Output, Profile, token};
use keyfob_sandbox::{Issue, Options, Permissions};
use serde_json::Value;

/// The host of `token.aspect`.
const HOST: &str = "aw-remote-ext.acme.dev";
/// An address there.
const URI: &str = "https://aw-remote-ext.acme.dev/";
/// Whose the tokens are where it does not matter.
const ADA: &str = "ada@example.com";

/// A keychain that outlives the agent.
const FILE: &str = "[agent]\nkeychain = \"file\"\n";

/// `[token.NAME]` for one host pattern, made by the company's token API.
fn served(company: &Company, name: &str, host: &str) -> String {
    let api = &company.addresses().token_api_url;
    [token(name, host), format!("service = \"keyfob\"\napi = \"{api}\"\n")].concat()
}

/// A profile whose `token.aspect` is made by the company's token API, over a keychain in memory.
fn profile(company: &Company) -> Profile {
    Profile::new(&[MEMORY, &served(company, "aspect", HOST)].concat())
}

/// A profile over the encrypted file, which opens by itself.
fn durable(config: &str) -> Profile {
    let mut profile = Profile::new(&[FILE, config].concat());
    let passphrase = profile.path().join("passphrase");
    let mut options = std::fs::OpenOptions::new();
    let options = std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    let file = options.open(&passphrase);
    std::io::Write::write_all(&mut file.expect("a new file"), b"correct horse battery staple").expect("room");
    profile.set("KEYFOB_PASSPHRASE_FILE", passphrase);
    profile
}

/// A company whose clock runs with the system's, and can be set forward. The agent's is the system's.
fn company_ahead() -> (Company, Ahead) {
    let ahead = Ahead::default();
    let clock = ahead.clone();
    let company = Company::with(Options { clock: Arc::new(move || clock.now()), ..Options::default() });
    (company, ahead)
}

/// How far a clock is ahead of the system's, in seconds.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// So many days from now, in whole seconds as services write them.
fn in_days(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + days * 24 * 3600).expect("a time of ours")
}

/// A token of the company's that ends in so many days.
fn issue(company: &Company, owner: &str, permissions: Permissions, days: i64) -> String {
    company.portal().issue_token(owner, permissions, in_days(days))
}

/// A token whose bearer may do what administrators do.
fn issue_administrator(company: &Company) -> String {
    company.portal().issue(Issue {
        owner: "root@example.com".to_owned(),
        admin: true,
        permissions: Permissions::ALL.everywhere(),
        ends: Some(in_days(100)),
    })
}

/// What a tool gets for [`URI`] under the token's header.
#[track_caller]
fn given(profile: &Profile) -> String {
    text(&profile.get(URI).ok().json()["headers"]["X-Aspect"][0])
}

/// What a cluster says to a token: 200, 401 or 403.
fn cluster_says(company: &Company, value: &str) -> u16 {
    http::get(&company.addresses().cluster_url, Some(("x-aspect", value))).status
}

/// An entry as `keyfob status --json` shows it.
#[track_caller]
fn entry(profile: &Profile, name: &str) -> Value {
    let status = profile.status();
    let entries = status["entries"].as_array().cloned().unwrap_or_default();
    entries.into_iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}: {status}"))
}

/// The notes of `token.aspect`, one a line.
#[track_caller]
fn notes(profile: &Profile) -> String {
    let entry = entry(profile, "token.aspect");
    let notes = entry["notes"].as_array().cloned().unwrap_or_default();
    notes.iter().map(|note| format!("{} | {}\n", text(&note["say"]), note["hint"])).collect()
}

/// What `--json` printed: a report of what became of a token.
#[track_caller]
fn report(output: Output) -> Value {
    let report = output.ok().json();
    assert!(report["say"].is_string() && report["permissions"].is_object(), "no report: {report}");
    report
}

/// What a person reads where a command was refused: its reason and the next command, and nothing on standard output.
#[track_caller]
fn refused(output: Output, code: i32) -> String {
    let output = output.exits(code);
    assert_eq!(output.stdout, "", "standard output is for results: {output:?}");
    let first = output.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("keyfob: "), "no sentence: {output:?}");
    assert!(first.contains(" Run: ") || first.contains(" Next: "), "no hint: {output:?}");
    output.stderr
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
