//! Bytes that no client of ours sends.

use std::time::Duration;

use keyfob_e2e::raw::{Raw, request};
use keyfob_e2e::{Profile, process, wait_for};
use keyfob_ipc::limits;
use serde_json::{Value, json};

use crate::{ASPECT, config};

const SECRET: &str = "aw_1234567890";

fn prefix(length: u32) -> Vec<u8> {
    length.to_le_bytes().to_vec()
}

fn frame(text: &str) -> Vec<u8> {
    [prefix(u32::try_from(text.len()).expect("a short text")), text.as_bytes().to_vec()].concat()
}

/// What comes back at a fresh connection: the code of the refusal, after which the door is closed.
#[track_caller]
fn refused(mut door: Raw, bytes: &[u8]) -> Value {
    door.send_bytes(bytes).expect("the door takes bytes");
    let answer = door.receive().expect("a refusal");
    assert!(door.is_closed(), "{answer}");
    assert_eq!(answer["v"], 1);
    let refusal = &answer["reply"]["refused"];
    assert!(refusal["say"].as_str().is_some_and(|say| !say.contains("s3cr3t")), "{answer}");
    refusal["code"].clone()
}

#[track_caller]
fn is_well(profile: &Profile, agent: u32) {
    assert_eq!(profile.tool_door().ask(&json!("about"))["about"]["pid"], agent);
    assert_eq!(profile.control_door().ask(&json!("about"))["about"]["pid"], agent);
    assert!(process::is_alive(agent));
}

#[test]
fn what_is_no_request_is_refused_and_the_agent_lives_on() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let tool_limit = u32::try_from(limits::TOOL_FRAME).unwrap();
    let control_limit = u32::try_from(limits::CONTROL_FRAME).unwrap();
    let cases = [
        (prefix(tool_limit + 1), prefix(control_limit + 1), "too_large"),
        (prefix(u32::MAX), prefix(u32::MAX), "too_large"),
        (frame(""), frame(""), "bad_request"),
        (frame("s3cr3t"), frame("s3cr3t"), "bad_request"),
        (frame("[\"s3cr3t\"]"), frame("[\"s3cr3t\"]"), "bad_request"),
        (frame("{\"v\":1,\"ask\":{\"get\":{\"uri\":\"s3cr3t\""), frame("{\"v\":1"), "bad_request"),
        (frame("{\"v\":1}"), frame("{\"v\":1}"), "bad_request"),
        (frame("{\"v\":\"s3cr3t\",\"ask\":\"about\"}"), frame("{\"ask\":\"about\"}"), "bad_request"),
        (frame("{\"v\":1,\"ask\":\"s3cr3t\"}"), frame("{\"v\":1,\"ask\":\"s3cr3t\"}"), "bad_request"),
        (
            frame("{\"v\":1,\"ask\":{\"get\":{\"uri\":5}}}"),
            frame("{\"v\":1,\"ask\":{\"entry\":{}}}"),
            "bad_request",
        ),
        (frame("{\"v\":0,\"ask\":\"about\"}"), frame("{\"v\":0,\"ask\":\"about\"}"), "version_mismatch"),
        (frame("{\"v\":2,\"ask\":\"about\"}"), frame("{\"v\":2,\"ask\":\"about\"}"), "version_mismatch"),
        (frame("{\"v\":65535,\"question\":1}"), frame("{\"v\":65535,\"question\":1}"), "version_mismatch"),
        (
            frame(&format!("{{\"v\":1,\"ask\":{}1{}}}", "[".repeat(9000), "]".repeat(9000))),
            frame("\u{0}"),
            "bad_request",
        ),
    ];
    for (at_tool, at_control, code) in cases {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(refused(profile.tool_door(), &at_tool), code, "tool door: {}", shown(&at_tool));
        assert_eq!(
            refused(profile.control_door(), &at_control),
            code,
            "control door: {}",
            shown(&at_control)
        );
    }
    is_well(&profile, agent);
}

