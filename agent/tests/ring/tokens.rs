//! What a person does with a personal access token whose service can be asked.

#[path = "tokens/administration.rs"]
mod administration;
#[path = "tokens/kept.rs"]
mod kept;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{
    ClusterRights, EntryState, Issued, IssuedToken, Reply, Right, Rights, Teller, TokenReport,
};
use keyfob_ipc::{AdminAct, Code, ControlAsk, Refusal, Secret};
use keyfob_sandbox::portal::Issue;
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};

use crate::company::{CLUSTER, Company, HOUR, YEAR};

const CONFIG: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"
service = "keyfob"
api = "TOKENS"

[token.bot]
hosts = ["bot.acme.dev"]
prefix = "aw_"
service = "keyfob"
api = "TOKENS"
"#;

/// A page and nothing else.
const BY_HAND: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"
portal = "https://workflows.acme.dev/token"
"#;

async fn company() -> Company {
    Company::with(CONFIG, |_| {}).await
}

fn issue(company: &Company, owner: &str, permissions: Permissions, days: i64) -> String {
    company.sandbox.portal().issue_token(owner, permissions, in_days(company, days))
}

fn in_days(company: &Company, days: i64) -> Timestamp {
    company.world_now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

async fn add(company: &Company, name: &str, value: &str) -> Result<TokenReport, Refusal> {
    token(company, ControlAsk::TokenAdd { name: name.to_owned(), value: Secret::from(value), ends: None })
        .await
}

async fn rotate(company: &Company, value: Option<&str>) -> Result<TokenReport, Refusal> {
    let value = value.map(Secret::from);
    token(company, ControlAsk::TokenRotate { name: "aspect".to_owned(), value, ends: None }).await
}

async fn token(company: &Company, ask: ControlAsk) -> Result<TokenReport, Refusal> {
    match company.control(ask).await? {
        Reply::Token(report) => Ok(*report),
        other => panic!("no report: {other:?}"),
    }
}

async fn served(company: &Company) -> String {
    company.get(CLUSTER).await.unwrap().headers["X-Aspect"][0].expose().clone()
}

#[tokio::test]
async fn the_service_says_whose_a_token_is_and_until_when() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    let report = add(&company, "aspect", &value).await.unwrap();
    assert_eq!(report.owner.as_deref(), Some("ada@acme.dev"));
    assert_eq!(report.until.as_deref(), Some("2027-02-19T08:00:00Z"));
    assert_eq!(report.until_by, Some(Teller::TokenService));
    let entry = company.report("aspect").await;
    assert_eq!((entry.until_assumed, entry.until_by), (false, Some(Teller::TokenService)));
    assert_eq!(entry.owner.as_deref(), Some("ada@acme.dev"));
    assert_eq!(served(&company).await, value);
    // Value and facts are one item.
    let item = company.vault.item("token.aspect").await.unwrap();
    assert_eq!(item["value"], value.as_str());
    assert_eq!(item["facts"]["owner"], "ada@acme.dev");
}

#[tokio::test]
async fn a_token_that_is_known_to_be_wrong_is_refused_with_the_reason() {
    let company = company().await;
    let good = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &good).await.unwrap();

    let others = issue(&company, "eve@acme.dev", Permissions::ALL, 90);
    let refusal = add(&company, "aspect", &others).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.say.contains("eve@acme.dev, not to ada@acme.dev"), "{refusal:?}");
    assert!(refusal.hint.contains("[token.aspect]"), "{refusal:?}");

    let ended = issue(&company, "ada@acme.dev", Permissions::READ, 0);
    let refusal = add(&company, "aspect", &ended).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.say.contains("ended"), "{refusal:?}");

    let refusal = add(&company, "aspect", "aw_never_made").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.hint.contains("keyfob token add aspect"), "{refusal:?}");

    assert_eq!(served(&company).await, good);
}

