//! `keyfob doctor`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keyfob_ipc::reply::{Check, Health};
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::Value;

use crate::fake::{Act, Profile, feed, out};
use crate::{json, status};

fn check(name: &str, health: Health, say: &str, hint: &str) -> Check {
    Check { name: name.to_owned(), health, say: say.to_owned(), hint: hint.to_owned() }
}

/// An agent that looks at these things.
fn agent(checks: Vec<Check>) -> Profile {
    let profile = Profile::with_agent(Door::Control, move |_, ask| match ask == "doctor" {
        true => Reply::Checks(checks.clone()).into(),
        false => status().into(),
    });
    for (name, mode) in [("run", 0o700), ("state", 0o700), ("run/control.sock", 0o600)] {
        fs::set_permissions(profile.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    profile
}

fn checks(report: &Value, name: &str) -> Vec<Value> {
    let all = report["checks"].as_array().unwrap();
    all.iter().filter(|check| check["name"] == name).cloned().collect()
}

/// The report for programs, and the exit code.
fn report(profile: &Profile, variables: &[(&str, &str)]) -> (Value, Option<i32>) {
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["doctor", "--json"]);
    command.envs(variables.iter().copied());
    let output = feed(command, b"");
    (json(&out(&output)), output.status.code())
}

#[test]
fn what_the_agent_found_is_shown_with_marks_and_the_first_broken_link() {
    let profile = agent(vec![
        check("protection", Health::Good, "no core dumps", ""),
        check("keychain", Health::Bad, "the keychain is lo\u{1b}cked", "keyfob unlock"),
        check("sso.okta", Health::Bad, "you are not signed in", "keyfob login okta"),
    ]);
    let output = profile.keyfob(&["doctor"], b"");
    let text = out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "ok  protection ",
        "x   keychain ",
        "the keychain is lo\\u{1b}cked\n",
        "x   sso.okta ",
        "ok  state folder ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let (report, code) = report(&profile, &[]);
    assert_eq!((code, report["checks"].as_array().unwrap().len() > 8), (Some(1), true), "{report}");
}

#[test]
fn the_next_step_is_one() {
    let profile = agent(vec![check("keychain", Health::Bad, "it is locked", "keyfob unlock")]);
    let (report, _) = report(&profile, &[]);
    let first = report["checks"].as_array().unwrap().iter().find(|check| check["health"] == "bad").unwrap();
    assert_eq!(&report["next"], first);
    let text = out(&profile.keyfob(&["doctor"], b""));
    assert_eq!(text.lines().filter(|line| line.starts_with("to mend first: ")).count(), 1, "{text}");
}

#[test]
fn a_folder_and_a_socket_that_others_can_use_are_named() {
    let profile = agent(vec![]);
    let about = crate::about();
    assert_eq!(about.socket, "/run/agent.sock", "the fake agent says so of itself");
    fs::set_permissions(profile.path("state"), fs::Permissions::from_mode(0o755)).unwrap();
    let (report, code) = report(&profile, &[]);
    let state = &checks(&report, "state folder")[0];
    assert_eq!(state["health"], "bad");
    let say = state["say"].as_str().unwrap();
    assert!(say.contains(profile.path("state").to_str().unwrap()) && say.contains("mode 755"), "{say}");
    assert!(state["hint"].as_str().unwrap().starts_with("chmod 700 "), "{state}");
    assert_eq!(checks(&report, "tool door")[0]["health"], "bad", "nothing is at /run/agent.sock");
    assert_eq!(code, Some(1));
}

#[test]
fn without_an_agent_it_shows_what_it_can_see_alone() {
    let profile = Profile::new();
    fs::set_permissions(profile.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let output = feed(profile.command(&crate::alone(&profile), &["doctor", "--json"]), b"");
    let report = json(&out(&output));
    assert_eq!(output.status.code(), Some(4), "{report}");
    assert_eq!(checks(&report, "keyfob")[0]["health"], "good");
    assert_eq!(checks(&report, "keyfobd")[0]["health"], "bad");
    assert_eq!(checks(&report, "state folder")[0]["health"], "good");
    assert_eq!(checks(&report, "agent")[0]["health"], "bad");
    assert_eq!(report["next"]["name"], "keyfobd");
}

#[test]
fn an_agent_that_does_not_know_the_question_is_a_finding() {
    let profile = Profile::with_agent(Door::Control, |_, ask| match ask == "doctor" {
        true => Reply::Refused(Refusal::new(Code::BadRequest, "unknown")).into(),
        false => status().into(),
    });
    let (report, code) = report(&profile, &[]);
    assert_eq!(code, Some(1));
    assert_eq!(checks(&report, "agent").last().unwrap()["say"], "unknown");
}

#[test]
fn an_agent_of_another_version_is_to_be_restarted() {
    let profile = Profile::with_agent(Door::Control, |_, ask| match ask == "doctor" {
        true => Reply::Checks(vec![]).into(),
        false => {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            status.agent.version = "99.0.0".to_owned();
            Reply::Status(status).into()
        }
    });
    let (report, _) = report(&profile, &[]);
    let agent = &checks(&report, "agent")[0];
    assert_eq!((&agent["health"], &agent["hint"]), (&"attention".into(), &"keyfob agent restart".into()));
    assert!(agent["say"].as_str().unwrap().starts_with("version 99.0.0 runs"), "{agent}");
}

#[test]
fn an_agent_that_ends_meanwhile_is_not_reachable() {
    let profile = Profile::with_agent(Door::Control, |_, _| Act::Nothing { open: false });
    assert_eq!(report(&profile, &[]).1, Some(4));
}

#[test]
fn variables_are_named_and_their_values_are_not() {
    let profile = agent(vec![]);
    let (report, _) =
        report(&profile, &[("HTTPS_PROXY", "http://ada:MARKER@proxy:1"), ("AWS_ACCESS_KEY_ID", "MARKER")]);
    let all = checks(&report, "environment");
    assert!(!report.to_string().contains("MARKER"), "{report}");
    let says: Vec<&str> = all.iter().filter_map(|check| check["say"].as_str()).collect();
    assert!(says[0].starts_with("KEYFOB_STATE_DIR, KEYFOB_RUNTIME_DIR make a second profile"), "{says:?}");
    assert!(says[1].starts_with("HTTPS_PROXY is used"), "{says:?}");
    assert!(says[2].starts_with("AWS_ACCESS_KEY_ID is set"), "{says:?}");
}

#[test]
fn the_tools_own_configuration_is_looked_at_and_left_alone() {
    let profile = agent(vec![]);
    let home = |name: &str| profile.path("home").join(name);
    let about = |name: &str| {
        let (report, _) = report(&profile, &[]);
        let check = checks(&report, name)[0].clone();
        (
            check["health"].clone(),
            check["say"].as_str().unwrap().to_owned(),
            check["hint"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let file = home(".aws/config").display().to_string();
    assert_eq!(
        about("aws"),
        ("attention".into(), format!("`{file}` does not ask keyfob"), "keyfob setup aws".into())
    );
    assert!(!home(".aws").exists(), "nothing is written");

    assert_eq!(profile.keyfob(&["setup", "aws"], b"").status.code(), Some(0));
    assert_eq!(about("aws"), ("good".into(), format!("`{file}`: profile dev"), "".into()));

    let written = fs::read_to_string(home(".aws/config")).unwrap();
    let elsewhere = written.replace(env!("CARGO_BIN_EXE_keyfob"), "/opt/old/keyfob");
    assert_ne!(written, elsewhere);
    fs::write(home(".aws/config"), &elsewhere).unwrap();
    let (health, say, hint) = about("aws");
    assert_eq!((health, hint), ("attention".into(), "keyfob setup aws".into()));
    assert!(say.starts_with(&format!("`{file}` runs another keyfob than this one, `")), "{say}");
    assert_eq!(fs::read_to_string(home(".aws/config")).unwrap(), elsewhere, "nothing is written");

    fs::write(home(".aws/config"), written.replace("eu-west-1", "eu-west-2")).unwrap();
    assert!(about("aws").1.ends_with("is not up to date with the configuration"));
    fs::write(home(".aws/config"), "# >>> keyfob >>>\n").unwrap();
    assert!(about("aws").1.contains("without its other half"));
}

/// What a person on a desktop is told, and nobody in a job.
fn in_job() -> Profile {
    let profile = Profile::with_agent(Door::Control, move |_, ask| match ask == "doctor" {
        true => {
            let good = |name| check(name, Health::Good, "for jobs; none runs here", "");
            Reply::Checks(vec![good("aws.deploy"), good("machine.ci"), good("machine.spare")]).into()
        }
        false => {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            let missing = |name: &str| {
                let mut entry = crate::entry(name);
                let refusal = Refusal::new(Code::MachineIdentityMissing, "this agent runs in no job");
                entry.refusal = Some(refusal.hint("keyfob run -- COMMAND"));
                entry
            };
            let mut deploy = missing("aws.deploy");
            deploy.through = Some("machine.ci".to_owned());
            status.entries.extend([deploy, missing("machine.ci"), missing("machine.spare")]);
            Reply::Status(status).into()
        }
    });
    for (name, mode) in [("run", 0o700), ("state", 0o700), ("run/control.sock", 0o600)] {
        fs::set_permissions(profile.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    profile
}

#[test]
fn where_nobody_sits_an_identity_that_is_missing_is_what_is_to_be_mended() {
    let profile = in_job();
    let healths = |report: &Value| {
        ["aws.deploy", "machine.ci", "machine.spare"]
            .map(|name| checks(report, name)[0]["health"].as_str().unwrap().to_owned())
    };
    let (desktop, _) = report(&profile, &[]);
    assert_eq!(healths(&desktop), ["good", "good", "good"]);
    assert_eq!(checks(&desktop, "bazel").len(), 1, "{desktop}");
    let (ci, code) = report(&profile, &[("CI", "true")]);
    assert_eq!((healths(&ci), code), (["bad", "attention", "good"].map(str::to_owned), Some(1)));
    let machine = &checks(&ci, "machine.ci")[0];
    assert_eq!(machine["say"], "this agent runs in no job");
    assert_eq!(machine["hint"], "keyfob run -- COMMAND; then see: keyfob machine claims machine.ci");
    // A plain build has no program by Bazel's name, which is for everybody to know.
    let advice = |report: &Value| {
        let all = checks(report, "bazel");
        all.iter().filter(|check| check["hint"].as_str().unwrap_or_default().contains("setup bazel")).count()
    };
    assert_eq!(advice(&ci), 0, "nobody sets anything up in a job: {ci}");
}

#[test]
fn what_run_has_set_itself_is_no_finding() {
    let profile = agent(vec![]);
    let (report, _) = report(&profile, &[(keyfob_ipc::start::job::JOB, "1")]);
    let all = checks(&report, "environment");
    assert_eq!((all.len(), &all[0]["health"]), (1, &"good".into()), "{report}");
    assert!(!report.to_string().contains("second profile"), "{report}");
}
