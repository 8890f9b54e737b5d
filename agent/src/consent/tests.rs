//! The state of questions and answers, and the file.

use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::peer::FileId;
use keyfob_ipc::reply::Approval;

use super::book::{Book, GRANTS, Opening, QUESTIONS};
use super::{Consent, Seat, file};
use crate::clock::after;
use crate::config::EntryName;
use crate::ledger::Deed;
use crate::policy::{Chain, Confirm, Given, Grant, Link, Role, Rules, Span};

fn at(seconds: u64) -> Timestamp {
    after("2026-11-21T08:00:00Z".parse().unwrap(), Duration::from_secs(seconds))
}

fn rules(confirm: Confirm) -> Rules {
    Rules { entry: EntryName { kind: "aws", name: "dev".to_owned() }, allow: Vec::new(), confirm }
}

fn chain(program: u64) -> Chain {
    Chain {
        links: vec![Link {
            process: 7,
            path: format!("/usr/bin/p{program}").into(),
            file: Some(FileId { device: 1, inode: program }),
            is_replaced: false,
            is_attested: true,
            role: Role::Program,
        }],
    }
}

fn grant(program: u64, span: Span) -> Grant {
    Grant {
        id: format!("g{program}"),
        entry: rules(Confirm::First).entry,
        program: chain(program).links[0].path.clone(),
        file: FileId { device: 1, inode: program },
        is_allowed: true,
        span,
        given: at(0),
        by: Given::Terminal,
    }
}

fn ask(book: &mut Book, program: u64, now: Timestamp) -> Opening {
    book.ask(&rules(Confirm::First), &chain(program), &Deed::new("get"), now)
}

#[test]
fn what_the_same_program_asks_for_is_one_question() {
    let mut book = Book::of(Vec::new());
    assert_eq!(ask(&mut book, 1, at(0)), Opening::New(1));
    for _ in 0..149 {
        assert_eq!(ask(&mut book, 1, at(1)), Opening::Again(1));
    }
    assert_eq!(book.question(1).unwrap().count, 150);
    for program in 2..=u64::try_from(QUESTIONS).unwrap() {
        assert!(matches!(ask(&mut book, program, at(1)), Opening::New(_)));
    }
    assert_eq!(ask(&mut book, 99, at(1)), Opening::Full);
    assert_eq!(ask(&mut book, 1, at(1)), Opening::Again(1), "one that is open can be asked again");
    book.sweep(at(60));
    assert_eq!(
        book.questions().count(),
        QUESTIONS - 1,
        "the first is over, the others opened a second later"
    );
    assert!(matches!(ask(&mut book, 99, at(60)), Opening::New(_)));
}

