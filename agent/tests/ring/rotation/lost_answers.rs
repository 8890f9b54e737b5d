//! The service may have acted and its answer is lost: it is never asked again with the same value.

use super::*;

#[tokio::test]
async fn a_lost_answer_is_told_and_the_old_value_serves_while_clusters_may_take_it() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Reset, 1);
    let refusal = rotate(&company, "aspect").await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.hint), (Code::TokenNeeded, "keyfob token add aspect"));
    assert_eq!((company.counts().rotations, is_live(&company, &old)), (1, false));
    assert_eq!(step(&company, "aspect").await.as_deref(), Some("lost"));
    let report = company.report("aspect").await;
    assert_eq!(urgent(&report), [(&*refusal.say, "keyfob token add aspect")]);
    eventually("the person is told", async || company.desktop.titles() == ["A token is lost"]).await;

    // Nobody makes it ask again: not the person, not a new agent, not the background.
    let mut company = company;
    assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, Code::TokenNeeded);
    company.restart();
    mend(&company);
    assert_eq!(served(&company).await, old);
    company.pass(HOUR - MINUTE * 5);
    assert_eq!(served(&company).await, old);
    // Nobody is told that it lasts longer than clusters remember it.
    assert_eq!(company.get(CLUSTER).await.unwrap().expires.as_deref(), Some("2026-11-21T08:59:00Z"));
    let report = company.report("aspect").await;
    assert_eq!((report.state, report.until.as_deref()), (EntryState::Ending, Some("2026-11-21T09:00:00Z")));
    company.pass(MINUTE * 5);
    let refusal = served_at(&company, CLUSTER).await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.hint), (Code::TokenNeeded, "keyfob token add aspect"));
    assert_eq!(company.report("aspect").await.state, EntryState::SignedOut);
    assert_eq!(asked(&company, Endpoint::TokenRotate), 1);

    let by_hand = issue(&company);
    company.add_token("aspect", &by_hand).await.unwrap();
    assert_eq!(served(&company).await, by_hand);
    assert!(urgent(&company.report("aspect").await).is_empty());
}

#[tokio::test]
async fn gitlab_would_end_the_new_one_at_a_replay_so_there_is_none() {
    let company = Company::with(CONFIG, |_| {}).await;
    let expires = "2027-06-01".parse().ok();
    let value = company.sandbox.gitlab().issue_token("ada", &["api"], expires);
    company.add_token("gitlab", &value).await.unwrap();
    mend(&company);
    company.faults().set_times(Endpoint::GitlabRotate, Fault::Reset, 1);
    assert_eq!(rotate(&company, "gitlab").await.unwrap_err().code, Code::TokenNeeded);
    for _ in 0..3 {
        company.pass(HOUR);
        rotate(&company, "gitlab").await.unwrap_err();
    }
    assert_eq!(asked(&company, Endpoint::GitlabRotate), 1);
    let newest = company.sandbox.gitlab().newest_token("ada").unwrap();
    assert!(
        newest != value && company.sandbox.gitlab().is_live(&newest),
        "the person can still find it there"
    );
}

#[tokio::test]
async fn a_rotation_that_did_not_happen_is_told_so_and_can_be_tried_again_in_two_minutes() {
    let (mut company, old) = company().await;
    for (fault, minute) in [(Fault::Status(500), "08:03"), (Fault::Html, "08:05"), (Fault::Endless, "08:07")]
    {
        let before = asked(&company, Endpoint::TokenRotate);
        company.faults().set_times(Endpoint::TokenRotate, fault.clone(), 1);
        let refusal = rotate(&company, "aspect").await.unwrap_err();
        for again in [false, true, true] {
            let refusal = if again { rotate(&company, "aspect").await.unwrap_err() } else { refusal.clone() };
            assert_eq!((refusal.code, &*refusal.hint), (Code::Offline, "keyfob token rotate aspect"));
            assert!(refusal.say.ends_with("try again in two minutes"), "{fault:?}: {refusal}");
            assert_eq!(asked(&company, Endpoint::TokenRotate), before + 1, "it may be on its way");
            assert_eq!(
                (&served(&company).await, step(&company, "aspect").await.as_deref()),
                (&old, Some("asking"))
            );
            let notes = company.report("aspect").await.notes;
            let note = notes.iter().find(|note| note.say.contains("did not come about")).unwrap();
            assert!(note.say.ends_with(&format!("it can be tried again at {minute} UTC")), "{note:?}");
            assert_eq!((note.weight, &*note.hint), (Weight::Known, ""));
            // The next agent knows it, too.
            company.restart();
            mend(&company);
        }
        company.pass(LATE);
        eventually("it is over", async || step(&company, "aspect").await.is_none()).await;
        assert!(company.report("aspect").await.notes.iter().all(|note| !note.say.contains("come about")));
    }
    rotate(&company, "aspect").await.unwrap();
    assert_eq!(company.counts().rotations, 1);
}

