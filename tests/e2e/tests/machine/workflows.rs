//! What `keyfob setup` prints for a repository, and what stands in `integrations/`: read by a real YAML parser, and run.

use std::fs;
use std::process::Command;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, Output, Profile, Stage, run};
use serde_json::Value;

use super::{config, in_github, yaml};

const ACTION: &str = include_str!("../../../../integrations/github-action/action.yml");
const ORB: &str = include_str!("../../../../integrations/circleci-orb/orb.yml");

#[test]
fn a_workflow_is_printed_that_asks_for_no_secret() {
    let _turn = together();
    let company = Company::start();
    let profile = Profile::new(&config(&company));
    let printed = profile.run(&["setup", "github-actions", "--print"], "").ok();
    let workflow = yaml(&profile, &printed.stdout);
    assert_eq!(workflow["permissions"]["id-token"], "write");
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().cloned().unwrap_or_default();
    let runs: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(runs.len(), 2, "{workflow}");
    assert!(runs[0].ends_with("keyfob machine claims ci"), "{runs:?}");
    assert!(runs[1].starts_with("keyfob run aws.deploy --config "), "{runs:?}");

    let printed = profile.run(&["setup", "circleci", "--print"], "").ok();
    let workflow = yaml(&profile, &printed.stdout);
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().cloned().unwrap_or_default();
    let run = steps.last().and_then(|step| step["run"]["command"].as_str()).unwrap_or_default().to_owned();
    assert!(run.contains("--identity circleci -- "), "{workflow}");
    assert!(!printed.stdout.contains("secrets."), "{printed:?}");

    for system in ["github-actions", "circleci"] {
        let refused = profile.run(&["setup", system], "").exits(2);
        assert!(refused.stderr.contains("only prints"), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    let bare = Profile::new(keyfob_e2e::MEMORY);
    let refused = bare.run(&["setup", "circleci", "--print"], "").exits(1);
    assert!(refused.stderr.contains("[machine.ci]"), "{refused:?}");
}

/// A script, with these inputs, in a job of GitHub.
#[track_caller]
fn in_job(profile: &Profile, script: &str, inputs: &[(&str, &str)]) -> Output {
    let mut command: Command = profile.command("/bin/bash");
    command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]);
    command.env("RUNNER_TEMP", profile.path()).current_dir(profile.home());
    run(with(command, inputs), "")
}

fn with(mut command: Command, inputs: &[(&str, &str)]) -> Command {
    command.envs(inputs.iter().map(|(name, value)| (format!("INPUT_{name}"), *value)));
    command
}

#[test]
fn the_composite_action_runs_a_command_with_the_jobs_keys() {
    let _turn = together();
    let company = Company::start();
    let mut profile = Profile::new(&config(&company));
    in_github(&mut profile, &company);
    let action = yaml(&profile, ACTION);
    assert_eq!(action["runs"]["using"], "composite");
    let step = &action["runs"]["steps"][0];
    let script = step["run"].as_str().expect("a script");
    assert!(!script.contains("${{"), "no input is text of the script");
    let inputs = action["inputs"].as_object().cloned().unwrap_or_default();
    for name in inputs.keys() {
        let variable = format!("INPUT_{}", name.to_uppercase());
        assert_eq!(step["env"][&variable], format!("${{{{ inputs.{name} }}}}"));
    }

    let keyfob = Stage::get().bin("keyfob");
    let folder = keyfob.parent().and_then(|folder| folder.to_str()).expect("a folder").to_owned();
    let config = profile.config().display().to_string();
    let usual = [("CONFIG", config.as_str()), ("IDENTITY", "github-actions"), ("FOLDER", folder.as_str())];
    let mut all = usual.to_vec();
    all.extend([("ENTRIES", ""), ("COMMAND", "keyfob machine claims ci --json | tee claims; exit 7")]);
    let ran = in_job(&profile, script, &all).exits(7);
    assert!(ran.stdout.contains("repo:acme/payments:ref:refs/heads/main"), "{ran:?}");

    let mut all = usual.to_vec();
    all.extend([("ENTRIES", "aws.deploy"), ("COMMAND", "echo \"$AWS_CONTAINER_CREDENTIALS_FULL_URI\"")]);
    let ran = in_job(&profile, script, &all).ok();
    assert!(ran.stdout.contains("http://127.0.0.1:"), "{ran:?}");

    // What an input says is never a command.
    let mut all = usual.to_vec();
    all.extend([("ENTRIES", "$(touch taken) `touch taken` ;touch taken"), ("COMMAND", "true")]);
    assert_ne!(in_job(&profile, script, &all).code, 0);
    assert!(!fs::exists(profile.home().join("taken")).expect("our own folder"));

    let missing = [
        ("CONFIG", config.as_str()),
        ("IDENTITY", ""),
        ("FOLDER", "/nowhere"),
        ("ENTRIES", ""),
        ("COMMAND", "true"),
    ];
    let refused = in_job(&profile, script, &missing).exits(127);
    assert!(refused.stdout.contains("::error::"), "{refused:?}");
}

#[test]
fn the_orb_runs_the_same_way() {
    let _turn = together();
    let company = Company::start();
    let mut profile = Profile::new(&config(&company));
    let orb = yaml(&profile, ORB);
    let step: Value = orb["commands"]["run"]["steps"][0]["run"].clone();
    let script = step["command"].as_str().expect("a script");
    assert!(!script.contains("<< parameters"), "no parameter is text of the script");
    let of_job = orb["jobs"]["run"]["steps"][1]["run"].as_object().cloned().unwrap_or_default();
    let known = orb["commands"]["run"]["parameters"].as_object().cloned().unwrap_or_default();
    assert!(of_job.keys().all(|name| known.contains_key(name)), "the job gives what the command takes");

    let keyfob = Stage::get().bin("keyfob");
    let folder = keyfob.parent().expect("a folder").display().to_string();
    profile.set("PATH", format!("{folder}:/usr/bin:/bin"));
    profile.set("CIRCLECI", "true");
    let token = company.circleci().token(keyfob_sandbox::circleci::Version::Second);
    profile.set("CIRCLE_OIDC_TOKEN_V2", token);
    let config = profile.config().display().to_string();
    let inputs =
        [("CONFIG", config.as_str()), ("ENTRIES", ""), ("COMMAND", "keyfob machine claims ci --json")];
    let ran = in_job(&profile, script, &inputs).ok();
    assert!(ran.stdout.contains("github.com/acme/payments"), "{ran:?}");
}
