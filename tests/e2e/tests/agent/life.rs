//! `keyfob agent`, sudden ends, and who else may be there.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::{Profile, Stage, folder, run, wait_for};

use crate::{ASPECT, ELSEWHERE, config};

#[test]
fn start_status_restart_and_stop() {
    let profile = Profile::new(&config());
    let status = || profile.run(&["agent", "status", "--json"], "");
    let none = profile.run(&["agent", "status"], "").exits(4);
    assert_eq!(none.stdout, "");
    assert_eq!(none.stderr, "keyfob: the agent is not running. Run: keyfob agent start\n");
    assert_eq!(profile.running_agent(), None, "to ask for it starts none");

    let first = profile.start_agent();
    let about = status().ok().json();
    assert_eq!(about["pid"], first);
    assert_eq!(about["socket"], profile.agent_socket().display().to_string());
    assert_eq!(profile.start_agent(), first, "a second start changes nothing");

    let second = profile.run(&["agent", "restart", "--json"], "").ok().json()["pid"].as_u64().unwrap();
    assert_ne!(second, u64::from(first));
    assert!(!process::is_alive(first));
    assert_eq!(u64::from(profile.agent_pid()), second);

    profile.run(&["agent", "stop"], "").ok();
    assert_eq!(profile.running_agent(), None);
    assert!(!profile.agent_socket().exists() && !profile.control_socket().exists());
    status().exits(4);
    let again = profile.run(&["agent", "stop"], "").ok();
    assert!(again.stdout.contains("was not running"), "{again:?}");
}

#[test]
fn a_killed_agent_is_replaced_by_the_next_call() {
    let profile = Profile::new(&config());
    let first = profile.start_agent();
    profile.kill_agent();
    assert!(profile.agent_socket().exists(), "a killed agent leaves its sockets behind");
    let refused = UnixStream::connect(profile.agent_socket()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(profile.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
    assert_ne!(profile.agent_pid(), first);
}

#[test]
fn an_agent_that_is_told_to_stop_by_a_signal_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let profile = Profile::new(&config());
        let agent = profile.start_agent();
        process::signal(agent, signal);
        wait_for("the agent's end", Duration::from_secs(5), || !process::is_alive(agent));
        assert!(!profile.agent_socket().exists() && !profile.control_socket().exists(), "{signal:?}");
    }
}

#[test]
fn a_live_socket_of_another_program_is_not_stolen() {
    for door in ["agent", "control"] {
        let profile = Profile::new(&config());
        std::fs::DirBuilder::new().mode(0o700).create(profile.runtime()).unwrap();
        let socket = profile.runtime().join(format!("{door}.sock"));
        let other = UnixListener::bind(&socket).unwrap();
        let output = run(profile.command(Stage::get().bin("keyfobd")), "").exits(4);
        let sentence = format!("another program answers at `{}`", socket.display());
        assert!(output.stderr.contains(&sentence), "{output:?}");
        assert_eq!(profile.running_agent(), None);
        let _call = UnixStream::connect(&socket).expect("the other program's socket is still there");
        other.set_nonblocking(true).unwrap();
        // The agent's own look at it may come first.
        wait_for("the call to reach the other program", Duration::from_secs(5), || other.accept().is_ok());
    }
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let profile = Profile::new(&config());
    std::fs::DirBuilder::new().mode(0o700).create(profile.runtime()).unwrap();
    std::fs::write(profile.agent_socket(), "precious").unwrap();
    let output = profile.run(&["agent", "start"], "");
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains(&profile.agent_socket().display().to_string()), "{output:?}");
    assert_ne!(output.code, 0);
    assert_eq!(std::fs::read_to_string(profile.agent_socket()).unwrap(), "precious");
}

#[test]
fn a_second_agent_says_that_one_runs_and_ends() {
    let profile = Profile::new(&config());
    let first = profile.start_agent();
    profile.add_token("aspect", "aw_1234567890");
    let output = run(profile.command(Stage::get().bin("keyfobd")), "").ok();
    assert_eq!(output.stderr, format!("keyfob: the agent runs already (process {first})\n"));
    profile.get(ASPECT).ok();
    assert_eq!(profile.agent_pid(), first);
}

/// Two sets of places over one state folder are one agent: its lock file says where it is.
#[test]
fn a_caller_with_another_socket_folder_finds_the_agent_by_its_lock() {
    let mut profile = Profile::new(&config());
    let agent = profile.start_agent();
    let elsewhere = folder();
    profile.set_runtime(&elsewhere.path().join("run"));
    assert_eq!(profile.get(ELSEWHERE).ok().stdout, "{\"headers\":{}}\n");
    profile.add_token("aspect", "aw_1234567890");
    assert_eq!(profile.agent_pid(), agent);
    assert!(!profile.agent_socket().exists(), "no second agent was started there");
}

#[test]
fn a_hung_agent_is_not_waited_for() {
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    process::signal(agent, Signal::STOP);
    for arguments in [&["get"][..], &["credential-process", "dev"], &["why", "aw.acme.dev"]] {
        let output = profile.run(arguments, format!("{{\"uri\":\"{ASPECT}\"}}")).exits(4);
        // Older AWS SDKs give a helper five seconds in all.
        assert!(output.took < Duration::from_millis(4500), "{output:?}");
        assert_eq!(output.stdout, "");
        assert_eq!(output.stderr, "keyfob: the agent does not answer in time. Run: keyfob agent restart\n");
    }
    process::signal(agent, Signal::CONT);
    wait_for("an answer of the agent that goes on", Duration::from_secs(5), || {
        profile.get(ELSEWHERE).code == 0
    });
    assert_eq!(profile.agent_pid(), agent);
}
