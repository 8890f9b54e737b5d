//! What a CI system says of a job is a secret: it is in the agent's memory, and in no environment, argument or file of it,
//! neither at its start nor after another version has taken over.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use keyfob_e2e::needles::Secret;
use keyfob_e2e::{Examiner, Profile, Stage, run, wait_for};

use crate::{SOON, Shell, agent_of, config, keyfob};

fn copy(name: &str, to: &Path) {
    let new = to.with_extension("new");
    keyfob_e2e::process::copy_program(Stage::get().bin(name), &new);
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    fs::rename(new, to).expect("a file of ours");
}

#[track_caller]
fn is_in_memory_alone(process: u32, secret: &Secret, examiner: &mut Examiner) {
    let environment = examiner.environment(process);
    assert!(!environment.is_empty());
    assert!(!environment.iter().any(|variable| variable.contains(secret.value())), "{environment:?}");
    let arguments = fs::read(format!("/proc/{process}/cmdline")).expect("it runs");
    assert!(!String::from_utf8_lossy(&arguments).contains(secret.value()));
    let found = examiner.search(process, std::slice::from_ref(secret));
    assert!(!found.is_empty(), "the agent knows it");
    assert!(!found.iter().any(|finding| finding.contains("[stack]")), "{found:?}");
}

#[test]
fn what_the_job_says_is_in_memory_alone_and_is_handed_to_the_next_version() {
    let profile = Profile::new(&config());
    let programs = profile.path().join("bin");
    fs::DirBuilder::new().mode(0o755).create(&programs).expect("a new folder");
    for name in ["keyfob", "keyfobd"] {
        copy(name, &programs.join(name));
    }
    let secret = Secret::random("the job's token");
    let given = [("CIRCLE_OIDC_TOKEN_V2", OsStr::new(secret.value())), ("CIRCLECI", OsStr::new("true"))];
    let mut shell = Shell::below(&profile, &programs.join("keyfob"), &["run"], &given);
    let state = shell.variable("KEYFOB_STATE_DIR");
    let agent = agent_of(&state);
    let mut examiner = Examiner::meet();
    is_in_memory_alone(agent, &secret, &mut examiner);
    // The control: the program that started it has it where every program of the user can read it.
    let starter = examiner.environment(shell.pid());
    assert!(starter.iter().any(|variable| variable.contains(secret.value())));

    copy("keyfobd", &programs.join("keyfobd"));
    let log = Path::new(&state).join("keyfobd.log");
    let starts = || fs::read_to_string(&log).unwrap_or_default().matches("the agent starts").count();
    wait_for("another version to take over", SOON, || starts() == 2);
    shell.tell("$KEYFOB agent status > /dev/null 2>&1; echo answered");
    assert_eq!(shell.line(), "answered");
    assert_eq!(agent_of(&state), agent, "in the same process");
    is_in_memory_alone(agent, &secret, &mut examiner);
    let log = fs::read_to_string(&log).expect("a log");
    assert!(!log.contains(secret.value()) && !log.contains("is lost"), "{log}");
    assert_eq!(shell.end("exit 0").0.code(), Some(0));
}

#[test]
fn an_agent_that_is_started_on_demand_keeps_them_as_close() {
    let mut profile = Profile::new(&config());
    let secret = Secret::random("the machine's key");
    profile.set("AWS_SECRET_ACCESS_KEY", secret.value());
    profile.set("AWS_ACCESS_KEY_ID", "AKIAMACHINE");
    let agent = profile.start_agent();
    let mut examiner = Examiner::meet();
    is_in_memory_alone(agent, &secret, &mut examiner);
    // Below `keyfob exec` they are keys of ours, and no machine's.
    profile.kill_agent();
    profile.set("KEYFOB_EXEC", "1");
    let agent = profile.start_agent();
    assert_eq!(examiner.search(agent, &[secret]), Vec::<String>::new());
}

#[test]
fn programs_are_waited_for_whatever_the_caller_did_with_their_ends() {
    /// The line about ignored signals (proc(5)), with SIGCHLD or without.
    fn ignores_children(status: &str) -> bool {
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
        u64::from_str_radix(line.trim(), 16).expect("a set") & (1 << 16) != 0
    }
    let profile = Profile::new(&config());
    let program = profile.path().join("legacy");
    let keys = r#"{"Version": 1, "AccessKeyId": "AKIALEGACY", "SecretAccessKey": "secret"}"#;
    fs::write(&program, format!("#!/bin/sh\necho '{keys}'\n")).expect("a file of ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    profile.configure(&format!("{}[aws.legacy]\ncommand = [\"{}\"]\n", config(), program.display()));
    let ignoring = |line: &str| {
        let mut command = profile.command("/bin/bash");
        command.args(["-c", &format!("trap '' CHLD; {line}")]).env("KEYFOB", keyfob());
        run(command, "").ok().stdout
    };
    assert!(ignores_children(&ignoring("exec cat /proc/self/status")), "the control");
    ignoring("exec $KEYFOB agent start");
    let agent = profile.agent_pid();
    let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("it runs");
    assert!(!ignores_children(&status));
    assert!(profile.credential_process("legacy").ok().stdout.contains("AKIALEGACY"));
}
