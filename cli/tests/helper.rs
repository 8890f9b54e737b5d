//! The real binary as Bazel and the AWS tools run it, against an agent of a few lines.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod fake;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyfob_ipc::reply::{AwsCredentials, Headers};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};

use fake::{Act, Profile, err, feed, out};

const REQUEST: &[u8] = br#"{"uri":"https://aw.acme.dev/google.bytestream.ByteStream"}"#;
const ANSWER: &str = "{\"headers\":{\"X-Aspect\":[\"aw_1\"]},\"expires\":\"2026-11-21T08:00:00Z\"}\n";

fn headers() -> Reply {
    Reply::Headers(Headers {
        headers: BTreeMap::from([("X-Aspect".to_owned(), vec![Secret::from("aw_1")])]),
        expires: Some("2026-11-21T08:00:00Z".to_owned()),
    })
}

fn bazel_name(profile: &Profile) -> PathBuf {
    let path = profile.path("bazel-credential-keyfob");
    symlink(env!("CARGO_BIN_EXE_keyfob"), &path).unwrap();
    path
}

#[test]
fn a_good_answer_is_exactly_one_line() {
    let profile = Profile::with_agent(Door::Tool, |_, _| headers().into());
    let output = profile.keyfob(&["get"], REQUEST);
    assert_eq!((out(&output).as_str(), err(&output).as_str()), (ANSWER, ""));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(profile.asked()[0]["get"]["uri"], "https://aw.acme.dev/google.bytestream.ByteStream");
}

#[test]
fn under_the_bazel_name_and_with_more_arguments_too() {
    let profile = Profile::with_agent(Door::Tool, |_, _| headers().into());
    let name = bazel_name(&profile);
    for arguments in [&["get"][..], &["get", "--more", "x"]] {
        let output = feed(profile.command(&name, arguments), REQUEST);
        assert_eq!(out(&output), ANSWER, "{}", err(&output));
    }
}

#[test]
fn no_credentials_needed_is_an_answer() {
    let profile = Profile::with_agent(Door::Tool, |_, _| Reply::Headers(Headers::default()).into());
    assert_eq!(out(&profile.keyfob(&["get"], REQUEST)), "{\"headers\":{}}\n");
}

#[test]
fn a_refusal_is_one_line_on_standard_error_with_its_exit_code() {
    for (code, exit) in [
        (Code::SignInNeeded, 3),
        (Code::TokenNeeded, 3),
        (Code::UnknownHost, 1),
        (Code::KeychainLocked, 5),
        (Code::Unknown, 1),
    ] {
        let profile = Profile::with_agent(Door::Tool, move |_, _| {
            Reply::Refused(Refusal::new(code, "nobody is signed in to okta").hint("keyfob login okta")).into()
        });
        let output = profile.keyfob(&["get"], REQUEST);
        assert_eq!(output.status.code(), Some(exit), "{code:?}");
        assert_eq!(err(&output), "keyfob: nobody is signed in to okta. Run: keyfob login okta\n");
        assert!(output.stdout.is_empty());
        assert_eq!(profile.asked().len(), 1, "a refusal is no reason to ask again");
    }
}

#[test]
fn what_an_agent_says_stays_short_and_harmless() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        let say = format!("\u{1b}[31m{}\n", "x".repeat(30_000));
        Reply::Refused(Refusal::new(Code::Internal, say).hint("keyfob why aw.acme.dev")).into()
    });
    let text = err(&profile.keyfob(&["get"], REQUEST));
    assert!(text.len() <= 4096, "{}", text.len());
    let first = text.lines().next().unwrap();
    assert!(first.len() < 200 && first.ends_with("Run: keyfob why aw.acme.dev"), "{first}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn malformed_input_is_refused_without_asking_the_agent() {
    let profile = Profile::with_agent(Door::Tool, |_, _| headers().into());
    let inputs: [&[u8]; 8] = [
        b"",
        b" \n",
        b"{\"uri\": ",
        b"{\"uri\":5}",
        b"{}",
        b"[\"https://aw.acme.dev\"]",
        b"\xff\xfe{\x00}",
        b"{\"uri\":\"https://aw.acme.dev\"} and more",
    ];
    for input in inputs {
        let output = profile.keyfob(&["get"], input);
        let text = err(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("keyfob: the input is no credential helper request ("), "{text}");
        assert_eq!(text.lines().count(), 1);
        assert!(output.stdout.is_empty());
    }
    assert!(profile.asked().is_empty());
}

