//! An item that is there twice: a clone of the machine, a restored backup, a home that was copied.

use serde_json::Value;

use super::*;
use keyfob_sandbox::{Endpoint, Fault};

/// The item of this moment.
async fn copied(company: &Company) -> Value {
    company.vault.item(NAME).await.unwrap()
}

/// From here on this is the machine that has that item.
async fn becomes(company: &mut Company, item: &Value) {
    company.vault.put_item(NAME, item).await;
    company.restart();
}

/// A new key serves from here on.
async fn renewed(company: &Company) -> String {
    let before = keys(company).await.unwrap().access_key_id;
    company.agent.flights.quiet().await;
    let after = keys(company).await.unwrap().access_key_id;
    assert_ne!(before, after);
    after
}

#[tokio::test]
async fn a_copy_and_its_origin_leave_each_others_keys_alone() {
    let (mut company, bootstrap) = at_work().await;
    keys(&company).await.unwrap();
    let copy = copied(&company).await;
    company.pass(9 * HOUR);
    let of_origin = renewed(&company).await;
    let origin = copied(&company).await;
    becomes(&mut company, &copy).await;
    // The copy has every reason to sweep: an answer is lost, and it starts again.
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    keys(&company).await.unwrap();
    company.agent.flights.quiet().await;
    assert_eq!(made(&company, &bootstrap).len(), 2, "the orphan is gone, and nothing else");
    company.pass(2 * MINUTE);
    let mending = mend(&company);
    let of_copy = renewed(&company).await;
    assert!(there(&company).signs(&of_origin) && there(&company).signs(&of_copy));
    mending.abort();
    // And so has the origin.
    becomes(&mut company, &origin).await;
    let mending = mend(&company);
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    company.pass(9 * HOUR);
    keys(&company).await.unwrap();
    company.agent.flights.quiet().await;
    company.pass(2 * MINUTE);
    renewed(&company).await;
    assert!(there(&company).signs(&of_copy));
    mending.abort();
}

#[tokio::test]
async fn the_removal_of_a_copy_leaves_what_its_origin_made_since() {
    let (mut company, _) = at_work().await;
    let shared = keys(&company).await.unwrap().access_key_id;
    let copy = copied(&company).await;
    company.pass(9 * HOUR);
    let of_origin = renewed(&company).await;
    becomes(&mut company, &copy).await;
    company.remove_token(NAME).await.unwrap();
    assert!(!there(&company).signs(&shared) && there(&company).signs(&of_origin));
}

#[tokio::test]
async fn a_key_that_may_still_show_is_looked_for_again() {
    let (company, _) = at_work().await;
    let is_noted = async || copied(&company).await.to_string().contains("makings");
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    keys(&company).await.unwrap_err();
    assert!(is_noted().await, "nothing has shown that there is no second one");
    let mending = mend(&company);
    company.pass(2 * MINUTE);
    keys(&company).await.unwrap();
    assert!(is_noted().await);
    company.pass(4 * MINUTE);
    eventually("it is not looked for any more", async || !is_noted().await).await;
    mending.abort();
}
