//! JupyterHub: a second token is made, takes the first one's place and deletes it.

use super::*;

const CONFIG: &str = r#"
[token.hub]
hosts = ["hub.acme.dev"]
service = "jupyterhub"
api = "JUPYTERHUB"
"#;
const HUB: &str = "https://hub.acme.dev/hub";

async fn company() -> (Company, String) {
    let company = Company::with(CONFIG, |_| {}).await;
    let value = company.sandbox.jupyterhub().issue_token("ada", Some(jiff::SignedDuration::from_hours(24)));
    company.add_token("hub", &value).await.unwrap();
    (company, value)
}

async fn bearer(company: &Company) -> String {
    let value = served_at(company, HUB).await.unwrap();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}

/// The hub has the one token that is held, and no other.
async fn is_alone(company: &Company) -> bool {
    let held = item(company, "hub").await["value"].as_str().unwrap().to_owned();
    company.sandbox.jupyterhub().tokens_of("ada") == [held.clone()] && bearer(company).await == held
}

#[tokio::test]
async fn the_second_token_takes_over_and_deletes_the_first() {
    let (company, old) = company().await;
    for _ in 0..3 {
        let before = bearer(&company).await;
        let report = rotate(&company, "hub").await.unwrap();
        assert_eq!(report.owner.as_deref(), Some("ada"));
        assert!(
            report.lost.is_empty() && report.notes.iter().all(|note| note.weight == Weight::Known),
            "{report:?}"
        );
        assert_ne!(bearer(&company).await, before);
        assert!(is_alone(&company).await);
        assert_eq!(step(&company, "hub").await, None);
        company.pass(HOUR);
    }
    assert_ne!(bearer(&company).await, old);
}

#[tokio::test]
async fn a_second_token_whose_value_was_lost_is_deleted_and_another_one_made() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::HubCreate, Fault::Reset, 1);
    rotate(&company, "hub").await.unwrap();
    assert!(is_alone(&company).await);
    assert_ne!(bearer(&company).await, old);
}

#[tokio::test]
async fn what_was_left_by_a_lost_answer_is_found_once_the_hub_can_be_asked() {
    let (mut company, old) = company().await;
    company.faults().set_times(Endpoint::HubCreate, Fault::Reset, 1);
    company.faults().set(Endpoint::HubList, Fault::Status(503));
    assert_eq!(rotate(&company, "hub").await.unwrap_err().code, Code::Offline);
    assert_eq!(step(&company, "hub").await.as_deref(), Some("asking"));
    assert_eq!(bearer(&company).await, old);
    assert_eq!(company.sandbox.jupyterhub().tokens_of("ada").len(), 2);

    company.faults().clear_all();
    company.restart();
    mend(&company);
    eventually("it is finished", async || step(&company, "hub").await.is_none()).await;
    assert!(is_alone(&company).await);
    assert_ne!(bearer(&company).await, old);
}

#[tokio::test]
async fn the_first_one_is_deleted_later_where_the_hub_is_away() {
    let (company, old) = company().await;
    mend(&company);
    company.faults().set(Endpoint::HubDelete, Fault::Status(503));
    let report = rotate(&company, "hub").await.unwrap();
    assert!(report.notes.iter().any(|note| note.say.contains("still to be deleted")), "{report:?}");
    assert_eq!(step(&company, "hub").await.as_deref(), Some("deleting"));
    let new = bearer(&company).await;
    assert_ne!(new, old);
    // A second one is not begun before.
    assert_eq!(rotate(&company, "hub").await.unwrap_err().code, Code::Offline);
    company.faults().clear_all();
    company.pass(HOUR);
    eventually("it is deleted", async || step(&company, "hub").await.is_none()).await;
    assert!(is_alone(&company).await);
    assert_eq!(bearer(&company).await, new);
}

