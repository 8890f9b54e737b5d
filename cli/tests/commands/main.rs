//! The commands of people, as programs and terminals see them, against an agent of a few lines.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod admin;
mod agent;
#[cfg(target_os = "linux")]
mod approve;
mod aws;
mod config;
mod doctor;
mod exec;
mod exec_folder;
mod exec_secrets;
#[path = "../fake/mod.rs"]
mod fake;
mod grants;
mod import;
mod log;
mod login;
mod machine;
mod metaflow;
mod misuse;
mod outscale;
mod permissions;
mod rotation;
mod run;
mod secret;
mod setup;
mod setup_metaflow;
mod status;
#[cfg(target_os = "linux")]
mod terminal;
mod token;
mod uninstall;
mod unlock;

use std::path::PathBuf;

use keyfob_ipc::reply::{
    About, ClusterRights, ConfigReport, EntryPermissions, EntryReport, EntryState, KeychainReport,
    KeychainState, Right, Rights, Status, Teller, TokenReport, ToldFact, ToldRights,
};
use keyfob_ipc::{Refusal, Reply};
use serde_json::Value;

use crate::fake::Profile;

fn entry(name: &str) -> EntryReport {
    EntryReport {
        name: name.to_owned(),
        kind: name.split('.').next().unwrap().to_owned(),
        state: EntryState::Live,
        until: None,
        until_assumed: false,
        until_by: None,
        owner: None,
        hosts: vec![],
        through: None,
        facts: Default::default(),
        refusal: None,
        notes: vec![],
        since: None,
        plan: Vec::new(),
        quiet_until: None,
    }
}

fn about() -> About {
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: 1,
        pid: 4_000_000,
        started: "2026-11-21T07:00:00Z".to_owned(),
        memory_kib: None,
        socket: "/run/agent.sock".to_owned(),
        own_profile: false,
    }
}

fn status() -> Reply {
    let mut token = entry("token.aspect");
    token.hosts = vec!["aw.acme.dev".to_owned(), "localhost".to_owned()];
    let mut aws = entry("aws.dev");
    aws.facts.insert("region".to_owned(), "eu-west-1".to_owned());
    Reply::Status(Box::new(Status {
        agent: about(),
        keychain: KeychainReport { kind: "memory".to_owned(), state: KeychainState::Present, refusal: None },
        config: ConfigReport { path: "/c.toml".to_owned(), exists: true, errors: vec![], in_force: true },
        entries: vec![token, aws],
        lock: None,
        questions: 0,
        settings: keyfob_ipc::reply::Settings::default(),
    }))
}

fn keychain(kind: &str, state: KeychainState, refusal: Option<Refusal>) -> Reply {
    let Reply::Status(mut status) = status() else { panic!("no status") };
    status.keychain = KeychainReport { kind: kind.to_owned(), state, refusal };
    Reply::Status(status)
}

/// The binary in a folder with nothing beside it, so that it cannot start an agent.
fn alone(profile: &Profile) -> PathBuf {
    let copy = profile.path("keyfob");
    std::fs::copy(env!("CARGO_BIN_EXE_keyfob"), &copy).unwrap();
    copy
}

fn done() -> Reply {
    Reply::Done { say: "done as asked".to_owned() }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A time of the wire.
fn wire(time: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_second()).unwrap().to_string()
}

/// A time that stays so many minutes ago for the best part of a minute.
fn minutes_ago(minutes: i64) -> String {
    wire(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(minutes * 60 + 2))
}

/// A time that stays so many days ahead for the best part of a day.
fn in_days(days: i64) -> String {
    wire(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(days * 24 + 12))
}

/// The day of such a time.
fn day(time: &str) -> &str {
    &time[..10]
}

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(refusal)
}

fn rights(cluster: &str, read: Right, write: Right, execute: Right) -> ClusterRights {
    ClusterRights { cluster: cluster.to_owned(), rights: Rights { read, write, execute } }
}

fn told(at: ClusterRights, by: Teller) -> ToldRights {
    ToldRights { at, by, when: Some(minutes_ago(12)), note: None }
}

fn fact(name: &str, values: &[&str], by: Teller) -> ToldFact {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    ToldFact { name: name.to_owned(), values, by, when: Some(minutes_ago(12)) }
}

fn permitted(name: &str, clusters: Vec<ToldRights>, facts: Vec<ToldFact>) -> EntryPermissions {
    let kind = name.split('.').next().unwrap().to_owned();
    EntryPermissions { name: name.to_owned(), kind, clusters, facts, refusals: vec![] }
}

fn report(say: &str) -> TokenReport {
    TokenReport {
        say: say.to_owned(),
        owner: None,
        until: None,
        until_by: None,
        lost: vec![],
        gained: vec![],
        notes: vec![],
        permissions: None,
    }
}
