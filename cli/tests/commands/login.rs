//! `keyfob login`, `keyfob logout`.

use std::path::Path;

use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::Value;

use crate::fake::{Act, Profile, err, feed, out};
use crate::{done, json};

fn sign_in() -> Profile {
    Profile::with_agent(Door::Control, |_, _| {
        Act::Say(vec![
            Reply::Step(Step::OpenBrowser { url: "https://acme.example/authorize".to_owned() }),
            Reply::Step(Step::DeviceCode {
                user_code: "WDJB-MJHT".to_owned(),
                verification_uri: "https://acme.example/activate".to_owned(),
                verification_uri_complete: None,
                expires_in: 600,
            }),
            done(),
        ])
    })
}

#[test]
fn login_for_programs_writes_each_step_on_its_line_and_opens_nothing() {
    let profile = sign_in();
    let output = profile.keyfob(&["login", "okta", "--browser", "--json"], b"");
    let lines: Vec<Value> = out(&output).lines().map(json).collect();
    assert_eq!(lines[0]["step"]["open-browser"]["url"], "https://acme.example/authorize");
    assert_eq!(lines[1]["step"]["device-code"]["user_code"], "WDJB-MJHT");
    assert_eq!(lines[2]["done"]["say"], "done as asked");
    assert_eq!(lines.len(), 3);
    assert_eq!(err(&output), "");
    assert_eq!(profile.asked()[0]["login"]["flow"], "browser");
    assert_eq!(profile.asked()[0]["login"]["name"], "okta");
}

#[test]
fn login_for_people_shows_the_address_and_the_code() {
    let profile = sign_in();
    let output = profile.keyfob(&["login"], b"");
    let text = err(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in ["https://acme.example/authorize", "https://acme.example/activate", "WDJB-MJHT", "10 minutes"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(out(&output), "keyfob: done as asked\n");
    if cfg!(target_os = "linux") {
        assert_eq!(profile.asked()[0]["login"]["flow"], "device", "no display, so no browser");
    }
}

#[test]
fn nobody_signs_in_in_ci_whatever_the_way() {
    let profile = sign_in();
    let ways: [&[&str]; 4] =
        [&["login"], &["login", "okta", "--device"], &["login", "--browser"], &["login", "--json"]];
    for (way, variable) in ways.into_iter().flat_map(|way| [(way, "CI"), (way, "KEYFOB_JOB")]) {
        let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), way);
        command.env(variable, "true").env("DISPLAY", ":0");
        let output = feed(command, b"");
        assert_eq!(output.status.code(), Some(1), "{way:?}");
        let text = err(&output);
        let (why, goes_on) = match variable {
            "CI" => ("keyfob: CI is set, so", true),
            _ => ("keyfob: this is a job of `keyfob run`, so", false),
        };
        assert!(text.starts_with(why) && text.contains("`machine = \"ci\"` in place of `sso`"), "{text}");
        assert_eq!(text.contains("keyfob run -- COMMAND"), goes_on, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert!(profile.asked().is_empty());
}

#[test]
fn an_address_that_is_not_of_the_web_is_not_shown() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Step(Step::OpenBrowser { url: "file:///etc/passwd".to_owned() }).into()
    });
    let output = profile.keyfob(&["login", "--browser"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(!err(&output).contains("/etc/passwd"));
}

#[test]
fn a_refusal_for_programs_is_json_too() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Refused(Refusal::new(Code::KeychainLocked, "locked").hint("keyfob unlock")).into()
    });
    let output = profile.keyfob(&["logout", "--json"], b"");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(json(&out(&output))["refused"]["code"], "keychain_locked");
    assert_eq!(err(&output), "keyfob: locked. Run: keyfob unlock\n");
}
