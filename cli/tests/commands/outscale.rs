//! Access keys of OUTSCALE: `keyfob token add outscale.…` and `keyfob outscale bootstrap`.

use keyfob_ipc::reply::BootstrapStep;
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::Value;

use crate::fake::{Profile, err, out};
use crate::{entry, refused, report};

const ID: &str = "0123456789ABCDEFGHIJ";
const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t";

fn plan(is_done: bool) -> Vec<BootstrapStep> {
    vec![BootstrapStep {
        what: "group".to_owned(),
        say: if is_done { "the group keyfob-monitoring" } else { "create the group keyfob-monitoring" }
            .to_owned(),
        document: None,
        is_done,
        is_new: false,
    }]
}

fn monitoring(there: bool) -> Profile {
    Profile::with_agent(Door::Control, move |_, ask| {
        if ask["token-entry"].is_object() || ask["outscale-entry"].is_object() {
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
        let output = profile.keyfob(&["token", "add", "monitoring"], given.as_bytes());
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
        assert_eq!(asked.len(), 2);
        let ask = &asked[1]["outscale-bootstrap"];
        assert_eq!(ask["actions"], serde_json::json!(["ec2:Describe*", "api:Read*"]));
        assert_eq!((&ask["name"], &ask["access_key"]), (&"outscale.monitoring".into(), &ID.into()));
        assert!(ask["accept"].is_null());
    }
}

#[test]
fn the_next_command_is_whole_and_does_it() {
    let profile = monitoring(false);
    let output = bootstrap(&profile, &[]);
    let next = "Run: keyfob outscale bootstrap monitoring --actions 'ec2:Describe*,api:Read*' --yes\n";
    assert!(err(&output).ends_with(next), "{}", err(&output));
    let output = profile.keyfob(BOOTSTRAP, b"");
    assert!(err(&output).contains("nothing was given"), "{}", err(&output));
    assert!(err(&output).contains("--actions 'ec2:Describe*,api:Read*'\n"), "{}", err(&output));
}

#[test]
fn what_is_wrong_is_said_whole_before_anybody_looks_for_a_key() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        assert!(ask["outscale-bootstrap"].is_null());
        let say = "there is no entry `monitorin`; there is outscale.monitoring";
        refused(Refusal::new(Code::UnknownEntry, say).hint("keyfob status")).into()
    });
    let run = |actions: &str| {
        // No key at all: it is not what is missing first.
        let output = profile.keyfob(&["outscale", "bootstrap", "monitorin", "--actions", actions], b"");
        assert_eq!(output.status.code(), Some(1));
        err(&output)
    };
    assert_eq!(
        run("ec2, api:Read*,x y"),
        "keyfob: there is no entry `monitorin`; there is outscale.monitoring; and `ec2`, `x y`: no action, such as \
         ec2:Describe*. Run: keyfob outscale bootstrap --help\n"
    );
    assert_eq!(
        run("api:Read*"),
        "keyfob: there is no entry `monitorin`; there is outscale.monitoring. Run: keyfob status\n"
    );
    assert_eq!(profile.asked()[0]["outscale-entry"]["name"], "monitorin");
}

#[test]
fn an_administrators_key_is_asked_for_no_place_that_waits_for_a_word() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        assert!(ask["outscale-bootstrap"].is_null());
        let mut report = entry("outscale.monitoring");
        report.refusal =
            Some(Refusal::new(Code::DestinationChanged, "a new place").hint("keyfob config confirm"));
        Reply::Entry(Box::new(report)).into()
    });
    let output = bootstrap(&profile, &[]);
    assert_eq!(err(&output), "keyfob: a new place. Run: keyfob config confirm\n");
}

#[test]
fn keys_that_renew_themselves_are_not_asked_for() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask["token-entry"].is_object() {
            return Reply::Entry(Box::new(entry("outscale.monitoring"))).into();
        }
        let say = "the keys of `outscale.monitoring` are renewed by themselves";
        refused(Refusal::new(Code::BadRequest, say).hint("keyfob status")).into()
    });
    for more in [&[][..], &["--by-hand"]] {
        let arguments: Vec<&str> = ["token", "rotate", "monitoring"].iter().chain(more).copied().collect();
        let output = profile.keyfob(&arguments, b"x");
        assert!(err(&output).contains("are renewed by themselves. Run: keyfob status"), "{}", err(&output));
        let asked = profile.asked();
        assert_eq!(asked.last().unwrap()["token-rotate"], serde_json::json!({"name": "outscale.monitoring"}));
    }
}

#[test]
fn the_help_names_what_goes_along() {
    let help = |arguments: &[&str]| out(&Profile::new().keyfob(arguments, b""));
    let remove = help(&["token", "remove", "--help"]);
    assert!(remove.contains("OUTSCALE") && remove.contains("--keep-at-service"), "{remove}");
    let bootstrap = help(&["outscale", "bootstrap", "--help"]);
    let flat = bootstrap.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("other --actions replaces what the policy allows") && flat.contains("365 days"),
        "{flat}"
    );
}

#[test]
fn with_a_yes_the_plan_that_was_shown_is_done() {
    let profile = monitoring(false);
    let output = bootstrap(&profile, &["--yes"]);
    assert!(out(&output).contains("everything is there, and the key is kept"), "{}", err(&output));
    assert!(!out(&output).contains("s3cr3t"));
    let accepted: Vec<BootstrapStep> =
        serde_json::from_value(profile.asked()[2]["outscale-bootstrap"]["accept"].clone()).unwrap();
    assert_eq!(accepted, plan(false));
}

#[test]
fn where_everything_is_there_nothing_is_asked_again() {
    let profile = monitoring(true);
    let output = bootstrap(&profile, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("there already: the group"), "{}", out(&output));
    assert_eq!(profile.asked().len(), 2);
}

#[test]
fn a_key_as_an_argument_is_no_use() {
    let profile = Profile::new();
    let output = profile.keyfob(&["outscale", "bootstrap", "monitoring", "--secret-key", SECRET], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_both_halves_are_asked_for_and_one_is_not_shown() {
    let profile = monitoring(false);
    let arguments = ["token", "add", "outscale.monitoring"];
    let mut session = crate::terminal::Session::start(&profile, &arguments, &[], false);
    session.sees("Access key for outscale.monitoring: ");
    session.types(&format!("{ID}\r"));
    session.sees("Secret key for outscale.monitoring (not shown): ");
    session.types(&format!("{SECRET}\r"));
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains(ID) && !screen.contains("s3cr3t"), "{screen}");
    let asked = profile.asked();
    assert_eq!(asked.last().unwrap()["token-add"]["value"], format!("{ID}\n{SECRET}"));
}
