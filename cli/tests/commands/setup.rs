//! `keyfob setup`.

use std::os::unix::fs::symlink;

use keyfob_ipc::{Door, Reply};

use crate::fake::{Profile, err, feed, out};
use crate::{json, status};

#[test]
fn setup_bazel_is_idempotent_and_undone_to_the_byte() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let program = installed(&profile);
    let rc = profile.path("home/.bazelrc");
    let before = b"build --x\r\ncommon --credential_helper=aw.acme.dev=/opt/other";
    std::fs::write(&rc, before).unwrap();
    let run = |arguments: &[&str]| feed(profile.command(&program, arguments), b"");

    let output = run(&["setup", "bazel"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).ends_with("is written: 1 host asks keyfob\n"), "{}", out(&output));
    assert!(err(&output).contains("`localhost` is left out"), "{}", err(&output));
    assert!(err(&output).contains("/.bazelrc` has another credential helper"), "{}", err(&output));
    let once = std::fs::read_to_string(&rc).unwrap();
    let helper = program.with_file_name("bazel-credential-keyfob").canonicalize().unwrap();
    let helper = helper.with_file_name("bazel-credential-keyfob");
    assert!(
        once.contains(&format!("common --credential_helper=aw.acme.dev={}\n", helper.display())),
        "{once}"
    );

    let report = json(&out(&run(&["setup", "bazel", "--json"])));
    assert_eq!(report["changed"], false);
    assert_eq!(std::fs::read_to_string(&rc).unwrap(), once);
    assert!(out(&run(&["setup", "bazel", "--print"])).starts_with("common --credential_helper=aw.acme.dev="));

    assert_eq!(run(&["setup", "bazel", "--remove"]).status.code(), Some(0));
    assert_eq!(std::fs::read(&rc).unwrap(), before);
}

#[test]
fn setup_aws_writes_a_profile_and_takes_its_file_away_again() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let program = installed(&profile);
    let run = |arguments: &[&str]| feed(profile.command(&program, arguments), b"");
    let config = profile.path("home/.aws/config");

    let output = run(&["setup", "aws"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = std::fs::read_to_string(&config).unwrap();
    let own = program.canonicalize().unwrap();
    let expected = format!(
        "[profile dev]\ncredential_process = {} credential-process aws.dev\nregion = eu-west-1\n",
        own.display()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(!profile.path("home/.aws/credentials").exists());
    assert!(out(&run(&["setup", "aws"])).contains("was up to date"));

    assert_eq!(run(&["setup", "aws", "--remove"]).status.code(), Some(0));
    assert!(!config.exists(), "it was made by the command");
}

#[test]
fn setup_aws_writes_nothing_where_another_profile_would_win() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let program = installed(&profile);
    let (config, credentials) = (profile.path("my config"), profile.path("my credentials"));
    let run = || {
        let mut command = profile.command(&program, &["setup", "aws"]);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &credentials);
        feed(command, b"")
    };
    std::fs::write(&credentials, "[dev]\naws_access_key_id = AKIA\n").unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("`dev` is in"), "{}", err(&output));
    assert!(!config.exists());

    std::fs::write(&credentials, "[other]\n").unwrap();
    std::fs::write(&config, "[profile dev]\nregion = x\n").unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(&config.display().to_string()), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "[profile dev]\nregion = x\n");
}

/// The binary by its names in a folder of its own, without the agent beside it.
fn installed(profile: &Profile) -> std::path::PathBuf {
    let folder = profile.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("keyfob");
    std::fs::copy(env!("CARGO_BIN_EXE_keyfob"), &program).unwrap();
    symlink("keyfob", folder.join("bazel-credential-keyfob")).unwrap();
    program
}

#[test]
fn setup_tells_a_broken_configuration_from_an_empty_one() {
    let with = |errors: &[&str]| {
        let Reply::Status(mut status) = status() else { panic!("no status") };
        status.entries.clear();
        status.config.errors = errors.iter().map(|error| (*error).to_owned()).collect();
        Reply::Status(status)
    };
    let broken =
        Profile::with_agent(Door::Control, move |_, _| with(&["line 4: unknown key `isuer`"]).into());
    let program = installed(&broken);
    for tool in ["bazel", "aws"] {
        let output = feed(broken.command(&program, &["setup", tool]), b"");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            err(&output),
            "keyfob: the configuration `/c.toml` does not load: line 4: unknown key `isuer`. Run: keyfob config check\n"
        );
    }

    let emptied = Profile::with_agent(Door::Control, move |number, _| {
        if number == 0 { status() } else { with(&[]) }.into()
    });
    let program = installed(&emptied);
    assert_eq!(feed(emptied.command(&program, &["setup", "bazel"]), b"").status.code(), Some(0));
    let output = feed(emptied.command(&program, &["setup", "bazel"]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).ends_with("Run: keyfob setup bazel --remove\n"), "{}", err(&output));
}
