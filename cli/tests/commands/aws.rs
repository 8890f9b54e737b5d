//! `keyfob aws console`.

use std::path::Path;

use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::Value;

use crate::fake::{Act, Profile, err, feed, out};
use crate::{done, json};

const ADDRESS: &str = "http://127.0.0.1:4711/5f5f";

fn console() -> Profile {
    Profile::with_agent(Door::Control, |_, _| {
        Act::Say(vec![Reply::Step(Step::OpenBrowser { url: ADDRESS.to_owned() }), done()])
    })
}

#[test]
fn the_console_is_asked_for_by_its_page() {
    for (arguments, destination) in [
        (&["aws", "console", "dev"][..], Value::Null),
        (&["aws", "console", "dev", "--service", "ec2"], "/ec2/home".into()),
        (
            &["aws", "console", "dev", "--to", "https://console.aws.amazon.com/iam/"],
            "https://console.aws.amazon.com/iam/".into(),
        ),
    ] {
        let profile = console();
        let output = profile.keyfob(arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(err(&output).contains(ADDRESS) && err(&output).contains("works once"), "{}", err(&output));
        assert_eq!(out(&output), "keyfob: done as asked\n");
        let ask = &profile.asked()[0]["aws-console"];
        assert_eq!((&ask["name"], &ask["destination"]), (&"dev".into(), &destination));
    }
}

#[test]
fn for_programs_each_step_is_a_line_and_nothing_opens() {
    let profile = console();
    let output = profile.keyfob(&["aws", "console", "dev", "--json"], b"");
    let lines: Vec<Value> = out(&output).lines().map(json).collect();
    assert_eq!(lines[0]["step"]["open-browser"]["url"], ADDRESS);
    assert_eq!(lines[1]["done"]["say"], "done as asked");
    assert_eq!((lines.len(), err(&output).as_str()), (2, ""));
}

#[test]
fn an_address_elsewhere_is_neither_opened_nor_shown() {
    for url in ["https://signin.aws.amazon.com/federation?SigninToken=x", "file:///etc/passwd"] {
        let profile = Profile::with_agent(Door::Control, move |_, _| {
            Reply::Step(Step::OpenBrowser { url: url.to_owned() }).into()
        });
        let output = profile.keyfob(&["aws", "console", "dev"], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(!err(&output).contains("SigninToken") && !err(&output).contains("passwd"));
    }
}

#[test]
fn in_ci_no_console_is_opened() {
    let profile = console();
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["aws", "console", "dev"]);
    command.env("CI", "true").env("DISPLAY", ":0");
    let output = feed(command, b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output), "keyfob: CI is set, so no browser is opened\n");
    assert!(profile.asked().is_empty());
}

#[test]
fn where_no_browser_is_started_that_is_said_beside_an_address_of_this_machine() {
    for (name, value, said) in [
        ("TERM", "xterm", "no browser was started"),
        ("SSH_CONNECTION", "1 2 3 4", "this is an SSH connection, so no browser was started"),
    ] {
        let profile = console();
        let mut command =
            profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["aws", "console", "dev"]);
        command.env(name, value).env("PATH", "/nonexistent");
        let text = err(&feed(command, b""));
        assert!(text.starts_with(&format!("keyfob: {said}")), "{text}");
        assert!(text.contains(&format!("on this machine alone:\n\n  {ADDRESS}\n")), "{text}");
    }
}

#[test]
fn a_refusal_ends_it_with_its_own_code_and_wrong_use_with_two() {
    for (code, exit) in [(Code::ApprovalPending, 5), (Code::SignInNeeded, 3), (Code::NotAllowed, 1)] {
        let profile = Profile::with_agent(Door::Control, move |_, _| {
            Reply::Refused(Refusal::new(code, "not now").hint("keyfob status")).into()
        });
        assert_eq!(profile.keyfob(&["aws", "console", "dev"], b"").status.code(), Some(exit));
    }
    let profile = console();
    for arguments in [
        &["aws", "console", "dev", "--service", "EC2"][..],
        &["aws", "console", "dev", "--service", "ec2", "--to", "https://console.aws.amazon.com/"],
        &["aws", "console"],
    ] {
        assert_eq!(profile.keyfob(arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
    assert!(profile.asked().is_empty());
}
