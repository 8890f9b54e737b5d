//! `keyfob lock`, `keyfob unlock`.

use keyfob_ipc::reply::{KeychainState, LockReport, LockedBy};
use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Profile, err, out};
use crate::{done, json, keychain, status};

fn locked(kind: &str, state: KeychainState) -> Reply {
    let Reply::Status(mut status) = keychain(kind, state, None) else { panic!("no status") };
    let is_pause = state == KeychainState::Present;
    status.lock =
        Some(LockReport { since: "2026-11-21T07:00:00Z".to_owned(), by: LockedBy::Person, is_pause });
    Reply::Status(status)
}

#[test]
fn lock_says_what_the_agent_says() {
    let profile = Profile::with_agent(Door::Control, |_, _| done().into());
    let output = profile.keyfob(&["lock"], b"");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "keyfob: done as asked\n"));
    assert_eq!(profile.asked(), [json(r#""lock""#)]);
}

#[test]
fn the_passphrase_is_the_first_line_of_standard_input() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask == "status" { keychain("file", KeychainState::Locked, None).into() } else { done().into() }
    });
    assert_eq!(profile.keyfob(&["unlock"], b" two words \nrest\n").status.code(), Some(0));
    assert_eq!(profile.asked()[1]["unlock"]["passphrase"], " two words ");
    assert_eq!(profile.keyfob(&["unlock"], b"").status.code(), Some(1));
}

#[test]
fn a_keychain_of_the_system_is_given_no_passphrase() {
    for state in [KeychainState::Present, KeychainState::Locked] {
        let profile = Profile::with_agent(Door::Control, move |_, ask| {
            if ask == "status" { locked("system", state).into() } else { done().into() }
        });
        assert_eq!(profile.keyfob(&["unlock"], b"secret\n").status.code(), Some(0));
        assert_eq!(profile.asked()[1], json(r#"{"unlock":{}}"#), "the input stays here");
    }
}

#[test]
fn a_locked_keychain_without_a_lock_is_opened_by_its_own_prompt() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        let refusal = Refusal::new(Code::KeychainLocked, "locked").hint("unlock your login keychain");
        match ask == "status" {
            true => keychain("system", KeychainState::Locked, Some(refusal)).into(),
            false => Reply::Refused(refusal).into(),
        }
    });
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(err(&output), "keyfob: locked. Next: unlock your login keychain\n");
    assert_eq!(profile.asked()[1], json(r#"{"unlock":{}}"#));
}

#[test]
fn an_open_keychain_needs_nothing_and_a_missing_one_is_not_mended_by_this() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "keyfob: nothing is locked\n"));

    let missing = Profile::with_agent(Door::Control, |_, _| {
        let refusal = Refusal::new(Code::KeychainMissing, "none").hint("choose another");
        keychain("system", KeychainState::Missing, Some(refusal)).into()
    });
    assert_eq!(missing.keyfob(&["unlock"], b"secret\n").status.code(), Some(1));
    for profile in [profile, missing] {
        assert_eq!(profile.asked().len(), 1, "the passphrase stays here");
    }
}

#[test]
fn a_lock_over_an_open_file_keychain_is_lifted_by_its_passphrase_from_a_pipe() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask == "status" { locked("file", KeychainState::Locked).into() } else { done().into() }
    });
    assert_eq!(profile.keyfob(&["unlock"], b"secret\n").status.code(), Some(0));
    assert_eq!(profile.asked()[1]["unlock"]["passphrase"], "secret");
}
