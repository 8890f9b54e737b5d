//! One agent for one person: its start, its end, and what a caller sees of both.

use std::thread;
use std::time::Duration;

use keyfob_windows_tests::{MEMORY, Profile, run, token, wait_for};

use crate::{HOST, URI, token_of};

#[test]
fn the_first_call_starts_the_agent_which_answers_over_a_pipe() {
    let profile = Profile::new(&[MEMORY, &token("aspect", HOST)].concat());
    profile.run(&["agent", "status"], "").exits(4);
    profile.run(&["token", "add", "aspect"], "aw_first").ok();
    let about = profile.agent();
    let pipe = about["socket"].as_str().unwrap_or_default().to_owned();
    assert!(pipe.starts_with(r"\\.\pipe\keyfob-S-1-5-") && pipe.ends_with("-agent"), "{about}");
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_first");
    assert_eq!(profile.agent()["pid"], about["pid"], "one agent answers all");
}

#[test]
fn exit_codes_are_those_of_every_system() {
    let profile = Profile::new(&[MEMORY, &token("aspect", HOST)].concat());
    profile.run(&["agent", "status"], "").exits(4);
    profile.run(&["no-such-command"], "").exits(2);
    let refused = profile.get(URI).exits(3);
    assert!(refused.stderr.contains("keyfob token add aspect"), "{refused:?}");
    assert_eq!(refused.stdout, "");
    profile.run(&["credential-process", "aws.none"], "").exits(1);
    let empty = profile.get("https://elsewhere.example/").ok();
    assert_eq!(empty.json()["headers"], serde_json::json!({}));
}

#[test]
fn a_second_agent_does_not_start() {
    let profile = Profile::new(MEMORY);
    profile.run(&["agent", "start"], "").ok();
    let before = profile.agent();
    let second = run(profile.command(profile.programs().join("keyfobd.exe")), "").ok();
    assert!(second.stderr.contains("the agent runs already"), "{second:?}");
    assert_eq!(profile.agent()["pid"], before["pid"]);
}

#[test]
fn a_stopped_agent_is_gone_with_its_pipes() {
    let profile = Profile::new(MEMORY);
    profile.run(&["agent", "start"], "").ok();
    let pipe = profile.agent()["socket"].as_str().unwrap_or_default().to_owned();
    assert!(keyfob_windows_tests::descriptor_of_pipe(pipe.as_ref()).is_ok());
    profile.run(&["agent", "stop"], "").ok();
    profile.run(&["agent", "status"], "").exits(4);
    assert!(profile.record().is_none());
    wait_for("the end of the pipe", Duration::from_secs(5), || {
        keyfob_windows_tests::descriptor_of_pipe(pipe.as_ref()).is_err()
    });
    let again = profile.run(&["agent", "stop"], "").ok();
    assert!(
        again.stdout.contains("was not running") || again.stderr.contains("was not running"),
        "{again:?}"
    );
}

/// As Bazel asks at the start of a build, and no agent runs yet.
#[test]
fn fifty_calls_at_once_start_one_agent_and_are_all_answered() {
    let profile = Profile::new(&token("aspect", HOST));
    profile.run(&["token", "add", "aspect"], "aw_burst").ok();
    profile.run(&["agent", "stop"], "").ok();
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(token_of(&profile.get(URI).ok()), "aw_burst"));
        }
    });
    let log = std::fs::read_to_string(profile.home().join("state").join("keyfobd.log")).unwrap_or_default();
    assert_eq!(log.matches("the agent starts").count(), 2, "one before and one after: {log}");
    profile.run(&["token", "remove", "aspect"], "").ok();
}

#[test]
fn what_is_held_outlives_a_restart_and_a_crash() {
    let profile = Profile::new(&token("aspect", HOST));
    profile.run(&["token", "add", "aspect"], "aw_kept").ok();
    let before = profile.agent();
    profile.run(&["agent", "restart"], "").ok();
    assert_ne!(profile.agent()["pid"], before["pid"]);
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_kept");
    profile.kill_agent();
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_kept");
    profile.run(&["token", "remove", "aspect"], "").ok();
    profile.get(URI).exits(3);
}
