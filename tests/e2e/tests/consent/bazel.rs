//! Bazel's server, as it looks to the kernel: `bazel(WORKSPACE)` by name, the Java of its install base by file.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob_e2e::{Output, Profile, Stage, run};
use serde_json::json;

use crate::programs::{file, input, program};
use crate::{VALUE, configure, house};

/// Helpers that Bazel starts at once.
const HELPERS: usize = 150;

/// Starts so many helpers at once, each as a process of its own, and counts how they end.
const BURST: &str = r#"
number=0
while [ $number -lt "$2" ]; do
    number=$((number + 1))
    ("$3" get <"$1/input" >"$1/out.$number" 2>"$1/err.$number"; echo $? >"$1/code.$number") &
done
wait
cat "$1"/code.*
"#;

/// The Java of an install base.
fn java(profile: &Profile) -> PathBuf {
    program(profile, "cache/install/e19ea8923dbfce8067709e51ae6330ce/embedded_tools/jdk/bin/java")
}

fn server(profile: &Profile, program: &Path, name: &str, helpers: usize) -> Command {
    let folder = profile.path().join("burst");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("room for a folder");
    fs::write(folder.join("input"), input()).expect("room for a file");
    let mut command = profile.command(program);
    command.arg0(name).arg(file(profile, "burst.sh", BURST)).arg(folder).arg(helpers.to_string());
    command.arg(Stage::get().bin("bazel-credential-keyfob"));
    command
}

#[track_caller]
fn codes(output: &Output, code: &str) {
    let ended: Vec<_> = output.stdout.lines().collect();
    assert!(ended.iter().all(|ended| *ended == code), "{ended:?}");
    assert!(!ended.is_empty());
}

#[test]
fn helpers_of_a_bazel_server_are_allowed_by_its_name_and_its_install_base() {
    let profile = house("allow = ['bazel-server']");
    let (java, other) = (java(&profile), program(&profile, "java"));
    let ended = run(server(&profile, &java, "bazel(ws)", HELPERS), "").ok();
    codes(&ended, "0");
    assert_eq!(ended.stdout.lines().count(), HELPERS);
    for number in 1..=HELPERS {
        let answer = fs::read_to_string(profile.path().join(format!("burst/out.{number}"))).unwrap();
        assert!(answer.contains(VALUE), "{number}: {answer}");
    }
    // Neither name nor place alone is enough.
    for (program, name) in [(&java, "java"), (&other, "bazel(ws)"), (&other, "java")] {
        codes(&run(server(&profile, program, name, 1), "").ok(), "1");
    }
    // The control.
    configure(&profile, "");
    codes(&run(server(&profile, &other, "java", 1), "").ok(), "0");
}

#[test]
fn a_burst_of_helpers_is_one_question_and_the_next_burst_works() {
    let profile = house("confirm = 'first'");
    let java = java(&profile);
    let mut window = profile.control_door();
    window.ask(&json!({"watch": {"notices": true}}));
    let ended = run(server(&profile, &java, "bazel(ws)", HELPERS), "").ok();
    codes(&ended, "5");
    let mut door = profile.control_door();
    let questions = door.ask(&json!("questions"))["questions"].clone();
    assert_eq!(questions.as_array().unwrap().len(), 1, "{questions}");
    assert_eq!(questions[0]["count"], HELPERS);
    assert_eq!(questions[0]["asking"]["claims"], "bazel(ws)");
    let approved =
        crate::programs::on_a_terminal(&profile, &["approve"], "nothing to leave it open: ", "aspect");
    approved.ok();
    codes(&run(server(&profile, &java, "bazel(ws)", HELPERS), "").ok(), "0");
    // One notice about the question, one about the answer.
    let mut titles = Vec::new();
    while titles.len() < 2 {
        let event = window.receive().expect("an event")["reply"]["event"].clone();
        titles.extend(event["notice"]["title"].as_str().map(str::to_owned));
    }
    assert_eq!(
        titles,
        [
            "java (calls itself bazel(ws)) asks for token.aspect",
            "java (calls itself bazel(ws)) may use token.aspect"
        ]
    );
}
