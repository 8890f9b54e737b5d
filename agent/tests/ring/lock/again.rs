//! Locked again, locked while somebody unlocks, and what a person alone is given.

use std::future::poll_fn;
use std::task::Poll;

use super::*;
use crate::programs::policy;

#[tokio::test]
async fn it_is_shut_before_anything_that_may_take_its_time() {
    let company = company().await;
    let mut locking = std::pin::pin!(company.agent.lock(LockedBy::Sleep));
    poll_fn(|context| {
        assert!(locking.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(company.agent.is_locked() && !file(&company).exists());
    assert_nothing_is_given(&company).await;
    locking.await.unwrap();
    assert!(file(&company).exists());
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_written_again() {
    let mut company = company().await;
    lock(&company).await;
    std::fs::remove_file(file(&company)).unwrap();
    assert_eq!(lock(&company).await, "keyfob is locked already, since 2026-11-21T08:00:00Z");
    assert!(file(&company).exists());
    // Where it cannot be written again, that is said as well; what is there already will do.
    let new = company.state().join("lock.json.new");
    std::fs::create_dir(&new).unwrap();
    lock(&company).await;
    std::fs::remove_file(file(&company)).unwrap();
    let refusal = company.control(ControlAsk::Lock).await.unwrap_err();
    assert!(refusal.code == Code::PlaceUnsafe && refusal.say.contains("until the agent ends"), "{refusal}");
    std::fs::remove_dir(&new).unwrap();
    lock(&company).await;
    company.restart();
    assert_nothing_is_given(&company).await;
}

#[tokio::test]
async fn an_unlock_that_loses_to_a_later_lock_closes_the_keychain_again() {
    let company = company().await;
    lock(&company).await;
    company.vault.be_silent(true);
    let agent = company.agent.clone();
    let slow = tokio::spawn(async move { agent.unlock(&people().0, false, None).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    // Locked all the time: this is a later lock all the same.
    lock(&company).await;
    let closes = company.vault.closes();
    company.vault.be_silent(false);
    assert_eq!(slow.await.unwrap().unwrap_err().code, Code::Locked);
    assert_eq!(company.vault.closes(), closes + 1);
    assert_nothing_is_given(&company).await;
    assert!(file(&company).exists());
    // Control: one that nobody disturbs closes nothing.
    unlock(&company).await;
    assert_eq!(company.vault.closes(), closes + 1);
    give(&company).await;
}

#[tokio::test]
async fn an_answer_that_is_refused_leaves_a_line() {
    let company = company().await;
    let answer = || ControlAsk::Answer {
        id: "0".repeat(32),
        approval: Approval::Always,
        typed: Some("aspect".to_owned()),
    };
    company.control(answer()).await.unwrap_err();
    lock(&company).await;
    company.control(answer()).await.unwrap_err();
    let lines = company.agent.log(10, None).await.unwrap();
    let lines: Vec<_> =
        lines.iter().filter(|line| line.act == "approve").map(|line| (line.outcome, line.code)).collect();
    assert_eq!(lines, [(Outcome::Refused, Some(Code::BadRequest)), (Outcome::Refused, Some(Code::Locked))]);
}

#[tokio::test]
async fn a_value_of_an_entry_with_a_policy_is_for_a_person() {
    let company = company().await;
    let (terminal, program) = people();
    let rescue = || ControlAsk::TokenRescue { name: "aspect".to_owned() };
    let create = || {
        let act = AdminAct::CreateMachine {
            owner: "bot-ci".to_owned(),
            permissions: Vec::new(),
            ends: None,
            into: None,
        };
        ControlAsk::Admin { name: Some("aspect".to_owned()), act }
    };
    let code = async |ask, asker: &Asker, is_window| {
        company.agent.control_of(ask, Seat(1), asker, is_window).await.unwrap_err().code
    };
    // Control: without a policy it is nobody's business who asks.
    for ask in [rescue, create] as [fn() -> ControlAsk; 2] {
        assert_ne!(code(ask(), &program, false).await, Code::NotAllowed);
    }
    let rules = ["confirm = \"first\"", "allow = [\"/usr/bin/make\"]"];
    for rule in rules {
        company.configure(&format!("{}{}", crate::company::CONFIG, policy("token.aspect", rule)));
        for ask in [rescue, create] as [fn() -> ControlAsk; 2] {
            assert_eq!(code(ask(), &program, false).await, Code::NotAllowed, "{rule}");
            assert_eq!(code(ask(), &Asker::unknown(), false).await, Code::NotAllowed, "{rule}");
            assert_ne!(code(ask(), &terminal, false).await, Code::NotAllowed, "{rule}");
            assert_ne!(code(ask(), &program, true).await, Code::NotAllowed, "{rule}");
        }
    }
}
