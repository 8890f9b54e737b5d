//! How long an answer holds: over time, over a restart, and no longer than the program is the same.

use std::time::Duration;

use keyfob_agent::asker::Asker;
use keyfob_ipc::Code;
use keyfob_ipc::reply::Approval;

use super::{ALWAYS, FIRST, House};
use crate::company::{HOUR, MINUTE, eventually};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn once_is_for_the_next_use_and_what_comes_together_with_it() {
    for lines in [FIRST, ALWAYS] {
        let house = House::with(lines).await;
        assert!(!house.is_given("terraform").await);
        house.answer(Approval::Once).await.unwrap();
        assert!(house.grants().await[0].is_once);
        house.company.pass(9 * MINUTE);
        for _ in 0..150 {
            assert!(house.is_given("terraform").await);
        }
        assert_eq!(house.grants().await[0].until.as_deref(), Some("2026-11-21T08:09:10Z"));
        house.company.pass(9 * SECOND);
        assert!(house.is_given("terraform").await);
        house.company.pass(SECOND);
        assert!(!house.is_given("terraform").await, "ten seconds after the first use");
        assert!(house.grants().await.is_empty());
    }
}

#[tokio::test]
async fn once_is_not_used_up_by_a_call_that_gets_nothing() {
    let house = House::with(ALWAYS).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Once).await.unwrap();
    house.company.remove_token("aspect").await.unwrap();
    assert_eq!(house.get("terraform").await.unwrap_err().code, Code::TokenNeeded);
    house.company.pass(MINUTE);
    house.company.add_token("aspect", "aw_2").await.unwrap();
    assert!(house.is_given("terraform").await);
}

#[tokio::test]
async fn once_lapses_where_nobody_uses_it() {
    let house = House::with(ALWAYS).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Once).await.unwrap();
    assert_eq!(house.grants().await[0].until.as_deref(), Some("2026-11-21T08:10:00Z"));
    // A look is no use.
    let asker = house.programs.asker("terraform");
    let why = keyfob_ipc::ToolAsk::Why { subject: "aspect".to_owned() };
    house.company.agent.tool_of(why, &asker).await.unwrap();
    house.company.pass(10 * MINUTE - SECOND);
    assert!(house.grants().await[0].is_once);
    house.company.pass(SECOND);
    assert!(!house.is_given("terraform").await);
}

#[tokio::test]
async fn an_answer_for_a_while_ends_and_ends_when_the_clock_is_set_back() {
    let house = House::with(FIRST).await;
    let hours = Approval::For { seconds: 8 * 3600 };
    assert!(!house.is_given("terraform").await);
    house.answer(hours).await.unwrap();
    assert_eq!(house.grants().await[0].until.as_deref(), Some("2026-11-21T16:00:00Z"));
    house.company.pass(8 * HOUR - SECOND);
    assert!(house.is_given("terraform").await);
    house.company.pass(SECOND);
    assert!(!house.is_given("terraform").await);

    house.answer(hours).await.unwrap();
    house.company.pass(7 * HOUR);
    assert!(house.is_given("terraform").await);
    // Six hours back is long after it was given: it would last until the night.
    let now = keyfob_agent::clock::Clock::now(&*house.company.clock);
    house.company.clock.set(keyfob_agent::clock::before(now, 6 * HOUR));
    assert!(!house.is_given("terraform").await);
    // What has no end is not ended.
    house.answer(Approval::Always).await.unwrap();
    house.company.clock.set(keyfob_agent::clock::before(now, 365 * 24 * HOUR));
    assert!(house.is_given("terraform").await);
}

#[tokio::test]
async fn what_a_clock_that_is_set_back_has_ended_does_not_come_back_with_a_restart() {
    let mut house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::For { seconds: 8 * 3600 }).await.unwrap();
    house.company.pass(7 * HOUR);
    assert!(house.is_given("terraform").await);
    let now = keyfob_agent::clock::Clock::now(&*house.company.clock);
    house.company.clock.set(keyfob_agent::clock::before(now, 6 * HOUR));
    // A look is enough to notice it.
    assert!(house.grants().await.is_empty());
    let file = house.company.state().join("grants.json");
    let is_written = async || !std::fs::read_to_string(&file).unwrap().contains("terraform");
    eventually("the file follows", is_written).await;
    house.company.restart();
    assert!(!house.is_given("terraform").await);
}

