//! What is under way when it is locked.

use keyfob_sandbox::{Endpoint, Fault};

use super::*;

/// A session with a refresh under way that takes a while, and a tool that waits for it.
async fn refresh_under_way(company: &Company) -> tokio::task::JoinHandle<Result<Reply, Refusal>> {
    company.pass(2 * HOUR);
    let before = company.token_calls();
    company.faults().set_times(Endpoint::Token, Fault::Slow(Duration::from_millis(500)), 1);
    let agent = company.agent.clone();
    let asking = tokio::spawn(async move { agent.tool(ToolAsk::Get { uri: CACHE.to_owned() }).await });
    eventually("a refresh is under way", async || company.token_calls() == before + 1).await;
    asking
}

#[tokio::test]
async fn a_refresh_is_stored_and_its_lease_is_not_kept() {
    let company = company().await;
    let before = company.stored_refresh_token().await.unwrap();
    let asking = refresh_under_way(&company).await;
    let said = lock(&company).await;
    assert!(said.contains("is stored first"), "{said}");
    assert_eq!(asking.await.unwrap().unwrap_err().code, Code::Locked);
    company.agent.flights.quiet().await;
    assert_ne!(company.stored_refresh_token().await.unwrap(), before, "the old one is spent");
    assert!(is_empty(&company));
    // And it is the one that goes on.
    unlock(&company).await;
    company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn what_the_keychain_did_not_take_stays_until_it_does() {
    let company = company().await;
    let before = company.stored_refresh_token().await.unwrap();
    let asking = refresh_under_way(&company).await;
    company.vault.refuse_stores(Some(KeychainError::Failed("disk full".to_owned())));
    lock(&company).await;
    asking.await.unwrap().unwrap_err();
    company.agent.flights.quiet().await;
    assert_eq!(company.stored_refresh_token().await.unwrap(), before, "so far");
    assert_eq!(company.agent.all_unsaved(), [okta()]);
    unlock(&company).await;
    let said = lock(&company).await;
    assert!(said.contains("`sso.okta` stays in memory"), "{said}");
    assert!(!company.agent.holdings().is_read(&aspect()));
    unlock(&company).await;
    company.vault.refuse_stores(None);
    company.pass(MINUTE);
    company.bearer().await.unwrap();
    assert_ne!(company.stored_refresh_token().await.unwrap(), before);
    assert_eq!(company.agent.all_unsaved(), []);
}

#[tokio::test]
async fn what_can_be_stored_while_it_is_locked_is_and_then_it_goes() {
    let company = company().await;
    let asking = refresh_under_way(&company).await;
    company.vault.refuse_stores(Some(KeychainError::Failed("disk full".to_owned())));
    asking.await.unwrap().unwrap_err();
    company.agent.flights.quiet().await;
    company.vault.refuse_stores(None);
    let said = lock(&company).await;
    assert!(!said.contains("stays in memory"), "{said}");
    assert!(is_empty(&company));
}

#[tokio::test]
async fn keys_that_are_bought_meanwhile_are_not_kept() {
    let company = company().await;
    company.pass(55 * MINUTE);
    company.faults().set_times(Endpoint::Sts, Fault::Slow(Duration::from_millis(500)), 1);
    let (agent, before) = (company.agent.clone(), company.sts_calls());
    let ask = ToolAsk::CredentialProcess { name: "dev".to_owned(), role_arn: None, task_role: false };
    let asking = tokio::spawn(async move { agent.tool(ask).await });
    eventually("STS is asked", async || company.sts_calls() == before + 1).await;
    lock(&company).await;
    assert_eq!(asking.await.unwrap().unwrap_err().code, Code::Locked);
    company.agent.flights.quiet().await;
    assert!(is_empty(&company));
}

#[tokio::test]
async fn a_sign_in_is_called_off_and_one_that_is_nearly_done_is_not_kept() {
    let company = company().await;
    let before = company.stored_refresh_token().await;
    let (task, _seen, _) = company.sign_in_under_way().await;
    lock(&company).await;
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::Locked);

    unlock(&company).await;
    company.faults().set_times(Endpoint::Token, Fault::Slow(Duration::from_millis(300)), 1);
    let calls = company.token_calls();
    let (person, mut seen) = Person::who_opens_the_browser();
    let task = company.begin_sign_in(person, Flow::Browser);
    eventually("the code is redeemed", async || company.token_calls() == calls + 1).await;
    lock(&company).await;
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::Locked);
    let page = seen.page().await;
    assert!(format!("{page:?}").contains("keyfob is locked"), "{page:?}");
    assert_eq!(company.stored_refresh_token().await, before);
    assert!(is_empty(&company));
}

#[tokio::test]
async fn a_value_that_is_on_its_way_to_the_keychain_gets_there_and_does_not_stay() {
    let company = company().await;
    company.vault.hold_stores();
    let stores = company.vault.stores();
    let agent = company.agent.clone();
    let value = Secret::from("aw_2");
    let ask = ControlAsk::TokenRotate { name: "aspect".to_owned(), value: Some(value), ends: None };
    let rotating = tokio::spawn(async move { agent.control(ask).await });
    eventually("it is on its way", async || company.vault.stores() == stores + 1).await;
    lock(&company).await;
    company.vault.release_stores();
    rotating.await.unwrap().unwrap_err();
    eventually("nothing is left", async || is_empty(&company)).await;
    assert_eq!(company.vault.item("token.aspect").await.unwrap()["value"], "aw_2");
}

#[tokio::test]
async fn used_leases_are_renewed_again_once_it_is_unlocked() {
    let company = company().await;
    let renewing = tokio::spawn(company.agent.clone().renew_ahead());
    lock(&company).await;
    let calls = company.token_calls();
    company.pass(2 * HOUR);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(company.token_calls(), calls, "nobody renews while it is locked");
    unlock(&company).await;
    company.bearer().await.unwrap();
    assert_eq!(company.token_calls(), calls + 1);
    company.pass(HOUR);
    eventually("it is renewed ahead", async || company.token_calls() > calls + 1).await;
    renewing.abort();
}

#[tokio::test]
async fn an_unlock_that_takes_its_time_does_not_lift_a_later_lock() {
    let company = company().await;
    lock(&company).await;
    company.vault.be_silent(true);
    let agent = company.agent.clone();
    let slow = tokio::spawn(async move { agent.unlock(&people().0, false, None).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    unlock_of(&company, &people().0, false, Some("correct horse")).await.unwrap();
    // It asks nobody long whether it is a pause.
    lock(&company).await;
    company.vault.be_silent(false);
    assert_eq!(slow.await.unwrap().unwrap_err().code, Code::Locked);
    assert_nothing_is_given(&company).await;
    assert!(file(&company).exists());
}
