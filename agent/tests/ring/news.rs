//! Whoever watches hears of everything that `status` would say differently, and asks nothing meanwhile.

use keyfob_agent::keychain::KeychainError;
use keyfob_agent::watch::Watch;
use keyfob_ipc::reply::{EntryState, Event, KeychainState, Reply, Status};
use keyfob_ipc::{ControlAsk, Secret};
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{A_MOMENT, CONFIG, Company, HOUR, MINUTE, eventually};
use crate::watch::{changed, notice};

const ALL: [&str; 3] = ["aws.dev", "sso.okta", "token.aspect"];

/// A window that has asked for everything once, as one does that has just come.
async fn window(company: &Company) -> Watch {
    tokio::spawn(company.agent.clone().tell_news());
    let watch = company.agent.watchers.watch(false).unwrap();
    eventually("the agent looks out", async || company.vault.listeners() == 1).await;
    status(company).await;
    watch
}

async fn status(company: &Company) -> Status {
    match company.control(ControlAsk::Status).await.unwrap() {
        Reply::Status(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

/// Nothing waits to be told.
async fn nothing(watch: &mut Watch) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::select! {
        biased;
        event = watch.next() => panic!("{event:?}"),
        () = tokio::task::yield_now() => {}
    }
}

async fn add(company: &Company, ends: &str) {
    let (name, value, ends) = ("aspect".to_owned(), Secret::from("aw_1"), Some(ends.to_owned()));
    company.control(ControlAsk::TokenAdd { name, value, ends }).await.unwrap();
}

#[tokio::test]
async fn an_edit_is_heard_of_without_a_question() {
    let company = Company::open().await;
    let mut watch = window(&company).await;
    company.configure(&CONFIG.replace("prefix = \"aw_\"", "prefix = \"a\""));
    assert_eq!(changed(&mut watch).await, ["token.aspect"]);
    company.configure(&format!("{CONFIG}\n[policy.\"aws.dev\"]\nconfirm = \"first\"\n"));
    assert_eq!(changed(&mut watch).await, ["aws.dev", "token.aspect"]);
    company.configure(&format!("[agent]\nreminders = [\"5d\"]\n{CONFIG}"));
    assert_eq!(changed(&mut watch).await, ALL);
    assert_eq!(status(&company).await.settings.reminders, ["5d"]);
    company.configure(&format!("[agent]\nreminders = [\"5d\"]\nlock_on = [\"screen\"]\n{CONFIG}"));
    assert_eq!(changed(&mut watch).await, ALL);
    assert_eq!(status(&company).await.settings.lock_on, ["screen"]);
    nothing(&mut watch).await;
}

#[tokio::test]
async fn an_edit_that_does_not_load_is_heard_of_and_so_is_its_mending() {
    let company = Company::with("", |_| {}).await;
    let mut watch = window(&company).await;
    company.configure("[token.aspect]\nhost = []\n");
    assert_eq!(changed(&mut watch).await, [""; 0], "there is no entry to name");
    assert_eq!(status(&company).await.config.errors.len(), 1);
    company.configure(CONFIG);
    assert_eq!(changed(&mut watch).await, ALL);
    assert_eq!(status(&company).await.config.errors, [""; 0]);
    nothing(&mut watch).await;
}

#[tokio::test]
async fn a_keychain_that_another_hand_locks_is_heard_of_and_so_is_its_opening() {
    let company = Company::open().await;
    let mut watch = window(&company).await;
    for (happens, expected) in [
        (Some(KeychainError::Locked), KeychainState::Locked),
        (None, KeychainState::Present),
        (Some(KeychainError::Missing), KeychainState::Missing),
        (None, KeychainState::Present),
    ] {
        company.vault.set(happens);
        assert_eq!(changed(&mut watch).await, ALL);
        assert_eq!(status(&company).await.keychain.state, expected);
        nothing(&mut watch).await;
    }
}

#[tokio::test]
async fn a_keychain_that_a_question_finds_locked_is_heard_of_and_so_is_an_unlock_here() {
    let company = Company::open().await;
    company.vault.set(Some(KeychainError::Locked));
    let mut watch = window(&company).await;
    company.vault.in_silence(|vault| vault.set(None));
    company.get(crate::company::CLUSTER).await.unwrap_err();
    assert_eq!(changed(&mut watch).await, ALL, "it is open");
    company.vault.in_silence(|vault| vault.set(Some(KeychainError::Locked)));
    company.bearer().await.unwrap_err();
    let mut heard = changed(&mut watch).await;
    if heard == ["sso.okta"] {
        heard = changed(&mut watch).await;
    }
    assert!(ALL.iter().all(|name| heard.iter().any(|heard| heard == name)), "{heard:?}");
    let passphrase = Some(Secret::from("correct horse"));
    company.control(ControlAsk::Unlock { passphrase }).await.unwrap();
    assert_eq!(changed(&mut watch).await, ALL);
}

#[tokio::test]
async fn while_nobody_watches_nothing_is_looked_at() {
    let company = Company::open().await;
    let watch = window(&company).await;
    drop(watch);
    eventually("nobody looks out", async || company.vault.listeners() == 0).await;
    let mut watch = company.agent.watchers.watch(false).unwrap();
    eventually("the agent looks out again", async || company.vault.listeners() == 1).await;
    company.vault.set(Some(KeychainError::Locked));
    assert_eq!(changed(&mut watch).await, ALL);
}

#[tokio::test]
async fn a_snooze_and_its_end_and_a_reminder_are_heard_of() {
    let company = Company::open().await;
    add(&company, "2027-01-20").await;
    company.agent.remind_now().await;
    tokio::spawn(company.agent.clone().remind());
    let mut watch = window(&company).await;
    company.agent.snooze("aspect", Some(1)).unwrap();
    assert_eq!(changed(&mut watch).await, ["token.aspect"]);
    assert!(company.report("aspect").await.quiet_until.is_some());
    nothing(&mut watch).await;
    company.pass(25 * HOUR);
    assert_eq!(changed(&mut watch).await, ["token.aspect"], "and no reminder is due");
    assert!(company.report("aspect").await.quiet_until.is_none());
    assert_eq!(company.desktop.titles(), [""; 0]);

    let before = company.report("aspect").await.plan;
    let mut other = company.agent.watchers.watch(true).unwrap();
    company.pass(24 * 29 * HOUR);
    notice(&mut other).await;
    assert_eq!(changed(&mut watch).await, ["token.aspect"], "whether or not anybody shows it");
    assert_eq!(company.report("aspect").await.plan, before[1..]);
}

#[tokio::test]
async fn each_lease_of_a_role_is_heard_of_and_so_is_its_going() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    tokio::spawn(company.agent.clone().renew_ahead());
    let mut watch = window(&company).await;
    let hears = async |watch: &mut Watch| {
        while !changed(watch).await.contains(&"aws.dev".to_owned()) {}
    };
    company.keys("dev").await.unwrap();
    hears(&mut watch).await;
    company.agent.flights.quiet().await;
    let first = company.report("dev").await;
    assert_eq!(first.plan.len(), 1, "it is used, so it is renewed");

    let mut rest = company.agent.watchers.watch(false).unwrap();
    company.pass(40 * MINUTE);
    hears(&mut rest).await;
    company.agent.flights.quiet().await;
    let second = company.report("dev").await;
    assert!(second.since > first.since, "{second:?}");
    assert_eq!(second.plan, [], "nobody has used these");

    // The first use is what brings the renewal.
    let mut rest = company.agent.watchers.watch(false).unwrap();
    company.keys("dev").await.unwrap();
    hears(&mut rest).await;
    assert_eq!(company.report("dev").await.plan.len(), 1);
}

#[tokio::test]
async fn a_network_that_goes_and_comes_back_is_heard_of() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let mut watch = window(&company).await;
    company.pass(2 * HOUR);
    company.faults().set(Endpoint::Token, Fault::Status(500));
    company.bearer().await.unwrap_err();
    assert_eq!(changed(&mut watch).await, ["sso.okta"]);
    assert_eq!(company.report("okta").await.state, EntryState::Waiting);
    nothing(&mut watch).await;
    company.faults().clear(Endpoint::Token);
    company.pass(A_MOMENT);
    company.bearer().await.unwrap();
    assert_eq!(changed(&mut watch).await, ["sso.okta"]);
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}

#[tokio::test]
async fn the_lock_is_heard_of_by_itself() {
    let company = Company::open().await;
    let mut watch = window(&company).await;
    company.agent.lock(keyfob_ipc::reply::LockedBy::Person).await.unwrap();
    loop {
        if let Event::Lock(lock) = tokio::time::timeout(MINUTE, watch.next()).await.unwrap().unwrap() {
            assert!(lock.is_some());
            break;
        }
    }
}
