//! What a person does at the control door, and `why`.

use std::time::{Duration, Instant};

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::limits::TOOL_PATIENCE;
use keyfob_ipc::reply::{EntryState, KeychainState, Reply, Status};
use keyfob_ipc::{Code, ControlAsk, Secret};
use keyfob_sandbox::{Endpoint, Fault};

use crate::company::{CACHE, CLUSTER, CONFIG, Company, HOUR, MINUTE, YEAR};

async fn status(company: &Company) -> Status {
    match company.control(ControlAsk::Status).await.unwrap() {
        Reply::Status(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

async fn unlock(company: &Company, passphrase: &str) -> Result<Reply, keyfob_ipc::Refusal> {
    company.control(ControlAsk::Unlock { passphrase: Some(Secret::from(passphrase)) }).await
}

#[tokio::test]
async fn status_shows_every_entry_and_its_state() {
    let company = Company::open().await;
    let before = status(&company).await;
    let states: Vec<_> = before.entries.iter().map(|entry| (entry.name.as_str(), entry.state)).collect();
    assert_eq!(
        states,
        [
            ("sso.okta", EntryState::SignedOut),
            ("token.aspect", EntryState::SignedOut),
            ("aws.dev", EntryState::SignedOut)
        ]
    );
    let hints: Vec<_> = before.entries.iter().map(|entry| entry.refusal.clone().unwrap().hint).collect();
    assert_eq!(hints, ["keyfob login okta", "keyfob token add aspect", "keyfob login okta"]);
    assert_eq!(before.keychain.state, KeychainState::Present);

    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    company.keys("dev").await.unwrap();
    let after = status(&company).await;
    let [okta, aspect, dev] = after.entries.as_slice() else { panic!("{after:?}") };
    assert_eq!([okta.state, aspect.state, dev.state], [EntryState::Live; 3]);
    assert_eq!(okta.owner.as_deref(), Some("ada@example.com"));
    assert_eq!((aspect.until.as_deref(), aspect.until_assumed), (Some("2027-11-21T08:00:00Z"), true));
    assert_eq!(dev.until.as_deref(), Some("2026-11-21T09:00:00Z"));
    assert_eq!(dev.through.as_deref(), Some("sso.okta"));
    assert!(after.agent.own_profile);
    let wire = serde_json::to_string(&after).unwrap();
    for secret in ["aw_1", "at_", "rt_", "IQoJ"] {
        assert!(!wire.contains(secret), "{wire}");
    }
}

#[tokio::test]
async fn a_token_that_nears_its_end_is_ending() {
    let company = Company::open().await;
    company.add_token("aspect", "aw_1").await.unwrap();
    company.pass(YEAR - 20 * 24 * HOUR);
    assert_eq!(company.report("aspect").await.state, EntryState::Ending);
    company.pass(21 * 24 * HOUR);
    // The end was only assumed: it still serves.
    assert_eq!(company.report("aspect").await.state, EntryState::Ending);
    company.get(CLUSTER).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_taken() {
    let company = Company::open().await;
    for value in ["", "aw_", "ghp_MARKER", "aw_MARKER MARKER", "aw_MARKER\n"] {
        let refusal = company.add_token("aspect", value).await.unwrap_err();
        assert_eq!(refusal.code, Code::TokenInvalid, "{value:?}");
        assert!(!format!("{refusal:?}").contains("MARKER"), "{refusal:?}");
    }
    assert_eq!(company.vault.stores(), 0);
}

#[tokio::test]
async fn forgetting_what_is_not_there_is_no_failure() {
    let company = Company::open().await;
    assert_eq!(company.sign_out().await.unwrap(), "`sso.okta` was not signed in");
    assert_eq!(company.remove_token("aspect").await.unwrap(), "`token.aspect` held nothing");
    assert_eq!(company.counts().arrived(Endpoint::Revoke), 0);
}

#[tokio::test]
async fn signing_out_revokes_the_session_where_that_works() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    assert_eq!(company.sign_out().await.unwrap(), "signed out of `sso.okta`");
    assert_eq!(company.counts().arrived(Endpoint::Revoke), 1);

    company.sign_in().await.unwrap();
    company.faults().set(Endpoint::Revoke, Fault::Status(503));
    assert!(company.sign_out().await.unwrap().contains("could not be told"));
    assert!(company.vault.item("sso.okta").await.is_none());
    assert_eq!(company.get(CACHE).await.unwrap_err().code, Code::SignInNeeded);
}

#[tokio::test]
async fn names_are_found_as_people_write_them() {
    let company = Company::open().await;
    let entry = async |name: &str| company.control(ControlAsk::Entry { name: name.to_owned() }).await;
    assert!(matches!(entry("aws.dev").await, Ok(Reply::Entry(report)) if report.name == "aws.dev"));
    assert!(matches!(entry("dev").await, Ok(Reply::Entry(report)) if report.name == "aws.dev"));
    let refusal = entry("aspekt").await.unwrap_err();
    assert_eq!(refusal.code, Code::UnknownEntry);
    assert!(refusal.say.contains("did you mean `aspect`"), "{refusal}");

    let twins = "[token.dev]\nhosts = [\"dev.example\"]\n[sso.second]\nissuer = \"https://x.example\"\nclient_id = \"x\"\n";
    company.configure(&format!("{CONFIG}\n{twins}"));
    let refusal = entry("dev").await.unwrap_err();
    assert_eq!(refusal.code, Code::AmbiguousEntry);
    assert!(refusal.say.contains("`token.dev`") && refusal.say.contains("`aws.dev`"), "{refusal}");
    // Where only one kind fits, the bare name is enough.
    company.add_token("dev", "secret").await.unwrap();
    assert_eq!(company.keys("dev").await.unwrap_err().code, Code::SignInNeeded);

    let refusal = company.sign_out().await.unwrap_err();
    assert_eq!(refusal.code, Code::AmbiguousEntry);
    assert_eq!(refusal.hint, "keyfob logout NAME");
    assert_eq!(company.sign_in().await.unwrap_err().code, Code::AmbiguousEntry);
    assert_eq!(company.keys("okta").await.unwrap_err().code, Code::UnknownEntry);
}

#[tokio::test]
async fn a_locked_keychain_is_a_state_and_unlocking_is_seen_at_once() {
    let mut company = Company::open().await;
    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    company.vault.set(Some(KeychainError::Locked));
    // What is in memory goes on.
    company.get(CLUSTER).await.unwrap();

    company.restart();
    for refusal in [
        company.get(CLUSTER).await.unwrap_err(),
        company.get(CACHE).await.unwrap_err(),
        company.keys("dev").await.unwrap_err(),
        company.add_token("aspect", "aw_2").await.unwrap_err(),
        company.sign_out().await.unwrap_err(),
        company.remove_token("aspect").await.unwrap_err(),
    ] {
        assert_eq!(refusal.code, Code::KeychainLocked, "{refusal}");
        assert!(!refusal.hint.is_empty());
    }
    let seen = status(&company).await;
    assert_eq!(seen.keychain.state, KeychainState::Locked);
    assert!(seen.entries.iter().all(|entry| entry.state == EntryState::Waiting), "{seen:?}");

    assert_eq!(unlock(&company, "wrong").await.unwrap_err().code, Code::KeychainDenied);
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::KeychainLocked);
    unlock(&company, "correct horse").await.unwrap();
    company.get(CLUSTER).await.unwrap();
    company.bearer().await.unwrap();
    company.keys("dev").await.unwrap();
}

#[tokio::test]
async fn a_machine_without_a_keychain_is_told_what_to_do() {
    let company = Company::open().await;
    company.vault.set(Some(KeychainError::Missing));
    let refusal = company.add_token("aspect", "aw_1").await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainMissing);
    assert!(refusal.hint.contains("keychain = \"file\""), "{refusal:?}");
    // Nothing hands out what no keychain has taken.
    company.pass(MINUTE);
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::KeychainMissing);
    assert_eq!(status(&company).await.keychain.state, KeychainState::Missing);
}

