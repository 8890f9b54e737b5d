//! Reminders over years, on a clock that jumps, in an agent that is restarted.

#[path = "reminders/kept.rs"]
mod kept;
#[path = "reminders/snooze.rs"]
mod snooze;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyfob_agent::clock::Clock as _;
use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::{Code, ControlAsk, Refusal, Secret};
use keyfob_sandbox::Permissions;
use serde_json::Value;

use crate::company::{Company, HOUR, MINUTE, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two tokens by hand, for a year each.
const CONFIG: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"

[token.other]
hosts = ["other.acme.dev"]
"#;

const A_YEAR_OF_REMINDERS: [&str; 6] = [
    "Token aspect probably ends in 30 days",
    "Token aspect probably ends in 14 days",
    "Token aspect probably ends in 7 days",
    "Token aspect probably ends in 3 days",
    "Token aspect probably ends in 1 day",
    "Token aspect has probably ended",
];

async fn company() -> Company {
    Company::with(CONFIG, |_| {}).await
}

/// A company whose token ends so many days from now, by the person's word.
async fn ending_in(days: i64) -> Company {
    let company = company().await;
    add(&company, "aspect", days).await;
    company
}

async fn add(company: &Company, name: &str, days: i64) {
    let ends = Some(in_days(company, days).to_string());
    let (name, value) = (name.to_owned(), Secret::from("a-token"));
    company.control(ControlAsk::TokenAdd { name, value, ends }).await.unwrap();
}

fn in_days(company: &Company, days: i64) -> Timestamp {
    company.clock.now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

/// Days pass, and the agent looks at the end of them.
async fn pass(company: &Company, days: u32) {
    company.pass(DAY * days);
    company.agent.remind_now().await;
}

async fn rotate(company: &Company, name: &str, value: &str) {
    let (name, value) = (name.to_owned(), Some(Secret::from(value)));
    company.control(ControlAsk::TokenRotate { name, value, ends: None }).await.unwrap();
}

fn snooze(company: &Company, days: Option<u32>) -> Result<String, Refusal> {
    company.agent.snooze("aspect", days)
}

/// What was shown since the last time.
fn shown(company: &Company, before: &mut usize) -> Vec<String> {
    let all = company.desktop.titles();
    let new = all[*before..].to_vec();
    *before = all.len();
    new
}

fn file(company: &Company) -> Value {
    let text = std::fs::read(company.state().join("reminders.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The thresholds that were told of the end that is known now.
fn told(company: &Company) -> BTreeSet<String> {
    let about = &file(company)["entries"]["token.aspect"]["about"];
    about["told"].as_object().into_iter().flat_map(|told| told.keys().cloned()).collect()
}

fn notes(company: &Company, name: &str) -> Vec<Note> {
    let entry = company.entry(name);
    let holding = company.agent.holdings().at_hand(&entry.name).unwrap();
    let (end, is_assumed) = entry.source.end(&holding.facts);
    company.agent.reminder_notes(&entry, end, is_assumed)
}

#[tokio::test]
async fn two_years_of_days_bring_each_reminder_once() {
    let company = company().await;
    company.add_token("aspect", "a-token").await.unwrap();
    let mut days = Vec::new();
    for day in 1..=730 {
        let before = company.desktop.shown().len();
        pass(&company, 1).await;
        days.extend(vec![day; company.desktop.shown().len() - before]);
    }
    assert_eq!(days, [335, 351, 358, 362, 364, 365]);
    assert_eq!(company.desktop.titles(), A_YEAR_OF_REMINDERS);
    let shown = company.desktop.shown();
    let loud: Vec<bool> = shown.iter().map(|notice| notice.weight == Weight::Urgent).collect();
    assert_eq!(loud, [false, false, false, true, true, true]);
    assert!(shown.iter().all(|notice| notice.entry == "token.aspect"));
    assert_eq!(
        shown[0].body,
        "Its service does not tell: 2027-11-21 is assumed, by `lifetime` in the configuration. \
         Rotate it: keyfob token rotate aspect"
    );
}

#[tokio::test]
async fn a_rotation_begins_anew() {
    let company = company().await;
    company.add_token("aspect", "a-token").await.unwrap();
    for day in 1..=730 {
        pass(&company, 1).await;
        if day == 355 {
            rotate(&company, "aspect", "another-token").await;
        }
    }
    let all = [&A_YEAR_OF_REMINDERS[..2], &A_YEAR_OF_REMINDERS].concat();
    assert_eq!(company.desktop.titles(), all);
}

/// Steps of anything between a minute and some weeks, from a fixed seed.
fn steps(seed: u64, longest: Duration) -> impl Iterator<Item = Duration> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (state >> 33) as f64 / f64::from(1_u32 << 31);
        // Short steps as often as long ones.
        MINUTE + longest.mul_f64(share.powi(4))
    })
}

#[tokio::test]
async fn two_years_of_irregular_days_and_restarts_bring_the_nearest_reminder_once() {
    for seed in 1..=5 {
        let mut company = ending_in(500).await;
        let (start, end) = (company.clock.now(), in_days(&company, 500));
        // As the agent does by itself when something is added.
        company.agent.remind_now().await;
        let mut expected = Vec::new();
        for (step, time) in steps(seed, DAY * 25).enumerate() {
            company.pass(time);
            if step % 3 == 0 {
                company.restart();
            }
            company.agent.remind_now().await;
            let left = end.duration_since(company.clock.now());
            let nearest =
                [0, 1, 3, 7, 14, 30].into_iter().find(|days| left <= SignedDuration::from_hours(24 * days));
            if nearest.is_some() && expected.last() != Some(&nearest) {
                expected.push(nearest);
            }
            assert_eq!(
                company.desktop.shown().len(),
                expected.len(),
                "seed {seed}, step {step}: {expected:?}"
            );
            if company.clock.now().duration_since(start) > SignedDuration::from_hours(24 * 730) {
                break;
            }
        }
        assert!(expected.len() > 1, "seed {seed}: {expected:?}");
        assert_eq!(company.vault.loads(), 1, "no restart asks the keychain");
    }
}

#[tokio::test]
async fn a_clock_that_goes_wrong_both_ways_never_tells_one_threshold_twice() {
    for seed in 11..=15 {
        let mut company = ending_in(60).await;
        let mut wrong = steps(seed * 7, DAY * 20);
        for (step, time) in steps(seed, DAY * 5).enumerate().take(300) {
            company.clock.advance(time);
            let jump = SignedDuration::try_from(wrong.next().unwrap()).unwrap();
            match step % 7 {
                2 => company.clock.set(company.clock.now().checked_sub(jump).unwrap()),
                4 => company.clock.set(company.clock.now().checked_add(jump).unwrap()),
                5 => company.restart(),
                _ => {}
            }
            let before = company.desktop.shown().len();
            company.agent.remind_now().await;
            let shown = company.desktop.shown().len();
            assert!(shown <= before + 1, "one at a time: {:?}", company.desktop.titles());
            // Each is written down by its threshold, so one that came twice would be missing here.
            assert_eq!(told(&company).len(), shown, "seed {seed}, step {step}");
        }
        assert!(told(&company).len() > 1, "seed {seed}");
    }
}

#[tokio::test]
async fn a_month_asleep_brings_one_reminder() {
    let company = ending_in(32).await;
    pass(&company, 1).await;
    pass(&company, 29).await;
    pass(&company, 1).await;
    pass(&company, 60).await;
    assert_eq!(
        company.desktop.titles(),
        ["Token aspect ends in 2 days", "Token aspect ends in 1 day", "Token aspect has ended"]
    );
    assert_eq!(company.desktop.shown()[2].body, "Add a new one: keyfob token add aspect");
}

#[tokio::test]
async fn a_clock_that_is_put_right_by_hours_brings_nothing_that_was_passed_over() {
    let company = ending_in(40).await;
    company.agent.remind_now().await;
    company.pass(DAY * 37 + HOUR * 12);
    company.agent.remind_now().await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 3 days"]);
    // Four days are left again, and the reminder of seven days was slept through.
    company.clock.set(company.clock.now().checked_sub(SignedDuration::from_hours(20)).unwrap());
    company.agent.remind_now().await;
    pass(&company, 1).await;
    assert_eq!(company.desktop.shown().len(), 1);
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_for_a_while_keeps_no_reminder_back() {
    let company = ending_in(20).await;
    let mut before = 0;
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), ["Token aspect ends in 20 days"]);
    let now = company.clock.now();
    company.clock.advance(DAY * 3000);
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), ["Token aspect has ended"]);
    company.clock.set(now);
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), [""; 0]);
    for _ in 0..30 {
        pass(&company, 1).await;
    }
    let rest = ["14 days", "7 days", "3 days", "1 day"].map(|left| format!("Token aspect ends in {left}"));
    assert_eq!(shown(&company, &mut before), rest, "and nothing is told twice");
}

