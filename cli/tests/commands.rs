//! The commands of people, as programs and terminals see them, against an agent of a few lines.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod fake;

use std::os::unix::fs::symlink;
use std::path::Path;

use keyfob_ipc::reply::{
    About, Change, ConfigReport, EntryReport, EntryState, KeychainReport, KeychainState, Status, Step, Why,
};
use keyfob_ipc::{Code, Door, Refusal, Reply};
use serde_json::Value;

use fake::{Act, Profile, err, feed, out};

fn entry(name: &str) -> EntryReport {
    EntryReport {
        name: name.to_owned(),
        kind: name.split('.').next().unwrap().to_owned(),
        state: EntryState::Live,
        until: None,
        until_assumed: false,
        until_by: None,
        owner: None,
        hosts: vec![],
        through: None,
        facts: Default::default(),
        refusal: None,
        notes: vec![],
    }
}

fn about() -> About {
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: 1,
        pid: 4_000_000,
        started: "2026-11-21T07:00:00Z".to_owned(),
        memory_kib: None,
        socket: "/run/agent.sock".to_owned(),
        own_profile: false,
    }
}

fn status() -> Reply {
    let mut token = entry("token.aspect");
    token.hosts = vec!["aw.acme.dev".to_owned(), "localhost".to_owned()];
    let mut aws = entry("aws.dev");
    aws.facts.insert("region".to_owned(), "eu-west-1".to_owned());
    Reply::Status(Box::new(Status {
        agent: about(),
        keychain: KeychainReport { kind: "memory".to_owned(), state: KeychainState::Present, refusal: None },
        config: ConfigReport { path: "/c.toml".to_owned(), exists: true, errors: vec![], in_force: true },
        entries: vec![token, aws],
    }))
}

fn keychain(kind: &str, state: KeychainState, refusal: Option<Refusal>) -> Reply {
    let Reply::Status(mut status) = status() else { panic!("no status") };
    status.keychain = KeychainReport { kind: kind.to_owned(), state, refusal };
    Reply::Status(status)
}

fn done() -> Reply {
    Reply::Done { say: "done as asked".to_owned() }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn sign_in() -> Profile {
    Profile::with_agent(Door::Control, |_, _| {
        Act::Say(vec![
            Reply::Step(Step::OpenBrowser { url: "https://acme.example/authorize".to_owned() }),
            Reply::Step(Step::DeviceCode {
                user_code: "WDJB-MJHT".to_owned(),
                verification_uri: "https://acme.example/activate".to_owned(),
                verification_uri_complete: None,
                expires_in: 600,
            }),
            done(),
        ])
    })
}

#[test]
fn login_for_programs_writes_each_step_on_its_line_and_opens_nothing() {
    let profile = sign_in();
    let output = profile.keyfob(&["login", "okta", "--browser", "--json"], b"");
    let lines: Vec<Value> = out(&output).lines().map(json).collect();
    assert_eq!(lines[0]["step"]["open-browser"]["url"], "https://acme.example/authorize");
    assert_eq!(lines[1]["step"]["device-code"]["user_code"], "WDJB-MJHT");
    assert_eq!(lines[2]["done"]["say"], "done as asked");
    assert_eq!(lines.len(), 3);
    assert_eq!(err(&output), "");
    assert_eq!(profile.asked()[0]["login"]["flow"], "browser");
    assert_eq!(profile.asked()[0]["login"]["name"], "okta");
}

#[test]
fn login_for_people_shows_the_address_and_the_code() {
    let profile = sign_in();
    let output = profile.keyfob(&["login"], b"");
    let text = err(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in ["https://acme.example/authorize", "https://acme.example/activate", "WDJB-MJHT", "10 minutes"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(out(&output), "keyfob: done as asked\n");
    if cfg!(target_os = "linux") {
        assert_eq!(profile.asked()[0]["login"]["flow"], "device", "no display, so no browser");
    }
}

#[test]
fn login_in_ci_refuses_to_open_a_browser() {
    let profile = sign_in();
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["login", "okta"]);
    command.env("CI", "true").env("DISPLAY", ":0");
    let output = feed(command, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("keyfob: CI is set"), "{}", err(&output));
    assert!(err(&output).ends_with("Run: keyfob login okta --device\n"), "{}", err(&output));
    assert!(profile.asked().is_empty());
}

#[test]
fn an_address_that_is_not_of_the_web_is_not_shown() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Step(Step::OpenBrowser { url: "file:///etc/passwd".to_owned() }).into()
    });
    let output = profile.keyfob(&["login", "--browser"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(!err(&output).contains("/etc/passwd"));
}

fn token_door() -> Profile {
    Profile::with_agent(Door::Control, |_, ask| {
        if ask["entry"].is_object() {
            let mut token = entry("token.aspect");
            token.facts.insert("prefix".to_owned(), "aw_".to_owned());
            Reply::Entry(Box::new(token)).into()
        } else {
            done().into()
        }
    })
}

#[test]
fn a_token_comes_from_standard_input_and_shows_nowhere() {
    let profile = token_door();
    let output = profile.keyfob(&["token", "add", "aspect"], b"  aw_s3cr3t\r\n");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("keyfob: done as asked\n", ""));
    let asked = profile.asked();
    assert_eq!(asked[0]["entry"]["name"], "token.aspect");
    assert_eq!(asked[1]["token-add"]["name"], "token.aspect");
    assert_eq!(asked[1]["token-add"]["value"], "aw_s3cr3t");
}