#[test]
fn other_members_are_allowed() {
    let profile = Profile::with_agent(Door::Tool, |_, _| headers().into());
    let output = profile.keyfob(&["get"], br#"{"foo":1,"uri":"grpcs://example.com","bar":[2]}"#);
    assert_eq!(out(&output), ANSWER);
    assert_eq!(profile.asked()[0]["get"]["uri"], "grpcs://example.com");
}

#[test]
fn a_mebibyte_of_padding_is_read_to_its_end_and_refused() {
    let profile = Profile::with_agent(Door::Tool, |_, _| headers().into());
    let padded = format!("{{\"uri\":\"https://a.example\",\"padding\":\"{}\"}}", "x".repeat(1024 * 1024));
    let output = profile.keyfob(&["get"], padded.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("has more than"), "{}", err(&output));
    assert!(output.stdout.is_empty());
    assert!(profile.asked().is_empty());
}

#[test]
fn an_agent_that_never_answers_is_given_up_in_time() {
    let profile = Profile::with_agent(Door::Tool, |_, _| Act::Nothing { open: true });
    let begun = Instant::now();
    let output = profile.keyfob(&["get"], REQUEST);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(err(&output), "keyfob: the agent does not answer in time. Run: keyfob agent restart\n");
    assert!(output.stdout.is_empty());
    assert_eq!(profile.asked().len(), 1, "a silent agent is not asked twice");
}

#[test]
fn an_agent_that_was_just_ending_is_asked_once_more() {
    let profile = Profile::with_agent(Door::Tool, |number, _| {
        if number == 0 { Act::Nothing { open: false } } else { headers().into() }
    });
    let output = profile.keyfob(&["get"], REQUEST);
    assert_eq!(out(&output), ANSWER, "{}", err(&output));
    assert_eq!(profile.asked().len(), 2);
}

#[test]
fn an_agent_that_keeps_closing_is_not_asked_for_ever() {
    let profile = Profile::with_agent(Door::Tool, |_, _| Act::Nothing { open: false });
    let output = profile.keyfob(&["get"], REQUEST);
    assert_eq!(output.status.code(), Some(4));
    assert!(output.stdout.is_empty());
    assert_eq!(profile.asked().len(), 4);
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let profile = Profile::with_agent(Door::Tool, |_, _| Reply::Done { say: "done".to_owned() }.into());
    let output = profile.keyfob(&["get"], REQUEST);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).ends_with("Run: keyfob agent restart\n"), "{}", err(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_an_installed_agent_it_says_so() {
    let profile = Profile::new();
    let alone = profile.path("keyfob");
    std::fs::copy(env!("CARGO_BIN_EXE_keyfob"), &alone).unwrap();
    let output = feed(profile.command(&alone, &["get"]), REQUEST);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("is not installed"), "{}", err(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_arguments_the_bazel_name_shows_its_usage() {
    let profile = Profile::new();
    let name = bazel_name(&profile);
    let output = feed(profile.command(&name, &[]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("usage: bazel-credential-keyfob get\n"));
    let output = feed(profile.command(&name, &["frobnicate"]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("Unknown command 'frobnicate'\nusage:"));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_arguments_keyfob_is_wrong_use() {
    let output = Profile::new().keyfob(&[], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(err(&output).contains("Usage:"));
}

#[test]
fn other_helpers_are_not_supported_yet() {
    let profile = Profile::new();
    let name = profile.path("docker-credential-keyfob");
    symlink(env!("CARGO_BIN_EXE_keyfob"), &name).unwrap();
    let output = feed(profile.command(&name, &["get"]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("not supported by this version"));
}

fn aws() -> Reply {
    Reply::AwsCredentials(AwsCredentials {
        version: 1,
        access_key_id: "ASIA1".to_owned(),
        secret_access_key: Secret::from("s"),
        session_token: Some(Secret::from("t")),
        expiration: Some("2026-11-21T08:00:00Z".to_owned()),
        account_id: None,
    })
}

#[test]
fn credential_process_answers_without_touching_standard_input() {
    let profile = Profile::with_agent(Door::Tool, |_, _| aws().into());
    let mut command =
        profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["credential-process", "aws.dev"]);
    // An open pipe that nobody writes to or closes: a read would wait for ever.
    let (reader, writer) = std::io::pipe().unwrap();
    let output = command.stdin(reader).output().unwrap();
    drop(writer);
    assert_eq!(
        out(&output),
        "{\"Version\":1,\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\
         \"Expiration\":\"2026-11-21T08:00:00Z\"}\n"
    );
    assert_eq!(profile.asked()[0]["credential-process"]["name"], "aws.dev");
}

#[test]
fn another_role_is_asked_for_by_its_arn_and_only_where_one_is_named() {
    let arn = "arn:aws:iam::123456789012:role/x";
    let profile = Profile::with_agent(Door::Tool, |_, _| aws().into());
    for line in [
        &["credential-process", "dev", "--role-arn", arn][..],
        &["credential-process", &format!("--role-arn={arn}"), "dev"],
        &["credential-process", "dev"],
    ] {
        assert!(out(&profile.keyfob(line, b"")).starts_with("{\"Version\":1,"), "{line:?}");
    }
    let asked = profile.asked();
    let roles: Vec<_> = asked.iter().map(|asked| asked["credential-process"]["role_arn"].as_str()).collect();
    assert_eq!(roles, [Some(arn), Some(arn), None]);
    assert!(asked.iter().all(|asked| asked["credential-process"]["name"] == "dev"));
}

#[test]
fn credential_process_refuses_like_get() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        Reply::Refused(Refusal::new(Code::SignInNeeded, "nobody is signed in").hint("keyfob login")).into()
    });
    let output = profile.keyfob(&["credential-process", "dev"], b"");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(err(&output), "keyfob: nobody is signed in. Run: keyfob login\n");
    assert!(output.stdout.is_empty());
    assert_eq!(profile.keyfob(&["credential-process"], b"").status.code(), Some(2));
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let profile = Profile::with_agent(Door::Tool, |_, _| aws().into());
    let mut command =
        profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), &["credential-process", "dev"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
}

#[test]
fn where_nobody_is_there_no_tool_is_told_to_sign_in() {
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        let say = "you are not signed in to `sso.okta`";
        Reply::Refused(Refusal::new(Code::SignInNeeded, say).hint("keyfob login okta")).into()
    });
    for (arguments, variable, why) in [
        (&["credential-process", "dev"][..], "CI", "CI is set"),
        (&["credential-process", "dev"], "KEYFOB_JOB", "this is a job of `keyfob run`"),
        (&["exec", "dev", "--", "true"], "CI", "CI is set"),
    ] {
        let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), arguments);
        command.env(variable, "true");
        let output = feed(command, b"");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            err(&output),
            format!(
                "keyfob: you are not signed in to `sso.okta`. Next: {why}, so nobody signs in: give the entry \
                 `machine = \"ci\"` in place of `sso`, and add [machine.ci]\n"
            )
        );
    }
    let output = profile.keyfob(&["credential-process", "dev"], b"");
    assert!(err(&output).ends_with("Run: keyfob login okta\n"), "{}", err(&output));
}

#[test]
fn a_long_refusal_is_said_once_and_whole_but_to_bazel_whose_first_line_is_short() {
    let say = format!("no entry that is obtained through `aws.dev` has the role `{}`", "arn:".repeat(40));
    let hint = "put it under [aws.dev] of the configuration";
    let told = say.clone();
    let profile = Profile::with_agent(Door::Tool, move |_, _| {
        Reply::Refused(Refusal::new(Code::NotAllowed, told.as_str()).hint(hint)).into()
    });
    for arguments in [&["credential-process", "dev"][..], &["exec", "dev", "--", "true"]] {
        let whole = err(&profile.keyfob(arguments, b""));
        assert_eq!(whole, format!("keyfob: {say}. Next: {hint}\n"), "{arguments:?}");
    }
    let short = "no entry that is obtained through `aws.dev` has the role \u{2026}";
    let both = err(&profile.keyfob(&["get"], REQUEST));
    assert_eq!(both, format!("keyfob: {short}. Next: {hint}\n{say}\n"));
}
