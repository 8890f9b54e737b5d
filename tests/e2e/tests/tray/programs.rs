//! Programs that ask for credentials: copies of the shell under names of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use keyfob_e2e::{Output, Profile, Stage, run};
use serde_json::json;

use crate::URI;

/// Runs its arguments as a process of its own: the last command of a script would take its place.
const RUNNER: &str = "\"$@\"\nexit $?\n";

/// A program of this name, which is no other program's file.
pub fn program(profile: &Profile, name: &str) -> PathBuf {
    let path = profile.path().join(name);
    keyfob_e2e::process::copy_program("/bin/sh", &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    path
}

/// The program asks for [`URI`] as Bazel does.
#[track_caller]
pub fn get(profile: &Profile, program: &Path) -> Output {
    let runner = profile.path().join("runner");
    fs::write(&runner, RUNNER).expect("room for a file");
    let mut command = profile.command(program);
    command.arg(runner).arg(Stage::get().bin("keyfob")).arg("get");
    run(command, json!({"uri": URI}).to_string())
}
