//! A rotation, and the lock.

use keyfob_agent::config::EntryName;
use keyfob_agent::consent::Seat;

use super::*;
use crate::programs::Programs;

async fn lock(company: &Company) -> String {
    match company.control(ControlAsk::Lock).await.unwrap() {
        Reply::Done { say } => say,
        other => panic!("not done: {other:?}"),
    }
}

async fn unlock(company: &Company) {
    let terminal = Programs::new().on_a_terminal();
    let ask = ControlAsk::Unlock { passphrase: None };
    company.agent.control_of(ask, Seat(1), &terminal, false).await.unwrap();
}

fn is_read(company: &Company) -> bool {
    company.agent.holdings().is_read(&EntryName { kind: "token", name: "aspect".to_owned() })
}

#[tokio::test]
async fn one_that_is_under_way_is_finished_and_then_forgotten() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(300)), 1);
    let rotating = begin(&company, "aspect");
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    lock(&company).await;
    assert!(is_read(&company), "its keychain item is about to be written");
    rotating.await.unwrap().unwrap_err();
    eventually("nothing is left in memory", async || !is_read(&company)).await;
    let new = item(&company, "aspect").await["value"].as_str().unwrap().to_owned();
    assert!(new != old && is_live(&company, &new) && !is_live(&company, &old));
    assert_eq!(step(&company, "aspect").await, None, "and it is proven");
    unlock(&company).await;
    assert_eq!(served(&company).await, new);
}

#[tokio::test]
async fn none_begins_and_nothing_is_mended_until_it_is_unlocked() {
    let (mut company, _) = company().await;
    // A rotation that is stored and not proven.
    let out_of_reach = || company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
    rotate_once(&company, "aspect", out_of_reach).await.unwrap();
    assert_eq!(step(&company, "aspect").await.as_deref(), Some("proving"));
    company.faults().clear(Endpoint::TokenSelf);
    lock(&company).await;
    company.restart();
    let (loads, asks) = (company.vault.loads(), asked(&company, Endpoint::TokenSelf));
    mend(&company);
    tokio::spawn(company.agent.clone().rotate_ahead());
    turns().await;
    company.pass(2 * HOUR);
    turns().await;
    assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, Code::Locked);
    assert_eq!((company.vault.loads(), asked(&company, Endpoint::TokenSelf)), (loads, asks));
    unlock(&company).await;
    eventually("it is proven", async || step(&company, "aspect").await.is_none()).await;
}

#[tokio::test]
async fn a_new_token_that_is_nowhere_else_outlives_the_lock() {
    let (company, old) = company().await;
    company.vault.hold_stores();
    let rotating = begin(&company, "aspect");
    eventually("the intent is on its way", async || company.vault.stores() == 2).await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(200)), 1);
    company.vault.release_stores();
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    company.vault.refuse_stores(Some(KeychainError::Failed("disk full".to_owned())));
    rotating.await.unwrap().unwrap_err();
    let new = served(&company).await;
    assert_ne!(new, old);

    let said = lock(&company).await;
    assert!(said.contains("the new value of `token.aspect` stays in memory"), "{said}");
    let rescue = company.control(ControlAsk::TokenRescue { name: "aspect".to_owned() }).await;
    assert_eq!(rescue.unwrap_err().code, Code::Locked);
    unlock(&company).await;
    assert_eq!(served(&company).await, new);
    lock(&company).await;
    company.vault.refuse_stores(None);
    company.pass(MINUTE);
    eventually("it is stored", async || item(&company, "aspect").await["value"] == new.as_str()).await;
    eventually("and forgotten", async || !is_read(&company)).await;
    unlock(&company).await;
    assert_eq!(served(&company).await, new);
}
