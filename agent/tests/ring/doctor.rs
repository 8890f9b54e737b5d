//! `keyfob doctor`, as the agent sees it.

use std::time::{Duration, Instant};

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::ControlAsk;
use keyfob_ipc::reply::{Check, Health, LockedBy, Reply};
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{CONFIG, Company};
use crate::outerbounds;

/// More than all deadlines together.
const ALL: Duration = Duration::from_secs(10);

async fn doctor(company: &Company) -> Vec<Check> {
    match company.control(ControlAsk::Doctor).await.unwrap() {
        Reply::Checks(checks) => checks,
        other => panic!("no checks: {other:?}"),
    }
}

fn one<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {checks:?}"))
}

#[tokio::test]
async fn before_a_sign_in_the_links_that_are_broken_are_those_that_a_person_mends() {
    let company = Company::open().await;
    let checks = doctor(&company).await;
    for name in [
        "agent's file",
        "open files",
        "doors",
        "ledger",
        "disk",
        "keychain",
        "lock",
        "network",
        "sso.okta issuer",
    ] {
        assert_ne!(one(&checks, name).health, Health::Bad, "{checks:?}");
    }
    for (name, hint) in [
        ("sso.okta", "keyfob login okta"),
        ("token.aspect", "keyfob token add aspect"),
        ("aws.dev", "keyfob login okta"),
    ] {
        let check = one(&checks, name);
        assert_eq!((check.health, check.hint.as_str()), (Health::Bad, hint), "{check:?}");
    }
    assert_eq!(
        std::fs::read_dir(company.state()).unwrap().count(),
        1,
        "nothing is left but the configuration"
    );
}

#[tokio::test]
async fn what_serves_is_good_and_nothing_is_spent_for_the_look() {
    let company = Company::in_real_time(|_| {}).await;
    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    let before = company.token_calls();
    let checks = doctor(&company).await;
    let says = |name: &str| {
        let check = one(&checks, name);
        assert_eq!(check.health, Health::Good, "{check:?}");
        check.say.clone()
    };
    assert_eq!(says("sso.okta"), "signed in as ada@example.com");
    assert!(says("token.aspect").starts_with("a token is held, until about "));
    assert!(says("aws.dev").starts_with("AWS gives keys, until "));
    assert!(says("clock").starts_with("it agrees with http://127.0.0.1:"));
    let again = doctor(&company).await;
    assert_eq!(again.iter().map(|check| &check.health).max(), Some(&Health::Good), "{again:?}");
    assert_eq!(company.token_calls(), before, "no refresh token is spent while its lease lasts");
    assert_eq!(company.sts_calls(), 1, "the keys of the first look serve the second one");
    let wire = serde_json::to_string(&[checks, again]).unwrap();
    for secret in ["aw_1", "at_", "rt_", "IQoJ"] {
        assert!(!wire.contains(secret), "{wire}");
    }
}

#[tokio::test]
async fn an_issuer_and_a_keychain_that_hang_delay_nobody_else() {
    let mut company = Company::in_real_time(|_| {}).await;
    company.restart_with_patience(Duration::from_secs(60));
    company.faults().set(Endpoint::Discovery, Fault::Slow(Duration::from_secs(60)));
    company.vault.be_silent(true);
    let begun = Instant::now();
    let checks = doctor(&company).await;
    assert!(begun.elapsed() < ALL, "{:?}", begun.elapsed());
    for name in ["keychain", "sso.okta issuer", "sso.okta", "aws.dev"] {
        let check = one(&checks, name);
        assert_eq!((check.health, check.say.as_str()), (Health::Bad, "no answer within 5 seconds"), "{name}");
    }
    assert_eq!(one(&checks, "disk").health, Health::Good);
}

#[tokio::test]
async fn a_captive_portal_and_a_dead_issuer_are_told_apart() {
    let company = Company::open().await;
    company.faults().set(Endpoint::Discovery, Fault::Html);
    let portal = doctor(&company).await;
    let check = one(&portal, "sso.okta issuer");
    assert!(check.hint.contains("captive portal"), "{check:?}");
    assert_eq!(check.health, Health::Bad);
    company.configure(&CONFIG.replace("ISSUER", "http://127.0.0.1:1"));
    let dead = doctor(&company).await;
    let check = one(&dead, "sso.okta issuer");
    assert!(check.say.contains("http://127.0.0.1:1 cannot be reached"), "{check:?}");
}

#[tokio::test]
async fn a_locked_keychain_is_named_with_its_way_out() {
    let company = Company::open().await;
    company.vault.set(Some(KeychainError::Locked));
    let checks = doctor(&company).await;
    let keychain = one(&checks, "keychain");
    assert_eq!(keychain.health, Health::Bad);
    assert!(!keychain.hint.is_empty(), "{keychain:?}");
    let first = checks.iter().find(|check| check.health == Health::Bad && check.name != "clock").unwrap();
    assert_eq!(first.name, "keychain", "it is the first broken link: {checks:?}");
}

#[tokio::test]
async fn while_it_is_locked_nothing_is_tried() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.agent.lock(LockedBy::Person).await.unwrap();
    let checks = doctor(&company).await;
    let lock = one(&checks, "lock");
    assert_eq!((lock.health, lock.hint.as_str()), (Health::Bad, "keyfob unlock"));
    for name in ["sso.okta", "aws.dev"] {
        assert_eq!(one(&checks, name).health, Health::Attention, "{checks:?}");
    }
    assert_eq!(company.sts_calls(), 0);
}

