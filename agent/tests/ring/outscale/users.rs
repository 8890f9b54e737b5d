//! Whose keys they are, where that changes.

use super::*;

fn edited() -> String {
    CONFIG.replace("user = \"monitoring\"", "user = \"auditor\"")
}

/// Another user is written into the configuration, and confirmed.
async fn moved(company: &Company) {
    there(company).add_user("auditor", RENEWAL, None);
    company.configure(&edited());
    let changes = company.changes().await;
    assert_eq!(changes[0].places, ["user auditor"]);
    company.confirm(Some(changes)).await.unwrap();
}

#[tokio::test]
async fn another_user_waits_for_a_word() {
    let (company, _) = at_work().await;
    keys(&company).await.unwrap();
    there(&company).add_user("auditor", RENEWAL, None);
    company.configure(&edited());
    assert_eq!(keys(&company).await.unwrap_err().code, Code::DestinationChanged);
    assert_eq!(there(&company).calls("CreateAccessKey"), 1);
    company.configure(CONFIG);
    keys(&company).await.unwrap();
}

#[tokio::test]
async fn another_user_gets_keys_of_its_own_and_those_before_are_put_away() {
    let (company, bootstrap) = at_work().await;
    let before = keys(&company).await.unwrap().access_key_id;
    moved(&company).await;
    let served = keys(&company).await.unwrap().access_key_id;
    assert!(there(&company).keys_of("auditor").iter().any(|key| key.id == served));
    assert!(there(&company).signs(&before), "somebody may still hold it");
    let mending = mend(&company);
    company.pass(12 * HOUR + MINUTE);
    eventually("the other user's key is gone", async || made(&company, &bootstrap).is_empty()).await;
    assert_eq!(there(&company).expiries_lost(), 0);
    mending.abort();
}

#[tokio::test]
async fn a_key_that_was_made_for_another_user_is_removed_and_never_served() {
    let (company, bootstrap) = at_work().await;
    // Made and stored, and not known anywhere for long.
    there(&company).set_propagation(1000);
    keys(&company).await.unwrap_err();
    assert_eq!(made(&company, &bootstrap).len(), 1);
    there(&company).set_propagation(0);
    moved(&company).await;
    company.pass(HOUR);
    let served = keys(&company).await.unwrap().access_key_id;
    assert!(there(&company).keys_of("auditor").iter().any(|key| key.id == served));
    assert_eq!(made(&company, &bootstrap), [""; 0]);
}

#[tokio::test]
async fn a_removal_takes_the_keys_of_the_user_before_along() {
    let (company, bootstrap) = at_work().await;
    let before = keys(&company).await.unwrap().access_key_id;
    moved(&company).await;
    let said = company.remove_token(NAME).await.unwrap();
    assert!(said.contains("removed here, and at OUTSCALE what the agent made"), "{said}");
    assert!(!there(&company).signs(&before) && !there(&company).signs(&bootstrap.id));
    let left = there(&company).keys_of("monitoring");
    assert!(left.len() == 1 && said.contains(&left[0].id), "{left:?}");
}

#[tokio::test]
async fn a_bootstrap_key_of_somebody_else_stays_and_that_is_said() {
    let (company, key) = company().await;
    let root = there(&company).root();
    add(&company, &root).await.unwrap();
    let served = keys(&company).await.unwrap().access_key_id;
    let said = company.remove_token(NAME).await.unwrap();
    assert!(said.contains("is of another user and stays good there"), "{said}");
    assert!(there(&company).signs(&root.id) && !there(&company).signs(&served));
    assert_eq!(made(&company, &key), [""; 0], "with a key that stays, all the others go");
}
