//! Access keys of OUTSCALE: `keyfob token add outscale.…` and `keyfob outscale bootstrap`.

use keyfob_ipc::reply::BootstrapStep;
use keyfob_ipc::{Door, Reply};
use serde_json::Value;

use crate::fake::{Profile, err, out};
use crate::{entry, report};

const ID: &str = "0123456789ABCDEFGHIJ";
const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t";

fn plan(is_done: bool) -> Vec<BootstrapStep> {
    vec![BootstrapStep {
        what: "group".to_owned(),
        say: "create the group keyfob-monitoring".to_owned(),
        document: None,
        is_done,
    }]
}

fn monitoring(there: bool) -> Profile {
    Profile::with_agent(Door::Control, move |_, ask| {
        if ask["entry"].is_object() {
            return Reply::Entry(Box::new(entry("outscale.monitoring"))).into();
        }
        if ask["outscale-bootstrap"].is_object() {
            let accepted = ask["outscale-bootstrap"]["accept"].is_array();
            return Reply::Bootstrap(plan(there || accepted)).into();
        }
        Reply::Token(Box::new(report("`outscale.monitoring` is kept"))).into()
    })
}

#[test]
fn both_halves_of_a_key_come_from_standard_input_and_show_nowhere() {
    for given in [
        format!("{ID}:{SECRET}"),
        format!("{ID}\n{SECRET}\n"),
        format!(r#"{{"access_key": "{ID}", "secret_key": "{SECRET}"}}"#),
    ] {
        let profile = monitoring(false);
        let output = profile.keyfob(&["token", "add", "outscale.monitoring"], given.as_bytes());
        assert!(out(&output).starts_with("keyfob: `outscale.monitoring` is kept"), "{}", err(&output));
        assert!(!out(&output).contains("s3cr3t") && err(&output).is_empty());
        let asked = profile.asked();
        let value: &Value = &asked.last().unwrap()["token-add"]["value"];
        assert_eq!(value.as_str(), Some(format!("{ID}\n{SECRET}").as_str()));
    }
}

#[test]
fn half_a_key_never_leaves_the_command() {
    let profile = monitoring(false);
    for wrong in [String::new(), ID.to_owned(), format!("{SECRET}:{ID}"), format!("{ID}:{SECRET} x")] {
        let output = profile.keyfob(&["token", "add", "outscale.monitoring"], wrong.as_bytes());
        assert_eq!(output.status.code(), Some(1));
        assert!(!err(&output).contains("s3cr3t"), "{}", err(&output));
        assert!(err(&output).contains("keyfob token add outscale.monitoring"), "{}", err(&output));
    }
    assert!(profile.asked().iter().all(|ask| ask["token-add"].is_null()));
}

const BOOTSTRAP: &[&str] = &["outscale", "bootstrap", "monitoring", "--actions", "ec2:Describe*,api:Read*"];

fn bootstrap(profile: &Profile, more: &[&str]) -> std::process::Output {
    let arguments: Vec<&str> = BOOTSTRAP.iter().chain(more).copied().collect();
    profile.keyfob(&arguments, format!("{ID}:{SECRET}").as_bytes())
}

#[test]
fn a_plan_is_shown_and_nothing_is_done_without_a_yes() {
    for more in [&["--dry-run"][..], &[]] {
        let profile = monitoring(false);
        let output = bootstrap(&profile, more);
        assert_eq!(output.status.code(), Some(if more.is_empty() { 1 } else { 0 }));
        assert_eq!(out(&output), "  create the group keyfob-monitoring\n");
        let asked = profile.asked();
        assert_eq!(asked.len(), 1);
        let ask = &asked[0]["outscale-bootstrap"];
        assert_eq!(ask["actions"], serde_json::json!(["ec2:Describe*", "api:Read*"]));
        assert_eq!((&ask["name"], &ask["access_key"]), (&"outscale.monitoring".into(), &ID.into()));
        assert!(ask["accept"].is_null());
    }
}

#[test]
fn with_a_yes_the_plan_that_was_shown_is_done() {
    let profile = monitoring(false);
    let output = bootstrap(&profile, &["--yes"]);
    assert!(out(&output).contains("everything is there, and the key is kept"), "{}", err(&output));
    assert!(!out(&output).contains("s3cr3t"));
    let accepted: Vec<BootstrapStep> =
        serde_json::from_value(profile.asked()[1]["outscale-bootstrap"]["accept"].clone()).unwrap();
    assert_eq!(accepted, plan(false));
}

#[test]
fn where_everything_is_there_nothing_is_asked_again() {
    let profile = monitoring(true);
    let output = bootstrap(&profile, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("there already: create the group"), "{}", out(&output));
    assert_eq!(profile.asked().len(), 1);
}

#[test]
fn a_key_as_an_argument_is_no_use() {
    let profile = Profile::new();
    let output = profile.keyfob(&["outscale", "bootstrap", "monitoring", "--secret-key", SECRET], b"");
    assert_eq!(output.status.code(), Some(2));
}
