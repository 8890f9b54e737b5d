//! Spending a refresh token.

use std::time::Duration;

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::Code;
use keyfob_ipc::limits::TOOL_PATIENCE;
use keyfob_ipc::reply::EntryState;
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{A_MOMENT, CACHE, CONFIG, Company, HOUR, MINUTE, eventually, okta};

/// A session whose first tokens have ended.
async fn ended_tokens() -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.pass(2 * HOUR);
    company
}

#[tokio::test]
async fn a_new_refresh_token_is_stored_before_what_it_came_with_is_handed_out() {
    let company = ended_tokens().await;
    let old = company.stored_refresh_token().await;
    company.vault.hold_stores();
    let agent = company.agent.clone();
    let entry = company.entry("okta");
    let asking = tokio::spawn(async move {
        entry.source.headers(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    });
    eventually("the keychain is asked to store", async || company.vault.stores() == 2).await;
    assert_eq!(company.counts().refreshes(), 1);
    assert!(!asking.is_finished());
    // The lease of the sign-in, which has ended.
    let lease = company.agent.leases.get(&okta()).unwrap();
    assert!(lease.until < company.agent.clock.now());

    company.vault.release_stores();
    asking.await.unwrap().unwrap();
    assert_ne!(company.stored_refresh_token().await, old);
}

#[tokio::test]
async fn a_refresh_token_that_the_keychain_did_not_take_is_kept_and_no_second_one_is_spent() {
    let company = ended_tokens().await;
    let old = company.stored_refresh_token().await;
    company.vault.fail_store(1, KeychainError::Locked);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::KeychainLocked);
    assert_eq!(company.stored_refresh_token().await, old);

    // As long as it does not take it, nothing more is bought.
    company.vault.set(Some(KeychainError::Locked));
    assert_eq!(company.report("okta").await.state, EntryState::Waiting);
    for _ in 0..3 {
        company.pass(A_MOMENT);
        assert_eq!(company.bearer().await.unwrap_err().code, Code::KeychainLocked);
    }
    assert_eq!(company.counts().refreshes(), 1);

    company.vault.set(None);
    company.pass(A_MOMENT);
    company.bearer().await.unwrap();
    assert_ne!(company.stored_refresh_token().await, old);
    assert_eq!(company.counts().refreshes(), 1, "what was bought with the first one is used");
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn a_dead_refresh_token_is_read_again_once_because_another_hand_may_have_renewed_it() {
    let company = ended_tokens().await;
    // Knows the first refresh token from here on.
    assert_eq!(company.report("okta").await.state, EntryState::Live);
    let other = company.another_agent();
    let entry = company.entry("okta");
    entry.source.headers(&other, &entry, &keyfob_agent::policy::Permit::of_a_test()).await.unwrap();
    let renewed = company.stored_refresh_token().await;

    company.faults().set_times(Endpoint::Token, Fault::InvalidGrant, 1);
    let loads = company.vault.loads();
    company.bearer().await.unwrap();
    assert_eq!(company.vault.loads(), loads + 1);
    assert_ne!(company.stored_refresh_token().await, renewed, "it was spent, and its successor stored");
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn an_ended_session_is_not_asked_for_again_until_somebody_signs_in() {
    let company = ended_tokens().await;
    company.sandbox.issuer().end_all_sessions();
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::SignInNeeded);
    assert_eq!(refusal.hint, "keyfob login okta");
    let calls = company.token_calls();
    for _ in 0..20 {
        company.pass(MINUTE);
        assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded);
        assert_eq!(company.keys("dev").await.unwrap_err().code, Code::SignInNeeded);
    }
    assert_eq!(company.token_calls(), calls);
    assert_eq!(company.sts_calls(), 0);
    let report = company.report("okta").await;
    assert_eq!(report.state, EntryState::SignedOut);
    assert_eq!(report.refusal.unwrap().hint, "keyfob login okta");
    let role = company.report("dev").await;
    assert_eq!(role.state, EntryState::SignedOut);
    assert_eq!(role.refusal.unwrap().hint, "keyfob login okta");

    company.sign_in().await.unwrap();
    company.bearer().await.unwrap();
    company.keys("dev").await.unwrap();
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
    company.keys("dev").await.unwrap();
}

#[tokio::test]
async fn trouble_on_the_way_signs_nobody_out() {
    // A provider that does not rotate: what is lost on the way can be asked for again.
    for fault in [
        Fault::Status(500),
        Fault::Status(403),
        Fault::Html,
        Fault::Reset,
        Fault::Endless,
        Fault::OAuthError("temporarily_unavailable".to_owned()),
    ] {
        let company = Company::with(CONFIG, |options| options.issuer.rotate_refresh_tokens = false).await;
        company.sign_in().await.unwrap();
        company.pass(2 * HOUR);
        company.faults().set(Endpoint::Token, fault.clone());
        let refusal = company.bearer().await.unwrap_err();
        assert_ne!(refusal.code, Code::SignInNeeded, "{fault:?}");
        assert!(!refusal.hint.is_empty(), "{fault:?}");
        let state = company.report("okta").await.state;
        assert!(matches!(state, EntryState::Waiting | EntryState::Refused), "{fault:?}: {state:?}");
        assert!(company.stored_refresh_token().await.is_some(), "{fault:?}");

        company.faults().clear_all();
        company.pass(A_MOMENT);
        company.bearer().await.unwrap_or_else(|refusal| panic!("{fault:?}: {refusal}"));
        assert_eq!(company.report("okta").await.state, EntryState::Live, "{fault:?}");
    }
}

