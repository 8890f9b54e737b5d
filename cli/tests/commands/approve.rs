//! `keyfob approve`: a question is answered on a terminal and nowhere else.

use std::path::Path;
use std::process::Command;

use keyfob_ipc::reply::{Approval, Asking, Question};
use keyfob_ipc::{Code, Door, Refusal, Reply};

use crate::fake::{Act, Profile, err, feed};
use crate::terminal::Session;
use crate::{done, in_days, json, minutes_ago, refused};

fn question(id: &str, entry: &str) -> Question {
    Question {
        id: id.to_owned(),
        entry: entry.to_owned(),
        asking: Asking {
            program: "/usr/bin/terraform".to_owned(),
            pid: Some(4242),
            behind: vec!["/usr/bin/make".to_owned()],
            ..Asking::default()
        },
        act: "credential-process".to_owned(),
        target: None,
        count: 3,
        opened: minutes_ago(0),
        closes: in_days(0),
        offers: vec![Approval::Once, Approval::For { seconds: 8 * 3600 }, Approval::Always],
    }
}

/// An agent with these open questions, which answers as it is told.
fn agent(questions: Vec<Question>, answer: impl Fn() -> Reply + Send + Sync + 'static) -> Profile {
    Profile::with_agent(Door::Control, move |_, ask| match ask == "questions" {
        true => Reply::Questions(questions.clone()).into(),
        false => answer().into(),
    })
}

