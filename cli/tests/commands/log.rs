//! `keyfob log`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob_ipc::reply::{Asking, Event, LedgerLine, Outcome};
use keyfob_ipc::{Code, Door, Reply};

use crate::fake::{Act, Profile, out};
use crate::json;

const PATIENCE: Duration = Duration::from_secs(30);

fn line(second: u32) -> LedgerLine {
    LedgerLine {
        at: format!("2026-11-21T15:03:{second:02}.123Z"),
        act: "get".to_owned(),
        outcome: Outcome::Given,
        entry: Some("token.aspect".to_owned()),
        target: Some("https://aw.acme.dev".to_owned()),
        code: None,
        asking: Some(Asking { program: "/usr/bin/curl".to_owned(), ..Asking::default() }),
        note: None,
    }
}

fn of(entry: &str, second: u32) -> LedgerLine {
    LedgerLine { entry: Some(entry.to_owned()), ..line(second) }
}

/// With a time zone that no file is needed for.
fn command(profile: &Profile, arguments: &[&str]) -> std::process::Command {
    let mut command = profile.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), arguments);
    command.env("TZ", "CET-1");
    command
}

#[test]
fn lines_for_people_are_in_local_time_and_say_what_became_of_it() {
    let profile = Profile::with_agent(Door::Control, |_, _| {
        let bazel = Asking {
            program: "/opt/bazel/java".to_owned(),
            claims: Some("bazel(ws)".to_owned()),
            is_replaced: true,
            ..Asking::default()
        };
        let refused = LedgerLine {
            act: "credential-process".to_owned(),
            outcome: Outcome::Refused,
            entry: Some("aws.dev".to_owned()),
            target: None,
            code: Some(Code::ApprovalPending),
            asking: Some(bazel),
            ..line(2)
        };
        let lock = LedgerLine {
            act: "lock".to_owned(),
            outcome: Outcome::Done,
            entry: None,
            target: None,
            asking: None,
            note: Some("by the\u{1b} screen".to_owned()),
            ..line(3)
        };
        Reply::Ledger(vec![line(1), refused, lock]).into()
    });
    assert_eq!(
        out(&crate::fake::feed(command(&profile, &["log"]), b"")),
        "\
2026-11-21 16:03:01  /usr/bin/curl                                get                 token.aspect https://aw.acme.dev  given
2026-11-21 16:03:02  /opt/bazel/java (says bazel(ws)) (replaced)  credential-process  aws.dev                           refused (approval_pending)
2026-11-21 16:03:03  -                                            lock                -                                 done: by the\\u{1b} screen
"
    );
    assert_eq!(profile.asked(), [json(r#"{"log":{"last":50}}"#)]);
}

#[test]
fn programs_get_one_object_in_each_line_as_the_agent_sent_it() {
    let profile = Profile::with_agent(Door::Control, |_, _| Reply::Ledger(vec![line(1), line(2)]).into());
    let text = out(&profile.keyfob(&["log", "aspect", "--last", "7", "--json"], b""));
    let lines: Vec<_> = text.lines().map(json).collect();
    assert_eq!((lines.len(), lines[0]["at"].as_str()), (2, Some("2026-11-21T15:03:01.123Z")));
    assert_eq!(profile.asked(), [json(r#"{"log":{"last":7,"name":"aspect"}}"#)]);
}

#[test]
fn an_empty_ledger_is_named_to_people_alone() {
    let profile = Profile::with_agent(Door::Control, |_, _| Reply::Ledger(vec![]).into());
    assert_eq!(out(&profile.keyfob(&["log"], b"")), "keyfob: the ledger has no lines yet\n");
    assert_eq!(out(&profile.keyfob(&["log", "--json"], b"")), "");
}

/// Somebody who follows.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(profile: &Profile, arguments: &[&str]) -> Self {
        let mut command = command(profile, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The second of the next line.
    fn next(&mut self) -> u32 {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line[17..19].parse().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// What a watch brings.
fn watched(lines: &[LedgerLine]) -> Act {
    let events = lines.iter().cloned().map(|line| Reply::Event(Event::Ledger(line)));
    Act::Say(std::iter::once(Reply::Event(Event::Watching)).chain(events).collect())
}

#[test]
fn what_is_written_while_the_ledger_is_read_is_shown_once() {
    // Two lines that are alike were written after the watch began, and one of them is in the reading already.
    let profile = Profile::with_agent(Door::Control, |_, ask| match ask["watch"].is_object() {
        true => watched(&[line(3), line(4), line(4), line(5)]),
        false => Reply::Ledger(vec![line(1), line(2), line(3), line(4)]).into(),
    });
    let mut following = Following::start(&profile, &["log", "-f", "--last", "3"]);
    let seen: Vec<u32> = (0..5).map(|_| following.next()).collect();
    assert_eq!(seen, [2, 3, 4, 4, 5]);
    let asked = profile.asked();
    assert_eq!(asked[0]["watch"]["ledger"], true, "the watch begins first: {asked:?}");
    assert_eq!(asked[1], json(r#"{"log":{"last":1000}}"#), "more is read than is shown");
}

#[test]
fn only_lines_of_the_entry_that_is_asked_about_are_followed() {
    let profile = Profile::with_agent(Door::Control, |_, ask| match ask["watch"].is_object() {
        true => watched(&[
            of("aws.aspect.x", 2),
            of("token.aspect", 3),
            of("token.other", 4),
            of("token.aspect", 5),
        ]),
        false => Reply::Ledger(vec![line(1)]).into(),
    });
    let mut following = Following::start(&profile, &["log", "aspect", "--follow"]);
    assert_eq!([following.next(), following.next(), following.next()], [1, 3, 5]);
}

#[test]
fn an_agent_that_ends_is_waited_for_and_nothing_is_lost_or_doubled() {
    let watches = AtomicUsize::new(0);
    let profile = Profile::with_agent(Door::Control, move |_, ask| {
        if ask["watch"].is_object() {
            return match watches.fetch_add(1, Ordering::SeqCst) {
                0 => watched(&[line(2)]),
                // It ends before it says a word.
                1 => Act::Nothing { open: false },
                _ => watched(&[line(5)]),
            };
        }
        match watches.load(Ordering::SeqCst) {
            // Ends with the reading that follows, after the first watch has brought its line.
            1 => Reply::Ledger(vec![line(1)]).into(),
            _ => Reply::Ledger(vec![line(1), line(2), line(3), line(4)]).into(),
        }
    });
    // The connections of the first agent are closed by the test: it lets go of the one that watches.
    let mut following = Following::start(&profile, &["log", "--follow"]);
    assert_eq!([following.next(), following.next()], [1, 2]);
    profile.close_all();
    assert_eq!([following.next(), following.next(), following.next()], [3, 4, 5]);
    let mut notes = String::new();
    following.child.kill().unwrap();
    following.child.stderr.take().unwrap().read_to_string(&mut notes).unwrap();
    assert_eq!(notes, "", "a pipe is told nothing");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    for arguments in [&["log", "--follow"][..], &["log", "--follow", "--json"]] {
        let profile = Profile::with_agent(Door::Control, |_, ask| match ask["watch"].is_object() {
            true => watched(&[]),
            false => Reply::Ledger(vec![line(1), line(2)]).into(),
        });
        let mut command = command(&profile, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        drop(output);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it waits for a line that nobody reads");
            std::thread::yield_now();
        };
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    }
}

#[test]
fn without_any_agent_it_does_not_wait() {
    let profile = Profile::new();
    let output = crate::fake::feed(profile.command(&crate::alone(&profile), &["log", "--follow"]), b"");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_role_that_a_caller_has_named_breaks_no_column() {
    let role = format!("aws.dev/arn:aws:iam::123456789012:role/{}", "external-".repeat(7));
    let lines = move || [of("aws.dev/arn:aws:iam::123456789012:role/team/Audit", 1), of(&role, 2)];
    let profile = Profile::with_agent(Door::Control, move |_, _| {
        let keys = |line| LedgerLine { target: None, act: "credential-process".to_owned(), ..line };
        Reply::Ledger(lines().into_iter().chain([of("token.aspect", 3)]).map(keys).collect()).into()
    });
    let text = out(&crate::fake::feed(command(&profile, &["log"]), b""));
    assert!(text.contains("aws.dev 123456789012 Audit "), "{text}");
    assert!(!text.contains("arn:") && text.contains('…'), "{text}");
    let ends: Vec<usize> =
        text.lines().map(|line| line.chars().count() - line.rsplit("  ").next().unwrap().len()).collect();
    assert!(ends.windows(2).all(|two| two[0] == two[1]), "{text}");
}
