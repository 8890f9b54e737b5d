//! An issuer that lies, and clocks that differ.

use std::time::Duration;

use keyfob_ipc::{Code, Flow, Refusal};
use keyfob_sandbox::{Endpoint, Fault, Lie};

use crate::company::{A_MOMENT, Company, HOUR, okta};
use crate::person::Person;

/// Signs in with a fault at hand, which must fail and leave nothing behind.
async fn refused(company: &Company, endpoint: Endpoint, fault: Fault) -> Refusal {
    company.faults().set(endpoint, fault.clone());
    let (person, mut seen) = Person::who_opens_the_browser();
    let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
    if endpoint != Endpoint::Discovery {
        let page = seen.page().await;
        assert_eq!(page.status, 400);
        assert!(page.body.contains("You are not signed in"), "{fault:?}: {}", page.body);
    }
    company.faults().clear_all();
    assert!(company.vault.item("sso.okta").await.is_none(), "{fault:?}");
    assert!(company.agent.leases.get(&okta()).is_none(), "{fault:?}");
    assert_eq!(company.vault.stores(), 0, "{fault:?}");
    company.pass(A_MOMENT);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded, "{fault:?}");
    refusal
}

#[tokio::test]
async fn no_lie_in_an_id_token_is_believed() {
    let company = Company::open().await;
    for (lie, word) in [
        (Lie::WrongIss, "another issuer"),
        (Lie::WrongAud, "another client"),
        (Lie::WrongNonce, "nonce"),
        (Lie::Expired, "clock"),
        (Lie::Unsigned, "signed"),
        (Lie::BadSignature, "signed"),
    ] {
        let refusal = refused(&company, Endpoint::Token, Fault::Lie(lie)).await;
        assert_eq!(refusal.code, Code::ProviderUntrusted, "{lie:?}");
        assert!(refusal.say.contains(word), "{lie:?}: {refusal}");
        assert!(!refusal.hint.is_empty(), "{lie:?}");
    }
    company.sign_in().await.unwrap();
}

#[tokio::test]
async fn no_lie_in_the_redirect_is_believed_and_the_code_is_not_redeemed() {
    let company = Company::open().await;
    for (lie, word) in [(Lie::WrongIss, "another issuer"), (Lie::MissingIss, "does not name its issuer")] {
        let refusal = refused(&company, Endpoint::Authorize, Fault::Lie(lie)).await;
        assert_eq!(refusal.code, Code::ProviderUntrusted, "{lie:?}");
        assert!(refusal.say.contains(word), "{lie:?}: {refusal}");
    }
    assert_eq!(company.token_calls(), 0);
}

#[tokio::test]
async fn metadata_of_another_issuer_opens_no_page() {
    let company = Company::open().await;
    let refusal = refused(&company, Endpoint::Discovery, Fault::Lie(Lie::WrongIss)).await;
    assert_eq!(refusal.code, Code::ProviderUntrusted);
    assert!(refusal.say.contains("another issuer"), "{refusal}");
    assert_eq!(company.counts().arrived(Endpoint::Authorize), 0);
}

#[tokio::test]
async fn a_forced_error_of_the_token_endpoint_is_named() {
    let company = Company::open().await;
    let error = Fault::OAuthError("unauthorized_client".to_owned());
    let refusal = refused(&company, Endpoint::Token, error).await;
    assert_eq!(refusal.code, Code::ProviderRefused);
    assert!(refusal.say.contains("unauthorized_client"), "{refusal}");
}

#[tokio::test]
async fn clocks_may_differ_by_half_a_minute() {
    for skew in [30, -30] {
        let company = Company::open().await;
        company.faults().set(Endpoint::Token, Fault::Skew(skew));
        company.sign_in().await.unwrap();
        company.bearer().await.unwrap();
        company.pass(HOUR);
        company.bearer().await.unwrap();
        assert_eq!(company.counts().refreshes(), 1);
    }
}

#[tokio::test]
async fn clocks_that_differ_by_hours_are_refused_with_a_word_about_the_clock() {
    let company = Company::open().await;
    for skew in [3600, -2 * 3600] {
        let refusal = refused(&company, Endpoint::Token, Fault::Skew(skew)).await;
        assert_eq!(refusal.code, Code::ProviderUntrusted);
        assert!(refusal.say.contains("clock"), "{skew}: {refusal}");
    }
}

#[tokio::test]
async fn a_clock_that_was_wrong_at_a_renewal_ends_no_session() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.pass(2 * HOUR);
    company.faults().set_times(Endpoint::Token, Fault::Skew(3600), 1);
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderUntrusted);
    assert!(refusal.say.contains("clock"), "{refusal}");
    // The provider has rotated: only the new refresh token is worth something now.
    company.pass(A_MOMENT);
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_lie_at_a_renewal_hands_nothing_out_and_signs_nobody_out() {
    for lie in [Lie::WrongIss, Lie::WrongAud, Lie::Expired, Lie::Unsigned, Lie::BadSignature] {
        let company = Company::open().await;
        company.sign_in().await.unwrap();
        company.pass(2 * HOUR);
        company.faults().set_times(Endpoint::Token, Fault::Lie(lie), 1);
        assert_eq!(company.bearer().await.unwrap_err().code, Code::ProviderUntrusted, "{lie:?}");
        company.pass(A_MOMENT);
        company.bearer().await.unwrap_or_else(|refusal| panic!("{lie:?}: {refusal}"));
    }
}

#[tokio::test]
async fn tokens_of_another_person_are_refused() {
    let mut company = Company::open().await;
    company.sign_in().await.unwrap();
    let mut item = company.vault.item("sso.okta").await.unwrap();
    item["facts"]["more"]["subject"] = "00u1bob0demo".into();
    company.vault.put_item("sso.okta", &item).await;
    company.restart();
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderUntrusted);
    assert!(refusal.say.contains("another person"), "{refusal}");
    assert!(company.agent.leases.get(&okta()).is_none());
    company.pass(Duration::from_secs(10));
    assert_eq!(company.bearer().await.unwrap_err().code, Code::ProviderUntrusted);
}
