//! `keyfob uninstall`.

use std::fs;
use std::path::Path;

use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Profile, err, feed, out};
use crate::{about, done, entry, json, status};

/// With an agent that is signed in, and whose socket goes with it.
fn profile(purge: impl Fn() -> Reply + Send + Sync + 'static) -> Profile {
    let profile = Profile::new();
    for name in ["ledger.jsonl", "keyfobd.log", "others.txt"] {
        fs::write(profile.path("state").join(name), "x").unwrap();
    }
    let socket = profile.path("run/control.sock");
    profile.answer(Door::Control, move |_, ask| match ask.as_str() {
        Some("status") => {
            let Reply::Status(mut status) = status() else { panic!("no status") };
            status.entries.push(entry("sso.okta"));
            Reply::Status(status).into()
        }
        Some("about") => Reply::About(about()).into(),
        Some("purge") => purge().into(),
        Some("stop") => {
            fs::remove_file(&socket).unwrap();
            done().into()
        }
        _ => done().into(),
    });
    profile
}

#[test]
fn without_a_word_nothing_is_purged() {
    let profile = profile(done);
    let output = profile.keyfob(&["uninstall", "--purge"], b"purge\n");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(
        err(&output).contains("nothing was removed. Run: keyfob uninstall --purge --yes"),
        "{}",
        err(&output)
    );
    assert!(out(&output).starts_with("this will be lost:\n"), "{}", out(&output));
    assert!(profile.asked().iter().all(|ask| *ask == "status"), "{:?}", profile.asked());
    assert!(profile.path("state/ledger.jsonl").exists());
}

#[test]
fn a_keychain_that_refuses_keeps_the_configuration_and_the_history() {
    let profile = profile(|| Reply::Refused(Refusal::new(Code::KeychainLocked, "the keychain is locked")));
    let output = profile.keyfob(&["uninstall", "--purge", "--yes"], b"");
    assert_eq!(output.status.code(), Some(5), "{}", err(&output));
    assert!(profile.path("state/ledger.jsonl").exists());
    let asked = profile.asked();
    assert!(!asked.iter().any(|ask| *ask == "stop"), "{asked:?}");
}

#[test]
fn sessions_are_signed_out_before_the_keychain_is_emptied_and_what_is_not_ours_stays() {
    let profile = profile(done);
    let output = profile.keyfob(&["uninstall", "--purge", "--yes", "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let last = out(&output).lines().last().unwrap_or_default().to_owned();
    assert_eq!(json(&last)["purged"], true, "{last}");
    let asked = profile.asked();
    let position = |wanted: &str| asked.iter().position(|ask| *ask == wanted || !ask[wanted].is_null());
    assert!(position("logout") < position("purge"), "{asked:?}");
    assert!(position("purge") < position("stop"), "{asked:?}");
    for gone in ["state/ledger.jsonl", "state/keyfobd.log"] {
        assert!(!profile.path(gone).exists(), "{gone}");
    }
    assert!(profile.path("state/others.txt").exists());
}

#[test]
fn yes_is_a_word_about_purging_alone() {
    let output = Profile::new().keyfob(&["uninstall", "--yes"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_only_begins_like_ours_stays_in_a_folder_that_somebody_named() {
    let profile = profile(done);
    let state = profile.path("state");
    let theirs = [
        "agent.py",
        "start-up.md",
        "lock.txt",
        "tray-app/main.rs",
        "keychain-notes/a.txt",
        "keychain/b.txt",
        "tray/c.txt",
    ];
    for file in theirs {
        let file = state.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "theirs").unwrap();
    }
    let output = profile.keyfob(&["uninstall", "--purge", "--yes"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for file in theirs {
        assert!(state.join(file).exists(), "{file}");
    }
    assert!(!state.join("ledger.jsonl").exists(), "the control: ours is gone");
}

#[test]
fn a_profile_of_its_own_takes_nothing_of_the_main_one() {
    let profile = profile(done);
    let bazelrc = profile.path("home/.bazelrc");
    let lines = "# >>> keyfob >>>\n# <<< keyfob <<<\n";
    fs::create_dir_all(bazelrc.parent().unwrap()).unwrap();
    fs::write(&bazelrc, lines).unwrap();
    let output = profile.keyfob(&["uninstall"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(fs::read_to_string(&bazelrc).unwrap(), lines);
}

#[test]
fn a_job_takes_nothing_away() {
    let profile = profile(done);
    let keyfob = Path::new(env!("CARGO_BIN_EXE_keyfob"));
    let mut command = profile.command(keyfob, &["uninstall", "--purge", "--yes"]);
    command.env("KEYFOB_JOB", "1");
    let output = feed(command, b"");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(profile.asked().is_empty(), "{:?}", profile.asked());
    assert!(profile.path("state/ledger.jsonl").exists());
}