#[tokio::test]
async fn a_keychain_that_does_not_answer_keeps_nobody_waiting() {
    let mut company = Company::open().await;
    company.add_token("aspect", "aw_1").await.unwrap();
    company.restart_with_patience(Duration::from_secs(5));
    company.vault.be_silent(true);
    let asked = Instant::now();
    let refusal = company.get(CLUSTER).await.unwrap_err();
    assert!(asked.elapsed() < TOOL_PATIENCE);
    assert_eq!(refusal.code, Code::Pending);
    company.vault.be_silent(false);
    company.get(CLUSTER).await.unwrap();

    company.restart_with_patience(Duration::from_millis(50));
    company.vault.be_silent(true);
    let refusal = company.get(CLUSTER).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainFailed);
    assert!(!refusal.hint.is_empty());
    company.vault.be_silent(false);
    company.get(CLUSTER).await.unwrap();
}

#[tokio::test]
async fn a_damaged_item_is_named_and_can_be_replaced() {
    let mut company = Company::open().await;
    company.vault.put_item("token.aspect", &serde_json::json!({"format": 1})).await;
    company.vault.put_item("sso.okta", &serde_json::json!({"format": 7, "secret": "MARKER"})).await;
    company.restart();
    let refusal = company.get(CLUSTER).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainFailed);
    assert_eq!(refusal.hint, "keyfob token add aspect");
    let refusal = company.get(CACHE).await.unwrap_err();
    assert!(refusal.say.contains("newer version"), "{refusal}");
    assert_eq!(company.vault.item("sso.okta").await.unwrap()["secret"], "MARKER", "it is left as it is");
    company.add_token("aspect", "aw_1").await.unwrap();
    company.get(CLUSTER).await.unwrap();
}

