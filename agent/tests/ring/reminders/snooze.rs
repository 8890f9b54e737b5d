//! Silence for a while, and what `status` says meanwhile.

use keyfob_ipc::Code;
use keyfob_ipc::reply::{Note, Weight};

use super::{DAY, add, ending_in, notes, pass, shown, snooze};

#[tokio::test]
async fn a_snooze_is_silence_and_what_is_due_afterwards_comes_once() {
    let mut company = ending_in(35).await;
    let mut before = 0;
    assert_eq!(
        snooze(&company, Some(10)).unwrap(),
        "no reminders about `token.aspect` until 2026-12-01 08:00 UTC"
    );
    for _ in 0..9 {
        pass(&company, 1).await;
        company.restart();
    }
    assert_eq!(shown(&company, &mut before), [""; 0]);
    pass(&company, 1).await;
    assert_eq!(shown(&company, &mut before), ["Token aspect ends in 25 days"]);

    // Until the next threshold, whichever that is.
    assert_eq!(
        snooze(&company, None).unwrap(),
        "no reminders about `token.aspect` until 2026-12-12 08:00 UTC"
    );
    pass(&company, 10).await;
    assert_eq!(shown(&company, &mut before), [""; 0]);
    pass(&company, 1).await;
    assert_eq!(shown(&company, &mut before), ["Token aspect ends in 14 days"]);

    let say = snooze(&company, Some(30)).unwrap();
    assert!(
        say.ends_with("until 2027-01-11 08:00 UTC; it ends before that, on 2026-12-26 08:00 UTC"),
        "{say}"
    );
    pass(&company, 11).await;
    assert_eq!(shown(&company, &mut before), [""; 0]);
    assert_eq!(snooze(&company, Some(0)).unwrap(), "reminders about `token.aspect` come as configured");
    company.agent.remind_now().await;
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), ["Token aspect ends in 3 days"]);

    // A rotation ends it.
    snooze(&company, Some(365)).unwrap();
    add(&company, "aspect", 7).await;
    company.agent.remind_now().await;
    assert_eq!(shown(&company, &mut before), ["Token aspect ends in 7 days"]);
    pass(&company, 7).await;
    assert_eq!(shown(&company, &mut before), ["Token aspect has ended"]);
    let refusal = snooze(&company, None).unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::BadRequest, "keyfob token add aspect"));
}

#[tokio::test]
async fn a_snooze_that_makes_no_sense_is_refused() {
    let company = ending_in(35).await;
    for days in [366, u32::MAX] {
        assert_eq!(snooze(&company, Some(days)).unwrap_err().code, Code::BadRequest);
    }
    assert_eq!(company.agent.snooze("nobody", None).unwrap_err().code, Code::UnknownEntry);
    let refusal = company.agent.snooze("other", None).unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::BadRequest, "keyfob status"));
}

#[tokio::test]
async fn status_says_what_comes_near_and_what_is_snoozed() {
    let company = ending_in(35).await;
    add(&company, "other", 35).await;
    assert_eq!(notes(&company, "aspect"), []);
    let note = |weight, say: &str, hint: &str| vec![Note { weight, say: say.into(), hint: hint.into() }];
    snooze(&company, Some(10)).unwrap();
    assert_eq!(
        notes(&company, "aspect"),
        note(Weight::Known, "ends on 2026-12-26; no reminders until 2026-12-01 08:00 UTC", "")
    );
    company.pass(DAY * 5);
    assert_eq!(
        notes(&company, "other"),
        note(Weight::Due, "ends on 2026-12-26", "keyfob token rotate other")
    );
    assert_eq!(
        notes(&company, "aspect"),
        note(
            Weight::Known,
            "ends on 2026-12-26; no reminders until 2026-12-01 08:00 UTC",
            "keyfob token rotate aspect"
        )
    );
    company.pass(DAY * 27);
    assert_eq!(
        notes(&company, "aspect"),
        note(Weight::Urgent, "ends on 2026-12-26", "keyfob token rotate aspect")
    );
    company.pass(DAY * 3);
    assert_eq!(notes(&company, "aspect"), note(Weight::Urgent, "has ended", "keyfob token add aspect"));
    company.add_token("aspect", "b-token").await.unwrap();
    company.pass(DAY * 366);
    assert_eq!(
        notes(&company, "aspect"),
        note(Weight::Urgent, "has probably ended", "keyfob token rotate aspect")
    );
}
