//! Another user on the same machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use keyfob_e2e::raw::{Raw, request};
use keyfob_e2e::{Foreigner, Profile, wait_for};
use keyfob_ipc::frame;
use serde_json::json;

use crate::{ASPECT, config};

/// `EACCES`.
const DENIED: i32 = 13;
/// `EAGAIN`: the foreigner waited in vain for the end.
const NOT_CLOSED: i32 = 11;
const SECRET: &str = "aw_1234567890";

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("this is ours to open");
}

#[test]
fn a_foreign_user_does_not_get_to_the_door() {
    let profile = Profile::new(&config());
    profile.start_agent();
    let mut foreigner = Foreigner::meet();
    // The way to the folder is open; the folder of the sockets is what holds.
    open(profile.path(), 0o755);
    for path in [profile.agent_socket(), profile.control_socket()] {
        let tried = foreigner.connect(&path, b"");
        assert_eq!((&tried["connected"], &tried["errno"]), (&json!(false), &json!(DENIED)), "{tried}");
    }
    for file in ["agent.lock", "keyfobd.log"] {
        assert_eq!(foreigner.read(&profile.state().join(file))["errno"], DENIED, "{file}");
    }
    assert_eq!(foreigner.read(profile.config())["errno"], DENIED);
    // What the test opens, the foreigner reaches: it was the modes that kept it out.
    open(profile.config(), 0o644);
    assert_eq!(foreigner.read(profile.config())["read"], config().len());
}

#[test]
fn a_foreign_users_connection_is_closed_without_a_byte() {
    let profile = Profile::new(&config());
    profile.start_agent();
    profile.add_token("aspect", SECRET);
    let about = frame::encode(&request(&json!("about")), 1024).unwrap();
    let mut foreigner = Foreigner::meet();
    open(profile.path(), 0o755);
    for path in [profile.agent_socket(), profile.control_socket()] {
        for bytes in [&b""[..], &about] {
            // The agent closes again what is opened: the foreigner comes in between.
            let mut tried = json!(null);
            wait_for("a foreigner at an open door", Duration::from_secs(20), || {
                open(profile.runtime(), 0o755);
                // For a moment there is none where the agent makes it anew.
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o666));
                tried = foreigner.connect(&path, bytes);
                tried["connected"] == json!(true)
            });
            assert_eq!((&tried["connected"], &tried["read"]), (&json!(true), &json!(0)), "{tried}");
            assert_ne!(tried["errno"], NOT_CLOSED, "{tried}");
        }
        // The same bytes from our own user are answered.
        let answer = Raw::connect(&path).ask(&json!("about"));
        assert_eq!(answer["about"]["pid"], profile.agent_pid());
    }
    let log = fs::read_to_string(profile.state().join("keyfobd.log")).unwrap();
    assert!(log.contains("another user's connection was closed"), "{log}");
}

#[test]
fn a_squatter_learns_nothing() {
    let mut profile = Profile::new(&config());
    let mut squatter = Foreigner::meet();
    let socket = squatter.listen("agent.sock");
    squatter.listen("control.sock");
    profile.set_runtime(socket.parent().unwrap());
    let input = json!({"uri": ASPECT}).to_string();
    let calls: [(&[&str], &str); 6] = [
        (&["get"], &input),
        (&["credential-process", "dev"], ""),
        (&["token", "add", "aspect"], SECRET),
        (&["login"], ""),
        (&["status"], ""),
        (&["agent", "start"], ""),
    ];
    for (count, (arguments, stdin)) in calls.into_iter().enumerate() {
        let output = profile.run(arguments, stdin).exits(4);
        assert_eq!(output.stdout, "", "{output:?}");
        assert!(output.stderr.contains("is answered by another user's program"), "{output:?}");
        assert!(output.stderr.contains(&socket.parent().unwrap().display().to_string()), "{output:?}");
        let what = format!("call {count} at the squatter's");
        wait_for(&what, Duration::from_secs(5), || squatter.report()["connections"] == count as u64 + 1);
    }
    assert_eq!(squatter.report()["bytes"], 0);
    assert_eq!(profile.running_agent(), None);
    // It would have heard a word.
    Raw::connect(&socket).send_bytes(b"hello").unwrap();
    wait_for("the squatter to hear a word", Duration::from_secs(5), || squatter.report()["bytes"] == 5);
}

/// The record says where the agent is; what it says is checked like every other place.
#[test]
fn a_record_that_leads_to_a_squatter_is_not_followed_with_a_byte() {
    let profile = Profile::new(&config());
    profile.start_agent();
    profile.run(&["agent", "stop"], "").ok();
    let mut squatter = Foreigner::meet();
    let (agent, control) = (squatter.listen("agent.sock"), squatter.listen("control.sock"));
    let record = json!({"pid": 1, "version": "0", "agent": agent, "control": control});
    fs::write(profile.state().join("agent.json"), record.to_string()).unwrap();
    let output = profile.run(&["token", "add", "aspect"], SECRET).exits(4);
    assert!(output.stderr.contains("is answered by another user's program"), "{output:?}");
    assert_eq!(squatter.report(), json!({"connections": 1, "bytes": 0}));
}
