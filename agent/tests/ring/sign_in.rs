//! Signing in with a browser.

use std::net::TcpListener;
use std::time::Duration;

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, Flow};
use keyfob_sandbox::browser;
use keyfob_sandbox::{Endpoint, Fault, Lie};

use crate::company::{A_MOMENT, CONFIG, Company, HOUR, eventually, okta};
use crate::person::Person;

#[tokio::test]
async fn a_session_is_in_the_keychain_before_anything_of_it_is_handed_out() {
    let company = Company::open().await;
    company.vault.hold_stores();
    let (person, mut seen) = Person::who_opens_the_browser();
    let signing_in = company.begin_sign_in(person, Flow::Browser);
    eventually("the keychain is asked to store", async || company.vault.stores() == 1).await;
    assert!(company.agent.leases.get(&okta()).is_none());
    assert!(!signing_in.is_finished());

    company.vault.release_stores();
    signing_in.await.unwrap().unwrap();
    assert!(seen.page().await.body.contains("signed in to `sso.okta` as ada@example.com"));
    assert!(company.bearer().await.unwrap().starts_with("Bearer at_"));
    assert_eq!(company.token_calls(), 1, "the sign-in's own token was used");
    let report = company.report("okta").await;
    assert_eq!((report.state, report.owner.as_deref()), (EntryState::Live, Some("ada@example.com")));
}

#[tokio::test]
async fn every_attempt_is_fresh_and_proves_itself() {
    let company = Company::open().await;
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let (task, seen, address) = company.sign_in_under_way().await;
        let query: std::collections::HashMap<String, String> =
            url::Url::parse(&address).unwrap().query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], "keyfob-demo");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        assert!(query["redirect_uri"].starts_with("http://127.0.0.1:"));
        assert!(query["redirect_uri"].ends_with("/callback"));
        for secret in ["state", "nonce", "code_challenge"] {
            assert!(query[secret].len() >= 22, "{secret}");
            attempts.push(query[secret].clone());
        }
        seen.leave();
        assert_eq!(task.await.unwrap().unwrap_err().code, Code::CalledOff);
    }
    let all = attempts.len();
    attempts.sort();
    attempts.dedup();
    assert_eq!(attempts.len(), all);
}

#[tokio::test]
async fn nobody_is_sent_to_the_provider_for_a_session_that_could_not_be_kept() {
    let company = Company::open().await;
    for (error, code) in [
        (KeychainError::Locked, Code::KeychainLocked),
        (KeychainError::Missing, Code::KeychainMissing),
        (KeychainError::Denied, Code::KeychainDenied),
    ] {
        company.vault.set(Some(error));
        let (person, mut seen) = Person::who_opens_the_browser();
        let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
        assert_eq!(refusal.code, code);
        assert!(!refusal.hint.is_empty());
        assert!(seen.was_left_alone());
    }
    assert_eq!(company.counts().arrived(Endpoint::Discovery), 0);
}

#[tokio::test]
async fn a_keychain_that_fails_at_the_last_moment_leaves_the_session_unused_until_it_took_it() {
    let company = Company::open().await;
    company.vault.fail_store(1, KeychainError::Failed("no space".to_owned()));
    let (person, mut seen) = Person::who_opens_the_browser();
    let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainFailed);
    assert!(seen.page().await.body.contains("You are not signed in"));
    assert!(company.agent.leases.get(&okta()).is_none());

    company.bearer().await.unwrap();
    assert!(company.stored_refresh_token().await.is_some());
    assert_eq!(company.counts().grant("authorization_code"), 1);
}

#[tokio::test]
async fn a_session_that_the_keychain_takes_late_follows_one_that_had_ended() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.sandbox.issuer().end_all_sessions();
    company.pass(2 * HOUR);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded);
    company.vault.fail_store(1, KeychainError::Locked);
    assert_eq!(company.sign_in().await.unwrap_err().code, Code::KeychainLocked);
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn nothing_of_the_session_before_serves_while_the_keychain_has_not_taken_the_new_one() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let before = company.bearer().await.unwrap();
    company.vault.refuse_stores(Some(KeychainError::Locked));
    assert_eq!(company.sign_in().await.unwrap_err().code, Code::KeychainLocked);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::KeychainLocked);
    company.vault.refuse_stores(None);
    company.pass(A_MOMENT);
    assert_ne!(company.bearer().await.unwrap(), before);
}

