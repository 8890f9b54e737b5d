//! Renewals under way while a person acts.

use std::time::Duration;

use keyfob_ipc::reply::{EntryState, Headers};
use keyfob_ipc::{Code, Refusal};
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{A_MOMENT, CONFIG, Company, HOUR, dev, eventually, okta};

type Asking = tokio::task::JoinHandle<Result<Headers, Refusal>>;

/// A session with a refresh under way that takes a while, and who waits for it.
async fn refresh_under_way(company: &Company) -> Asking {
    company.sign_in().await.unwrap();
    company.pass(2 * HOUR);
    company.faults().set_times(Endpoint::Token, Fault::Slow(Duration::from_millis(800)), 1);
    let (agent, entry) = (company.agent.clone(), company.entry("okta"));
    let asking = tokio::spawn(async move {
        entry.source.headers(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    });
    eventually("a refresh is under way", async || company.token_calls() == 2).await;
    asking
}

#[tokio::test]
async fn signing_out_during_a_renewal_leaves_nothing_behind() {
    let company = Company::open().await;
    // The provider cannot be told, so the refresh succeeds there.
    company.faults().set(Endpoint::Revoke, Fault::Status(500));
    let asking = refresh_under_way(&company).await;
    let said = company.sign_out().await.unwrap();
    assert!(said.contains("could not be told"), "{said}");
    asking.await.unwrap().unwrap_err();
    assert!(company.vault.item("sso.okta").await.is_none());
    assert!(company.agent.leases.get(&okta()).is_none());
    company.pass(A_MOMENT);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded);
    assert_eq!(company.report("okta").await.state, EntryState::SignedOut);
}

#[tokio::test]
async fn signing_in_during_a_renewal_is_not_undone_by_it() {
    let company = Company::open().await;
    let asking = refresh_under_way(&company).await;
    company.sign_in().await.unwrap();
    let stored = company.stored_refresh_token().await;
    // Whoever waited may be refused once, but not told to sign in.
    if let Err(refusal) = asking.await.unwrap() {
        assert_eq!(refusal.code, Code::Pending, "{refusal}");
    }
    assert_eq!(company.stored_refresh_token().await, stored);
    assert_eq!(company.report("okta").await.state, EntryState::Live);
    company.bearer().await.unwrap();
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn signing_out_and_in_during_a_renewal_keeps_the_new_session() {
    let company = Company::open().await;
    company.faults().set(Endpoint::Revoke, Fault::Status(500));
    let asking = refresh_under_way(&company).await;
    company.sign_out().await.unwrap();
    company.sign_in().await.unwrap();
    let stored = company.stored_refresh_token().await;
    let _ = asking.await.unwrap();
    assert_eq!(company.stored_refresh_token().await, stored);
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn confirming_during_a_renewal_loses_neither() {
    let company = Company::open().await;
    let asking = refresh_under_way(&company).await;
    let stored = company.stored_refresh_token().await;
    company.configure(&CONFIG.replace("*.cache.acme.dev", "*.acme.dev"));
    let shown = company.changes().await;
    company.confirm(Some(shown)).await.unwrap();
    let _ = asking.await.unwrap();
    assert_ne!(company.stored_refresh_token().await, stored, "the provider has rotated");
    assert_eq!(company.changes().await, []);
    company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_renewal() {
    let company = Company::open().await;
    let asking = refresh_under_way(&company).await;
    asking.abort();
    company.agent.flights.quiet().await;
    company.bearer().await.unwrap();
    assert_eq!(company.token_calls(), 2);
    assert!(company.stored_refresh_token().await.is_some());
}

#[tokio::test]
async fn an_edit_during_a_renewal_does_not_get_the_keys_of_the_old_role() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.faults().set_times(Endpoint::Sts, Fault::Slow(Duration::from_millis(500)), 1);
    let (agent, entry) = (company.agent.clone(), company.entry("dev"));
    let asking = tokio::spawn(async move {
        entry.source.aws_credentials(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    });
    eventually("STS is asked", async || company.sts_calls() == 1).await;
    company.configure(&CONFIG.replace("role/OktaRole", "role/ReadOnlyRole"));
    company.agent.config().unwrap();
    let _ = asking.await.unwrap();
    company.agent.flights.quiet().await;
    company.pass(A_MOMENT);
    company.keys("dev").await.unwrap();
    assert_eq!(company.counts().role("arn:aws:iam::123456789012:role/ReadOnlyRole"), 1);
    assert!(company.agent.leases.get(&dev()).is_some());
}