#[tokio::test]
async fn a_rotation_that_is_lost_on_the_way_ends_the_session_by_the_providers_word_alone() {
    let company = ended_tokens().await;
    company.faults().set_times(Endpoint::Token, Fault::Reset, 1);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::Offline);
    assert_eq!(company.report("okta").await.state, EntryState::Waiting);
    company.pass(A_MOMENT);
    assert_eq!(company.bearer().await.unwrap_err().code, Code::SignInNeeded);
    company.sign_in().await.unwrap();
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_slow_provider_is_answered_for_in_time_and_its_answer_is_not_lost() {
    let company = ended_tokens().await;
    company.faults().set_times(Endpoint::Token, Fault::Slow(Duration::from_millis(2500)), 1);
    let asked = std::time::Instant::now();
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::Pending);
    assert!(asked.elapsed() < TOOL_PATIENCE);
    eventually("the flight lands", async || {
        company.agent.leases.get(&okta()).unwrap().until > company.agent.clock.now()
    })
    .await;
    company.bearer().await.unwrap();
    assert_eq!(company.token_calls(), 2, "the sign-in's and one more");
}

#[tokio::test]
async fn a_refresh_asks_for_an_id_token_too() {
    let company = ended_tokens().await;
    // The company gives one only where `openid` is in the scope of the refresh, and STS takes nothing else.
    company.keys("dev").await.unwrap();
    assert_eq!(company.counts().refreshes(), 1);
}

#[tokio::test]
async fn a_host_can_get_the_id_token_instead() {
    let config = CONFIG
        .replace("hosts = [\"*.cache.acme.dev\"]", "hosts = [\"*.cache.acme.dev\"]\npresent = \"id_token\"");
    let company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    assert!(company.bearer().await.unwrap().starts_with("Bearer ey"));
    company.pass(2 * HOUR);
    assert!(company.bearer().await.unwrap().starts_with("Bearer ey"));
}

#[tokio::test]
async fn a_refresh_token_that_stays_the_same_is_not_written_again() {
    let company = Company::with(CONFIG, |options| options.issuer.rotate_refresh_tokens = false).await;
    company.sign_in().await.unwrap();
    for round in 1..=3 {
        company.pass(2 * HOUR);
        company.bearer().await.unwrap();
        assert_eq!(company.counts().refreshes(), round);
    }
    assert_eq!(company.vault.stores(), 1);
}

#[tokio::test]
async fn without_a_refresh_token_the_session_lasts_as_long_as_its_tokens() {
    let config = CONFIG.replace(
        "client_id = \"keyfob-demo\"",
        "client_id = \"keyfob-demo\"\nscopes = [\"openid\", \"email\"]",
    );
    let mut company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    let bearer = company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.until.as_deref(), Some("2026-11-21T09:00:00Z"));

    company.restart();
    company.pass(50 * MINUTE);
    assert_eq!(company.bearer().await.unwrap(), bearer);
    company.keys("dev").await.unwrap();
    assert_eq!(company.token_calls(), 1);

    company.pass(20 * MINUTE);
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::SignInNeeded);
    assert_eq!(refusal.hint, "keyfob login okta");
    assert_eq!(company.report("okta").await.state, EntryState::SignedOut);
}

#[tokio::test]
async fn three_hundred_asks_at_once_make_one_refresh_and_read_the_keychain_once() {
    let mut company = ended_tokens().await;
    company.restart();
    let loads = company.vault.loads();
    let asks: Vec<_> = (0..300)
        .map(|_| {
            let agent = company.agent.clone();
            tokio::spawn(async move {
                let uri = CACHE.to_owned();
                agent.tool(keyfob_ipc::ToolAsk::Get { uri }).await
            })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(company.counts().refreshes(), 1);
    assert_eq!(company.vault.loads(), loads + 1);
    assert_eq!(company.vault.stores(), 2);
}

#[tokio::test]
async fn a_session_is_renewed_in_the_background_while_it_is_used() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let ahead = tokio::spawn(company.agent.clone().renew_ahead());
    let first = company.bearer().await.unwrap();
    company.pass(56 * MINUTE);
    eventually("it is renewed", async || company.counts().refreshes() == 1).await;
    eventually("the new one is served", async || company.bearer().await.unwrap() != first).await;
    assert_eq!(company.counts().refreshes(), 1);
    ahead.abort();
}

#[tokio::test]
async fn a_session_that_came_with_a_sign_in_is_renewed_in_the_background_too() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let renewing = tokio::spawn(company.agent.clone().renew_ahead());
    // It waits for a lease that is used, and must hear of the first use.
    tokio::task::yield_now().await;
    company.bearer().await.unwrap();
    company.pass(HOUR - Duration::from_secs(60));
    eventually("a renewal that nobody asked for", async || company.counts().refreshes() == 1).await;
    renewing.abort();
}

#[tokio::test]
async fn the_words_of_a_moment_in_which_a_file_is_empty_or_gone_end_nothing() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let bearer = company.bearer().await.unwrap();
    company.configure("");
    assert_eq!(company.bearer().await.unwrap(), bearer);
    company.configure("[agent]\nkeychain = \"memory\"\n");
    company.get(CACHE).await.unwrap();
    company.configure(CONFIG);
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
    assert_eq!(company.counts().grant("authorization_code"), 1, "the session is still there");
}