#[tokio::test]
async fn one_that_cannot_be_proven_now_takes_over_later() {
    let (company, old) = company().await;
    company.vault.hold_stores();
    let rotating = begin(&company, "hub");
    eventually("the intent is on its way", async || company.vault.stores() == 2).await;
    company.vault.release_stores();
    // The hub goes away right after it has made the second one.
    eventually("it is made", async || company.sandbox.jupyterhub().tokens_of("ada").len() == 2).await;
    company.faults().set(Endpoint::HubUser, Fault::Status(503));
    if rotating.await.unwrap().is_err() {
        assert_eq!(bearer(&company).await, old);
    }
    company.faults().clear_all();
    mend(&company);
    eventually("it takes over", async || {
        company.pass(LATE);
        step(&company, "hub").await.is_none()
    })
    .await;
    assert!(is_alone(&company).await);
}

#[tokio::test]
async fn one_that_is_somebody_elses_does_not_take_over() {
    let (company, old) = company().await;
    company.vault.hold_store(2);
    let rotating = begin(&company, "hub");
    eventually("the second one is on its way", async || company.vault.stores() == 3).await;
    let second = company.sandbox.jupyterhub().tokens_of("ada").pop().unwrap();
    company.sandbox.jupyterhub().hand_over(&second, "mallory");
    company.vault.release_stores();
    let refusal = rotating.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::ServiceRefused);
    assert!(refusal.say.contains("belongs to mallory, not to ada"), "{refusal}");
    assert!(!company.sandbox.jupyterhub().is_live(&second));
    assert!(is_alone(&company).await);
    assert_eq!((bearer(&company).await, step(&company, "hub").await), (old, None));
}

#[tokio::test]
async fn a_keychain_that_does_not_take_the_second_one_leaves_the_first() {
    let (company, old) = company().await;
    company.vault.fail_store(2, KeychainError::Locked);
    assert_eq!(rotate(&company, "hub").await.unwrap_err().code, Code::KeychainLocked);
    assert!(is_alone(&company).await);
    assert_eq!((bearer(&company).await, step(&company, "hub").await), (old.clone(), None));

    // Nor the swap: then the second one lies ready.
    company.vault.fail_store(3, KeychainError::Locked);
    assert_eq!(rotate(&company, "hub").await.unwrap_err().code, Code::KeychainLocked);
    assert_eq!(bearer(&company).await, old);
    assert_eq!(step(&company, "hub").await.as_deref(), Some("created"));
    let made = asked(&company, Endpoint::HubCreate);
    rotate(&company, "hub").await.unwrap();
    assert_eq!(asked(&company, Endpoint::HubCreate), made, "the one that lies ready takes over");
    assert!(is_alone(&company).await);
}

#[tokio::test]
async fn a_removal_in_the_middle_leaves_nothing_at_the_hub() {
    // Before the second one is noted, before it takes over, before the end is noted.
    for held_store in [2, 3, 4] {
        let (company, _) = company().await;
        company.vault.hold_store(held_store);
        let rotating = begin(&company, "hub");
        eventually("the store begins", async || company.vault.stores() == 1 + held_store).await;
        // Waits for the rotation.
        let removing = tokio::spawn({
            let agent = company.agent.clone();
            let ask = ControlAsk::TokenRemove { name: "hub".to_owned(), keep_at_service: false };
            async move { agent.control(ask).await }
        });
        turns().await;
        assert!(!removing.is_finished());
        company.vault.release_stores();
        removing.await.unwrap().unwrap();
        let _ = rotating.await.unwrap();
        assert!(company.vault.item("token.hub").await.is_none());
        assert_eq!(company.sandbox.jupyterhub().tokens_of("ada"), [""; 0], "held at store {held_store}");
    }
}

#[tokio::test]
async fn what_was_left_is_not_looked_for_at_a_place_that_nobody_has_confirmed() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::HubCreate, Fault::Reset, 1);
    company.faults().set(Endpoint::HubList, Fault::Status(503));
    rotate(&company, "hub").await.unwrap_err();
    let (elsewhere, log) = strange::fake(|_| (503, String::new())).await;
    company.configure(&CONFIG.replace("JUPYTERHUB", &elsewhere));
    company.add_token("hub", "another-token-1").await.unwrap();
    let log = log.lock().unwrap();
    assert!(!log.iter().any(|request| request.contains(&old)), "an edit got the value that was held");
}
