//! The service has answered and the keychain does not take it.

use super::*;

/// A rotation whose answer the keychain does not take.
async fn rotated_but_not_stored(error: KeychainError) -> (Company, String, Refusal) {
    let (company, old) = company().await;
    // The intent is stored, the answer is not.
    company.vault.hold_stores();
    let rotating = begin(&company, "aspect");
    eventually("the intent is on its way", async || company.vault.stores() == 2).await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(200)), 1);
    company.vault.release_stores();
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    company.vault.refuse_stores(Some(error));
    let refusal = rotating.await.unwrap().unwrap_err();
    (company, old, refusal)
}

async fn rescue(company: &Company) -> Result<String, Refusal> {
    match company.control(ControlAsk::TokenRescue { name: "aspect".to_owned() }).await? {
        Reply::Value { value } => Ok(value.expose().clone()),
        other => panic!("not a value: {other:?}"),
    }
}

#[tokio::test]
async fn it_serves_is_loud_can_be_seen_and_is_stored_later() {
    let (company, old, refusal) = rotated_but_not_stored(KeychainError::Failed("disk full".to_owned())).await;
    assert_eq!((refusal.code, &*refusal.hint), (Code::KeychainFailed, "keyfob token rescue aspect"));
    let new = served(&company).await;
    assert!(new != old && is_live(&company, &new) && !is_live(&company, &old));
    assert_eq!(item(&company, "aspect").await["value"], old.as_str(), "so far");

    let report = company.report("aspect").await;
    assert_eq!(report.state, EntryState::Live);
    assert_eq!(urgent(&report)[0].1, "keyfob token rescue aspect");
    eventually("the person is told", async || company.desktop.titles() == ["A new token is not stored yet"])
        .await;
    assert!(!format!("{:?}", company.desktop.shown()).contains(&new));
    assert_eq!(rescue(&company).await.unwrap(), new);
    let stop = company.control(ControlAsk::Stop).await.unwrap_err();
    assert_eq!((stop.code, &*stop.hint), (Code::KeychainFailed, "keyfob token rescue aspect"));
    // No second one is made while the first one is nowhere.
    rotate(&company, "aspect").await.unwrap_err();
    assert_eq!(company.counts().rotations, 1);

    company.vault.refuse_stores(None);
    company.pass(Duration::from_secs(1));
    eventually("it is stored", async || item(&company, "aspect").await["value"] == new.as_str()).await;
    mend(&company);
    eventually("it is proven, too", async || step(&company, "aspect").await.is_none()).await;
    assert_eq!(rescue(&company).await.unwrap_err().code, Code::BadRequest);
    assert!(urgent(&company.report("aspect").await).is_empty());
    company.control(ControlAsk::Stop).await.unwrap();
}

#[tokio::test]
async fn a_keychain_that_is_unlocked_takes_it_at_once() {
    let (company, _, refusal) = rotated_but_not_stored(KeychainError::Locked).await;
    assert_eq!(refusal.code, Code::KeychainLocked);
    let new = served(&company).await;
    company.control(ControlAsk::Unlock { passphrase: Some(Secret::from("correct horse")) }).await.unwrap();
    eventually("it is stored", async || item(&company, "aspect").await["value"] == new.as_str()).await;
    assert_eq!(served(&company).await, new);
}

#[tokio::test]
async fn the_pauses_grow_to_a_minute() {
    let (company, _, _) = rotated_but_not_stored(KeychainError::Slow).await;
    // 1, 2, 4, 8, 16, 32, 60 seconds.
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let stores = company.vault.stores();
        turns().await;
        company.pass(Duration::from_millis(seconds * 1000 - 100));
        turns().await;
        assert_eq!(company.vault.stores(), stores, "before {seconds} s");
        company.pass(Duration::from_millis(100));
        eventually("the keychain is tried again", async || company.vault.stores() == stores + 1).await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_it_and_a_removal_lets_it_go() {
    let (company, _, _) = rotated_but_not_stored(KeychainError::Locked).await;
    let ending = tokio::spawn({
        let agent = company.agent.clone();
        async move { agent.wind_up().await }
    });
    let new = served(&company).await;
    company.pass(Duration::from_secs(1));
    turns().await;
    assert!(!ending.is_finished());
    assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, Code::Busy, "no token is spent any more");
    company.vault.refuse_stores(None);
    eventually("it is stored", async || {
        company.pass(Duration::from_secs(1));
        item(&company, "aspect").await["value"] == new.as_str()
    })
    .await;
    ending.await.unwrap();

    let (company, _, _) = rotated_but_not_stored(KeychainError::Locked).await;
    let new = served(&company).await;
    // The service is not told before the keychain has shown that it works.
    assert_eq!(company.remove_token("aspect").await.unwrap_err().code, Code::KeychainLocked);
    assert!(is_live(&company, &new) && served(&company).await == new);
    company
        .control(ControlAsk::TokenRemove { name: "aspect".to_owned(), keep_at_service: true })
        .await
        .unwrap();
    assert!(company.vault.item("token.aspect").await.is_none());
    tokio::time::timeout(Duration::from_secs(20), company.agent.wind_up()).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_stored_with_less_beside_it() {
    let (company, old) = company().await;
    // The intent is stored, the answer is not.
    company.vault.fail_store(2, KeychainError::Failed("more than an item can hold".to_owned()));
    let away = || company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
    rotate_once(&company, "aspect", away).await.unwrap();
    let stored = item(&company, "aspect").await;
    assert!(stored["value"] != old.as_str() && is_live(&company, stored["value"].as_str().unwrap()));
    assert_eq!(stored["facts"]["ends"], "2027-11-21T08:00:00Z");
    assert_eq!(stored["facts"]["token"]["told"][0].get("clusters"), None, "{stored}");
    assert_eq!(step(&company, "aspect").await.as_deref(), Some("proving"));
    assert!(company.agent.holdings().all_unsaved().is_empty());
    company.faults().clear_all();
    mend(&company);
    eventually("it is proven", async || {
        company.pass(MINUTE);
        step(&company, "aspect").await.is_none()
    })
    .await;
}
