//! Callers that are not what they were when they connected, at the real agent.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyfob_e2e::raw::{Raw, request};
use keyfob_e2e::{MEMORY, PATIENCE, Profile, token, wait_for};
use keyfob_ipc::{frame, limits};
use serde_json::json;

const VALUE: &str = "aw_0123456789abcdef0123456789";
const TEST: &str = "a_caller_that_ends_leaves_its_connection_to_nobody";

/// In the environment of a caller: the socket to connect to.
const SOCKET: &str = "CALLERS_SOCKET";

/// Asks over a connection that it did not make; where that is what `WHEN` says, once who made it has ended.
const ASKS: &str = r#": >started
[ "$WHEN" = alive ] || while kill -0 "$PPID" 2>/dev/null; do :; done
cat request; cat >answer; : >closed"#;

#[test]
fn a_caller_that_ends_leaves_its_connection_to_nobody() {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return connect_and_hand_on(socket.as_ref());
    }
    let profile = Profile::new(&[MEMORY, &token("aspect", "aw.acme.dev")].concat());
    profile.add_token("aspect", VALUE);
    let ask = request(&json!({"get": {"uri": "https://aw.acme.dev/"}}));
    let ask = frame::encode(&ask, limits::TOOL_FRAME).unwrap();
    let folder = |name: &str| {
        let folder = profile.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("request"), &ask).unwrap();
        folder
    };
    let caller = |folder: &Path, when: &str| -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact"])
            .env(SOCKET, profile.agent_socket())
            .env("WHEN", when)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };

    let ended = folder("ended");
    let mut child = caller(&ended, "ended");
    wait_for("the shell", PATIENCE, || ended.join("started").exists());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    wait_for("the agent to close the connection", PATIENCE, || ended.join("closed").exists());
    assert_eq!(fs::read(ended.join("answer")).unwrap(), b"");

    // Control: while the caller lives, whoever it gave its connection to is answered.
    let alive = folder("alive");
    let mut child = caller(&alive, "alive");
    let answer = || fs::read_to_string(alive.join("answer")).unwrap_or_default();
    wait_for("an answer", PATIENCE, || answer().contains(VALUE));
    profile.kill_agent();
    wait_for("the end of the connection", PATIENCE, || alive.join("closed").exists());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// A caller: it connects, gives its connection to a shell, and ends when its standard input does.
#[expect(clippy::zombie_processes, reason = "the shell outlives this process, and ends with the connection")]
fn connect_and_hand_on(socket: &Path) {
    let connection = Raw::connect(socket);
    let stream = || OwnedFd::from(connection.stream().try_clone().expect("a descriptor"));
    let mut shell = Command::new("sh");
    shell.args(["-c", ASKS]).stdin(stream()).stdout(stream()).spawn().expect("a shell");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("an end");
}