/// Rights follow the door: what stores, erases or configures is no message of the tool door.
#[test]
fn the_tool_door_knows_no_verb_that_changes_anything() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.add_token("aspect", SECRET);
    let control_verbs = [
        json!("status"),
        json!({"entry": {"name": "aspect"}}),
        json!({"login": {"name": "okta", "flow": "browser"}}),
        json!({"logout": {"name": null}}),
        json!({"token-add": {"name": "token.aspect", "value": "aw_s3cr3t"}}),
        json!({"token-remove": {"name": "token.aspect"}}),
        json!("config-check"),
        json!({"config-confirm": {"name": null, "accept": null}}),
        json!({"unlock": {"passphrase": "s3cr3t"}}),
        json!("stop"),
    ];
    for verb in control_verbs {
        let bytes = frame(&request(&verb).to_string());
        assert_eq!(refused(profile.tool_door(), &bytes), "bad_request", "{verb}");
    }
    let answer = profile.tool_door().ask(&json!({"get": {"uri": ASPECT}}));
    assert_eq!(answer["headers"]["headers"]["X-Aspect"][0], SECRET, "the old token is still there");
    is_well(&profile, agent);
    // At its own door a verb of the list is obeyed, so it was the door that refused.
    let ask = json!({"token-remove": {"name": "token.aspect"}});
    assert!(profile.control_door().ask(&ask)["done"].is_object());
    profile.get(ASPECT).exits(3);
}

/// What gives a credential is asked at the tool door alone.
#[test]
fn the_control_door_gives_no_credential() {
    let profile = Profile::new(&config());
    profile.start_agent();
    profile.add_token("aspect", SECRET);
    for verb in [json!({"get": {"uri": ASPECT}}), json!({"credential-process": {"name": "dev"}})] {
        let bytes = frame(&request(&verb).to_string());
        assert_eq!(refused(profile.control_door(), &bytes), "bad_request", "{verb}");
    }
}

#[test]
fn many_requests_on_one_connection_are_answered_in_turn() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let mut door = profile.tool_door();
    let one = frame(&request(&json!("about")).to_string());
    door.send_bytes(&one.repeat(20)).unwrap();
    for _ in 0..20 {
        assert_eq!(door.receive().expect("an answer")["reply"]["about"]["pid"], agent);
    }
}

#[test]
fn half_a_frame_gets_no_answer_and_no_patience() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    for half in [&[9][..], &[9, 0, 0, 0], &[9, 0, 0, 0, b'{', b'"']] {
        let mut door = profile.tool_door();
        door.send_bytes(half).unwrap();
        door.finish();
        assert!(door.is_closed());
        // Nobody says that nothing more will come: the deadline says it.
        let mut door = profile.control_door();
        let begun = std::time::Instant::now();
        door.send_bytes(half).unwrap();
        assert!(door.is_closed());
        assert!(begun.elapsed() < limits::FRAME_READ * 2, "{:?}", begun.elapsed());
    }
    is_well(&profile, agent);
}

#[test]
fn a_slow_writer_is_cut_off_and_holds_nobody_up() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    let mut door = profile.tool_door();
    door.send_bytes(&prefix(60_000)).unwrap();
    let begun = std::time::Instant::now();
    // A byte now and then does not extend the deadline of a frame.
    wait_for("the slow writer's end", limits::FRAME_READ * 3, || {
        assert_eq!(profile.tool_door().ask(&json!("about"))["about"]["pid"], agent);
        door.send_bytes(b" ").is_err()
    });
    assert!(begun.elapsed() > limits::FRAME_READ / 2, "{:?}", begun.elapsed());
}

/// With the number of open files that most systems allow a program from the start.
#[test]
fn a_thousand_idle_connections_leave_room_for_an_honest_caller() {
    let profile = Profile::new(&config());
    let mut shell = profile.command("/bin/sh");
    shell.args(["-c", "ulimit -Sn 1024 && exec \"$@\"", "sh"]);
    shell.arg(keyfob_e2e::Stage::get().bin("keyfob")).args(["agent", "start"]);
    keyfob_e2e::run(shell, "").ok();
    let agent = profile.agent_pid();
    allow_open_files(4096);
    for socket in [profile.agent_socket(), profile.control_socket()] {
        let mut idle: Vec<_> = (0..1000).map(|_| Raw::connect(&socket)).collect();
        let output = profile.run(&["why", "aw.acme.dev"], "").exits(3);
        assert!(output.took < Duration::from_secs(3), "{output:?}");
        is_well(&profile, agent);
        // They were no dead weight: the last one is served as the first is.
        for door in [0, 999] {
            assert_eq!(idle[door].ask(&json!("about"))["about"]["pid"], agent);
        }
    }
}

fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(
        maximum.is_none_or(|maximum| maximum >= count),
        "this test needs {count} open files (ulimit -Hn)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: maximum.or(Some(count)), maximum })
        .expect("the limit can be raised");
}
