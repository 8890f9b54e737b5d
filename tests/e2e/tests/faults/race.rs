//! Agents that race for one place.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;

use keyfob_e2e::real::together;
use keyfob_e2e::{MEMORY, PATIENCE, Profile, Running, Stage, process, start, wait_for, wait_for_some};
use keyfob_ipc::place::Record;
use serde_json::json;

use crate::FIRST_CALL;

const ELSEWHERE: &str = "https://elsewhere.example/";
const ROUNDS: usize = 15;
const AGENTS: usize = 4;

/// In every other round one was killed before, and has left its sockets.
#[test]
fn of_agents_that_start_at_once_one_serves_and_the_others_say_so() {
    let _turn = together();
    let profile = Profile::new(MEMORY);
    for round in 0..ROUNDS {
        let all: Vec<_> =
            (0..AGENTS).map(|_| start(profile.command(Stage::get().bin("keyfobd")), "")).collect();
        assert_eq!(profile.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
        let agent = profile.agent_pid();
        // It is one of these, or one that the call has started.
        let (_winner, others): (Vec<Running>, Vec<Running>) =
            all.into_iter().partition(|one| one.pid() == agent);
        assert!(others.len() >= AGENTS - 1, "round {round}");
        for other in others {
            let output = other.output(PATIENCE).ok();
            // One that has just taken the lock has not said yet who it is.
            assert!(output.stderr.starts_with("keyfob: the agent runs already"), "{output:?}");
        }
        assert_eq!(profile.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
        assert_eq!(profile.agent_pid(), agent);
        if round % 2 == 0 {
            profile.kill_agent();
        } else {
            profile.run(&["agent", "stop"], "").ok();
        }
    }
}

/// A process that is killed loses its sockets before its lock: who starts an agent between the two finds one that gives way.
#[test]
fn an_agent_that_is_just_being_killed_keeps_no_call_waiting() {
    let _turn = together();
    let profile = Profile::new(MEMORY);
    for folder in [profile.state(), profile.runtime()] {
        fs::DirBuilder::new().mode(0o700).create(folder).expect("a new folder");
    }
    let lock = File::create(profile.state().join("agent.lock")).expect("a new file");
    lock.lock().expect("nobody else has it");
    let record = Record {
        pid: std::process::id(),
        version: "0".to_owned(),
        agent: profile.agent_socket(),
        control: profile.control_socket(),
    };
    let record = serde_json::to_vec(&record).expect("it is plain");
    fs::write(profile.state().join("agent.json"), record).expect("room for a file");

    let asking = start(profile.keyfob(&["get"]), json!({"uri": ELSEWHERE}).to_string());
    let gives_way = wait_for_some("an agent that is started", PATIENCE, || child_of(asking.pid()));
    wait_for("it to give way", PATIENCE, || !process::is_alive(gives_way));
    drop(lock);
    let output = asking.output(FIRST_CALL).ok();
    assert_eq!(output.stdout, "{\"headers\":{}}\n");
}

fn child_of(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}
