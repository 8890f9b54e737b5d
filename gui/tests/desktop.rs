//! `keyfob-tray` where there is no desktop. What it does where there is one is in `tests/e2e`.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs it with nothing of this environment but these.
fn tray(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyfob-tray"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("KEYFOB_STATE_DIR", home.join("state"))
        .envs(variables.iter().copied())
        .output()
        .expect("keyfob-tray starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes text")
}

#[test]
fn without_a_display_it_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    for variables in [&[][..], &[("DISPLAY", ":9999")], &[("DISPLAY", ":9999"), ("GTK_MODULES", "evil")]] {
        let ended = tray(home.path(), &[], variables);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.starts_with("keyfob-tray: tray and window need a desktop"), "{said}");
        assert!(said.contains("use keyfob in a terminal"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn help_and_version_need_no_display() {
    let home = tempfile::tempdir().unwrap();
    let help = tray(home.path(), &["--help"], &[]);
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("--hidden"));
    // Started again without the variable, it still has its arguments.
    let version = tray(home.path(), &["--version"], &[("LD_AUDIT", "/nowhere.so")]);
    assert_eq!(text(&version.stdout), format!("keyfob-tray {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_argument_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let ended = tray(home.path(), &["--hiden"], &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(text(&ended.stderr), "keyfob-tray: there is no argument `--hiden`\n  keyfob-tray --help\n");
    assert!(!home.path().join("state").exists());
}
