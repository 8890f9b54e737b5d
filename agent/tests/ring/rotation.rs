//! Rotations through a service's API: nobody is left without a token where the service allows it, and nothing is spent twice.

#[path = "rotation/ahead.rs"]
mod ahead;
#[path = "rotation/create_then_delete.rs"]
mod create_then_delete;
#[path = "lock/rotations.rs"]
mod locked;
#[path = "rotation/lost_answers.rs"]
mod lost_answers;
#[path = "rotation/refresh_grant.rs"]
mod refresh_grant;
#[path = "rotation/strange.rs"]
mod strange;
#[path = "rotation/unsaved.rs"]
mod unsaved;

use std::time::Duration;

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{EntryReport, EntryState, Headers, Reply, TokenReport, Weight};
use keyfob_ipc::{Code, ControlAsk, Refusal, Secret, ToolAsk};
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};
use serde_json::Value;

use crate::company::{CLUSTER, Company, HOUR, MINUTE, YEAR, eventually};

const CONFIG: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
service = "keyfob"
api = "TOKENS"

[token.gitlab]
hosts = ["gitlab.acme.dev"]
header = "PRIVATE-TOKEN"
service = "gitlab"
api = "GITLAB"
"#;

/// Two minutes: a call that was given up on has arrived, or never will.
const LATE: Duration = Duration::from_secs(121);

/// A company with a token of a year that may do everything.
async fn company() -> (Company, String) {
    let company = Company::with(CONFIG, |_| {}).await;
    let value = issue(&company);
    company.add_token("aspect", &value).await.unwrap();
    (company, value)
}

fn issue(company: &Company) -> String {
    let ends = keyfob_agent::clock::after(company.world_now(), YEAR);
    company.sandbox.portal().issue_token("ada", Permissions::ALL, ends)
}

async fn rotate(company: &Company, name: &str) -> Result<TokenReport, Refusal> {
    let ask = ControlAsk::TokenRotate { name: name.to_owned(), value: None, ends: None };
    match company.control(ask).await? {
        Reply::Token(report) => Ok(*report),
        other => panic!("not a token: {other:?}"),
    }
}

/// What a tool gets for a host.
async fn served_at(company: &Company, uri: &str) -> Result<String, Refusal> {
    match company.agent.tool(ToolAsk::Get { uri: uri.to_owned() }).await? {
        Reply::Headers(Headers { headers, .. }) => Ok(headers.values().next().unwrap()[0].expose().clone()),
        other => panic!("not headers: {other:?}"),
    }
}

async fn served(company: &Company) -> String {
    served_at(company, CLUSTER).await.unwrap()
}

async fn item(company: &Company, name: &str) -> Value {
    company.vault.item(&format!("token.{name}")).await.unwrap()
}

/// The step of a rotation that the keychain knows to be unfinished.
async fn step(company: &Company, name: &str) -> Option<String> {
    let item = item(company, name).await;
    let step = item["rotation"].get("step")?;
    let word = step.as_str().map(str::to_owned);
    Some(word.unwrap_or_else(|| step.as_object().unwrap().keys().next().unwrap().clone()))
}

fn urgent(report: &EntryReport) -> Vec<(&str, &str)> {
    let urgent = report.notes.iter().filter(|note| note.weight == Weight::Urgent);
    urgent.map(|note| (note.say.as_str(), note.hint.as_str())).collect()
}

fn is_live(company: &Company, value: &str) -> bool {
    company.sandbox.portal().is_live(value)
}

fn asked(company: &Company, endpoint: Endpoint) -> u64 {
    company.counts().arrived(endpoint)
}

/// A rotation that goes on by itself.
fn begin(company: &Company, name: &str) -> tokio::task::JoinHandle<Result<Reply, Refusal>> {
    let (agent, name) = (company.agent.clone(), name.to_owned());
    tokio::spawn(
        async move { agent.control(ControlAsk::TokenRotate { name, value: None, ends: None }).await },
    )
}

/// A rotation before whose call to the service something happens.
async fn rotate_once(company: &Company, name: &str, happens: impl FnOnce()) -> Result<Reply, Refusal> {
    let before = company.vault.stores();
    company.vault.hold_stores();
    let rotating = begin(company, name);
    eventually("the intent is on its way", async || company.vault.stores() == before + 1).await;
    happens();
    company.vault.release_stores();
    rotating.await.unwrap()
}

/// The background's part, for as long as the test runs.
fn mend(company: &Company) {
    tokio::spawn(company.agent.clone().mend_rotations());
}

