//! A job with an agent of its own, and what is left of it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use keyfob_e2e::process::Signal;
use keyfob_e2e::{MEMORY, Profile, process};

use crate::{ASPECT, Shell, agent_of, config, keyfob, wait_for_the_end};

fn job(profile: &Profile, variables: &[(&str, &OsStr)]) -> Shell {
    Shell::below(profile, &keyfob(), &["run"], variables)
}

#[track_caller]
fn answers(shell: &mut Shell) -> String {
    shell.tell(&format!("echo '{{\"uri\":\"{ASPECT}\"}}' | $KEYFOB get 2>&1; echo"));
    let answer = shell.line();
    // Behind an answer there is an empty line.
    shell.line();
    answer
}

#[test]
fn every_keyfob_below_has_the_jobs_agent_and_nothing_is_left_of_it() {
    // At rest, if it were a person's.
    let profile = Profile::new(&config().replace(MEMORY, "[agent]\nkeychain = \"file\"\n"));
    let mut shell = job(&profile, &[]);
    let state = shell.variable("KEYFOB_STATE_DIR");
    let agent = agent_of(&state);
    shell.tell("echo aw_0123456789 | $KEYFOB token add aspect > /dev/null && echo kept");
    assert_eq!(shell.line(), "kept");
    assert!(answers(&mut shell).contains("aw_0123456789"));
    shell.tell("$KEYFOB status --json");
    let status: serde_json::Value = serde_json::from_str(&shell.line()).expect("JSON");
    assert_eq!(status["keychain"]["kind"], "memory", "whatever the configuration says");
    assert_eq!(status["agent"]["pid"], agent);
    assert!(!Path::new(&state).join("keychain").exists());
    assert_eq!(profile.running_agent(), None, "the person's own agent was not asked");
    assert_eq!(profile.status()["keychain"]["kind"], "file", "which is the control");

    let (status, rest) = shell.end("exit 5");
    assert_eq!((status.code(), rest), (Some(5), vec![]));
    assert!(!process::is_alive(agent), "its end was waited for");
    assert!(!Path::new(&state).exists() && !Path::new(&state).parent().is_some_and(Path::exists));
}

#[test]
fn the_agent_ends_with_a_job_that_is_killed_and_keeps_nothing_secret() {
    let profile = Profile::new(&config());
    let mut shell = job(&profile, &[]);
    let state = shell.variable("KEYFOB_STATE_DIR");
    let agent = agent_of(&state);
    shell.tell("echo aw_0123456789 | $KEYFOB token add aspect > /dev/null && echo kept");
    assert_eq!(shell.line(), "kept");
    let starter = shell.pid();
    process::signal(starter, Signal::KILL);
    wait_for_the_end(agent);
    for file in fs::read_dir(&state).expect("nobody was there to remove it").flatten() {
        let text = fs::read(file.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("aw_0123456789"), "{:?}", file.path());
    }
    drop(shell);
    fs::remove_dir_all(Path::new(&state).parent().expect("a folder")).expect("ours");

    // The control: an agent that is no job's goes on without who started it.
    let mut shell = Shell::of({
        let mut command = profile.command("sh");
        command.env("KEYFOB", keyfob());
        command
    });
    shell.tell("$KEYFOB agent start > /dev/null; echo started");
    assert_eq!(shell.line(), "started");
    let agent = profile.agent_pid();
    process::signal(shell.pid(), Signal::KILL);
    wait_for_the_end(shell.pid());
    assert!(process::is_alive(agent));
    profile.get("https://elsewhere.example/").ok();
    assert_eq!(profile.agent_pid(), agent);
}

#[test]
fn a_job_whose_agent_has_ended_says_so_and_starts_no_other() {
    let profile = Profile::new(&config());
    let mut shell = job(&profile, &[]);
    let state = shell.variable("KEYFOB_STATE_DIR");
    process::signal(agent_of(&state), Signal::KILL);
    let answer = answers(&mut shell);
    assert!(answer.contains("the agent of this job has ended"), "{answer}");
    assert_eq!(shell.end("exit 0").0.code(), Some(0));
    assert!(!Path::new(&state).exists());
}

#[test]
fn a_signal_ends_the_command_and_then_all_of_it() {
    let profile = Profile::new(&config());
    let mut shell = job(&profile, &[]);
    let state = shell.variable("KEYFOB_STATE_DIR");
    let agent = agent_of(&state);
    process::signal(shell.pid(), Signal::TERM);
    let status = shell.command.wait().expect("it ends");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::TERM.as_raw()));
    assert!(!process::is_alive(agent) && !Path::new(&state).exists());
}

#[test]
fn nobody_is_asked_anything_in_a_job() {
    let profile = Profile::new(
        &[config(), "[sso.okta]\nissuer = \"https://acme.okta.com\"\nclient_id = \"x\"\n".to_owned()]
            .concat(),
    );
    let mut shell = job(&profile, &[("DISPLAY", OsStr::new(":0"))]);
    for command in ["login okta", "login okta --device", "login --json"] {
        shell.tell(&format!("$KEYFOB {command} 2>&1 | tr '\\n' ' '; echo"));
        let said = shell.line();
        assert!(said.contains("[machine."), "{command}: {said}");
    }
    // By another client than ours, the agent itself says so.
    shell.tell("env -u KEYFOB_JOB DISPLAY=:0 BROWSER=/bin/true $KEYFOB login okta 2>&1 | tr '\\n' ' '; echo");
    let said = shell.line();
    assert!(said.contains("this is a job of `keyfob run`"), "{said}");
    // One that is killed leaves its folder.
    assert_eq!(shell.end("exit 0").0.code(), Some(0));
}
