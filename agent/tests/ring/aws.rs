//! Keys of an AWS role: when they are bought, served and dropped.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyfob_ipc::Code;
use keyfob_ipc::limits::TOOL_PATIENCE;
use keyfob_ipc::reply::EntryState;
use keyfob_sandbox::{Endpoint, Fault, StsError};

use crate::company::{A_MOMENT, CONFIG, Company, HOUR, MINUTE, ROLE, YEAR, dev, eventually};

async fn signed_in() -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company
}

#[tokio::test]
async fn the_answer_is_the_protocols_own() {
    let company = signed_in().await;
    let keys = company.keys("dev").await.unwrap();
    assert_eq!(keys.version, 1);
    assert!(keys.access_key_id.starts_with("ASIA"));
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T09:00:00Z"));
    assert_eq!(keys.account_id.as_deref(), Some("123456789012"));
    assert!(keys.session_token.is_some());
    assert_eq!(company.counts().last_role_session_name.as_deref(), Some("ada@example.com"));
    assert!(!format!("{keys:?}").contains(keys.secret_access_key.expose().as_str()));
}

#[tokio::test]
async fn the_person_names_the_session_unless_the_entry_does_and_the_duration_is_passed_on() {
    let more = "region = \"eu-west-1\"\nsession_name = \"build-farm\"\nduration = \"2h\"";
    let config = CONFIG.replace("region = \"eu-west-1\"", more);
    let company = Company::with(&config, |options| {
        options.issuer.person.email = "Ada L\u{f6}velace (dev)@example.com".into();
    })
    .await;
    company.sign_in().await.unwrap();
    let keys = company.keys("dev").await.unwrap();
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T10:00:00Z"));
    assert_eq!(company.counts().last_role_session_name.as_deref(), Some("build-farm"));

    company.configure(CONFIG);
    company.keys("dev").await.unwrap();
    let name = company.counts().last_role_session_name;
    assert_eq!(name.as_deref(), Some("Ada-L-velace--dev-@example.com"));
}

#[tokio::test]
async fn three_hundred_callers_make_one_call() {
    let company = signed_in().await;
    let asks: Vec<_> = (0..300)
        .map(|_| {
            let agent = company.agent.clone();
            let ask = keyfob_ipc::ToolAsk::CredentialProcess {
                name: "dev".to_owned(),
                role_arn: None,
                task_role: false,
            };
            tokio::spawn(async move { agent.tool(ask).await })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(company.sts_calls(), 1);
    assert_eq!(company.counts().role(ROLE), 1);
}

#[tokio::test]
async fn keys_in_use_are_renewed_in_the_background_from_twenty_minutes_left() {
    let company = signed_in().await;
    let ahead = tokio::spawn(company.agent.clone().renew_ahead());
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.pass(39 * MINUTE);
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, first);
    assert_eq!(company.sts_calls(), 1);

    company.pass(MINUTE);
    eventually("STS is asked again", async || company.sts_calls() == 2).await;
    eventually("the new keys are there", async || {
        company.agent.leases.get(&dev()).unwrap().renew_from > company.agent.clock.now()
    })
    .await;
    // Nobody has used these: they are not renewed for ever.
    for _ in 0..12 {
        company.pass(30 * MINUTE);
        company.agent.flights.quiet().await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(company.sts_calls(), 2);
    // The next caller gets new ones.
    assert_ne!(company.keys("dev").await.unwrap().access_key_id, first);
    assert_eq!(company.sts_calls(), 3);
    ahead.abort();
}

#[tokio::test]
async fn between_twenty_and_fifteen_minutes_nobody_waits() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.pass(42 * MINUTE);
    company.faults().set_times(Endpoint::Sts, Fault::Slow(Duration::from_millis(700)), 1);
    // Whoever waited would have got the new ones.
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, first);
    eventually("the new keys are there", async || company.keys("dev").await.unwrap().access_key_id != first)
        .await;
    assert_eq!(company.sts_calls(), 2);
}

#[tokio::test]
async fn with_less_than_fifteen_minutes_left_a_caller_gets_new_keys() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.pass(46 * MINUTE);
    let keys = company.keys("dev").await.unwrap();
    assert_ne!(keys.access_key_id, first);
    let end: Timestamp = keys.expiration.unwrap().parse().unwrap();
    assert!(end.duration_since(company.world_now()).as_secs() > 15 * 60);
}