#[tokio::test]
async fn giving_the_same_value_again_does_not_settle_what_became_of_its_rotation() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Status(500), 1);
    rotate(&company, "aspect").await.unwrap_err();
    company.add_token("aspect", &old).await.unwrap();
    assert_eq!(step(&company, "aspect").await.as_deref(), Some("asking"));
    rotate(&company, "aspect").await.unwrap_err();
    assert_eq!(asked(&company, Endpoint::TokenRotate), 1, "it may be on its way");
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_keep_a_rotation_in_doubt() {
    let (company, _) = company().await;
    let today = company.world_now();
    company.clock.set(keyfob_agent::clock::after(today, YEAR / 2));
    company.faults().set_times(Endpoint::TokenRotate, Fault::Status(500), 1);
    rotate(&company, "aspect").await.unwrap_err();
    company.clock.set(today);
    rotate(&company, "aspect").await.unwrap_err();
    company.pass(MINUTE * 3);
    rotate(&company, "aspect").await.unwrap();
}

#[tokio::test]
async fn a_rotation_that_comes_late_is_found_out() {
    let (company, old) = company().await;
    mend(&company);
    company.faults().set_times(Endpoint::TokenRotate, Fault::Status(502), 1);
    rotate(&company, "aspect").await.unwrap_err();
    // What stood in between has passed it on after all.
    company.sandbox.portal().revoke(&old);
    assert!(urgent(&company.report("aspect").await).is_empty());
    eventually("it waits for the second look", async || {
        company.pass(LATE);
        step(&company, "aspect").await.as_deref() == Some("lost")
    })
    .await;
    assert_eq!(urgent(&company.report("aspect").await)[0].1, "keyfob token add aspect");
    assert_eq!(asked(&company, Endpoint::TokenRotate), 1);
}

#[tokio::test]
async fn while_nobody_can_say_what_came_of_it_nothing_is_sent_again() {
    for lost in [true, false] {
        let (company, old) = company().await;
        let fault = if lost { Fault::Reset } else { Fault::Status(500) };
        company.faults().set_times(Endpoint::TokenRotate, fault, 1);
        let away = || company.faults().set(Endpoint::TokenSelf, Fault::Status(503));
        let refusal = rotate_once(&company, "aspect", away).await.unwrap_err();
        assert_eq!(refusal.code, Code::Offline);
        assert_eq!(step(&company, "aspect").await.as_deref(), Some("asking"));
        assert_eq!(served(&company).await, old, "it may be good");
        assert_eq!(rotate(&company, "aspect").await.unwrap_err().code, Code::Offline);
        assert_eq!(asked(&company, Endpoint::TokenRotate), 1);
        let notes = company.report("aspect").await.notes;
        assert!(notes.iter().any(|note| note.weight == Weight::Due), "{notes:?}");

        mend(&company);
        company.faults().clear_all();
        // Nobody noted when the call was given up on: as late as it could have been.
        company.pass(MINUTE * 3);
        if lost {
            eventually("it is judged", async || step(&company, "aspect").await.as_deref() == Some("lost"))
                .await;
        } else {
            eventually("it is judged", async || step(&company, "aspect").await.is_none()).await;
            rotate(&company, "aspect").await.unwrap();
        }
        assert_eq!(company.counts().rotations, 1);
    }
}

#[tokio::test]
async fn a_service_that_was_wrong_about_a_token_gives_it_back() {
    let (company, old) = company().await;
    company.faults().set_times(Endpoint::TokenRotate, Fault::Status(500), 1);
    let wrong = || company.faults().set(Endpoint::TokenSelf, Fault::Status(401));
    let refusal = rotate_once(&company, "aspect", wrong).await.unwrap_err();
    assert_eq!((refusal.code, step(&company, "aspect").await.as_deref()), (Code::TokenNeeded, Some("lost")));
    company.faults().clear_all();
    mend(&company);
    eventually("it is asked about again", async || {
        company.pass(HOUR);
        step(&company, "aspect").await.is_none()
    })
    .await;
    assert_eq!(served(&company).await, old);
    rotate(&company, "aspect").await.unwrap();
}
