//! `keyfob agent`, `keyfob unlock`, and what all commands have in common.

use keyfob_ipc::reply::KeychainState;
use keyfob_ipc::{Code, Door, Refusal};

use crate::fake::{Act, Profile, err, out};
use crate::{done, keychain, status};

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
fn unlock_takes_the_first_line_of_standard_input() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask == "status" { keychain("file", KeychainState::Locked, None).into() } else { done().into() }
    });
    assert_eq!(profile.keyfob(&["unlock"], b" two words \nrest\n").status.code(), Some(0));
    assert_eq!(profile.asked()[1]["unlock"]["passphrase"], " two words ");
    assert_eq!(profile.keyfob(&["unlock"], b"").status.code(), Some(1));
}

#[test]
fn unlock_leaves_other_keychains_alone() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "keyfob: this keychain needs no unlock\n")
    );
    assert_eq!(profile.asked().len(), 1, "the passphrase stays here");

    let profile = Profile::with_agent(Door::Control, |_, _| {
        let refusal = Refusal::new(Code::KeychainLocked, "locked").hint("unlock your login keychain");
        keychain("system", KeychainState::Locked, Some(refusal)).into()
    });
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(err(&output), "keyfob: locked. Next: unlock your login keychain\n");
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