/// Everybody who can go on does, as far as nothing outside is waited for.
async fn turns() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_new_value_is_stored_and_proven_and_the_old_one_is_dead() {
    let (company, old) = company().await;
    company.pass(HOUR);
    let report = rotate(&company, "aspect").await.unwrap();
    assert_eq!(report.until.as_deref(), Some("2027-11-21T09:00:00Z"));
    assert!(report.lost.is_empty() && report.gained.is_empty(), "{report:?}");
    let new = served(&company).await;
    assert_ne!(new, old);
    assert!(is_live(&company, &new) && !is_live(&company, &old));
    let item = item(&company, "aspect").await;
    assert_eq!((item["value"].as_str(), item.get("rotation")), (Some(&*new), None));
    assert_eq!(item["facts"]["proven"], item["facts"]["token"]["replaced"]);
    assert_eq!(company.counts().rotations, 1);
    assert!(urgent(&company.report("aspect").await).is_empty());
}

#[tokio::test]
async fn nothing_is_asked_where_the_keychain_takes_nothing() {
    for error in [KeychainError::Locked, KeychainError::Slow, KeychainError::Failed("disk full".to_owned())] {
        let (company, old) = company().await;
        company.vault.refuse_stores(Some(error.clone()));
        let refusal = rotate(&company, "aspect").await.unwrap_err();
        assert_eq!(refusal.code, error.refusal("system").code);
        assert_eq!(asked(&company, Endpoint::TokenRotate), 0);
        assert_eq!(served(&company).await, old, "it is as good as before");
        assert_eq!(step(&company, "aspect").await, None);
        company.vault.refuse_stores(None);
        rotate(&company, "aspect").await.unwrap();
        assert_ne!(served(&company).await, old);
    }
}

#[tokio::test]
async fn nothing_is_asked_of_a_place_that_nobody_has_confirmed() {
    let (company, _) = company().await;
    company.configure(&CONFIG.replace("TOKENS", "http://127.0.0.1:9"));
    let refusal = rotate(&company, "aspect").await.unwrap_err();
    assert_eq!(refusal.code, Code::DestinationChanged);
    assert_eq!(step(&company, "aspect").await, None);
}

#[tokio::test]
async fn a_definite_refusal_changes_nothing() {
    let (company, old) = company().await;
    for (fault, code) in [(Fault::Busy(30), Code::Offline), (Fault::Status(403), Code::ServiceRefused)] {
        company.faults().set_times(Endpoint::TokenRotate, fault, 1);
        assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, code);
        assert_eq!((served(&company).await, step(&company, "aspect").await), (old.clone(), None));
    }
    company.sandbox.portal().revoke(&old);
    let refusal = rotate(&company, "aspect").await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.hint), (Code::TokenNeeded, "keyfob token add aspect"));
    assert_eq!(step(&company, "aspect").await, None);
}

#[tokio::test]
async fn two_callers_make_one_rotation_and_one_that_leaves_cancels_nothing() {
    let (company, old) = company().await;
    company.vault.hold_stores();
    let (first, second) = (begin(&company, "aspect"), begin(&company, "aspect"));
    eventually("the intent is on its way", async || company.vault.stores() == 2).await;
    first.abort();
    let _ = first.await;
    company.vault.release_stores();
    second.await.unwrap().unwrap();
    assert_eq!(company.counts().rotations, 1);
    assert_ne!(served(&company).await, old);

    company.vault.hold_stores();
    let stores = company.vault.stores();
    let left = begin(&company, "aspect");
    eventually("the intent is on its way", async || company.vault.stores() == stores + 1).await;
    left.abort();
    let _ = left.await;
    company.vault.release_stores();
    eventually("it goes on", async || company.counts().rotations == 2).await;
    eventually("it is stored", async || {
        step(&company, "aspect").await.is_none() && is_live(&company, &served(&company).await)
    })
    .await;
}

#[tokio::test]
async fn a_removal_in_the_middle_waits_and_leaves_nothing_at_the_service() {
    let (company, old) = company().await;
    let id = company.sandbox.portal().id_of_token(&old).unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(300)), 1);
    let rotating = begin(&company, "aspect");
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    company.remove_token("aspect").await.unwrap();
    rotating.await.unwrap().unwrap();
    assert!(company.vault.item("token.aspect").await.is_none());
    assert_eq!(company.sandbox.portal().token_of_id(&id), None, "nobody has its value");
    assert_eq!(served_at(&company, CLUSTER).await.unwrap_err().code, Code::TokenNeeded);
}

#[tokio::test]
async fn a_value_by_hand_in_the_middle_wins() {
    let (company, _) = company().await;
    let by_hand = issue(&company);
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(300)), 1);
    let rotating = begin(&company, "aspect");
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    let value = Some(Secret::from(&*by_hand));
    let ask = ControlAsk::TokenRotate { name: "aspect".to_owned(), value, ends: None };
    company.control(ask).await.unwrap();
    assert_eq!(rotating.await.unwrap().unwrap_err().code, Code::Pending);
    assert_eq!(served(&company).await, by_hand);
    assert!(is_live(&company, &by_hand));
    assert_eq!(step(&company, "aspect").await, None);
}

