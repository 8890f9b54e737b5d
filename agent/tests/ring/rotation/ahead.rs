//! `rotate = "auto"`.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn company() -> (Company, String) {
    let company = Company::with(
        &CONFIG.replace("service = \"keyfob\"", "service = \"keyfob\"\nrotate = \"auto\""),
        |_| {},
    )
    .await;
    let value = issue(&company);
    company.add_token("aspect", &value).await.unwrap();
    tokio::spawn(company.agent.clone().rotate_ahead());
    (company, value)
}

/// One day, and whatever the agent does in it.
async fn a_day(company: &Company) {
    company.pass(DAY);
    quiet(company).await;
}

async fn quiet(company: &Company) {
    eventually("the agent is at rest", async || {
        let before = company.vault.stores();
        turns().await;
        step(company, "aspect").await.is_none() && company.vault.stores() == before
    })
    .await;
}

#[tokio::test]
async fn over_two_years_it_is_rotated_a_month_ahead_also_after_a_month_asleep() {
    let (company, first) = company().await;
    let mut rotated_on = Vec::new();
    let mut day = 0;
    while day < 730 {
        // The laptop sleeps through the day on which the first rotation is due.
        let slept = if day == 320 { 30 } else { 1 };
        let before = company.counts().rotations;
        company.pass(DAY * slept);
        day += slept;
        quiet(&company).await;
        if company.counts().rotations > before {
            rotated_on.push(day);
        }
        assert!(is_live(&company, &served(&company).await), "day {day}");
    }
    assert_eq!(rotated_on, [350, 685]);
    assert!(!is_live(&company, &first));
    let told: Vec<_> =
        company.desktop.shown().into_iter().filter(|told| told.entry == "token.aspect").collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1].title, "A token was rotated");
    assert_eq!(told[1].body, "token.aspect has a new token. It ends on 2029-10-06.");
}

#[tokio::test]
async fn one_that_lives_for_days_is_rotated_after_two_thirds_of_them() {
    let config =
        CONFIG.replace("service = \"keyfob\"", "service = \"keyfob\"\nrotate = \"auto\"\nlifetime = \"9d\"");
    let company = Company::with(&config, |_| {}).await;
    let ends = keyfob_agent::clock::after(company.world_now(), DAY * 9);
    let value = company.sandbox.portal().issue_token("ada", Permissions::ALL, ends);
    company.add_token("aspect", &value).await.unwrap();
    tokio::spawn(company.agent.clone().rotate_ahead());
    for rotations in 1..=4 {
        company.pass(DAY * 6 - HOUR);
        quiet(&company).await;
        assert_eq!(company.counts().rotations, rotations - 1);
        company.pass(HOUR);
        eventually("it is rotated", async || company.counts().rotations == rotations).await;
        quiet(&company).await;
    }
}

#[tokio::test]
async fn a_failure_is_tried_again_after_an_hour_and_then_every_six() {
    let (company, old) = company().await;
    company.faults().set(Endpoint::TokenRotate, Fault::Status(403));
    company.pass(DAY * 335);
    eventually("it is tried", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    for (hours, tries) in [(1, 2), (6, 3), (6, 4)] {
        quiet(&company).await;
        company.pass(HOUR * hours - Duration::from_secs(60));
        quiet(&company).await;
        assert_eq!(asked(&company, Endpoint::TokenRotate), tries - 1, "{hours} h are not over");
        company.pass(Duration::from_secs(60));
        eventually("it is tried again", async || asked(&company, Endpoint::TokenRotate) == tries).await;
    }
    assert_eq!(served(&company).await, old);
    assert_eq!(company.desktop.titles(), ["A token could not be rotated"], "once");
    company.faults().clear_all();
    quiet(&company).await;
    company.pass(HOUR * 6);
    eventually("it is rotated", async || company.counts().rotations == 1).await;
    a_day(&company).await;
    assert_eq!(company.counts().rotations, 1);
}

#[tokio::test]
async fn only_what_is_told_to_be_is_rotated() {
    let (company, _) = super::company().await;
    tokio::spawn(company.agent.clone().rotate_ahead());
    company.pass(DAY * 360);
    quiet(&company).await;
    assert_eq!(company.counts().rotations, 0);
}

#[tokio::test]
async fn a_dead_one_is_told_once_and_not_tried_again() {
    let (company, old) = company().await;
    company.sandbox.portal().revoke(&old);
    company.pass(DAY * 335);
    eventually("it is told", async || company.desktop.titles() == ["A token could not be rotated"]).await;
    let looked = asked(&company, Endpoint::TokenSelf);
    for _ in 0..4 {
        a_day(&company).await;
    }
    assert_eq!((asked(&company, Endpoint::TokenSelf), asked(&company, Endpoint::TokenRotate)), (looked, 0));
    assert_eq!(company.desktop.titles().len(), 1, "once");
    // Another one is another matter.
    let by_hand = issue(&company);
    company.add_token("aspect", &by_hand).await.unwrap();
    company.pass(DAY * 336);
    eventually("it is rotated", async || company.counts().rotations == 1).await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_postpones_nothing() {
    // When the value before it was replaced.
    let (mut company, _) = company().await;
    let mut stored = item(&company, "aspect").await;
    stored["facts"]["token"]["replaced"] = "2027-11-20T08:00:00Z".into();
    company.vault.put_item("token.aspect", &stored).await;
    company.restart();
    served(&company).await;
    tokio::spawn(company.agent.clone().rotate_ahead());
    company.pass(DAY * 334);
    quiet(&company).await;
    assert_eq!(company.counts().rotations, 0);
    company.pass(DAY);
    eventually("it is rotated", async || company.counts().rotations == 1).await;

    // When it was tried last.
    let (company, _) = self::company().await;
    let today = company.world_now();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Status(403), 1);
    company.clock.set(keyfob_agent::clock::after(today, DAY * 345));
    eventually("it is tried", async || asked(&company, Endpoint::TokenRotate) == 1).await;
    quiet(&company).await;
    company.clock.set(today);
    company.pass(DAY * 336);
    // The keychain does something for somebody, which makes everybody look.
    let gitlab = company.sandbox.gitlab().issue_token("ada", &["api"], "2029-06-01".parse().ok());
    company.add_token("gitlab", &gitlab).await.unwrap();
    eventually("it is rotated", async || company.counts().rotations == 1).await;
}