#[tokio::test]
async fn a_return_that_is_not_the_awaited_one_changes_nothing() {
    let company = Company::open().await;
    let (task, _seen, address) = company.sign_in_under_way().await;
    company.faults().set_times(Endpoint::Authorize, Fault::Lie(Lie::WrongState), 1);
    let page = browser::visit(&address).await.unwrap();
    assert_eq!(page.status, 400);
    assert!(!task.is_finished());
    assert_eq!(company.token_calls(), 0);
    assert!(company.vault.item("sso.okta").await.is_none());

    // The genuine one still counts.
    assert_eq!(browser::visit(&address).await.unwrap().status, 200);
    task.await.unwrap().unwrap();
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_to_this_machine_is_turned_away() {
    let company = Company::open().await;
    let (task, seen, address) = company.sign_in_under_way().await;
    let address = url::Url::parse(&address).unwrap();
    let query = |name: &str| address.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let back = format!("{}?state={}&code=stolen&iss=x", query("redirect_uri"), query("state"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(back).header("host", "evil.example").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert!(!task.is_finished());
    assert_eq!(company.token_calls(), 0);
    seen.leave();
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::CalledOff);
}

#[tokio::test]
async fn the_providers_no_is_passed_on() {
    let company = Company::open().await;
    company.faults().set(Endpoint::Authorize, Fault::OAuthError("access_denied".to_owned()));
    let (person, mut seen) = Person::who_opens_the_browser();
    let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderRefused);
    assert!(refusal.say.contains("access_denied"), "{refusal}");
    assert_eq!(refusal.hint, "keyfob login okta");
    assert!(seen.page().await.body.contains("access_denied"));
    assert_eq!(company.token_calls(), 0);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded);
}

#[tokio::test]
async fn a_client_that_goes_away_calls_it_off_and_the_port_closes() {
    let company = Company::open().await;
    let (task, seen, address) = company.sign_in_under_way().await;
    seen.leave();
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::CalledOff);
    eventually("the port is closed", async || browser::visit(&address).await.is_err()).await;
    assert_eq!(company.token_calls(), 0);
    assert!(company.vault.item("sso.okta").await.is_none());
}

#[tokio::test]
async fn once_the_code_is_spent_the_sign_in_ends_well_whoever_goes_away() {
    let company = Company::open().await;
    company.faults().set(Endpoint::Token, Fault::Slow(Duration::from_millis(200)));
    let (person, seen) = Person::who_opens_the_browser();
    let signing_in = company.begin_sign_in(person, Flow::Browser);
    eventually("the code is being redeemed", async || company.token_calls() == 1).await;
    seen.leave();
    signing_in.abort();
    eventually("the session is kept", async || company.vault.item("sso.okta").await.is_some()).await;
    company.faults().clear_all();
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_provider_out_of_reach_is_offline_and_no_page_is_opened() {
    let company = Company::open().await;
    for fault in [Fault::Status(500), Fault::Html, Fault::Reset] {
        company.faults().set(Endpoint::Discovery, fault.clone());
        let (person, mut seen) = Person::who_opens_the_browser();
        let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
        assert_eq!(refusal.code, Code::Offline, "{fault:?}");
        assert!(!refusal.hint.is_empty());
        assert!(seen.was_left_alone());
        company.faults().clear_all();
    }
    company.sign_in().await.unwrap();
}

#[tokio::test]
async fn fixed_ports_are_tried_in_their_order() {
    let [first, second] = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let ports = [&first, &second].map(|listener| listener.local_addr().unwrap().port());
    let fixed = format!("client_id = \"keyfob-demo\"\nredirect_ports = [{}, {}]", ports[0], ports[1]);
    let config = CONFIG.replace("client_id = \"keyfob-demo\"", &fixed);
    let company = Company::with(&config, |options| options.issuer.redirect_ports = ports.to_vec()).await;

    let (person, mut seen) = Person::who_opens_the_browser();
    let refusal = company.sign_in_of(person, Flow::Browser).await.unwrap_err();
    assert!(refusal.say.contains(&ports[0].to_string()) && refusal.say.contains("in use"), "{refusal}");
    assert!(refusal.hint.contains("--device"));
    assert!(seen.was_left_alone());

    drop(second);
    let (person, mut seen) = Person::who_opens_the_browser();
    company.sign_in_of(person, Flow::Browser).await.unwrap();
    assert!(seen.address().await.contains(&format!("127.0.0.1%3A{}%2Fcallback", ports[1])));
}

#[tokio::test]
async fn a_second_sign_in_takes_the_place_of_the_first() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let (first, bearer) = (company.stored_refresh_token().await, company.bearer().await.unwrap());
    company.pass(A_MOMENT);
    company.sign_in().await.unwrap();
    assert_ne!(company.stored_refresh_token().await, first);
    assert_ne!(company.bearer().await.unwrap(), bearer);
    assert_eq!(company.vault.item("sso.okta").await.unwrap()["generation"], 2);
}
