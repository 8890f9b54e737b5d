//! Started on demand, or by the service manager.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyfob_e2e::{Profile, Stage, process, run_within, start, wait_for};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::{ELSEWHERE, config};

/// What the call that starts the agent may take: the shortest limit among the tools.
const FIRST_CALL: Duration = Duration::from_secs(5);

#[test]
fn the_first_get_starts_an_agent_in_a_session_of_its_own() {
    let profile = Profile::new(&config());
    assert_eq!(profile.running_agent(), None);
    let output = profile.get(ELSEWHERE).ok();
    assert_eq!(output.stdout, "{\"headers\":{}}\n");
    assert!(output.took < FIRST_CALL, "{output:?}");
    let agent = profile.agent_pid();
    assert_eq!(process::name(agent).as_deref(), Some("keyfobd"));
    assert_eq!(process::field(agent, 3), Some(agent.to_string()), "it leads a session of its own");
    assert_eq!(profile.get(ELSEWHERE).ok().stdout, output.stdout);
    assert_eq!(profile.agent_pid(), agent);
}

/// A build tool reads its helper's output to the end: whoever starts an agent there must not wait for the agent's end.
#[test]
fn the_agent_holds_nothing_open_of_its_first_caller() {
    let profile = Profile::new(&config());
    let fifo = profile.path().join("nine");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (sender, receiver) = mpsc::channel();
    let reader = fifo.clone();
    thread::spawn(move || {
        let mut reader = BufReader::new(File::open(reader).unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        sender.send(line).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        sender.send(rest).unwrap();
    });
    let mut shell = profile.command("/bin/sh");
    shell.args(["-c", "exec 9>\"$2\"; echo open >&9; exec \"$1\" get", "sh"]);
    shell.arg(Stage::get().bin("keyfob")).arg(&fifo);
    // Both streams are read to their end.
    let output = run_within(shell, json!({"uri": ELSEWHERE}).to_string(), FIRST_CALL).ok();
    assert_eq!(output.stdout, "{\"headers\":{}}\n");
    assert_eq!(receiver.recv_timeout(FIRST_CALL).as_deref(), Ok("open\n"), "the caller had descriptor 9");
    let end = receiver.recv_timeout(Duration::from_secs(1));
    assert_eq!(end.as_deref(), Ok(""), "nobody has descriptor 9 any more");
    assert!(process::is_alive(profile.agent_pid()), "and the agent still runs");
}

#[test]
fn fifty_first_calls_at_once_start_one_agent_and_are_all_answered() {
    let profile = Profile::new(&config());
    let request = json!({"uri": ELSEWHERE}).to_string();
    let all: Vec<_> = (0..50).map(|_| start(profile.keyfob(&["get"]), request.as_str())).collect();
    for running in all {
        let output = running.output(Duration::from_secs(30)).ok();
        assert_eq!(output.stdout, "{\"headers\":{}}\n");
    }
    let log = std::fs::read_to_string(profile.state().join("keyfobd.log")).unwrap();
    assert_eq!(log.matches("the agent starts").count(), 1, "{log}");
    assert_eq!(process::lock_holders(&profile.state().join("agent.lock")), [profile.agent_pid()]);
}

#[test]
fn doors_opened_by_the_service_manager_are_served_by_their_names() {
    for doors in [["agent", "control"], ["control", "agent"]] {
        let profile = Profile::new(&config());
        std::fs::DirBuilder::new().mode(0o700).create(profile.runtime()).unwrap();
        let mut activator = profile.command("/usr/bin/systemd-socket-activate");
        for door in doors {
            activator.arg("-l").arg(profile.runtime().join(format!("{door}.sock")));
        }
        activator.arg(format!("--fdname={}", doors.join(":")));
        // It hands down little of its own environment.
        for (name, value) in profile.keyfob(&[]).get_envs() {
            if name.to_string_lossy().starts_with("KEYFOB_") {
                let pair = format!("{}={}", name.display(), value.unwrap_or_default().display());
                activator.args(["-E", &pair]);
            }
        }
        activator.arg(Stage::get().bin("keyfobd"));
        let activator = start(activator, "");
        wait_for("the service manager's sockets", FIRST_CALL, || {
            profile.agent_socket().exists() && profile.control_socket().exists()
        });
        assert_eq!(profile.running_agent(), None, "nobody has called yet");
        assert_eq!(profile.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n", "{doors:?}");
        assert_eq!(profile.agent_pid(), activator.pid(), "the one that was activated answers");
        let about = profile.run(&["agent", "status", "--json"], "").ok().json();
        assert_eq!(about["pid"], activator.pid());
        // A token can be kept at the control door alone: the two were not mixed up.
        profile.add_token("aspect", "aw_1234567890");
        profile.run(&["agent", "stop"], "").ok();
        assert!(profile.agent_socket().exists(), "the socket is the service manager's to remove");
    }
}

#[test]
fn doors_that_are_not_both_there_are_refused() {
    let profile = Profile::new(&config());
    std::fs::DirBuilder::new().mode(0o700).create(profile.runtime()).unwrap();
    let mut activator = profile.command("/usr/bin/systemd-socket-activate");
    activator.arg("-l").arg(profile.agent_socket()).arg("--fdname=agent");
    let state = format!("KEYFOB_STATE_DIR={}", profile.state().display());
    activator.args(["-E", &state]).arg(Stage::get().bin("keyfobd"));
    let activator = start(activator, "");
    wait_for("the service manager's socket", FIRST_CALL, || profile.agent_socket().exists());
    let _call = std::os::unix::net::UnixStream::connect(profile.agent_socket()).unwrap();
    let output = activator.output(FIRST_CALL).exits(1);
    assert!(output.stderr.contains("did not hand over the socket `control`"), "{output:?}");
}
