//! What stands in the way, and what it leaves behind: nothing.

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::EntryState;
use keyfob_sandbox::{Endpoint, Fault};

use super::*;

#[tokio::test]
async fn only_a_key_that_outscale_accepts_is_kept() {
    let (company, key) = company().await;
    let wrong = AccessKey { secret: "0".repeat(40), ..key.clone() };
    let refusal = add(&company, &wrong).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(!refusal.to_string().contains(&wrong.secret));
    there(&company).let_in(false);
    let refusal = add(&company, &key).await.unwrap_err();
    assert_eq!(refusal.code, Code::ServiceRefused);
    assert!(refusal.say.contains("API access rules"), "{refusal}");
    assert!(company.vault.item(NAME).await.is_none());
    there(&company).let_in(true);
    add(&company, &key).await.unwrap();
    assert!(company.vault.item(NAME).await.is_some());
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_no_key_behind() {
    let (company, bootstrap) = at_work().await;
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    assert_eq!(keys(&company).await.unwrap_err().code, Code::Offline);
    assert_eq!(there(&company).calls("CreateAccessKey"), 1);
    assert_eq!(made(&company, &bootstrap), [""; 0]);
    company.pass(2 * MINUTE);
    let keys = keys(&company).await.unwrap();
    assert_eq!(made(&company, &bootstrap), [keys.access_key_id]);
}

#[tokio::test]
async fn an_orphan_that_cannot_be_removed_at_once_is_removed_later() {
    let (company, bootstrap) = at_work().await;
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    company.faults().set(Endpoint::OutscaleUpdate, Fault::Status(500));
    keys(&company).await.unwrap_err();
    assert_eq!(made(&company, &bootstrap).len(), 1);
    company.faults().clear_all();
    company.pass(2 * MINUTE);
    let mending = mend(&company);
    eventually("the orphan is gone", async || made(&company, &bootstrap).is_empty()).await;
    assert_eq!(there(&company).expiries_lost(), 0);
    mending.abort();
}

#[tokio::test]
async fn a_key_that_the_keychain_does_not_take_is_removed() {
    let (company, bootstrap) = at_work().await;
    company.vault.refuse_stores(Some(KeychainError::Failed("read-only".to_owned())));
    keys(&company).await.unwrap_err();
    assert_eq!(made(&company, &bootstrap), [""; 0]);
    assert_eq!(there(&company).calls("CreateAccessKey"), 0, "the intent comes first");
}

#[tokio::test]
async fn a_key_that_is_there_serves_to_its_end_and_nobody_is_asked_in_a_loop() {
    let (company, _) = at_work().await;
    let first = keys(&company).await.unwrap().access_key_id;
    company.faults().set(Endpoint::OutscaleRead, Fault::Outscale(24));
    let calls = || company.counts().arrived(Endpoint::OutscaleRead);
    company.pass(9 * HOUR);
    let before = calls();
    for _ in 0..200 {
        assert_eq!(keys(&company).await.unwrap().access_key_id, first);
        tokio::task::yield_now().await;
    }
    company.agent.flights.quiet().await;
    assert_eq!(calls(), before + 1);
    let report = company.report(NAME).await;
    assert!(report.notes.iter().any(|note| note.say.contains("no new key can be made now")), "{report:?}");
    // Two hours and fifty minutes, with a look every quarter of an hour at most.
    for _ in 0..170 {
        company.pass(MINUTE);
        assert_eq!(keys(&company).await.unwrap().access_key_id, first);
        company.agent.flights.quiet().await;
    }
    assert!(calls() - before < 20, "{}", calls() - before);
    company.pass(20 * MINUTE);
    assert_eq!(keys(&company).await.unwrap_err().code, Code::Offline);
}

#[tokio::test]
async fn a_user_with_too_many_keys_is_told_so() {
    let (company, _) = at_work().await;
    there(&company).set_quota(1);
    let refusal = keys(&company).await.unwrap_err();
    assert!(refusal.say.contains("as many access keys as it may have"), "{refusal}");
    assert!(refusal.hint.contains("delete keys of the user `monitoring`"), "{refusal}");
}

#[tokio::test]
async fn where_the_user_is_full_our_own_keys_that_have_ended_go_first() {
    let (company, bootstrap) = at_work().await;
    keys(&company).await.unwrap();
    // Nothing puts keys away in the background here.
    company.pass(9 * HOUR);
    keys(&company).await.unwrap();
    company.agent.flights.quiet().await;
    assert_eq!(made(&company, &bootstrap).len(), 2);
    there(&company).set_quota(3);
    company.pass(9 * HOUR);
    keys(&company).await.unwrap();
    company.agent.flights.quiet().await;
    assert_eq!(made(&company, &bootstrap).len(), 2);
    assert_eq!(there(&company).calls("CreateAccessKey"), 4, "one of them was refused");
}

#[tokio::test]
async fn a_laptop_whose_keys_have_lapsed_asks_for_the_bootstrap_key_again() {
    let (company, bootstrap) = at_work().await;
    keys(&company).await.unwrap();
    there(&company).delete_key(&bootstrap.id);
    company.pass(14 * 24 * HOUR);
    let refusal = keys(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert_eq!(refusal.hint, "keyfob token add outscale.monitoring");
    let report = company.report(NAME).await;
    assert_eq!(report.refusal.unwrap().hint, "keyfob token add outscale.monitoring");
    assert!(matches!(report.state, EntryState::SignedOut | EntryState::Refused), "{:?}", report.state);
    // And with it everything goes on.
    let key = there(&company).root();
    add(&company, &key).await.unwrap();
    keys(&company).await.unwrap();
}

#[tokio::test]
async fn refusals_by_the_access_rules_name_the_network_and_not_the_key() {
    let (company, _) = at_work().await;
    there(&company).let_in(false);
    let refusal = keys(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::ServiceRefused);
    assert!(refusal.hint.contains("VPN"), "{refusal}");
}

#[tokio::test]
async fn a_key_goes_to_no_place_that_nobody_has_confirmed() {
    let (company, _) = at_work().await;
    let calls = || company.counts().arrived(Endpoint::OutscaleRead);
    let before = calls();
    company.configure(&CONFIG.replace("eu-west-2", "us-east-2").replace("OUTSCALE", "OUTSCALE/other"));
    assert_eq!(keys(&company).await.unwrap_err().code, Code::DestinationChanged);
    assert_eq!(calls(), before);
    let changes = company.changes().await;
    company.confirm(Some(changes)).await.unwrap();
    company.configure(CONFIG);
    // The place of before is still one that was confirmed, or has to be again; nothing went elsewhere.
    assert_eq!(calls(), before);
}

#[tokio::test]
async fn nothing_is_made_while_it_is_locked() {
    let (company, bootstrap) = at_work().await;
    company.control(keyfob_ipc::ControlAsk::Lock).await.unwrap();
    assert_eq!(company.keys(NAME).await.unwrap_err().code, Code::Locked);
    assert_eq!(made(&company, &bootstrap), [""; 0]);
}

#[tokio::test]
async fn no_secret_is_shown() {
    let (company, bootstrap) = at_work().await;
    let keys = keys(&company).await.unwrap();
    let secret = keys.secret_access_key.expose();
    let shown = format!("{:?} {keys:?} {:?}", company.report(NAME).await, company.agent.leases);
    assert!(!shown.contains(secret) && !shown.contains(&bootstrap.secret));
    let ledger = std::fs::read_to_string(company.state().join("ledger.jsonl")).unwrap_or_default();
    assert!(!ledger.contains(secret) && !ledger.contains(&bootstrap.secret));
}