#[tokio::test]
async fn old_keys_are_better_than_none_while_sts_is_away_and_none_once_they_have_ended() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap();
    company.pass(46 * MINUTE);
    company.faults().set(Endpoint::Sts, Fault::StsError(StsError::ServiceUnavailable));
    for _ in 0..2 {
        let asked = Instant::now();
        let keys = company.keys("dev").await.unwrap();
        assert!(asked.elapsed() < TOOL_PATIENCE);
        assert_eq!(
            (keys.access_key_id, keys.expiration),
            (first.access_key_id.clone(), first.expiration.clone())
        );
        company.agent.flights.quiet().await;
    }
    company.pass(15 * MINUTE);
    let refusal = company.keys_patiently("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::Offline);
    assert_eq!(company.report("dev").await.state, EntryState::Waiting);

    company.faults().clear_all();
    company.pass(A_MOMENT);
    company.keys("dev").await.unwrap();
}

#[tokio::test]
async fn an_sts_that_does_not_answer_keeps_nobody_from_the_old_keys() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.pass(46 * MINUTE);
    company.faults().set(Endpoint::Sts, Fault::Slow(Duration::from_secs(60)));
    let asked = Instant::now();
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, first);
    assert!(asked.elapsed() < TOOL_PATIENCE);
}

#[tokio::test]
async fn a_role_refused_meanwhile_is_not_served_from_memory() {
    let company = signed_in().await;
    company.keys("dev").await.unwrap();
    company.pass(46 * MINUTE);
    company.faults().set(Endpoint::Sts, Fault::StsError(StsError::AccessDenied));
    assert_eq!(company.keys("dev").await.unwrap_err().code, Code::RoleRefused);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_serves_nothing_that_has_ended() {
    let company = signed_in().await;
    company.keys("dev").await.unwrap();
    company.clock.advance(YEAR);
    let refusal = company.keys("dev").await.unwrap_err();
    assert!(refusal.say.contains("clock"), "{refusal}");
    assert_eq!(company.bearer().await.unwrap_err().code, Code::ProviderUntrusted);

    // Nobody was signed out by it.
    company.clock.set(company.world_now());
    company.keys("dev").await.unwrap();
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_back_makes_nothing_last_longer() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    let bearer = company.bearer().await.unwrap();
    // The whole company with it: everything can be bought anew.
    let past = company.world_now() - Duration::from_secs(365 * 24 * 3600);
    company.clock.set(past);
    company.world.set(past);
    assert_ne!(company.keys("dev").await.unwrap().access_key_id, first);
    assert_ne!(company.bearer().await.unwrap(), bearer);
}

#[tokio::test]
async fn a_clock_that_is_set_back_alone_is_named() {
    let company = signed_in().await;
    company.keys("dev").await.unwrap();
    company.clock.set(company.world_now() - Duration::from_secs(365 * 24 * 3600));
    let refusal = company.bearer().await.unwrap_err();
    assert!(refusal.say.contains("clock"), "{refusal}");
    assert!(company.keys("dev").await.unwrap_err().say.contains("clock"));
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_changes_nothing() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.clock.set(company.world_now() - Duration::from_secs(20));
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, first);
}

#[tokio::test]
async fn another_role_in_the_configuration_gets_no_keys_of_the_old_one() {
    let company = signed_in().await;
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.configure(&CONFIG.replace("role/OktaRole", "role/ReadOnlyRole"));
    let keys = company.keys("dev").await.unwrap();
    assert_ne!(keys.access_key_id, first);
    assert_eq!(company.counts().role("arn:aws:iam::123456789012:role/ReadOnlyRole"), 1);

    // An edit elsewhere costs nothing.
    company.configure(&format!("# a comment\n{}", CONFIG.replace("role/OktaRole", "role/ReadOnlyRole")));
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, keys.access_key_id);
    assert_eq!(company.sts_calls(), 2);
}

#[tokio::test]
async fn keys_go_with_the_session_that_bought_them() {
    let company = signed_in().await;
    company.keys("dev").await.unwrap();
    company.sign_out().await.unwrap();
    let refusal = company.keys("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::SignInNeeded);
    assert_eq!(refusal.hint, "keyfob login okta");
    assert_eq!(company.counts().arrived(Endpoint::Revoke), 1);
}

#[tokio::test]
async fn keys_that_end_before_they_arrive_are_not_handed_out() {
    let company = signed_in().await;
    company.world.set(company.world_now() - 2 * HOUR);
    let refusal = company.keys("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.hint.contains("clock"), "{refusal:?}");
}

#[tokio::test]
async fn short_sessions_are_served_for_most_of_their_life() {
    let config = CONFIG.replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nduration = \"15m\"");
    let company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    let first = company.keys("dev").await.unwrap().access_key_id;
    company.pass(7 * MINUTE);
    assert_eq!(company.keys("dev").await.unwrap().access_key_id, first);
    assert_eq!(company.sts_calls(), 1);
    company.pass(Duration::from_secs(7 * 60 + 30));
    assert_ne!(company.keys("dev").await.unwrap().access_key_id, first);
}
