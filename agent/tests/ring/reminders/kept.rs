//! What is remembered of reminders, and what becomes of those that nobody saw.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;
use keyfob_agent::clock::Clock as _;

use super::{DAY, add, ending_in, file, pass};
use crate::company::{HOUR, eventually};
use crate::desktop::Mood;
use crate::watch::notice;

#[tokio::test]
async fn what_is_removed_is_not_reminded_of_and_what_comes_back_not_twice() {
    let mut company = ending_in(10).await;
    company.agent.remind_now().await;
    company.remove_token("aspect").await.unwrap();
    company.agent.remind_now().await;
    company.restart();
    pass(&company, 3).await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 10 days"]);
    // The very same end, and then the next threshold of it.
    add(&company, "aspect", 7).await;
    company.agent.remind_now().await;
    company.remove_token("aspect").await.unwrap();
    add(&company, "aspect", 7).await;
    company.agent.remind_now().await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 10 days", "Token aspect ends in 7 days"]);
}

#[tokio::test]
async fn a_file_that_is_damaged_starts_anew_and_one_that_cannot_be_written_holds_reminders_back() {
    let mut company = ending_in(10).await;
    company.agent.remind_now().await;
    let path = company.state().join("reminders.json");
    #[cfg(unix)]
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("a-token"));
    for damage in [
        "",
        "{",
        "[]",
        r#"{"format":2,"entries":{}}"#,
        r#"{"format":1,"entries":{"token.aspect":{"held":1}}}"#,
    ] {
        std::fs::write(&path, damage).unwrap();
        company.restart();
        company.agent.remind_now().await;
        assert_eq!(
            company.desktop.shown().len(),
            1,
            "nothing is known, and the keychain is not asked: {damage}"
        );
    }
    // As soon as anything reads what is held, its end is known again.
    company.get("https://aw-remote-ext.acme.dev/").await.unwrap();
    let block = company.state().join("reminders.json.new");
    std::fs::create_dir(&block).unwrap();
    let next = company.agent.remind_now().await;
    assert_eq!(company.desktop.shown().len(), 1, "it could be told a second time");
    assert_eq!(next, company.clock.now().checked_add(SignedDuration::from_hours(1)).ok());
    std::fs::remove_dir(&block).unwrap();
    company.pass(HOUR);
    company.agent.remind_now().await;
    company.restart();
    company.agent.remind_now().await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 10 days"; 2]);
}

#[tokio::test]
async fn what_nobody_could_show_is_tried_again_and_shown_once() {
    let mut company = ending_in(10).await;
    company.desktop.set(Mood::Absent);
    for _ in 0..3 {
        company.agent.remind_now().await;
        company.pass(HOUR);
    }
    company.desktop.set(Mood::Shows);
    company.restart();
    company.agent.remind_now().await;
    company.agent.remind_now().await;
    pass(&company, 1).await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 10 days"]);
}

#[tokio::test]
async fn a_watcher_that_comes_takes_what_nobody_could_show() {
    let company = ending_in(10).await;
    company.desktop.set(Mood::Absent);
    tokio::spawn(company.agent.clone().remind());
    let owed = || file(&company)["entries"]["token.aspect"]["about"]["owed"].is_array();
    eventually("it is owed", async || company.state().join("reminders.json").exists() && owed()).await;
    let mut watch = company.agent.watchers.watch(true).unwrap();
    let seen = notice(&mut watch).await;
    assert_eq!(seen.title, "Token aspect ends in 10 days");
    company.agent.notices.claim(seen.id).unwrap();
    eventually("nothing is owed", async || !owed()).await;
    company.desktop.set(Mood::Shows);
    company.pass(HOUR * 2);
    company.pass(DAY * 3);
    let next = notice(&mut watch).await;
    assert_eq!(next.title, "Token aspect ends in 7 days");
}