#[test]
fn a_wrong_token_never_leaves_the_command() {
    let profile = token_door();
    for wrong in ["", "gh_s3cr3t", "aw_s3 cr3t", "aw_s3cr3t\u{e9}", &"aw_".repeat(6000)] {
        let output = profile.keyfob(&["token", "add", "aspect"], wrong.as_bytes());
        assert_eq!(output.status.code(), Some(1));
        assert!(!err(&output).contains("s3"), "{}", err(&output));
        assert!(output.stdout.is_empty());
        assert!(err(&output).contains("copy it again, then keyfob token add aspect"), "{}", err(&output));
    }
    assert!(profile.asked().iter().all(|ask| ask["token-add"].is_null()));
}

#[test]
fn status_as_a_table_and_as_json() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let text = out(&profile.keyfob(&["status"], b""));
    assert!(text.starts_with("ENTRY "), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
    let value = json(&out(&profile.keyfob(&["status", "--json"], b"")));
    assert_eq!(value["entries"][1]["name"], "aws.dev");
}

#[test]
fn a_refusal_for_programs_is_json_too() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Refused(Refusal::new(Code::KeychainLocked, "locked").hint("keyfob unlock")).into()
    });
    let output = profile.keyfob(&["logout", "--json"], b"");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(json(&out(&output))["refused"]["code"], "keychain_locked");
    assert_eq!(err(&output), "keyfob: locked. Run: keyfob unlock\n");
}

#[test]
fn why_ends_with_the_code_that_the_tool_would_get() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        Reply::Why(Box::new(Why {
            subject: "aw.acme.dev".to_owned(),
            entry: Some(entry("token.aspect")),
            refusal: Some(Refusal::new(Code::TokenNeeded, "no token").hint("keyfob token add aspect")),
            say: "token.aspect answers for aw.acme.dev".to_owned(),
        }))
        .into()
    });
    let output = profile.keyfob(&["why", "https://aw.acme.dev/x?sig=1"], b"");
    assert_eq!(output.status.code(), Some(3));
    assert!(out(&output).ends_with("no token. Run: keyfob token add aspect\n"), "{}", out(&output));
}

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
fn config_check_fails_with_any_error() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        Reply::Config(ConfigReport {
            path: "/c.toml".to_owned(),
            exists: true,
            errors: vec!["line 4: unknown key `isuer`".to_owned(), "line 9: no".to_owned()],
            in_force: true,
        })
        .into()
    });
    let output = profile.keyfob(&["config", "check"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "/c.toml: line 4: unknown key `isuer`\n/c.toml: line 9: no\n");
}

