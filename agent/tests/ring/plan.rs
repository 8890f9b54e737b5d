//! What `status` says of what is held: since when, what will happen to it, and until when nothing reminds of it.

use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{EntryReport, PlannedDeed, Reply, Settings, Status};
use keyfob_ipc::{ControlAsk, Secret};
use keyfob_sandbox::Permissions;

use crate::company::{CONFIG, Company, HOUR, MINUTE};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// A token whose service knows its end, and one that it replaces by itself.
const TOKENS: &str = r#"
[agent]
reminders = ["2w", "12h", "90m"]
lock_on = ["sleep"]

[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
service = "keyfob"
api = "TOKENS"

[token.auto]
hosts = ["other.acme.dev"]
service = "keyfob"
api = "TOKENS"
rotate = "auto"
"#;

async fn status(company: &Company) -> Status {
    match company.control(ControlAsk::Status).await.unwrap() {
        Reply::Status(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

/// `2026-12-01T08:00 end`, one by one.
fn plan(report: &EntryReport) -> Vec<String> {
    let word = |what| match what {
        PlannedDeed::Remind => "remind",
        PlannedDeed::Renew => "renew",
        PlannedDeed::End => "end",
        PlannedDeed::Unknown => "unknown",
    };
    report.plan.iter().map(|planned| format!("{} {}", &planned.at[..16], word(planned.what))).collect()
}

async fn add_until(company: &Company, name: &str, ends: &str) {
    let (name, value, ends) = (name.to_owned(), Secret::from("aw_1"), Some(ends.to_owned()));
    company.control(ControlAsk::TokenAdd { name, value, ends }).await.unwrap();
}

#[tokio::test]
async fn the_settings_in_force_are_told() {
    let company = Company::with(TOKENS, |_| {}).await;
    let told = |reminders: &[&str], lock_on: &[&str]| Settings {
        reminders: reminders.iter().map(|&text| text.to_owned()).collect(),
        lock_on: lock_on.iter().map(|&text| text.to_owned()).collect(),
    };
    assert_eq!(status(&company).await.settings, told(&["14d", "12h", "90m"], &["sleep"]));
    company.configure(CONFIG);
    assert_eq!(status(&company).await.settings, told(&["30d", "14d", "7d", "3d", "1d"], &[]));
    // A broken edit leaves what is in force.
    company.configure("[agent]\nreminders = [\"soon\"]\n");
    assert_eq!(status(&company).await.settings, told(&["30d", "14d", "7d", "3d", "1d"], &[]));
}

#[tokio::test]
async fn a_token_is_reminded_of_and_ends_and_a_snooze_is_seen() {
    let mut company = Company::open().await;
    assert_eq!(company.report("aspect").await.since, None);
    assert_eq!(plan(&company.report("aspect").await), [""; 0]);
    add_until(&company, "aspect", "2026-12-10").await;
    let report = company.report("aspect").await;
    assert_eq!(report.since.as_deref(), Some("2026-11-21T08:00:00Z"));
    assert_eq!(report.quiet_until, None);
    let all = [
        "2026-11-26T00:00 remind",
        "2026-12-03T00:00 remind",
        "2026-12-07T00:00 remind",
        "2026-12-09T00:00 remind",
    ];
    let end = ["2026-12-10T00:00 end"];
    // The first one has passed, and is told at the next look.
    assert_eq!(plan(&report), [&all[..], &end].concat());

    company.agent.snooze("aspect", Some(15)).unwrap();
    let report = company.report("aspect").await;
    assert_eq!(report.quiet_until.as_deref(), Some("2026-12-06T08:00:00Z"));
    let snoozed = [&["2026-12-06T08:00 remind"][..], &all[2..], &end].concat();
    assert_eq!(plan(&report), snoozed);
    // What is known of ends outlasts the agent and a keychain that is locked.
    company.agent.remind_now().await;
    company.restart();
    company.vault.set(Some(KeychainError::Locked));
    let report = company.report("aspect").await;
    assert_eq!(report.since, None);
    assert_eq!(plan(&report), snoozed);
    assert_eq!(report.quiet_until.as_deref(), Some("2026-12-06T08:00:00Z"));
    company.vault.set(None);

    company.pass(DAY * 16);
    company.agent.remind_now().await;
    let report = company.report("aspect").await;
    assert_eq!(report.quiet_until, None);
    assert_eq!(plan(&report), [&all[3..], &end].concat());
    company.pass(DAY * 4);
    assert_eq!(plan(&company.report("aspect").await), [""; 0]);
    company.remove_token("aspect").await.unwrap();
    let report = company.report("aspect").await;
    assert_eq!((report.since, report.plan), (None, Vec::new()));
}

#[tokio::test]
async fn what_rotates_by_itself_says_when_and_its_life_begins_at_its_service() {
    let company = Company::with(TOKENS, |_| {}).await;
    let ends = "2027-11-21T08:00:00Z".parse().unwrap();
    let value = company.sandbox.portal().issue_token("ada", Permissions::ALL, ends);
    company.pass(HOUR);
    company.add_token("auto", &value).await.unwrap();
    let report = company.report("auto").await;
    assert_eq!(report.since.as_deref(), Some("2026-11-21T08:00:00Z"), "when the service made it");
    assert_eq!(plan(&report)[0], "2027-10-22T08:00 renew");
    assert_eq!(plan(&report).last().unwrap(), "2027-11-21T08:00 end");
    company.pass(HOUR);
    company
        .control(ControlAsk::TokenRotate { name: "auto".to_owned(), value: None, ends: None })
        .await
        .unwrap();
    let report = company.report("auto").await;
    assert_eq!(report.since.as_deref(), Some("2026-11-21T10:00:00Z"), "when it was replaced");
}

#[tokio::test]
async fn a_session_began_with_its_sign_in_and_a_role_with_its_newest_keys() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.pass(HOUR);
    company.bearer().await.unwrap();
    company.agent.flights.quiet().await;
    let session = company.report("okta").await;
    assert_eq!(session.since.as_deref(), Some("2026-11-21T08:00:00Z"), "whatever was renewed since");
    assert_eq!(plan(&session), [""; 0], "its end is not known");
    assert_eq!(company.report("dev").await.since, None);

    company.keys("dev").await.unwrap();
    let role = company.report("dev").await;
    assert_eq!(role.since.as_deref(), Some("2026-11-21T09:00:00Z"));
    assert_eq!(plan(&role), ["2026-11-21T09:40 renew"]);
    company.pass(MINUTE * 50);
    assert_eq!(plan(&company.report("dev").await), ["2026-11-21T09:50 renew"], "it is due");
    company.sign_out().await.unwrap();
    let role = company.report("dev").await;
    assert_eq!((role.since, role.plan), (None, Vec::new()));
}

#[tokio::test]
async fn where_a_session_ends_its_roles_end_with_it() {
    let config = CONFIG.replace("hosts = [\"*.cache", "scopes = [\"openid\", \"email\"]\nhosts = [\"*.cache");
    let company = Company::with(&config, |_| {}).await;
    company.sign_in().await.unwrap();
    company.keys("dev").await.unwrap();
    let end = ["2026-11-21T09:00 end"];
    assert_eq!(plan(&company.report("okta").await), end);
    assert_eq!(plan(&company.report("dev").await), [&["2026-11-21T08:40 renew"], &end[..]].concat());
}