#[tokio::test]
async fn several_tokens_are_reminded_of_each_by_itself() {
    let company = ending_in(31).await;
    add(&company, "other", 31).await;
    pass(&company, 1).await;
    rotate(&company, "other", "b-token").await;
    pass(&company, 25).await;
    assert_eq!(
        company.desktop.titles(),
        ["Token aspect ends in 30 days", "Token other ends in 30 days", "Token aspect ends in 5 days"]
    );
}

#[tokio::test]
async fn the_configuration_says_when_and_an_edit_takes_effect() {
    let company = ending_in(40).await;
    let reminders = |list: &str| company.configure(&format!("[agent]\nreminders = {list}\n{CONFIG}"));
    reminders("[]");
    pass(&company, 15).await;
    assert_eq!(notes(&company, "aspect"), []);
    assert_eq!(snooze(&company, None).unwrap_err().code, Code::BadRequest);
    pass(&company, 30).await;
    assert_eq!(company.desktop.titles(), [""; 0]);

    rotate(&company, "aspect", "b-token").await;
    company
        .control(ControlAsk::TokenEnds { name: "aspect".into(), ends: in_days(&company, 40).to_string() })
        .await
        .unwrap();
    reminders(r#"["1h", "36h"]"#);
    pass(&company, 38).await;
    assert_eq!(company.desktop.titles(), [""; 0]);
    company.pass(HOUR * 12);
    company.agent.remind_now().await;
    company.pass(HOUR * 35);
    let next = company.agent.remind_now().await;
    assert_eq!(company.desktop.titles(), ["Token aspect ends in 2 days", "Token aspect ends in 1 hour"]);
    let end = company.clock.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    assert_eq!(next, Some(end));
}

#[tokio::test]
async fn a_machines_token_is_named_after_the_machine() {
    let config = format!("{CONFIG}service = \"keyfob\"\napi = \"TOKENS\"\n");
    let company = Company::with(&config, |_| {}).await;
    let token = company.sandbox.portal().issue_token("bot-<b>ci", Permissions::READ, in_days(&company, 14));
    company.add_token("other", &token).await.unwrap();
    company.agent.remind_now().await;
    let shown = company.desktop.shown();
    assert_eq!(shown[0].title, "Machine token other ends in 14 days");
    assert_eq!(shown[0].body, "It belongs to bot-<b>ci. Rotate it: keyfob token rotate other");
    assert_eq!(file(&company)["entries"]["token.other"]["machine"], "bot-<b>ci");
}

#[tokio::test]
async fn what_the_agent_rotates_itself_is_spoken_of_when_it_should_have_been() {
    let config = format!("{CONFIG}service = \"keyfob\"\napi = \"TOKENS\"\nrotate = \"auto\"\n");
    let company = Company::with(&config, |_| {}).await;
    let issue = |days| {
        company.sandbox.portal().issue_token("ada@example.com", Permissions::READ, in_days(&company, days))
    };
    let mut before = 0;
    company.add_token("other", &issue(60)).await.unwrap();
    for _ in 0..54 {
        pass(&company, 1).await;
    }
    assert_eq!(shown(&company, &mut before), ["Token other ends in 7 days"]);
    assert_eq!(
        company.desktop.shown()[0].body,
        "It was not rotated by itself. Rotate it: keyfob token rotate other"
    );
    // One of a day has every usual threshold behind it from the first, and the agent's own turn before it.
    company.add_token("other", &issue(1)).await.unwrap();
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), [""; 0]);
    pass(&company, 1).await;
    assert_eq!(shown(&company, &mut before), ["Token other has ended"]);
}

#[tokio::test]
async fn the_agent_wakes_by_itself_at_each_threshold() {
    let company = ending_in(31).await;
    tokio::spawn(company.agent.clone().remind());
    let mut expected = Vec::new();
    for (days, left) in [(1, "30 days"), (16, "14 days"), (7, "7 days"), (4, "3 days"), (2, "1 day")] {
        company.pass(DAY * days);
        expected.push(format!("Token aspect ends in {left}"));
        eventually(left, async || company.desktop.titles() == expected).await;
    }
    // What is added while it sleeps is heard of.
    add(&company, "other", 3).await;
    expected.push("Token other ends in 3 days".to_owned());
    eventually("the other one", async || company.desktop.titles() == expected).await;
}
