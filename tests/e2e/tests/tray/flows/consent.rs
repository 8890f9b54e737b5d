//! A caller that a policy wants to be asked about: the question in the window, each answer to it, and what stays in force.

use keyfob_e2e::real::{WebDriver, together};
use keyfob_e2e::{MEMORY, PATIENCE, token, wait_for};
use serde_json::json;

use crate::programs::{get, program};
use crate::seat::{Seat, go};
use crate::{HOST, VALUE};

const QUESTION: &str = "section[data-question=\"token.aspect\"]";

fn asked(confirm: &str) -> Seat {
    let policy = format!("[policy.\"token.aspect\"]\nconfirm = \"{confirm}\"\n");
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST), &policy].concat());
    seat.profile.add_token("aspect", VALUE);
    seat
}

#[track_caller]
fn answer(window: &WebDriver, answer: &str) {
    window.click(&format!("{QUESTION} button[data-answer={answer}]"));
    window.wait_for_none(QUESTION);
}

#[test]
fn a_caller_is_approved_once_or_always_and_it_can_be_taken_back() {
    let _turn = together();
    let seat = asked("first");
    let terraform = program(&seat.profile, "terraform");
    let window = seat.drive();
    // The control: nobody has answered yet.
    assert_eq!(get(&seat.profile, &terraform).exits(5).stdout, "");
    window.wait_for(QUESTION);
    window.wait_for_text(QUESTION, terraform.to_str().expect("a path"));
    window.wait_for_text(QUESTION, HOST);
    answer(&window, "once");
    assert!(get(&seat.profile, &terraform).ok().stdout.contains(VALUE));
    // Once is for what a program asks in one go.
    wait_for("another question", PATIENCE, || get(&seat.profile, &terraform).code == 5);
    window.wait_for(QUESTION);
    answer(&window, "always");
    for _ in 0..2 {
        get(&seat.profile, &terraform).ok();
    }
    let grants = || seat.profile.control_door().ask(&json!("grants"))["grants"].clone();
    assert_eq!(grants()[0]["by"], "window", "{}", grants());

    go(&window, "activity");
    window.wait_for_text("[data-line][data-outcome=given]", "terraform");
    window.wait_for_text("[data-line][data-outcome=refused]", "terraform");
    go(&window, "permissions");
    window.wait_for_text("[data-grant]", "terraform");
    window.click("[data-grant] button[data-act=revoke]");
    window.wait_for_none("[data-grant]");
    get(&seat.profile, &terraform).exits(5);
}

#[test]
fn a_caller_that_is_denied_gets_nothing_and_others_are_asked_about_apart() {
    let _turn = together();
    let seat = asked("first");
    let (stray, terraform) = (program(&seat.profile, "stray"), program(&seat.profile, "terraform"));
    let window = seat.drive();
    get(&seat.profile, &stray).exits(5);
    window.wait_for_text(QUESTION, "stray");
    answer(&window, "never");
    let refused = get(&seat.profile, &stray).exits(1);
    assert_eq!(refused.stdout, "");
    get(&seat.profile, &terraform).exits(5);
    window.wait_for_text(QUESTION, "terraform");
    answer(&window, "today");
    get(&seat.profile, &terraform).ok();
    get(&seat.profile, &stray).exits(1);
}

#[test]
fn who_is_asked_every_time_is_offered_no_more_than_once() {
    let _turn = together();
    let seat = asked("always");
    let terraform = program(&seat.profile, "terraform");
    let window = seat.drive();
    get(&seat.profile, &terraform).exits(5);
    window.wait_for(QUESTION);
    for missing in ["today", "always"] {
        assert!(!window.is_there(&format!("{QUESTION} button[data-answer={missing}]")), "{missing}");
    }
    answer(&window, "once");
    get(&seat.profile, &terraform).ok();
    wait_for("another question", PATIENCE, || get(&seat.profile, &terraform).code == 5);
    window.wait_for(QUESTION);
}
