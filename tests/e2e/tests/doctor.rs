//! `keyfob doctor` with the real programs: what it finds whole, and what it finds broken.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use keyfob_e2e::{Company, MEMORY, Profile, Stage};
use serde_json::Value;

/// What it promises.
const IN_ALL: Duration = Duration::from_secs(12);

#[track_caller]
fn doctor(profile: &Profile, code: i32) -> Value {
    let output = profile.run(&["doctor", "--json"], "");
    assert!(output.took < IN_ALL, "{output:?}");
    output.exits(code).json()
}

fn named<'a>(report: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    report["checks"].as_array().into_iter().flatten().filter(move |check| check["name"] == name)
}

#[track_caller]
fn one<'a>(report: &'a Value, name: &'a str) -> &'a Value {
    named(report, name).next().unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[test]
fn doctor_leads_from_nothing_to_everything_as_it_should_be() {
    let company = Company::start();
    let token = "[token.aspect]\nhosts = [\"aw.acme.dev\"]\n";
    let profile = Profile::new(&[MEMORY, &company.sso("okta", "*.cache.acme.dev"), token].concat());
    let report = doctor(&profile, 1);
    assert_eq!(report["next"]["hint"], "keyfob login okta", "{report}");
    company.sign_in(&profile, "okta");
    let report = doctor(&profile, 1);
    assert_eq!(report["next"]["hint"], "keyfob token add aspect", "{report}");
    profile.add_token("aspect", "aw_MARKER");
    let report = doctor(&profile, 0);
    assert_eq!(report["next"]["hint"], "keyfob setup bazel", "{report}");
    profile.run(&["setup", "bazel"], "").ok();
    let report = doctor(&profile, 0);
    assert_eq!(one(&report, "bazel")["health"], "good", "{report}");
    // What is left is that this is a second profile.
    assert_eq!(report["next"]["name"], "environment", "{report}");
    for name in [
        "keyfob",
        "keyfobd",
        "agent",
        "agent's file",
        "state folder",
        "socket folder",
        "tool door",
        "control door",
    ] {
        assert_eq!(one(&report, name)["health"], "good", "{report}");
    }
    assert!(named(&report, "protection").count() >= 3, "{report}");
    assert!(named(&report, "protection").all(|check| check["health"] == "good"), "{report}");
    let text = profile.run(&["doctor"], "").ok().stdout;
    assert!(text.lines().all(|line| !line.starts_with("x ")) && text.contains("ok  sso.okta "), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("MARKER"), "{text}");
}

#[test]
fn doctor_names_the_folder_at_fault_without_an_agent() {
    let profile = Profile::new(MEMORY);
    fs::create_dir(profile.runtime()).expect("a new folder");
    fs::set_permissions(profile.runtime(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let report = doctor(&profile, 4);
    let folder = one(&report, "socket folder");
    let shown = profile.runtime().display().to_string();
    assert_eq!(folder["health"], "bad", "{report}");
    assert!(folder["say"].as_str().is_some_and(|say| say.contains(&shown)), "{report}");
    assert_eq!(report["next"]["hint"], format!("chmod 700 '{shown}'"), "{report}");
    fs::set_permissions(profile.runtime(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    doctor(&profile, 0);
}

#[test]
fn doctor_names_an_issuer_that_cannot_be_reached_and_a_broken_edit() {
    let issuer = "[sso.far]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"keyfob\"\n";
    let profile = Profile::new(&[MEMORY, issuer].concat());
    let report = doctor(&profile, 1);
    let check = one(&report, "sso.far issuer");
    assert_eq!(check["health"], "bad", "{report}");
    assert!(check["say"].as_str().is_some_and(|say| say.contains("http://127.0.0.1:1")), "{report}");
    profile.configure(&[MEMORY, issuer, "colour = \"red\"\n"].concat());
    let report = doctor(&profile, 1);
    let check = one(&report, "configuration");
    assert_eq!(check["health"], "attention", "the last good one is in force: {report}");
    assert!(check["say"].as_str().is_some_and(|say| say.contains("line 6")), "{report}");
}

#[test]
fn doctor_names_an_agent_of_another_version_beside_it() {
    let profile = Profile::new(MEMORY);
    let folder = profile.path().join("bin");
    fs::create_dir(&folder).expect("a new folder");
    for name in ["keyfob", "keyfobd"] {
        keyfob_e2e::process::copy_program(Stage::get().bin(name), folder.join(name));
    }
    let run = |arguments: &[&str]| {
        let mut command = profile.command(folder.join("keyfob"));
        command.args(arguments);
        keyfob_e2e::run(command, "")
    };
    assert_eq!(one(&run(&["doctor", "--json"]).ok().json(), "keyfobd")["health"], "good");
    // A script that tells another version stands where the agent's next start looks.
    let other = folder.join("other");
    fs::write(&other, "#!/bin/sh\necho 'keyfobd 99.0.0' >&2\n").expect("room");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::rename(&other, folder.join("keyfobd")).expect("it is ours");
    let report = run(&["doctor", "--json"]).json();
    let check = one(&report, "keyfobd");
    assert_eq!(check["health"], "attention", "{report}");
    assert!(check["say"].as_str().is_some_and(|say| say.contains("99.0.0")), "{report}");
}
