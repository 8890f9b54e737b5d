//! The ledger: a line for each answer of the real agent, and nothing in it that is a secret.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::{MEMORY, PATIENCE, Profile, at_once, run, start, token, wait_for};
use serde_json::{Value, json};

const VALUE: &str = "aw_0123456789abcdef0123456789";
const HOST: &str = "aw.acme.dev";

fn profile() -> Profile {
    let profile = Profile::new(&[MEMORY, &token("aspect", HOST)].concat());
    profile.start_agent();
    profile.add_token("aspect", VALUE);
    profile
}

fn file(profile: &Profile) -> PathBuf {
    profile.state().join("ledger.jsonl")
}

/// The lines that are whole.
fn lines(profile: &Profile) -> Vec<Value> {
    let text = fs::read_to_string(file(profile)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Lines about what tools asked, once there are so many.
#[track_caller]
fn asked(profile: &Profile, count: usize) -> Vec<Value> {
    let asked = || -> Vec<Value> {
        let is_tool = |line: &Value| line["act"] == "get" || line["act"] == "credential-process";
        lines(profile).into_iter().filter(is_tool).collect()
    };
    wait_for(&format!("{count} lines"), PATIENCE, || asked().len() >= count);
    asked()
}

#[test]
fn every_answer_is_a_line_and_no_line_has_a_value_a_path_or_a_query() {
    let profile = profile();
    let presigned = format!("https://{HOST}:8443/SECRETPATH/o?X-Amz-Signature=SECRETQUERY#SECRETPART");
    // One after another: who asked is looked up before a line is written, and that takes one longer than the other.
    let calls: [&dyn Fn(); 5] = [
        &|| drop(profile.get(&presigned).ok()),
        &|| drop(profile.get("https://elsewhere.example/SECRETPATH").ok()),
        &|| drop(profile.get(&format!("https://user:SECRETUSER@{HOST}/")).exits(1)),
        &|| drop(profile.get(&format!("http://{HOST}/SECRETPATH")).exits(1)),
        &|| drop(profile.credential_process("SECRETNAME").exits(1)),
    ];
    for (number, call) in calls.iter().enumerate() {
        call();
        asked(&profile, number + 1);
    }
    let asked = asked(&profile, calls.len());
    let seen: Vec<_> = asked
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            [text("act"), text("outcome"), text("entry"), text("target"), text("code")]
        })
        .collect();
    assert_eq!(
        seen,
        [
            ["get", "given", "token.aspect", "aw.acme.dev:8443", ""],
            ["get", "empty", "", "elsewhere.example", ""],
            ["get", "refused", "", "", "bad_uri"],
            ["get", "refused", "", "", "insecure_scheme"],
            ["credential-process", "refused", "", "", "unknown_entry"],
        ]
    );
    for line in &asked {
        assert!(
            line["asking"]["pid"].is_u64() && line["at"].as_str().is_some_and(|at| at.len() == 24),
            "{line}"
        );
    }
    let added = lines(&profile).into_iter().find(|line| line["act"] == "token-add").expect("its line");
    assert_eq!((&added["outcome"], &added["entry"]), (&json!("done"), &json!("token.aspect")));
    let text = fs::read_to_string(file(&profile)).expect("the ledger");
    assert!(!text.contains("SECRET") && !text.contains(VALUE), "{text}");
    let mode = fs::metadata(file(&profile)).expect("the ledger").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn whoever_was_gone_got_nothing_and_the_ledger_says_so() {
    let profile = profile();
    // Stopped, the agent finds the question and its end together.
    let agent = profile.agent_pid();
    process::signal(agent, Signal::STOP);
    let mut asking = start(profile.keyfob(&["get"]), json!({"uri": format!("https://{HOST}/")}).to_string());
    let pid = asking.pid();
    wait_for("the question is asked", PATIENCE, || {
        fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| !place.is_empty() && place != "0")
            && fs::read_to_string(format!("/proc/{pid}/syscall"))
                .is_ok_and(|call| !call.starts_with("running"))
            && profile_is_waited_for(pid)
    });
    asking.kill();
    drop(asking);
    process::signal(agent, Signal::CONT);
    let asked = asked(&profile, 1);
    assert_eq!(asked[0]["outcome"], "gone", "{}", asked[0]);
}

