//! Values in the Credential Manager, which takes 2,560 bytes at a time.

use keyfob_windows_tests::{Profile, token};

use crate::{HOST, URI, token_of};

/// The size of one credential, in bytes.
const ENTRY: usize = 2560;

#[test]
fn a_long_holding_lies_in_several_credentials_and_outlives_the_agent() {
    let profile = Profile::new(&token("aspect", HOST));
    let long = format!("aw_{}", "0123456789".repeat(700));
    profile.run(&["token", "add", "aspect"], long.clone()).ok();
    let stored = profile.credentials();
    let all: usize = stored.iter().map(|(_, length)| length).sum();
    assert!(all > long.len() && stored.len() > 2, "{stored:?}");
    assert!(stored.iter().all(|(_, length)| *length <= ENTRY), "{stored:?}");
    profile.kill_agent();
    assert_eq!(token_of(&profile.get(URI).ok()), long);

    // A value that fits leaves nothing of the one before.
    profile.run(&["token", "add", "aspect"], "aw_short").ok();
    let short = profile.credentials();
    assert!(short.len() < stored.len() && short.iter().all(|(name, _)| !name.contains('#')), "{short:?}");
    profile.run(&["agent", "restart"], "").ok();
    assert_eq!(token_of(&profile.get(URI).ok()), "aw_short");
    profile.run(&["token", "add", "aspect"], long.clone()).ok();
    assert_eq!(token_of(&profile.get(URI).ok()), long);

    profile.run(&["token", "remove", "aspect"], "").ok();
    assert_eq!(profile.credentials(), []);
    profile.get(URI).exits(3);
}

#[test]
fn an_agent_that_is_killed_while_it_stores_leaves_one_of_the_two_values() {
    let profile = Profile::new(&token("aspect", HOST));
    let value = |digit: &str| format!("aw_{}", digit.repeat(7000));
    profile.run(&["token", "add", "aspect"], value("0")).ok();
    for round in 1..4 {
        let new = value(&round.to_string());
        let adding = keyfob_windows_tests::start(profile.keyfob(&["token", "add", "aspect"]), new.clone());
        profile.kill_agent();
        let done = adding.output().code == 0;
        let found = token_of(&profile.get(URI).ok());
        assert_eq!(found.len(), new.len(), "nothing between the two");
        assert!(found[3..].bytes().all(|byte| byte == found.as_bytes()[3]), "nothing of both");
        assert!(!done || found == new, "what was confirmed stays");
    }
    profile.run(&["token", "remove", "aspect"], "").ok();
    assert_eq!(profile.credentials(), []);
}