#[tokio::test]
async fn an_answer_survives_a_restart_but_not_once() {
    let mut house = House::with(FIRST).await;
    for (program, approval) in [
        ("terraform", Approval::Always),
        ("bazel", Approval::For { seconds: 3600 }),
        ("stray", Approval::Never),
        ("python3", Approval::Once),
    ] {
        assert!(!house.is_given(program).await);
        house.answer(approval).await.unwrap();
    }
    let before = house.grants().await;
    house.company.restart();
    assert_eq!(house.grants().await, before[..3]);
    assert!(
        house.is_given("terraform").await
            && house.is_given("bazel").await
            && !house.is_given("python3").await
    );
    assert_eq!(house.get("stray").await.unwrap_err().code, Code::NotAllowed);
    house.revoke(Some(&before[0].id)).await.unwrap();
    house.company.restart();
    assert!(!house.is_given("terraform").await && house.is_given("bazel").await);
    let text = std::fs::read_to_string(house.company.state().join("grants.json")).unwrap();
    assert!(!text.contains("aw_1"));
}

#[tokio::test]
async fn a_damaged_file_gives_nobody_anything_and_is_kept_aside() {
    let mut house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    let file = house.company.state().join("grants.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let aside = house.company.state().join("grants.json.bad");
    for damage in [&good[..good.len() - 3], "", "[]", "{\"format\":1}"] {
        std::fs::write(&file, damage).unwrap();
        house.company.restart();
        assert!(!house.is_given("terraform").await, "{damage}");
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), damage);
        assert!(!file.exists());
    }
    // The next answer starts a new one.
    house.answer(Approval::Always).await.unwrap();
    house.company.restart();
    assert!(house.is_given("terraform").await);
    // The control: the file as it was.
    std::fs::write(&file, &good).unwrap();
    house.company.restart();
    assert!(house.is_given("terraform").await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_of_answers_that_is_a_link_is_not_followed() {
    let mut house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    let file = house.company.state().join("grants.json");
    let elsewhere = house.company.state().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    house.company.restart();
    assert!(!house.is_given("terraform").await);
}

#[tokio::test]
async fn where_the_file_cannot_be_written_an_answer_holds_until_the_agent_ends_and_says_so() {
    let mut house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    // A folder that is not empty can neither be removed nor replaced.
    let blocked = house.company.state().join("grants.json.new");
    std::fs::create_dir_all(blocked.join("folder")).unwrap();
    assert!(!house.is_given("bazel").await);
    let say = house.answer(Approval::Always).await.unwrap();
    assert!(say.contains("could not be written down") && say.ends_with("so it ends with the agent"), "{say}");
    assert!(house.is_given("bazel").await);
    // What is taken back stays taken back: the file goes where it cannot be written.
    house.revoke(None).await.unwrap();
    assert!(!house.is_given("terraform").await);
    house.company.restart();
    assert!(!house.is_given("terraform").await && !house.is_given("bazel").await);

    std::fs::remove_dir_all(&blocked).unwrap();
    house.company.pass(MINUTE);
    assert!(!house.is_given("terraform").await);
    assert!(!house.answer(Approval::Always).await.unwrap().contains("written"));
    house.company.restart();
    assert!(house.is_given("terraform").await);
}

#[tokio::test]
async fn a_program_that_was_replaced_is_another_one() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    let running = house.programs.staged("terraform");
    assert!(super::get(&house.company, &Asker::behind(running.clone())).await.is_ok());
    house.programs.replace("terraform");
    assert!(house.grants().await[0].is_stale);
    // The one that still runs,
    running.change(|links| links[1].is_replaced = true);
    let refused = super::get(&house.company, &Asker::behind(running)).await.unwrap_err();
    assert!(refused.say.ends_with("was replaced while it ran"), "{refused:?}");
    // and the new one.
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    assert!(house.is_given("terraform").await);
    let grants = house.grants().await;
    assert_eq!((grants.len(), grants[0].is_stale), (1, false), "the new answer takes the old one's place");
}

#[tokio::test]
async fn an_answer_given_under_a_milder_policy_is_not_enough_under_a_stricter_one() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    house.answer(Approval::Always).await.unwrap();
    let configure = |lines: &str| {
        let policy = crate::programs::policy("token.aspect", lines);
        house.company.configure(&format!("{}{policy}", crate::company::CONFIG));
    };
    configure(ALWAYS);
    assert!(!house.is_given("terraform").await);
    configure(FIRST);
    assert!(house.is_given("terraform").await);
}
