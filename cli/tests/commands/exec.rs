//! `keyfob exec`, with an agent of a few lines.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use keyfob_ipc::reply::{AwsCredentials, ExecKeys};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};
use rustix::process::{Pid, Signal, kill_process};

use crate::fake::{Act, Profile, err, feed, out};
use crate::json;

pub fn keys(entry: &str, token: Option<&str>) -> Reply {
    Reply::Exec(Box::new(ExecKeys {
        entry: entry.to_owned(),
        region: Some("eu-west-1".to_owned()),
        credentials: AwsCredentials {
            version: 1,
            access_key_id: "ASIAONE".to_owned(),
            secret_access_key: Secret::from("s3cret"),
            session_token: token.map(Secret::from),
            expiration: Some("2030-01-01T00:00:00Z".to_owned()),
            account_id: None,
        },
    }))
}

/// An agent with `aws.dev`, `aws.prod`, `aws.old` and `outscale.monitoring`.
fn agent() -> Profile {
    Profile::with_agent(Door::Tool, |_, ask| match ask["exec"]["name"].as_str() {
        Some("dev" | "aws.dev") => keys("aws.dev", Some("session")).into(),
        Some("aws.prod") => keys("aws.prod", Some("session")).into(),
        Some("aws.old") => keys("aws.old", None).into(),
        Some("outscale.monitoring") => keys("outscale.monitoring", None).into(),
        _ => Act::Nothing { open: false },
    })
}

fn command(profile: &Profile, arguments: &[&str]) -> Command {
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), arguments);
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn exec(profile: &Profile, arguments: &[&str]) -> Output {
    feed(command(profile, arguments), b"")
}

/// The environment of a program below.
fn environment(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    out(output).lines().map(str::to_owned).collect()
}

fn get(url: &str, token: &str) -> String {
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET /credentials HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_program_finds_an_endpoint_that_ends_with_it_and_nothing_that_would_win() {
    let profile = agent();
    let mut command =
        command(&profile, &["exec", "dev", "--", "sh", "-c", "env; echo that is all; read line"]);
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "MINE"] {
        command.env(name, "of-the-caller");
    }
    command
        .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/x");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    let text: String =
        lines.map(Result::unwrap).take_while(|line| line != "that is all").map(|line| line + "\n").collect();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")[..]));
    let (url, token) = (
        value("AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap(),
        value("AWS_CONTAINER_AUTHORIZATION_TOKEN").unwrap(),
    );
    assert_eq!((value("AWS_REGION"), value("AWS_DEFAULT_REGION")), (Some("eu-west-1"), Some("eu-west-1")));
    let mut names: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("AWS_"))
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    let expected = [
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
    ];
    assert_eq!(names, expected);
    assert!(!text.contains("s3cret"), "the keys are at the endpoint alone");
    let answer = get(url, token);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("s3cret"), "{answer}");
    assert!(get(url, "wrong").starts_with("HTTP/1.1 403 "));

    running.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(running.wait().unwrap().success());
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    assert!(TcpStream::connect(address).is_err(), "the endpoint is gone");
    let asked = profile.asked();
    assert_eq!(asked, vec![json(r#"{"exec":{"name":"dev"}}"#), json(r#"{"exec":{"name":"aws.dev"}}"#)]);
}

#[test]
fn plain_variables_where_they_are_asked_for_and_for_outscale() {
    let profile = agent();
    let seen = environment(&exec(&profile, &["exec", "dev", "--env", "outscale.monitoring", "--", "env"]));
    for line in [
        "AWS_ACCESS_KEY_ID=ASIAONE",
        "AWS_SECRET_ACCESS_KEY=s3cret",
        "AWS_SESSION_TOKEN=session",
        "AWS_CREDENTIAL_EXPIRATION=2030-01-01T00:00:00Z",
        "AWS_REGION=eu-west-1",
        "OSC_ACCESS_KEY=ASIAONE",
        "OSC_SECRET_KEY=s3cret",
        "OSC_REGION=eu-west-1",
    ] {
        assert!(seen.iter().any(|known| known == line), "{line}: {seen:?}");
    }
    assert!(!seen.iter().any(|line| line.starts_with("AWS_CONTAINER")), "{seen:?}");
}

#[test]
fn what_cannot_be_given_is_said_before_anything_runs() {
    let profile = agent();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["exec", "dev"], 2, "keyfob exec dev -- COMMAND"),
        (&["exec", "dev", "terraform", "apply"], 2, "Run: keyfob exec dev -- terraform apply"),
        (&["exec", "--", "touch"], 2, "keyfob exec NAME -- touch"),
        (&["exec"], 2, "follows `--`"),
        (
            &["exec", "aws.dev", "aws.prod", "--", "true"],
            1,
            "`aws.dev` and `aws.prod` would be in the same variables",
        ),
        (&["exec", "aws.old", "--", "true"], 1, "keyfob exec aws.old --env -- COMMAND"),
    ];
    for (arguments, code, text) in cases {
        let output = exec(&profile, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(err(&output).contains(text), "{arguments:?}: {}", err(&output));
    }
    let profile = Profile::with_agent(Door::Tool, |_, _| {
        Reply::Refused(
            Refusal::new(Code::SignInNeeded, "you are not signed in to `sso.okta`").hint("keyfob login okta"),
        )
        .into()
    });
    let output = exec(&profile, &["exec", "dev", "--", "sh", "-c", "echo ran"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(3), ""));
    assert!(err(&output).ends_with("Run: keyfob login okta\n"), "{}", err(&output));
}

#[test]
fn the_end_of_the_program_is_the_end_of_the_command() {
    let profile = agent();
    let end = |script: &str| exec(&profile, &["exec", "dev", "--", "sh", "-c", script]).status;
    for code in [0, 1, 3, 42, 255] {
        assert_eq!(end(&format!("exit {code}")).code(), Some(code));
    }
    for signal in
        [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::SEGV, Signal::USR1, Signal::PIPE]
    {
        let status = end(&format!("kill -{} $$", signal.as_raw()));
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert!(!status.core_dumped());
    }
    let missing = exec(&profile, &["exec", "dev", "--", "no-such-program-here"]);
    assert_eq!(missing.status.code(), Some(127));
    assert_eq!(err(&missing), "keyfob: there is no program `no-such-program-here`\n");
    let file = profile.path("plain");
    std::fs::write(&file, "text").unwrap();
    let refused = exec(&profile, &["exec", "dev", "--", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(126), "{}", err(&refused));
}

#[test]
fn streams_are_the_programs_own() {
    let profile = agent();
    let output = feed(command(&profile, &["exec", "dev", "--", "sh", "-c", "cat; echo oops >&2"]), b"input");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("input", "oops\n"));
}

/// A program that says which signals reach it, and ends by the last.
const LISTENS: &str = "trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; trap 'echo got INT' INT; \
    trap 'echo got TERM; exit 7' TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn a_signal_for_the_command_reaches_the_program() {
    let profile = agent();
    let mut command = command(&profile, &["exec", "dev", "--", "sh", "-c", LISTENS]);
    // No terminal: no key of one can be meant.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wrapped = Command::new("setsid");
    wrapped.arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = wrapped.spawn().unwrap();
    let id = Pid::from_raw(running.id().try_into().unwrap()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "ready");
    for (signal, line) in [
        (Signal::HUP, "got HUP"),
        (Signal::USR1, "got USR1"),
        (Signal::INT, "got INT"),
        (Signal::TERM, "got TERM"),
    ] {
        kill_process(id, signal).unwrap();
        assert_eq!(next(), line);
    }
    assert_eq!(running.wait().unwrap().code(), Some(7));
}