#[test]
fn config_confirm_asks_a_person_or_for_yes() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        assert!(ask["config-confirm"].is_object());
        let places = vec!["host *.evil.example".to_owned()];
        Reply::Changes(vec![Change { entry: "token.aspect".to_owned(), places }]).into()
    });
    let output = profile.keyfob(&["config", "confirm"], b"yes\n");
    assert_eq!(output.status.code(), Some(1), "a pipe is no person");
    assert!(out(&output).contains("host *.evil.example"));
    assert!(err(&output).ends_with("Run: keyfob config confirm --yes\n"), "{}", err(&output));
    assert_eq!(profile.asked().len(), 1);

    let output = profile.keyfob(&["config", "confirm", "token.aspect", "--yes"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let accepted = &profile.asked()[2]["config-confirm"];
    assert_eq!(accepted["name"], "token.aspect");
    assert_eq!(accepted["accept"][0]["places"][0], "host *.evil.example", "the list as it was shown");
}

#[test]
fn agent_status_and_stop_start_nothing() {
    let profile = Profile::new();
    let output = profile.keyfob(&["agent", "status"], b"");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(err(&output), "keyfob: the agent is not running. Run: keyfob agent start\n");
    let output = profile.keyfob(&["agent", "stop"], b"");
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "keyfob: the agent was not running\n")
    );
}

#[test]
fn an_agent_that_ends_meanwhile_is_told_from_a_refusal() {
    let profile = Profile::with_agent(Door::Control, |_, _| Act::Nothing { open: false });
    let output = profile.keyfob(&["status"], b"");
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).ends_with("Run: keyfob agent status\n"), "{}", err(&output));
}

#[test]
fn unlock_takes_the_first_line_of_standard_input() {
    let profile = Profile::with_agent(Door::Control, |_, ask| {
        if ask == "status" { keychain("file", KeychainState::Locked, None).into() } else { done().into() }
    });
    assert_eq!(profile.keyfob(&["unlock"], b" two words \nrest\n").status.code(), Some(0));
    assert_eq!(profile.asked()[1]["unlock"]["passphrase"], " two words ");
    assert_eq!(profile.keyfob(&["unlock"], b"").status.code(), Some(1));
}

#[test]
fn unlock_leaves_other_keychains_alone() {
    let profile = Profile::with_agent(Door::Control, |_, _| status().into());
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "keyfob: this keychain needs no unlock\n")
    );
    assert_eq!(profile.asked().len(), 1, "the passphrase stays here");

    let profile = Profile::with_agent(Door::Control, |_, _| {
        let refusal = Refusal::new(Code::KeychainLocked, "locked").hint("unlock your login keychain");
        keychain("system", KeychainState::Locked, Some(refusal)).into()
    });
    let output = profile.keyfob(&["unlock"], b"secret\n");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(err(&output), "keyfob: locked. Next: unlock your login keychain\n");
}

#[test]
fn a_token_as_an_argument_is_refused_and_not_repeated() {
    let profile = Profile::new();
    for arguments in [
        &["token", "add", "aspect", "aw_s3cr3t"][..],
        &["token", "--json", "add", "aspect", "--token=aw_s3cr3t"],
    ] {
        let output = profile.keyfob(arguments, b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).starts_with("keyfob: the value is never an argument"), "{}", err(&output));
        assert!(!err(&output).contains("s3cr3t") && out(&output).is_empty());
    }
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

#[test]
fn help_goes_to_standard_output_and_tells_exit_codes_files_and_environment() {
    let profile = Profile::new();
    let output = profile.keyfob(&["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    for part in ["EXIT CODES", "FILES", "ENVIRONMENT", "credential-process"] {
        assert!(out(&output).contains(part), "{part}");
    }
    assert_eq!(out(&profile.keyfob(&["--version"], b"")), format!("keyfob {}\n", env!("CARGO_PKG_VERSION")));
}
