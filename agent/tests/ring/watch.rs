//! Who watches, who shows a notice, and that it is never two.

use std::time::Duration;

use keyfob_agent::notices::{Telling, Told};
use keyfob_agent::watch::Watch;
use keyfob_ipc::limits::CLAIM;
use keyfob_ipc::reply::{Event, Notice, Reply, Weight};
use keyfob_ipc::{Code, ControlAsk, Refusal};

use crate::company::{CONFIG, Company, MINUTE};
use crate::desktop::Mood;

const DEADLINE: Duration = Duration::from_secs(20);

fn tell(company: &Company, title: &str) -> Telling {
    let (entry, body) = ("token.aspect".to_owned(), "Rotate it.".to_owned());
    company.agent.notices.tell(Told {
        entry,
        weight: Weight::Due,
        title: title.to_owned(),
        body,
        is_question: false,
    })
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

async fn next(watch: &mut Watch) -> Event {
    in_time(watch.next()).await.expect("this watcher is quick")
}

/// The next notice; what changed meanwhile is passed over.
pub async fn notice(watch: &mut Watch) -> Notice {
    loop {
        if let Event::Notice(notice) = next(watch).await {
            return notice;
        }
    }
}

pub async fn changed(watch: &mut Watch) -> Vec<String> {
    match next(watch).await {
        Event::Changed { entries } => entries,
        other => panic!("no change: {other:?}"),
    }
}

async fn claim(company: &Company, notice: &Notice) -> Result<(), Refusal> {
    match company.control(ControlAsk::ClaimNotice { id: notice.id }).await? {
        Reply::Done { .. } => Ok(()),
        other => panic!("not done: {other:?}"),
    }
}

fn says(refused: Result<(), Refusal>, words: &str) {
    let refusal = refused.unwrap_err();
    assert!(refusal.code == Code::BadRequest && refusal.say.contains(words), "{refusal:?}");
}

#[tokio::test]
async fn where_nobody_listens_the_agent_shows_it_at_once() {
    let company = Company::open().await;
    let _deaf = company.agent.watchers.watch(false).unwrap();
    assert!(in_time(tell(&company, "one").is_shown()).await);
    let shown = company.desktop.shown();
    assert_eq!((shown.len(), shown[0].title.as_str(), shown[0].weight), (1, "one", Weight::Due));
    says(claim(&company, &shown[0]).await, "the agent has shown it already");
}

#[tokio::test]
async fn the_first_watcher_to_claim_a_notice_shows_it_and_nobody_else_does() {
    let company = Company::open().await;
    let watch = || company.agent.watchers.watch(true).unwrap();
    let (mut one, mut other) = (watch(), watch());
    let telling = tell(&company, "one");
    let (seen, seen_too) = (notice(&mut one).await, notice(&mut other).await);
    assert_eq!(seen, seen_too);
    claim(&company, &seen).await.unwrap();
    says(claim(&company, &seen_too).await, "somebody else shows it already");
    assert!(in_time(telling.is_shown()).await);
    company.pass(MINUTE);
    // What came after it has its own end.
    drop((one, other));
    assert!(in_time(tell(&company, "two").is_shown()).await);
    assert_eq!(company.desktop.titles(), ["two"]);
}

#[tokio::test]
async fn what_no_watcher_claims_in_time_is_shown_by_the_agent_and_then_it_is_too_late() {
    let company = Company::open().await;
    let mut watch = company.agent.watchers.watch(true).unwrap();
    let telling = tell(&company, "one");
    let seen = notice(&mut watch).await;
    assert_eq!(company.desktop.titles(), Vec::<String>::new());
    company.pass(CLAIM);
    assert!(in_time(telling.is_shown()).await);
    assert_eq!(company.desktop.titles(), ["one"]);
    says(claim(&company, &seen).await, "the agent has shown it already");
}

#[tokio::test]
async fn a_watcher_that_dies_is_not_waited_for() {
    let company = Company::open().await;
    let watch = || company.agent.watchers.watch(true).unwrap();
    let (mut one, mut other) = (watch(), watch());
    let telling = tell(&company, "one");
    notice(&mut one).await;
    drop(one);
    let seen = notice(&mut other).await;
    assert_eq!(company.desktop.titles(), Vec::<String>::new(), "another one is still there");
    drop(other);
    assert!(in_time(telling.is_shown()).await, "no time passes");
    assert_eq!(company.desktop.titles(), ["one"]);
    says(claim(&company, &seen).await, "the agent has shown it already");
}

#[tokio::test]
async fn a_claim_and_the_agents_patience_that_meet_bring_one_notice() {
    let company = Company::open().await;
    let mut watch = company.agent.watchers.watch(true).unwrap();
    let mut claimed = 0;
    for round in 0..200_usize {
        let telling = tell(&company, &round.to_string());
        let seen = notice(&mut watch).await;
        // Time is up, and the task that waits for that gets this far or not before the claim.
        company.pass(CLAIM);
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        let is_claimed = claim(&company, &seen).await.is_ok();
        claimed += usize::from(is_claimed);
        assert!(in_time(telling.is_shown()).await);
        assert_eq!(company.desktop.shown().len() + claimed, round + 1, "{is_claimed}");
    }
    assert!((1..200).contains(&claimed), "both happen: {claimed}");
}

#[tokio::test]
async fn a_watcher_that_comes_later_gets_no_old_notice() {
    let company = Company::open().await;
    assert!(in_time(tell(&company, "one").is_shown()).await);
    let mut watch = company.agent.watchers.watch(true).unwrap();
    let telling = tell(&company, "two");
    let seen = notice(&mut watch).await;
    assert_eq!(seen.title, "two");
    claim(&company, &seen).await.unwrap();
    assert!(telling.is_shown().await);
    says(claim(&company, &Notice { id: 77, ..seen }).await, "there is no such notice");
}

#[tokio::test]
async fn a_desktop_that_does_not_answer_is_not_waited_for_and_one_that_is_not_there_is_said() {
    let company = Company::open().await;
    company.desktop.set(Mood::Silent);
    assert!(in_time(tell(&company, "one").is_shown()).await, "it may be on the screen");
    company.desktop.set(Mood::Absent);
    assert!(!in_time(tell(&company, "two").is_shown()).await);
    assert_eq!(company.desktop.titles(), ["one"]);
}

#[tokio::test]
async fn whoever_watches_hears_of_what_changes() {
    let company = Company::open().await;
    let mut watch = company.agent.watchers.watch(false).unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    assert_eq!(changed(&mut watch).await, ["token.aspect"]);
    company.sign_in().await.unwrap();
    // What is obtained through the session changes with it.
    assert_eq!(changed(&mut watch).await, ["aws.dev", "sso.okta"]);
    company.keys("dev").await.unwrap();
    company.agent.flights.quiet().await;
    assert!(changed(&mut watch).await.contains(&"aws.dev".to_owned()));
    company.configure(&CONFIG.replace("prefix = \"aw_\"", "prefix = \"a\""));
    company.agent.config().unwrap();
    assert_eq!(changed(&mut watch).await, ["token.aspect"]);
    company.remove_token("aspect").await.unwrap();
    assert_eq!(changed(&mut watch).await, ["token.aspect"]);
    company.sign_out().await.unwrap();
    assert_eq!(changed(&mut watch).await, ["aws.dev", "sso.okta"], "and nothing between");
}
