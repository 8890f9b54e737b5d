//! `keyfob exec`, with an agent of a few lines.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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
    for name in [
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "AWS_ROLE_ARN",
        "AWS_CREDENTIAL_FILE",
        "AWS_BEARER_TOKEN_BEDROCK",
        "BOTO_CONFIG",
        "MINE",
    ] {
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
    assert_eq!((value("BOTO_CONFIG"), value("MINE")), (Some("/dev/null"), Some("of-the-caller")));
    assert_eq!(value("KEYFOB_EXEC"), Some("1"));
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
    assert!(seen.contains(&"KEYFOB_EXEC=1".to_owned()));
    let seen = environment(&exec(&profile, &["exec", "outscale.monitoring", "--", "env"]));
    assert!(seen.contains(&"OSC_ACCESS_KEY=ASIAONE".to_owned()));
    assert!(!seen.iter().any(|line| line.starts_with("KEYFOB_EXEC")), "keys of AWS there are the caller's");
}

#[test]
fn what_cannot_be_given_is_said_before_anything_runs() {
    let profile = agent();
    let cases: [(&[&str], i32, &str); 7] = [
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
        (
            &["exec", "aws.old", "my-secret", "--", "true"],
            1,
            "keyfob exec aws.old my-secret --env -- COMMAND",
        ),
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

/// A program under `keyfob exec`, with the address and the token of its endpoint.
struct Running {
    process: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    url: String,
    token: String,
}

impl Running {
    /// A shell that does this when it has told them.
    fn of(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let (url, token) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
        Self { process, lines, url, token }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap()
    }
}

const TELLS: &str = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; echo $AWS_CONTAINER_AUTHORIZATION_TOKEN";

/// Gives keys to everybody, and has as many places, but whoever is there stays.
fn twin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let places = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for stream in listener.incoming() {
            let (mut stream, places) = (stream.unwrap(), std::sync::Arc::clone(&places));
            let at_work = std::sync::atomic::Ordering::SeqCst;
            if places.fetch_add(1, at_work) >= 32 {
                places.fetch_sub(1, at_work);
                continue;
            }
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    let Ok(1) = stream.read(&mut byte) else { break };
                    head.extend(byte);
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                while let Ok(1..) = stream.read(&mut [0]) {}
                places.fetch_sub(1, at_work);
            });
        }
    });
    address
}

#[test]
fn four_hundred_strangers_keep_the_program_from_nothing() {
    let profile = agent();
    let keyfob = env!("CARGO_BIN_EXE_keyfob");
    // With few descriptors, so that whoever is kept is missed.
    let script = format!("ulimit -n 64; exec {keyfob} exec dev -- sh -c '{TELLS}; read line'");
    let mut command = profile.command(Path::new("/bin/sh"), &["-c", &script]);
    command.env("PATH", "/usr/bin:/bin");
    let mut running = Running::of(command);
    let attack = |address: &str| {
        let said: [&[u8]; 3] = [b"", b"GET /credentials HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n\r\nand more"];
        (0..400)
            .map(|number: usize| {
                let mut stream = TcpStream::connect(address).unwrap();
                // Some are sent away before they have said it.
                let _ = stream.write_all(said[number % said.len()]);
                stream
            })
            .collect::<Vec<_>>()
    };
    let twin = twin();
    let mut strangers = [attack(running.address()), attack(&twin)];
    for _ in 0..3 {
        // Those who are still there go on talking.
        for stranger in strangers.iter_mut().flatten() {
            let _ = stranger.write_all(b"x");
        }
        // As many as there are descriptors, who say nothing and have only just come.
        strangers[0].extend((0..64).map(|_| TcpStream::connect(running.address()).unwrap()));
        let begun = Instant::now();
        let answer = get(&running.url, &running.token);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("s3cret"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    let mut kept_out = TcpStream::connect(&twin).unwrap();
    kept_out.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = kept_out.write_all(b"GET /credentials HTTP/1.1\r\n\r\n");
    assert!(!matches!(kept_out.read(&mut [0]), Ok(1..)), "a twin is kept from its program");
    running.process.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(running.process.wait().unwrap().success());
}

#[test]
fn a_signal_waits_for_one_ask_at_most() {
    // The first ask is the command's own; then the agent has nothing to say.
    let profile = Profile::with_agent(Door::Tool, |number, _| match number {
        0 => keys("aws.dev", Some("session")).into(),
        _ => Act::Nothing { open: true },
    });
    let script = format!("trap 'echo got TERM; exit 7' TERM; {TELLS}; while :; do sleep 0.05; done");
    let mut running = Running::of(command(&profile, &["exec", "dev", "--", "sh", "-c", &script]));
    let head = format!(
        "GET /credentials HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        running.address(),
        running.token
    );
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = TcpStream::connect(running.address()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(20);
    while profile.asked().len() < 2 {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    let begun = Instant::now();
    kill_process(Pid::from_raw(running.process.id().try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(running.lines.next().unwrap().unwrap(), "got TERM");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(running.process.wait().unwrap().code(), Some(7));
    assert!(profile.asked().len() <= 3, "those who came together were asked for together");
    waiting.clear();
}

#[cfg(target_os = "linux")]
#[test]
fn the_exit_code_is_not_lost_where_children_are_ignored() {
    let profile = agent();
    let keyfob = env!("CARGO_BIN_EXE_keyfob");
    let is_ignored = |status: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        u64::from_str_radix(set, 16).unwrap() & (1 << (signal_hook::consts::SIGCHLD - 1)) != 0
    };
    let run = |words: &[&str]| {
        let all = [&["--ignore-signal=CHLD"], words].concat();
        let mut command = profile.command(Path::new("/usr/bin/env"), &all);
        command.env("PATH", "/usr/bin:/bin");
        feed(command, b"")
    };
    let output = run(&[keyfob, "exec", "dev", "--", "sh", "-c", "exit 7"]);
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    let output = run(&[keyfob, "exec", "dev", "--", "cat", "/proc/self/status"]);
    assert!(!is_ignored(&out(&output)), "the program has it as usual");
    assert!(is_ignored(&out(&run(&["cat", "/proc/self/status"]))), "the control: so it is inherited");
}

#[test]
fn the_token_is_masked_in_the_log_of_a_github_job() {
    let profile = agent();
    let run = |variables: &[(&str, &str)], into: &str| {
        let script =
            format!("printf half; exec {} exec dev -- sh -c '{TELLS}' {into}", env!("CARGO_BIN_EXE_keyfob"));
        let mut command = profile.command(Path::new("/bin/sh"), &["-c", &script]);
        command.env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
        let output = feed(command, b"");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    let job = [("GITHUB_ACTIONS", "true"), ("KEYFOB_JOB", "1")];
    let output = run(&job, "");
    let lines: Vec<_> = output.lines().collect();
    let [half, mask, _url, token] = lines[..] else { panic!("{output}") };
    assert_eq!((half, mask.strip_prefix("::add-mask::")), ("half", Some(token)));
    assert_eq!(token.len(), 64);
    // The controls: where the job's agent masks nothing either, and where the mask itself would be kept.
    for part in [&job[..1], &job[1..], &[("GITHUB_ACTIONS", "false"), job[1]]] {
        assert!(!run(part, "").contains("add-mask"), "{part:?}");
    }
    let file = profile.path("output");
    run(&job, &format!("> {}", file.display()));
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("http://127.0.0.1:") && !kept.contains("add-mask"), "{kept}");
}