#[tokio::test]
async fn why_names_the_entry_and_the_next_step() {
    let company = Company::open().await;
    for subject in ["https://aw-remote-ext.acme.dev/x?y", "aw-remote-ext.acme.dev", "token.aspect", "aspect"]
    {
        let why = company.why(subject).await.unwrap();
        assert_eq!(why.entry.as_ref().unwrap().name, "token.aspect", "{subject}");
        assert_eq!(why.refusal.unwrap().hint, "keyfob token add aspect", "{subject}");
        assert!(why.say.contains("token.aspect"), "{}", why.say);
    }
    company.add_token("aspect", "aw_1").await.unwrap();
    let why = company.why("grpcs://aw-remote-ext.acme.dev:8980").await.unwrap();
    assert_eq!((why.refusal, why.subject.as_str()), (None, "aw-remote-ext.acme.dev:8980"));

    let why = company.why("https://unknown.example").await.unwrap();
    assert!(why.entry.is_none());
    assert_eq!(why.refusal.unwrap().code, Code::UnknownHost);
    let why = company.why("dve").await.unwrap();
    assert!(why.entry.is_none() && why.refusal.unwrap().say.contains("did you mean `dev`"));
    assert_eq!(company.why("http://aw-remote-ext.acme.dev").await.unwrap_err().code, Code::InsecureScheme);

    let why = company.why("dev").await.unwrap();
    assert_eq!(why.refusal.unwrap().hint, "keyfob login okta");
    company.sign_in().await.unwrap();
    assert_eq!(company.why("dev").await.unwrap().refusal, None);
}

#[tokio::test]
async fn the_agent_is_told_to_stop_and_says_who_it_is() {
    let company = Company::open().await;
    let Reply::About(about) = company.control(ControlAsk::About).await.unwrap() else { panic!() };
    assert_eq!((about.pid, about.protocol), (std::process::id(), keyfob_ipc::PROTOCOL));
    company.control(ControlAsk::Stop).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), company.agent.stop.notified()).await.unwrap();
}