fn answers(profile: &Profile) -> Vec<serde_json::Value> {
    profile.asked().into_iter().filter(|ask| ask != "questions").collect()
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_read() {
    let profile = agent(vec![question("0a", "aws.dev")], done);
    // A session without a terminal; what is piped in would be a yes.
    let mut command: Command =
        profile.command(Path::new("setsid"), &["--wait", env!("CARGO_BIN_EXE_keyfob"), "approve"]);
    command.env("PATH", "/usr/bin:/bin");
    let output = feed(command, b"dev\ndev always\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "keyfob: this is answered on a terminal alone, and there is none here. Next: run `keyfob approve` yourself, in a terminal\n"
    );
    assert!(profile.asked().is_empty());
}

#[test]
fn who_asks_is_shown_and_the_name_of_the_entry_allows_it() {
    let profile = agent(vec![question("0a", "aws.dev")], done);
    let mut session = Session::start(&profile, &["approve"], &[], false);
    session.sees(
        "Type `dev` to allow it once (`dev 8h`, `dev always`, `dev never`), or nothing to leave it open: ",
    );
    session.types("dev 8h\n");
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(0), "{screen}");
    for part in [
        "aws.dev is asked for by:\n",
        "  program     /usr/bin/terraform (process 4242)\n",
        "  started by  /usr/bin/make\n",
        "  wants       AWS keys (credential-process)\n",
        "  asked       3 times, first just now; closes in ",
        "keyfob: done as asked\n",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    assert_eq!(
        answers(&profile),
        [json(r#"{"answer":{"id":"0a","approval":{"for":{"seconds":28800}},"typed":"dev"}}"#)]
    );
}

#[test]
fn the_question_goes_to_the_terminal_though_standard_output_is_a_pipe() {
    let profile = agent(vec![question("0a", "aws.dev")], done);
    let mut session = Session::start(&profile, &["approve", "--json", "--always"], &[], true);
    session.sees("Type `dev` to allow it until you revoke that, or nothing to leave it open: ");
    session.types("aws.dev\n");
    let (code, screen, piped) = session.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(
        json(&piped),
        json(
            r#"{"entry":"aws.dev","program":"/usr/bin/terraform","approval":"always","say":"done as asked"}"#
        )
    );
    assert_eq!(answers(&profile), [json(r#"{"answer":{"id":"0a","approval":"always","typed":"aws.dev"}}"#)]);
}

#[test]
fn nothing_leaves_it_open_and_a_wrong_name_is_asked_for_again() {
    let profile = agent(vec![question("0a", "aws.dev")], done);
    let mut session = Session::start(&profile, &["approve"], &[], false);
    session.sees("leave it open: ");
    session.types("yes\n");
    session.sees("that is not `dev`; nothing was answered.");
    session.types("\n");
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(5), "{screen}");
    assert!(screen.contains("keyfob: left open; it closes by itself in "), "{screen}");
    assert!(answers(&profile).is_empty());
}

#[test]
fn each_question_is_put_once_and_only_those_of_the_entry_that_is_named() {
    let profile = agent(
        vec![question("0a", "aws.dev"), question("0b", "token.aspect"), question("0c", "aws.prod")],
        done,
    );
    let mut session = Session::start(&profile, &["approve"], &[], false);
    for name in ["dev", "aspect", "prod"] {
        session.sees(&format!("Type `{name}` to allow it once"));
        session.types(&format!("{name}\n"));
    }
    assert_eq!(session.ends().0, Some(0));
    let ids: Vec<_> = answers(&profile).iter().map(|ask| ask["answer"]["id"].clone()).collect();
    assert_eq!(ids, ["0a", "0b", "0c"]);

    let mut session = Session::start(&profile, &["approve", "aspect", "--never"], &[], false);
    session.sees("Type `aspect` to refuse it until you revoke that");
    session.types("aspect\n");
    let (code, screen, _) = session.ends();
    assert_eq!(code, Some(0));
    assert!(!screen.contains("aws."), "{screen}");
    assert_eq!(answers(&profile)[3], json(r#"{"answer":{"id":"0b","approval":"never","typed":"aspect"}}"#));
}

#[test]
fn no_open_question_is_said_with_what_to_do() {
    let none = agent(vec![], done);
    let (code, screen, _) = Session::start(&none, &["approve"], &[], false).ends();
    assert_eq!(
        (code, screen.as_str()),
        (
            Some(1),
            "keyfob: no question is open. Next: run the tool again, then keyfob approve within a minute\n"
        )
    );
    let other = agent(vec![question("0a", "aws.dev")], done);
    let (code, screen, _) = Session::start(&other, &["approve", "aspect"], &[], false).ends();
    assert_eq!(
        (code, screen.as_str()),
        (
            Some(1),
            "keyfob: no question about `aspect` is open, but one about another entry waits. Run: keyfob approve\n"
        )
    );
}

#[test]
fn a_question_that_closes_while_the_person_types_is_nobodys_fault() {
    let refuse = || refused(Refusal::new(Code::BadRequest, "there is no such question")).into();
    // A connection that nobody uses meanwhile is closed, too.
    for answer in [refuse, || Act::Nothing { open: false }] {
        let profile = Profile::with_agent(Door::Control, move |_, ask| {
            let mut over = question("0a", "aws.dev");
            over.closes = minutes_ago(0);
            match ask == "questions" {
                true => Reply::Questions(vec![over]).into(),
                false => answer(),
            }
        });
        let mut session = Session::start(&profile, &["approve"], &[], false);
        session.sees("leave it open: ");
        session.types("dev\n");
        let (code, screen, _) = session.ends();
        assert_eq!(code, Some(1), "{screen}");
        let say = "the question about `aws.dev` had closed before the answer came, so nothing is allowed";
        assert!(screen.contains(say), "{screen}");
        assert_eq!(screen.matches("keyfob: ").count(), 1, "one sentence: {screen}");
    }
}

#[test]
fn what_the_policy_does_not_offer_is_refused_before_anything_is_typed() {
    let mut strict = question("0a", "aws.dev");
    strict.offers = vec![Approval::Once];
    let profile = agent(vec![strict], done);
    let (code, screen, _) = Session::start(&profile, &["approve", "--for", "8h"], &[], false).ends();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("does not let it be allowed for 8 hours; what it offers is: once"), "{screen}");
    assert!(answers(&profile).is_empty());
}

#[test]
fn ctrl_c_answers_nothing() {
    let profile = agent(vec![question("0a", "aws.dev")], done);
    let mut session = Session::start(&profile, &["approve"], &[], false);
    session.sees("leave it open: ");
    session.types("\u{3}");
    assert_ne!(session.ends().0, Some(0));
    assert!(answers(&profile).is_empty());
}

#[test]
fn an_agent_that_ends_meanwhile_is_told_from_a_refusal() {
    let profile = Profile::with_agent(Door::Control, |_, ask| match ask == "questions" {
        true => Reply::Questions(vec![question("0a", "aws.dev")]).into(),
        false => Act::Nothing { open: false },
    });
    let mut session = Session::start(&profile, &["approve"], &[], false);
    session.sees("leave it open: ");
    session.types("dev\n");
    assert_eq!(session.ends().0, Some(4));
}

#[test]
fn wrong_use_asks_nobody() {
    let profile = Profile::new();
    for arguments in
        [&["approve", "--once", "--never"][..], &["approve", "--for", "2y"], &["approve", "a", "b"]]
    {
        assert_eq!(profile.keyfob(arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
}