#[tokio::test]
async fn a_token_of_another_than_who_is_signed_in_is_refused_and_a_machines_is_not() {
    let session = "[sso.okta]\nissuer = \"ISSUER\"\nclient_id = \"keyfob-demo\"\n";
    let company = Company::with(&format!("{session}{CONFIG}"), |_| {}).await;
    company.sign_in().await.unwrap();
    let person = company.report("okta").await.owner.unwrap();
    assert!(person.contains('@'), "{person}");

    let others = issue(&company, "eve@acme.dev", Permissions::ALL, 90);
    let refusal = add(&company, "aspect", &others).await.unwrap_err();
    assert!(refusal.say.contains("eve@acme.dev"), "{refusal:?}");
    // A name of another system says nothing about a mail address.
    for owner in [person.as_str(), "bot-ci", "octocat"] {
        let value = issue(&company, owner, Permissions::READ, 90);
        add(&company, "aspect", &value).await.unwrap();
        company.remove_token("aspect").await.unwrap();
    }

    company.configure(&format!(
        "{session}{}",
        CONFIG.replacen("prefix = \"aw_\"", "prefix = \"aw_\"\nowner = \"eve@acme.dev\"", 1)
    ));
    let value = issue(&company, "eve@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &value).await.unwrap();
    let mine = issue(&company, &person, Permissions::READ, 90);
    assert_eq!(add(&company, "aspect", &mine).await.unwrap_err().code, Code::TokenInvalid);
}

#[tokio::test]
async fn a_service_that_cannot_be_asked_is_no_reason_to_lose_a_token() {
    for fault in [Fault::Status(503), Fault::Html, Fault::Reset] {
        let company = company().await;
        let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
        company.faults().set(Endpoint::TokenSelf, fault.clone());
        let report = add(&company, "aspect", &value).await.unwrap();
        assert_eq!(
            (report.owner.as_deref(), report.until_by),
            (None, Some(Teller::Configuration)),
            "{fault:?}"
        );
        let note = &report.notes[0];
        assert!(note.say.contains("has not told yet"), "{note:?}");
        assert_eq!(note.hint, "keyfob permissions aspect");
        assert_eq!(served(&company).await, value);
    }
}

#[tokio::test]
async fn an_end_that_the_service_does_not_tell_is_assumed_and_can_be_said() {
    let company = company().await;
    let value = company.sandbox.portal().issue(Issue {
        owner: "ada@acme.dev".to_owned(),
        admin: false,
        permissions: Permissions::READ.everywhere(),
        ends: None,
    });
    let report = add(&company, "aspect", &value).await.unwrap();
    assert_eq!(report.until_by, Some(Teller::Configuration));

    let end = |ends: &str| ControlAsk::TokenEnds { name: "aspect".to_owned(), ends: ends.to_owned() };
    let report = token(&company, end("2027-03-01")).await.unwrap();
    assert_eq!(report.until.as_deref(), Some("2027-03-01T00:00:00Z"));
    assert_eq!(report.until_by, Some(Teller::Person));
    for wrong in ["soon", "2020-01-01", "2199-01-01", "2027-02-30", ""] {
        let refusal = token(&company, end(wrong)).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest, "{wrong}");
    }
    assert!(!company.report("aspect").await.until_assumed);

    // A service that knows is not contradicted.
    let told = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &told).await.unwrap();
    assert_eq!(token(&company, end("2027-03-01")).await.unwrap_err().code, Code::BadRequest);
}

#[tokio::test]
async fn an_edit_of_the_lifetime_counts_for_the_token_that_is_held() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    assert_eq!(company.report("aspect").await.until.as_deref(), Some("2027-11-21T08:00:00Z"));
    company.configure(&BY_HAND.replace("prefix", "lifetime = \"90d\"\nprefix"));
    assert_eq!(company.report("aspect").await.until.as_deref(), Some("2027-02-19T08:00:00Z"));
}

#[tokio::test]
async fn a_rotation_through_the_service_gives_the_new_value_at_the_next_question() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    assert_eq!(served(&company).await, old);
    let report = rotate(&company, None).await.unwrap();
    assert_eq!((report.lost.len(), report.gained.len()), (0, 0), "{report:?}");
    assert_eq!(report.until.as_deref(), Some("2027-11-21T08:00:00Z"));
    let new = served(&company).await;
    assert_ne!(new, old);
    assert!(company.sandbox.portal().is_live(&new) && !company.sandbox.portal().is_live(&old));
    // A running Bazel asks again within ten minutes.
    let headers = company.get(CLUSTER).await.unwrap();
    assert_eq!(headers.expires.as_deref(), Some("2026-11-21T08:10:00Z"));

    let said = |report: &keyfob_ipc::reply::EntryReport| {
        report.notes.iter().find(|note| note.say.contains("may accept")).map(|note| note.say.clone())
    };
    let entry = company.report("aspect").await;
    assert_eq!(said(&entry).unwrap(), "clusters may accept the token before this one until 09:00 UTC");
    company.pass(HOUR);
    assert_eq!(said(&company.report("aspect").await), None);
}