/// Whether a process sits at a socket and waits for its answer.
fn profile_is_waited_for(pid: u32) -> bool {
    let Ok(links) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_socket = |link: &fs::DirEntry| {
        fs::read_link(link.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    links.flatten().any(|link| is_socket(&link)) && process::field(pid, 0).as_deref() == Some("S")
}

#[test]
fn two_thousand_answers_at_once_are_two_thousand_lines_in_order() {
    let profile = profile();
    at_once(0..20, |_| {
        let mut door = profile.tool_door();
        for _ in 0..100 {
            let reply = door.ask(&json!({"get": {"uri": format!("https://{HOST}/")}}));
            assert!(reply["headers"].is_object(), "{reply}");
        }
    });
    let lines = asked(&profile, 2000);
    assert_eq!(lines.len(), 2000);
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str().map(str::to_owned)));
    assert!(lines.iter().all(|line| line["outcome"] == "given"));
}

#[test]
fn a_killed_agent_leaves_whole_lines_and_the_next_one_goes_on() {
    let profile = profile();
    for round in 1..=5 {
        at_once(0..4, |_| {
            let mut door = profile.tool_door();
            for _ in 0..20 {
                door.ask(&json!({"get": {"uri": format!("https://{HOST}/")}}));
            }
        });
        profile.kill_agent();
        // Half of a line, as a crash of the machine leaves it.
        let mut torn = fs::OpenOptions::new().append(true).open(file(&profile)).expect("the ledger");
        torn.write_all(b"{\"at\":\"2026-").expect("room for half a line");
        profile.get(&format!("https://{HOST}/round/{round}")).exits(3);
        wait_for("the line of the next agent", PATIENCE, || {
            lines(&profile).iter().filter(|line| line["code"] == "token_needed").count() == round
        });
        profile.add_token("aspect", VALUE);
    }
    let text = fs::read_to_string(file(&profile)).expect("the ledger");
    let broken: Vec<_> = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).collect();
    assert_eq!(broken, ["{\"at\":\"2026-"; 5], "what we tore ourselves, and nothing else");
    let shown = profile.run(&["log", "--json", "--last", "1000"], "").ok().stdout;
    assert_eq!(shown.lines().count(), lines(&profile).len());
}

#[test]
fn tools_are_served_where_the_ledger_cannot_be_written_and_the_loss_is_counted() {
    let profile = profile();
    asked_nothing_yet(&profile);
    fs::rename(file(&profile), profile.state().join("kept")).expect("our own file");
    fs::create_dir(file(&profile)).expect("room for a folder");
    for _ in 0..3 {
        profile.get(&format!("https://{HOST}/")).ok();
    }
    let follows = profile.run(&["log", "--json"], "").ok();
    assert_eq!(follows.stdout, "", "{follows:?}");
    fs::remove_dir(file(&profile)).expect("our own folder");
    profile.get(&format!("https://{HOST}/")).ok();
    wait_for("a line", PATIENCE, || lines(&profile).len() >= 2);
    let first = lines(&profile).remove(0);
    assert_eq!(first["act"], "ledger");
    assert_eq!(first["note"], "3 lines are missing here: the file could not be written");
}

#[track_caller]
fn asked_nothing_yet(profile: &Profile) {
    wait_for("the first line", PATIENCE, || lines(profile).iter().any(|line| line["act"] == "token-add"));
}

#[test]
fn a_stopped_agent_has_written_every_line() {
    let profile = profile();
    let mut door = profile.tool_door();
    for _ in 0..200 {
        door.ask(&json!({"get": {"uri": format!("https://{HOST}/")}}));
    }
    let agent = profile.agent_pid();
    run(profile.keyfob(&["agent", "stop"]), "").ok();
    wait_for("its end", Duration::from_secs(10), || !process::is_alive(agent));
    let all = lines(&profile);
    assert_eq!(all.iter().filter(|line| line["act"] == "get").count(), 200);
    assert_eq!(all.last().expect("a line")["act"], "stop");
}
