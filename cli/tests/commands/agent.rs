//! `keyfob agent`, and what all commands have in common.

use keyfob_ipc::Door;

use crate::fake::{Act, Profile, err, out};

#[test]
fn agent_status_and_stop_start_nothing() {
    let profile = Profile::new();
    let output = profile.keyfob(&["agent", "status"], b"");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(err(&output), "keyfob: the agent is not running. Run: keyfob agent start\n");
    let output = profile.keyfob(&["agent", "stop"], b"");
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "keyfob: the agent was not running\n")
    );
}

#[test]
fn an_agent_that_ends_meanwhile_is_told_from_a_refusal() {
    let profile = Profile::with_agent(Door::Control, |_, _| Act::Nothing { open: false });
    let output = profile.keyfob(&["status"], b"");
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).ends_with("Run: keyfob agent status\n"), "{}", err(&output));
}

#[test]
fn help_goes_to_standard_output_and_tells_exit_codes_files_and_environment() {
    let profile = Profile::new();
    let output = profile.keyfob(&["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    for part in ["EXIT CODES", "FILES", "ENVIRONMENT", "credential-process"] {
        assert!(out(&output).contains(part), "{part}");
    }
    assert_eq!(out(&profile.keyfob(&["--version"], b"")), format!("keyfob {}\n", env!("CARGO_PKG_VERSION")));
}
