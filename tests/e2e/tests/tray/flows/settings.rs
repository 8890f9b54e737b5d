//! Settings: what is written where, and that it counts.

use std::fs;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, MEMORY, PATIENCE, token, wait_for};

use crate::seat::{Seat, begin, go, row};
use crate::{HOST, VALUE, everything};

#[test]
fn reminders_are_written_into_the_persons_own_file() {
    let _turn = together();
    let config = format!("# mine\n{MEMORY}{}", token("aspect", HOST));
    let seat = Seat::new(&config);
    seat.profile.start_agent();
    let window = seat.drive();
    go(&window, "settings");
    window.wait_for("input[name=reminder][value=\"14d\"]");
    window.click("input[name=reminder][value=\"14d\"]");
    let written = || fs::read_to_string(seat.profile.config()).expect("our own file");
    wait_for("an edit of the file", PATIENCE, || written().contains("reminders"));
    let text = written();
    let line = text.lines().find(|line| line.starts_with("reminders")).expect("a line");
    assert!(!line.contains("14d") && line.contains("30d") && line.contains("7d"), "{line}");
    assert!(text.starts_with("# mine\n") && text.contains("[token.aspect]"), "the rest stays: {text}");
    window.wait_for("input[name=reminder][value=\"14d\"]:not(:checked)");
    seat.profile.run(&["config", "check"], "").ok();
}

#[test]
fn a_tool_is_set_up_by_a_click() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&everything(&company));
    seat.profile.start_agent();
    let window = seat.drive();
    go(&window, "settings");
    let bazelrc = seat.profile.home().join(".bazelrc");
    assert!(!bazelrc.exists());
    window.click("[data-tool=bazel] button[data-act=set-up]");
    wait_for("Bazel's own file", PATIENCE, || {
        fs::read_to_string(&bazelrc).is_ok_and(|text| text.contains("credential_helper"))
    });
    window.wait_for_none("[data-tool=bazel] button[data-act=set-up]");
}

#[test]
fn a_second_profile_is_not_offered_to_start_at_sign_in() {
    let _turn = together();
    // No variable would lead it there. The file for a person's own profile is tried where it is written.
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.start_agent();
    let window = seat.drive();
    go(&window, "settings");
    window.wait_for("input[name=reminder]");
    assert!(!window.is_there("input[name=starts-at-sign-in]:not(:disabled)"));
    assert!(!seat.desktop.folder().join("config/autostart").exists());
}

#[test]
fn an_end_is_told_and_reminders_about_it_are_put_off() {
    let _turn = together();
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.add_token("aspect", VALUE);
    let window = seat.drive();
    let day = &crate::in_days(20).to_string()[..10];
    begin(&window, "token.aspect", "say-end");
    let field = "dialog[data-dialog=say-end] [name=ends]";
    window.clear(field);
    window.type_into(field, day);
    window.click("dialog[data-dialog=say-end] button[data-act=save]");
    window.wait_for(&format!("{}[data-state=ending]", row("token.aspect")));
    let entry = || seat.profile.status()["entries"][0].clone();
    assert_eq!(entry()["until"], format!("{day}T00:00:00Z"));

    begin(&window, "token.aspect", "snooze");
    window.wait_for("dialog[data-dialog=snooze]");
    window.click("dialog[data-dialog=snooze] button[data-act=save]");
    window.wait_for_none("dialog[data-dialog=snooze]");
    wait_for("a pause", PATIENCE, || entry()["quiet_until"].is_string());
}
