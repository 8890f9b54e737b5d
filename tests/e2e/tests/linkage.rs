//! What the small binary carries, and what it never asks.
#![cfg(target_os = "linux")]

use std::process::Command;

use keyfob_e2e::{MEMORY, Profile, Stage, run};

/// A workspace build unifies features, so a dependency tree is no proof: the binary that was built with everything else is.
#[test]
fn the_helper_carries_no_runtime_and_no_tls() {
    for text in ["tokio-1.", "rustls-0.", "hyper-1.", "interprocess-2.", "reqwest-0."] {
        assert!(contains("keyfobd", text), "the check would not find {text} where it is");
        assert!(!contains("keyfob", text), "keyfob carries {text}");
    }
}

/// The fault points, and whatever else only tests need, come with this variable (`agent/tests/rotation_kill` finds it in the
/// agent that is built for tests).
#[test]
fn what_ships_has_no_fault_points() {
    assert!(contains("keyfobd", "KEYFOB_PASSPHRASE_FILE"), "the check would not find a variable");
    for program in ["keyfobd", "keyfob"] {
        for mark in ["KEYFOB_FAULT", MARK] {
            assert!(!contains(program, mark), "{program} was built with the feature `testing`");
        }
    }
}

/// What `cargo xtask dist` looks for in what it ships.
const MARK: &str = "KEYFOB-TESTING-ONLY";

#[test]
fn what_is_built_for_tests_is_marked_as_that() {
    assert!(contains("keyfob-tray", MARK), "dist would ship a tray that other programs may drive");
    assert!(!contains("keyfob-tray-shipped", MARK));
}

fn contains(program: &str, text: &str) -> bool {
    let bytes = std::fs::read(Stage::get().bin(program)).expect("the program can be read");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A static glibc program that asks the name service crashes for users of a directory service (LDAP, SSSD).
#[test]
fn a_user_that_no_passwd_knows_is_served() {
    let profile = Profile::new(MEMORY);
    let as_nobody_known = |program: &str| {
        let mut command = profile.command("/usr/bin/unshare");
        command.args(["--user", "--map-user=54321", "--"]).arg(program);
        command
    };
    assert_eq!(run(as_nobody_known("/usr/bin/whoami"), "").code, 1, "the check would not find a crash");
    let keyfob = Stage::get().bin("keyfob");
    let mut get = as_nobody_known(keyfob.to_str().unwrap());
    get.arg("get");
    let answer = run(get, r#"{"uri":"https://elsewhere.example/"}"#).ok();
    assert_eq!(answer.stdout, "{\"headers\":{}}\n");

    // Without HOME, nothing is known of such a user: one sentence, and no crash.
    let mut bare: Command = as_nobody_known(keyfob.to_str().unwrap());
    bare.arg("status").env_clear();
    let refused = run(bare, "");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("HOME"), "{refused:?}");
}