#[tokio::test]
async fn a_state_folder_that_takes_nothing_is_found_by_writing_to_it() {
    let company = Company::open().await;
    std::fs::remove_dir_all(company.state()).unwrap();
    let checks = doctor(&company).await;
    let state = one(&checks, "disk");
    assert_eq!(state.health, Health::Bad, "{state:?}");
    assert!(state.say.contains(company.state().to_str().unwrap()), "{state:?}");
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_the_networks_trouble_by_name() {
    let company = Company::open().await;
    company.configure(&format!("[network]\nca_file = \"/nowhere/acme.pem\"\n{CONFIG}"));
    let checks = doctor(&company).await;
    let network = one(&checks, "network");
    assert_eq!(network.health, Health::Bad, "{network:?}");
    assert!(network.say.contains("/nowhere/acme.pem"), "{network:?}");
}

#[tokio::test]
async fn a_clock_that_servers_contradict_is_found() {
    // The company's servers run on the time of this machine, and the agent believes in another day.
    let company = Company::open().await;
    company.clock.advance(Duration::from_secs(400 * 24 * 3600));
    let checks = doctor(&company).await;
    let clock = one(&checks, "clock");
    assert_eq!(clock.health, Health::Bad, "{clock:?}");
    assert!(clock.hint.contains("set the clock"), "{clock:?}");
}

#[tokio::test]
async fn many_roles_are_no_burst() {
    let role = CONFIG.split("[aws.dev]").nth(1).unwrap();
    let more: String = (0..30).map(|number| format!("[aws.more{number}]{role}")).collect();
    let company = Company::with(&format!("{CONFIG}{more}"), |_| {}).await;
    company.sign_in().await.unwrap();
    let checks = doctor(&company).await;
    assert_eq!(checks.iter().filter(|check| check.name.starts_with("aws.")).count(), 20, "{checks:?}");
    assert_eq!(one(&checks, "the rest").say, "11 more were not asked for now, to spare the servers");
    assert_eq!(company.sts_calls(), 20);
}

#[tokio::test]
async fn a_key_that_its_deployment_has_never_taken_is_no_good_news() {
    let company = outerbounds::company().await;
    let key = company.sandbox.outerbounds().issue_key("ada@acme.test");
    let string = company.sandbox.outerbounds().magic_string(&key);
    for endpoint in [Endpoint::OuterboundsConfig, Endpoint::OuterboundsAws] {
        company.faults().set(endpoint, Fault::Status(503));
    }
    let add = ControlAsk::TokenAdd { name: "prod".to_owned(), value: string.as_str().into(), ends: None };
    let Reply::Token(added) = company.control(add).await.unwrap() else { panic!("no report") };
    let untried = |note: &&keyfob_ipc::reply::Note| note.say.contains("has not taken this key yet");
    let note = added.notes.iter().find(untried).unwrap();
    assert_eq!(note.hint, "keyfob doctor", "{note:?}");
    let check = one(&doctor(&company).await, "outerbounds.prod").clone();
    assert_eq!(check.health, Health::Bad, "{check:?}");
    assert!(check.say.contains("has not taken this key yet: "), "{check:?}");
    for report in [
        company.report("outerbounds.prod").await,
        company.why("outerbounds.prod").await.unwrap().entry.unwrap(),
    ] {
        assert_eq!(report.notes.iter().filter(untried).count(), 1, "{:?}", report.notes);
    }
    // The next answer tells, and it stays told.
    company.faults().clear_all();
    let check = one(&doctor(&company).await, "outerbounds.prod").clone();
    assert_eq!(
        (check.health, check.say.as_str()),
        (Health::Good, "a service key is held; Outerbounds takes it")
    );
    assert!(company.report("outerbounds.prod").await.notes.is_empty());
    let item = company.vault.item("outerbounds.prod").await.unwrap();
    assert!(item["facts"]["proven"].is_string(), "{}", item["facts"]);
    company.faults().set(Endpoint::OuterboundsConfig, Fault::Status(503));
    let check = one(&doctor(&company).await, "outerbounds.prod").clone();
    assert!(check.health == Health::Bad && !check.say.contains("not taken"), "{check:?}");
}

#[tokio::test]
async fn a_key_that_its_deployment_refuses_now_is_found() {
    for was_good in [true, false] {
        let company = outerbounds::company().await;
        let key = company.sandbox.outerbounds().issue_key("ada@acme.test");
        if !was_good {
            company.faults().set(Endpoint::OuterboundsConfig, Fault::Status(503));
        }
        company.add_token("prod", &company.sandbox.outerbounds().magic_string(&key)).await.unwrap();
        company.faults().clear_all();
        company.sandbox.outerbounds().revoke(&key);
        let check = one(&doctor(&company).await, "outerbounds.prod").clone();
        assert_eq!(check.health, Health::Bad, "{check:?}");
        assert!(check.hint.contains("keyfob token add prod"), "{check:?}");
        assert_eq!(check.say.contains(" any more: "), was_good, "{check:?}");
        assert_eq!(company.report("outerbounds.prod").await.state, keyfob_ipc::reply::EntryState::SignedOut);
    }
}