#[tokio::test]
async fn an_edit_in_the_middle_changes_nothing_of_what_is_under_way() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(300)), 1);
    let rotating = begin(&company, "aspect");
    eventually("the service is asked", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    // Another keychain, another service, and then no such entry at all.
    company.configure("[agent]\nkeychain = \"memory\"\n");
    assert_eq!(company.get(CLUSTER).await.unwrap().headers.len(), 0);
    rotating.await.unwrap().unwrap();
    company.configure(CONFIG);
    let new = served(&company).await;
    assert!(new != old && is_live(&company, &new));
    assert_eq!(item(&company, "aspect").await["value"], new.as_str(), "it went where the old one came from");
}

#[tokio::test]
async fn a_token_that_may_do_less_or_is_somebody_elses_is_told_loudly() {
    let (company, _) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let report = rotate(&company, "aspect").await.unwrap();
    assert_eq!(report.lost.len(), 4, "{report:?}");
    assert!(company.report("aspect").await.notes.iter().any(|note| note.weight == Weight::Due));

    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::OtherOwner), 1);
    let report = rotate(&company, "aspect").await.unwrap();
    let loud = report.notes.iter().find(|note| note.weight == Weight::Urgent).unwrap();
    assert_eq!(loud.say, "the token service answered the rotation with a token of mallory, not of ada");
    let report = company.report("aspect").await;
    assert_eq!(urgent(&report), [(&*loud.say, "keyfob token add aspect")]);
}

#[tokio::test]
async fn what_cannot_be_proven_now_is_proven_later_and_compared_with_the_one_before() {
    let (company, _) = company().await;
    mend(&company);
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let away = || company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
    rotate_once(&company, "aspect", away).await.unwrap();
    assert!(is_live(&company, &served(&company).await), "the old one is dead, so this one serves");
    assert_eq!(step(&company, "aspect").await.as_deref(), Some("proving"));
    let say = &company.report("aspect").await.notes[0].say;
    assert!(say.contains("not proven yet"), "{say}");

    company.faults().clear_all();
    company.pass(HOUR);
    eventually("it is proven", async || step(&company, "aspect").await.is_none()).await;
    let lost = item(&company, "aspect").await["facts"]["token"]["lost"].as_array().unwrap().len();
    assert_eq!(lost, 4);
}

#[tokio::test]
async fn one_that_is_not_proven_yet_is_proven_before_it_is_rotated_again() {
    let (company, _) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let away = || company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
    rotate_once(&company, "aspect", away).await.unwrap();
    let before = item(&company, "aspect").await["rotation"].clone();
    assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, Code::Offline);
    assert_eq!(item(&company, "aspect").await["rotation"], before, "what it is to be compared with is kept");
    assert_eq!(company.counts().rotations, 1);

    company.faults().clear_all();
    rotate(&company, "aspect").await.unwrap();
    eventually("the loss is told", async || company.desktop.titles() == ["A token lost permissions"]).await;
    assert_eq!((company.counts().rotations, step(&company, "aspect").await), (2, None));
}

#[tokio::test]
async fn a_dead_value_is_not_sent_to_be_rotated() {
    // GitLab ends the successor of a value that it sees again.
    let company = Company::with(CONFIG, |_| {}).await;
    let value = company.sandbox.gitlab().issue_token("ada", &["api"], "2027-06-01".parse().ok());
    company.add_token("gitlab", &value).await.unwrap();
    let elsewhere = company.another_agent();
    let ask = ControlAsk::TokenRotate { name: "gitlab".to_owned(), value: None, ends: None };
    elsewhere.control(ask).await.unwrap();
    let newest = company.sandbox.gitlab().newest_token("ada").unwrap();
    let refusal = rotate(&company, "gitlab").await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.hint), (Code::TokenNeeded, "keyfob token add gitlab"));
    assert_eq!(asked(&company, Endpoint::GitlabRotate), 1);
    assert!(newest != value && company.sandbox.gitlab().is_live(&newest));
}

#[tokio::test]
async fn nothing_begins_while_nobody_can_say_whether_the_value_lives() {
    for fault in [Fault::Status(503), Fault::Busy(30), Fault::Reset, Fault::Html] {
        let (company, old) = company().await;
        let stores = company.vault.stores();
        company.faults().set(Endpoint::TokenSelf, fault.clone());
        let refusal = rotate(&company, "aspect").await.unwrap_err();
        assert_eq!(refusal.code, Code::Offline, "{fault:?}");
        assert!(refusal.say.ends_with("the token that is held serves on"), "{refusal}");
        assert_eq!(
            (asked(&company, Endpoint::TokenRotate), company.vault.stores()),
            (0, stores),
            "{fault:?}"
        );
        assert_eq!(served(&company).await, old);
        company.faults().clear_all();
        rotate(&company, "aspect").await.unwrap();
    }
}
