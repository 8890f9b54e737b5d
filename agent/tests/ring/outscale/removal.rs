//! What the agent has made goes with the entry.

use keyfob_ipc::ControlAsk;

use super::*;

#[tokio::test]
async fn a_removal_takes_every_key_along() {
    let (company, bootstrap) = at_work().await;
    let served = keys(&company).await.unwrap().access_key_id;
    let said = company.remove_token(NAME).await.unwrap();
    assert!(said.contains("its keys, also the one that you gave (--keep-at-service spares it)"), "{said}");
    assert!(said.contains("cannot delete itself") && said.contains("delete it on the console"), "{said}");
    assert!(!there(&company).signs(&bootstrap.id) && !there(&company).signs(&served));
    // The one that signed to the last cannot delete itself; it is off and goes on to have an end.
    let left = there(&company).keys_of("monitoring");
    assert!(left.len() == 1 && !left[0].is_active && left[0].ends.is_some(), "{left:?}");
    assert!(said.contains(&left[0].id));
    assert_eq!(there(&company).expiries_lost(), 0);
    assert_eq!(keys(&company).await.unwrap_err().code, Code::TokenNeeded);
}

#[tokio::test]
async fn the_bootstrap_key_stays_where_that_is_wanted() {
    let (company, bootstrap) = at_work().await;
    keys(&company).await.unwrap();
    let ask = ControlAsk::TokenRemove { name: NAME.to_owned(), keep_at_service: true };
    company.control(ask).await.unwrap();
    assert!(there(&company).signs(&bootstrap.id));
    assert_eq!(made(&company, &bootstrap), [""; 0]);
    assert!(company.vault.item(NAME).await.is_none());
}

#[tokio::test]
async fn another_bootstrap_key_takes_over_what_was_made() {
    let (company, _) = at_work().await;
    let served = keys(&company).await.unwrap().access_key_id;
    let root = there(&company).root();
    let said = add(&company, &root).await.unwrap();
    assert!(said.contains("is kept"), "{said}");
    assert_eq!(keys(&company).await.unwrap().access_key_id, served);
    assert_eq!(there(&company).calls("CreateAccessKey"), 1);
}
