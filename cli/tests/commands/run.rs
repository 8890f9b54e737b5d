//! `keyfob run` up to the agent's start; what comes then is shown with the real one (`tests/e2e/tests/job`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::alone;
use crate::fake::{Profile, err, feed, out};

/// `keyfob` beside an agent that writes down what it was started with, and ends with a refusal.
fn run(profile: &Profile, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let program = alone(profile);
    let agent = profile.path("keyfobd");
    let seen = profile.path("seen");
    let script = format!(
        "#!/bin/sh\n{{ env; echo \"mode $(stat -c %a \"$KEYFOB_STATE_DIR/..\")\"; }} > {}\n\
         printf '{{\"code\":\"config_broken\",\"say\":\"no such agent\"}}' > \"$KEYFOB_STATE_DIR/start-failure.json\"\nexit 1\n",
        seen.display()
    );
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(profile.path("tmp")).unwrap();
    let mut command = profile.command(&program, arguments);
    command.env("PATH", "/usr/bin:/bin").env("TMPDIR", profile.path("tmp"));
    command.envs(variables.iter().copied());
    feed(command, b"")
}

fn seen(profile: &Profile) -> Vec<String> {
    fs::read_to_string(profile.path("seen")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_command_follows_two_dashes() {
    let profile = Profile::new();
    for (arguments, hint) in [
        (&["run"][..], "Run: keyfob run -- COMMAND\n"),
        (&["run", "bazel", "test"], "Run: keyfob run -- bazel test\n"),
    ] {
        let output = run(&profile, arguments, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).ends_with(hint), "{}", err(&output));
    }
    assert!(!profile.path("seen").exists(), "no agent was started");
}

#[test]
fn the_agent_of_a_job_has_places_of_its_own_and_what_the_job_says() {
    let profile = Profile::new();
    let given = [
        ("CIRCLE_OIDC_TOKEN_V2", "ey.J"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus"),
        ("KEYFOB_PASSPHRASE_FILE", "/secret"),
        ("KEYFOB_CONFIG", "/etc/keyfob.toml"),
        ("KEYFOB_IDENTITY", "aws-iam"),
        ("LD_PRELOAD", ""),
    ];
    let output = run(&profile, &["run", "--", "touch", "ran"], &given);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert_eq!(err(&output), "keyfob: no such agent\n");
    let variables = seen(&profile);
    let value = |name: &str| variables.iter().find_map(|line| line.strip_prefix(&format!("{name}=")[..]));
    assert_eq!(value("KEYFOB_JOB"), Some("1"));
    assert_eq!(value("CIRCLE_OIDC_TOKEN_V2"), Some("ey.J"));
    assert_eq!(value("KEYFOB_CONFIG"), Some("/etc/keyfob.toml"));
    assert_eq!(value("KEYFOB_IDENTITY"), Some("aws-iam"));
    for name in ["DBUS_SESSION_BUS_ADDRESS", "KEYFOB_PASSPHRASE_FILE", "LD_PRELOAD", "TMPDIR"] {
        assert_eq!(value(name), None, "{name}");
    }
    let state = Path::new(value("KEYFOB_STATE_DIR").unwrap());
    assert!(state.starts_with(profile.path("tmp")) || state.starts_with("/tmp"), "{}", state.display());
    assert!(variables.contains(&"mode 700".to_owned()));
    assert!(!state.parent().unwrap().exists(), "the folder is gone");
}

#[test]
fn what_the_command_line_names_goes_first() {
    let profile = Profile::new();
    let config = profile.path("home").join("ci.toml");
    fs::write(&config, "").unwrap();
    let arguments =
        ["run", "--config", config.to_str().unwrap(), "--identity", "github-actions", "--", "touch", "ran"];
    let given = [("KEYFOB_CONFIG", "/etc/keyfob.toml"), ("KEYFOB_IDENTITY", "aws-iam")];
    assert_eq!(run(&profile, &arguments, &given).status.code(), Some(1));
    let variables = seen(&profile);
    assert!(variables.contains(&format!("KEYFOB_CONFIG={}", config.display())), "{variables:?}");
    assert!(variables.contains(&"KEYFOB_IDENTITY=github-actions".to_owned()), "{variables:?}");

    let profile = Profile::new();
    let output = run(&profile, &["run", "--config", "missing.toml", "--", "true"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("`missing.toml` cannot be read"), "{}", err(&output));
    assert!(!profile.path("seen").exists());
}
