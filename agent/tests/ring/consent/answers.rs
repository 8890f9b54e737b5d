//! Who may answer, and what is taken.

use std::sync::atomic::Ordering;

use keyfob_agent::asker::Asker;
use keyfob_ipc::reply::{Approval, Outcome};
use keyfob_ipc::{Code, ControlAsk};

use super::{ALWAYS, FIRST, House, event, question};
use crate::company::MINUTE;

#[tokio::test]
async fn an_answer_counts_only_on_the_connection_that_was_sent_the_question_and_once() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    let (seat, other) = (house.number(), house.number());
    let id = house.questions(seat)[0].id.clone();
    let other_id = house.questions(other)[0].id.clone();
    let answer = async |seat, id: &str| {
        house
            .answer_as(seat, &house.terminal, id, Approval::Always, Some("token.aspect"))
            .await
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(answer(other, &id).await, Err(Code::BadRequest), "another connection");
    assert_eq!(answer(house.number(), &id).await, Err(Code::BadRequest), "one that asked for nothing");
    assert_eq!(answer(seat, "").await, Err(Code::BadRequest));
    assert_eq!(answer(seat, &"0".repeat(32)).await, Err(Code::BadRequest), "a guess");
    house.company.agent.leave(other);
    assert_eq!(answer(other, &other_id).await, Err(Code::BadRequest), "one that has closed");
    assert!(house.grants().await.is_empty());
    // The control: where it belongs it counts,
    answer(seat, &id).await.unwrap();
    house.get("terraform").await.unwrap();
    // and never again, not even for another question of the same program.
    assert_eq!(answer(seat, &id).await, Err(Code::BadRequest), "a second time");
    house.revoke(None).await.unwrap();
    assert!(!house.is_given("terraform").await);
    assert_eq!(answer(seat, &id).await, Err(Code::BadRequest), "for the next question");
    assert!(house.grants().await.is_empty());
}

#[tokio::test]
async fn who_is_no_window_needs_a_terminal_and_types_the_name() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    let seat = house.number();
    let id = house.questions(seat)[0].id.clone();
    let answer =
        async |asker: &Asker, typed| house.answer_as(seat, asker, &id, Approval::Always, typed).await;
    for asker in [Asker::unknown(), house.programs.asker("bash")] {
        let refused = answer(&asker, Some("aspect")).await.unwrap_err();
        assert_eq!(refused.code, Code::NotAllowed, "{refused:?}");
    }
    let gone = house.programs.staged("bash");
    gone.has_terminal.store(true, Ordering::Relaxed);
    gone.is_alive.store(false, Ordering::Relaxed);
    assert_eq!(answer(&Asker::behind(gone), Some("aspect")).await.unwrap_err().code, Code::NotAllowed);
    for typed in [None, Some(""), Some("dev"), Some("Aspect"), Some("token.aspect "), Some("yes")] {
        let refused = answer(&house.terminal, typed).await.unwrap_err();
        assert_eq!(refused.code, Code::BadRequest, "{typed:?}");
        assert!(refused.say.contains("`token.aspect`"), "{refused:?}");
    }
    assert!(house.grants().await.is_empty());
    let say = answer(&house.terminal, Some("aspect")).await.unwrap();
    let [grant] = &house.grants().await[..] else { panic!("not one answer") };
    assert_eq!(
        say,
        format!(
            "`terraform` may use `token.aspect` until it is revoked; take it back with: keyfob grants revoke {}",
            grant.id
        )
    );
    assert_eq!(
        (grant.by.as_str(), grant.is_allowed, grant.is_once, grant.is_stale),
        ("terminal", true, false, false)
    );
    assert_eq!((grant.until.as_deref(), grant.given.as_str()), (None, "2026-11-21T08:00:00Z"));
}

#[tokio::test]
async fn a_window_answers_what_it_was_sent_without_typing() {
    let house = House::with(FIRST).await;
    let (mut window, mut other) = (house.window(), house.window());
    assert!(!house.is_given("terraform").await);
    let (asked, others) = (question(&mut window).await, question(&mut other).await);
    assert_ne!(asked.id, others.id);
    let nobody = Asker::unknown();
    let answer = |id: &str| ControlAsk::Answer { id: id.to_owned(), approval: Approval::Once, typed: None };
    let refused = house.control(window.seat(), &nobody, true, answer(&others.id)).await.unwrap_err();
    assert_eq!(refused.code, Code::BadRequest, "the id of another window");
    house.control(window.seat(), &nobody, true, answer(&asked.id)).await.unwrap();
    assert_eq!(house.grants().await[0].by, "window");
    for (window, id) in [(&mut window, asked.id), (&mut other, others.id)] {
        assert_eq!(event(window).await, keyfob_ipc::reply::Event::QuestionClosed { id });
    }
}