#[tokio::test]
async fn a_loss_of_permissions_is_reported_and_stays_in_sight() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::ALL, 20);
    add(&company, "aspect", &old).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let report = rotate(&company, None).await.unwrap();
    let lost = [
        "execute at aw-remote-ext",
        "execute at aw-remote-two",
        "write at aw-remote-ext",
        "write at aw-remote-two",
    ];
    let mut seen = report.lost.clone();
    seen.sort();
    assert_eq!(seen, lost);
    let notes = company.report("aspect").await.notes;
    assert!(notes.iter().any(|note| note.say.contains("write at aw-remote-ext")), "{notes:?}");
    // The next one that is complete ends it.
    let whole = issue(&company, "ada@acme.dev", Permissions::ALL, 20);
    let report = rotate(&company, Some(&whole)).await.unwrap();
    assert_eq!(report.gained.len(), 4, "{report:?}");
    let notes = company.report("aspect").await.notes;
    assert!(!notes.iter().any(|note| note.say.contains("could do more")), "{notes:?}");
}

#[tokio::test]
async fn a_rotation_by_hand_takes_a_new_value_and_no_other() {
    let company = Company::with(BY_HAND, |_| {}).await;
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::TokenNeeded);
    add(&company, "aspect", "aw_1").await.unwrap();
    let refusal = rotate(&company, None).await.unwrap_err();
    assert!(refusal.say.contains("https://workflows.acme.dev/token"), "{refusal:?}");
    for wrong in ["aw_1", "gh_2", ""] {
        assert_eq!(rotate(&company, Some(wrong)).await.unwrap_err().code, Code::TokenInvalid, "{wrong}");
        assert_eq!(served(&company).await, "aw_1");
    }
    company.pass(HOUR);
    let report = rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(report.until.as_deref(), Some("2027-11-21T09:00:00Z"));
    assert_eq!(served(&company).await, "aw_2");
    assert!(report.notes.iter().any(|note| note.say.contains("until 10:00 UTC")), "{:?}", report.notes);
}

#[tokio::test]
async fn a_token_that_is_replaced_by_hand_may_still_be_good_at_its_service() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    let report = rotate(&company, Some(&new)).await.unwrap();
    assert!(
        report.notes.iter().any(|note| note.say.contains("still good at its service")),
        "{:?}",
        report.notes
    );
    assert!(!report.notes.iter().any(|note| note.say.contains("may accept")), "{:?}", report.notes);
    // One that the page has ended is remembered by clusters alone.
    company.sandbox.portal().revoke(&new);
    let newer = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    let report = rotate(&company, Some(&newer)).await.unwrap();
    assert!(report.notes.iter().any(|note| note.say.contains("may accept")), "{:?}", report.notes);
}

#[tokio::test]
async fn a_token_that_its_service_does_not_accept_any_more_is_shown_so() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &value).await.unwrap();
    company.sandbox.portal().revoke(&value);
    let ask = ControlAsk::Permissions { name: Some("aspect".to_owned()), again: true };
    company.control(ask).await.unwrap();
    let report = company.report("aspect").await;
    assert_eq!(report.state, EntryState::SignedOut);
    let refusal = report.refusal.unwrap();
    assert!(refusal.say.contains("does not accept"), "{refusal:?}");
    assert_eq!(refusal.hint, "keyfob token add aspect");
    // Clusters may still take it, so tools still get it.
    assert_eq!(served(&company).await, value);
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &new).await.unwrap();
    assert_eq!(company.report("aspect").await.state, EntryState::Live);
}

#[tokio::test]
async fn an_end_is_not_said_for_a_token_that_the_service_makes() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRotate {
        name: "aspect".to_owned(),
        value: None,
        ends: Some("2027-03-01".to_owned()),
    };
    assert_eq!(token(&company, ask).await.unwrap_err().code, Code::BadRequest);
    assert_eq!(served(&company).await, value);
}

#[tokio::test]
async fn a_tool_is_answered_while_the_service_hangs() {
    let company = Company::in_real_time(|_| {}).await;
    company.configure(CONFIG);
    let value = company.sandbox.portal().issue_token("ada@acme.dev", Permissions::READ, Timestamp::MAX);
    add(&company, "aspect", &value).await.unwrap();
    company.faults().set(Endpoint::TokenSelf, Fault::Slow(YEAR));
    company.faults().set(Endpoint::TokenRotate, Fault::Slow(YEAR));
    let rotating = rotate(&company, None);
    let asking = async { tokio::time::timeout(Duration::from_secs(1), served(&company)).await.unwrap() };
    tokio::select! {
        // The service never answers, so this does not end first.
        outcome = rotating => panic!("{outcome:?}"),
        value_served = asking => assert_eq!(value_served, value),
    }
}