#[test]
fn an_id_is_of_one_connection_and_long() {
    let mut book = Book::of(Vec::new());
    ask(&mut book, 1, at(0));
    ask(&mut book, 2, at(0));
    let mut ids: Vec<String> = Vec::new();
    for open in book.questions() {
        for seat in [Seat(1), Seat(2)] {
            let id = open.to(seat).id;
            assert_eq!(id, open.to(seat).id);
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            ids.push(id);
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let id = book.question(1).unwrap().to(Seat(1)).id;
    assert!(book.asked(Seat(1), &id).is_some());
    assert!(book.asked(Seat(2), &id).is_none());
    assert!(book.asked(Seat(3), "").is_none(), "a connection that was sent nothing");
    book.leave(Seat(1));
    assert!(book.asked(Seat(1), &id).is_none());
    book.close(1);
    assert_eq!(book.take_closed().iter().map(|(seat, _)| *seat).collect::<Vec<_>>(), [Seat(2)]);
    assert!(book.take_closed().is_empty());
}

#[test]
fn only_what_is_offered_is_taken() {
    let year = Duration::from_secs(365 * 24 * 3600).as_secs();
    let for_seconds = |seconds| Approval::For { seconds };
    for (confirm, taken, not_taken) in [
        (
            Confirm::First,
            vec![Approval::Always, Approval::Once, Approval::Never, for_seconds(1), for_seconds(year)],
            vec![for_seconds(0), for_seconds(year + 1), for_seconds(u64::MAX)],
        ),
        (
            Confirm::Always,
            vec![Approval::Once, Approval::Never],
            vec![Approval::Always, for_seconds(1), for_seconds(3600)],
        ),
    ] {
        let mut book = Book::of(Vec::new());
        book.ask(&rules(confirm), &chain(1), &Deed::new("get"), at(0));
        let open = book.question(1).unwrap();
        assert!(open.to(Seat(1)).offers.iter().all(|offer| open.takes(*offer)));
        taken.into_iter().for_each(|approval| assert!(open.takes(approval), "{approval:?} under {confirm}"));
        not_taken
            .into_iter()
            .for_each(|approval| assert!(!open.takes(approval), "{approval:?} under {confirm}"));
    }
}

#[test]
fn a_question_takes_what_the_strictest_who_ask_allow() {
    let mut book = Book::of(Vec::new());
    ask(&mut book, 1, at(0));
    book.ask(&rules(Confirm::Always), &chain(1), &Deed::new("get"), at(1));
    ask(&mut book, 1, at(2));
    assert!(!book.question(1).unwrap().takes(Approval::Always));
}

#[test]
fn a_clock_that_is_set_back_ends_what_has_an_end() {
    let until = Span::Until(at(8 * 3600));
    let grants = || vec![grant(1, until), grant(2, Span::Always), grant(3, Span::Once { used: None })];
    let mut book = Book::of(grants());
    assert!(!book.sweep(at(500)));
    // Put right by less than a minute.
    assert!(!book.sweep(at(441)));
    assert_eq!(book.grants.len(), 3);
    ask(&mut book, 1, at(441));
    assert!(book.sweep(at(300)), "the file is to follow");
    assert_eq!(book.grants.iter().map(|grant| grant.id.as_str()).collect::<Vec<_>>(), ["g2"]);
    assert_eq!(book.questions().count(), 0);
    // The new time counts from here on.
    book.put(grant(4, Span::Until(at(3600))));
    assert!(!book.sweep(at(310)));
    assert_eq!(book.grants.len(), 2);

    // An agent that starts while the clock stands before its answers.
    let mut book = Book::of(vec![Grant { given: at(1000), ..grant(1, until) }]);
    book.sweep(at(0));
    assert!(book.grants.is_empty());
}

#[test]
fn a_once_lasts_for_its_burst_and_is_not_kept() {
    let once = grant(1, Span::Once { used: None });
    let mut book = Book::of(Vec::new());
    book.put(once);
    for now in [100, 105, 109] {
        book.sweep(at(now));
        book.use_up(&book.grants[0].id.clone(), at(now));
        assert_eq!(book.grants[0].span, Span::Once { used: Some(at(100)) });
    }
    assert!(book.to_keep().is_empty());
    book.sweep(at(110));
    assert!(book.grants.is_empty());
}

#[test]
fn a_new_answer_takes_the_place_of_the_one_before_and_there_is_an_end_to_them() {
    let count = u64::try_from(GRANTS).unwrap();
    let mut book = Book::of((0..count).map(|program| grant(program, Span::Always)).collect());
    assert!(!book.put(grant(count, Span::Always)));
    // The program was replaced: what was said of it before is worth nothing.
    let file = FileId { device: 2, inode: 2 };
    assert!(book.put(Grant { id: "new".to_owned(), file, ..grant(5, Span::Always) }));
    assert_eq!(book.grants.len(), GRANTS);
    assert!(book.grants.iter().all(|grant| grant.id != "g5"));
    assert_eq!(book.take_out(Some("new")).len(), 1);
    assert!(book.take_out(Some("new")).is_empty());
    assert!(book.take_out(Some("sso.okta")).is_empty());
    assert_eq!(book.take_out(Some("dev")).len(), GRANTS - 1);
    book.put(grant(1, Span::Always));
    assert_eq!(book.take_out(None).len(), 1);
}

#[test]
fn answers_come_back_from_the_file_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants.json");
    assert_eq!(file::read(&path).unwrap(), []);
    let never = Grant { is_allowed: false, by: Given::Window, ..grant(3, Span::Always) };
    let grants = [grant(1, Span::Always), grant(2, Span::Until(at(60))), never];
    file::write(&path, &grants).unwrap();
    assert_eq!(file::read(&path).unwrap(), grants);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_file_that_this_build_would_not_write_is_put_aside_and_gives_nothing() {
    let good = {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        file::write(&path, &[grant(1, Span::Always)]).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    let many = format!("{{\"format\":1,\"grants\":[{}]}}", vec!["1"; GRANTS + 1].join(","));
    let edits = [
        good[..good.len() / 2].to_owned(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"always\"", "\"sometimes\""),
        good.replace("\"always\"", "{\"once\":{\"used\":null}}"),
        good.replace("aws.dev", "nothing.dev"),
        good.replace("\"/usr", "\"usr"),
        good.replace("\"is_allowed\":true", "\"is_allowed\":false")
            .replace("\"always\"", "{\"until\":\"2030-01-01T00:00:00Z\"}"),
        good.replace("\"device\":1", "\"device\":-1"),
        good.replace("\"id\"", "\"more\":1,\"id\""),
        many,
        String::new(),
    ];
    for text in edits {
        assert_ne!(text, good);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        std::fs::write(&path, &text).unwrap();
        let consent = Consent::open(path.clone());
        assert!(consent.book().grants.is_empty(), "{text}");
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("grants.json.bad")).unwrap(), text);
    }
    // The control: the good one is taken.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants.json");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(Consent::open(path).book().grants.len(), 1);
}

#[tokio::test]
async fn what_is_taken_back_in_memory_alone_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants.json");
    let consent = Consent::open(path.clone());
    assert!(consent.is_saved());
    consent.book().put(grant(1, Span::Always));
    assert!(!consent.is_saved());
    consent.save().await.unwrap();
    assert!(consent.is_saved() && Consent::open(path).is_saved());
    // The disk takes nothing.
    std::fs::create_dir_all(folder.path().join("grants.json.new/x")).unwrap();
    consent.book().take_out(None);
    assert!(consent.save().await.is_err() && !consent.is_saved());
    std::fs::remove_dir_all(folder.path().join("grants.json.new")).unwrap();
    consent.save().await.unwrap();
    assert!(consent.is_saved());
    consent.book().put(grant(2, Span::Once { used: None }));
    assert!(consent.is_saved(), "one that ends with the agent is never written");
}