#[tokio::test]
async fn an_answer_that_is_not_offered_is_not_taken() {
    let house = House::with(ALWAYS).await;
    assert!(!house.is_given("terraform").await);
    for approval in [Approval::Always, Approval::For { seconds: 60 }] {
        assert_eq!(house.answer(approval).await.unwrap_err().code, Code::BadRequest);
    }
    house.answer(Approval::Once).await.unwrap();
    house.get("terraform").await.unwrap();
}

#[tokio::test]
async fn never_refuses_until_it_is_revoked() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Never).await.unwrap();
    let id = house.grants().await[0].id.clone();
    house.company.pass(1000 * MINUTE);
    let refused = house.get("terraform").await.unwrap_err();
    assert_eq!((refused.code, refused.hint), (Code::NotAllowed, format!("keyfob grants revoke {id}")));
    assert_eq!(refused.say, "you have refused `token.aspect` to `terraform`");
    assert!(!house.grants().await[0].is_allowed);
    assert_eq!(house.company.agent.open_questions(), 0);
    house.revoke(Some(&id)).await.unwrap();
    assert!(!house.is_given("terraform").await, "it is asked about again");
}

#[tokio::test]
async fn answers_are_taken_back_one_by_one_by_entry_or_all_at_once() {
    let house = House::with(FIRST).await;
    for program in ["terraform", "bazel", "python3"] {
        assert!(!house.is_given(program).await);
        house.answer(Approval::Always).await.unwrap();
        house.get(program).await.unwrap();
    }
    for which in ["aws.dev", "dev", "ffffffff", ""] {
        let refused = house.revoke(Some(which)).await.unwrap_err();
        assert_eq!((refused.code, refused.hint.as_str()), (Code::BadRequest, "keyfob grants"), "{which}");
    }
    let of = |name: &str, grants: &[keyfob_ipc::reply::GrantReport]| {
        grants.iter().find(|grant| grant.program.ends_with(name)).map(|grant| grant.id.clone())
    };
    let id = of("bazel", &house.grants().await).unwrap();
    assert_eq!(house.revoke(Some(&id)).await.unwrap(), "`bazel` is asked about `token.aspect` again");
    assert!(!house.is_given("bazel").await && house.is_given("terraform").await);
    assert_eq!(house.revoke(Some("aspect")).await.unwrap(), "2 answers are taken back");
    assert!(!house.is_given("terraform").await && !house.is_given("python3").await);
    assert_eq!(house.revoke(None).await.unwrap(), "no answer is in force");
    assert_eq!(house.company.agent.open_questions(), 3, "open questions stay open");
}

#[tokio::test]
async fn what_the_person_says_is_in_the_ledger_before_it_is_confirmed() {
    let house = House::with(FIRST).await;
    for (program, approval) in
        [("terraform", Approval::For { seconds: 8 * 3600 }), ("stray", Approval::Never)]
    {
        assert!(!house.is_given(program).await);
        house.answer(approval).await.unwrap();
    }
    house.revoke(None).await.unwrap();
    let lines = house.company.agent.ledger.newest(100, None).await;
    let words =
        |line: &keyfob_ipc::reply::LedgerLine| (line.act.clone(), line.note.clone().unwrap_or_default());
    let (terraform, stray) = (house.programs.path("terraform"), house.programs.path("stray"));
    let (terraform, stray) = (terraform.display(), stray.display());
    let said: Vec<_> =
        lines.iter().filter(|line| ["approve", "deny", "revoke"].contains(&line.act.as_str())).collect();
    assert_eq!(
        said.iter().map(|line| words(line)).collect::<Vec<_>>(),
        [
            ("approve".to_owned(), format!("{terraform} until 2026-11-21T16:00:00Z, typed on a terminal")),
            ("deny".to_owned(), format!("{stray} until it is revoked, typed on a terminal")),
            ("revoke".to_owned(), terraform.to_string()),
            ("revoke".to_owned(), stray.to_string()),
        ]
    );
    for line in said {
        assert_eq!((line.outcome, line.entry.as_deref()), (Outcome::Done, Some("token.aspect")));
        assert!(line.asking.as_ref().unwrap().program.ends_with("bash"), "{line:?}");
    }
}