#[cfg(target_os = "linux")]
#[test]
fn stopped_and_continued_the_program_goes_with_it() {
    let state = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let profile = agent();
    let mut command = command(&profile, &["exec", "dev", "--", "sh", "-c", "echo $$; exec sleep 60"]);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    let below: u32 = lines.next().unwrap().unwrap().parse().unwrap();
    let id = Pid::from_raw(running.id().try_into().unwrap()).unwrap();
    let wait = |expected: fn(char) -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while ![running.id(), below].into_iter().all(|process| state(process).is_some_and(expected)) {
            assert!(Instant::now() < end, "{:?} {:?}", state(running.id()), state(below));
            std::thread::yield_now();
        }
    };
    kill_process(id, Signal::TSTP).unwrap();
    wait(|state| state == 'T');
    kill_process(id, Signal::CONT).unwrap();
    wait(|state| state != 'T');
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(running.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_ignored_stays_ignored() {
    let profile = agent();
    let keyfob = env!("CARGO_BIN_EXE_keyfob");
    let script =
        format!("trap '' HUP; exec {keyfob} exec dev -- sh -c 'kill -HUP $$ $PPID; echo still here'");
    let mut command = profile.command(Path::new("/bin/sh"), &["-c", &script]);
    command.env("PATH", "/usr/bin:/bin");
    let output = feed(command, b"");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "still here\n"), "as nohup has it");
}

#[test]
fn keys_of_a_default_profile_are_hidden_and_that_is_said() {
    let profile = agent();
    let folder = profile.path("home").join(".aws");
    std::fs::create_dir(&folder).unwrap();
    let show = ["exec", "dev", "--", "sh", "-c", "echo $AWS_CONFIG_FILE $AWS_SHARED_CREDENTIALS_FILE"];
    assert_eq!(out(&exec(&profile, &show)), "\n", "nothing is there");
    std::fs::write(folder.join("config"), "[default]\nregion = x\n").unwrap();
    std::fs::write(folder.join("credentials"), "[default]\naws_access_key_id = AKIA\n").unwrap();
    let output = exec(&profile, &show);
    assert_eq!(out(&output), "/dev/null\n", "the configuration stays");
    assert!(err(&output).contains(".aws/credentials` gives [default] keys of its own"), "{}", err(&output));
}

#[test]
fn a_command_that_is_killed_takes_the_endpoint_with_it() {
    let profile = agent();
    let script = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; exec sleep 60";
    let mut command = command(&profile, &["exec", "dev", "--", "sh", "-c", script]);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    let url = lines.next().unwrap().unwrap();
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    #[cfg(target_os = "linux")]
    let below = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.id())).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(TcpStream::connect(&address).is_err());
    #[cfg(target_os = "linux")]
    for process in below.split_whitespace() {
        kill_process(Pid::from_raw(process.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
}
