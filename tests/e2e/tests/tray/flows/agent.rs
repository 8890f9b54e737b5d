//! The agent away and back, the lock, and edits of the configuration.

use keyfob_e2e::real::together;
use keyfob_e2e::{MEMORY, PATIENCE, Profile, token, wait_for};

use crate::seat::{Seat, due, go, row};
use crate::{HOST, URI, VALUE};

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn an_agent_that_was_stopped_is_missed_and_started_by_a_button() {
    let _turn = together();
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.start_agent();
    let window = seat.drive();
    window.wait_for(&row("token.aspect"));
    assert!(!window.is_there("[data-absent]"));
    seat.profile.run(&["agent", "stop"], "").ok();
    window.wait_for("[data-absent]");
    assert_eq!(seat.profile.running_agent(), None, "nobody starts what a person has stopped");
    window.click("[data-absent] button[data-act=start-agent]");
    window.wait_for_none("[data-absent]");
    window.wait_for(&row("token.aspect"));
    seat.profile.agent_pid();
}

#[test]
fn an_agent_that_was_killed_is_followed_when_the_next_call_brings_it_back() {
    let _turn = together();
    let seat = Seat::new(&[MEMORY, &token("aspect", HOST)].concat());
    seat.profile.add_token("aspect", VALUE);
    let window = seat.drive();
    window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
    seat.profile.kill_agent();
    window.wait_for("[data-absent]");
    seat.profile.add_token("aspect", VALUE);
    window.wait_for_none("[data-absent]");
    window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
    // And once more what changes is seen.
    seat.profile.run(&["token", "remove", "aspect"], "").ok();
    window.wait_for(&format!("{}[data-state=signed-out]", row("token.aspect")));
}

#[test]
fn a_window_locks_and_unlocks_with_the_passphrase_and_forgets_it() {
    let _turn = together();
    let profile = Profile::new(&["[agent]\nkeychain = \"file\"\n", &token("aspect", HOST)].concat());
    profile.run(&["unlock"], format!("{PASSPHRASE}\n")).ok();
    profile.add_token("aspect", VALUE);
    let seat = Seat::at(keyfob_e2e::real::Desktop::start(), profile);
    let window = seat.drive();
    go(&window, "settings");
    window.click("button[data-act=lock]");
    window.wait_for("[data-lock]");
    seat.profile.get(URI).exits(5);
    window.click("[data-lock] button[data-act=unlock]");
    let field = "dialog[data-dialog=unlock] [name=passphrase]";
    window.type_into(field, "correct horse");
    window.click("dialog[data-dialog=unlock] button[data-act=unlock]");
    window.wait_for_text("dialog[data-dialog=unlock]", "not the right one");
    seat.profile.get(URI).exits(5);
    window.type_into(field, PASSPHRASE);
    window.click("dialog[data-dialog=unlock] button[data-act=unlock]");
    window.wait_for_none("[data-lock]");
    seat.profile.get(URI).ok();
    assert!(!window.source().contains(PASSPHRASE));
}

#[test]
fn new_places_are_shown_and_accepted_and_nothing_goes_there_before() {
    let _turn = together();
    let config = [MEMORY, &token("aspect", HOST)].concat();
    let seat = Seat::new(&config);
    seat.profile.add_token("aspect", VALUE);
    let window = seat.drive();
    window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
    let wider = format!("\"{HOST}\", \"evil.example\"");
    seat.profile.configure(&config.replace(&format!("\"{HOST}\""), &wider));
    // The next question of anybody makes the agent look at its file.
    assert_eq!(seat.profile.get("https://evil.example/").exits(1).stdout, "");
    window.click(&due("token.aspect", "confirm-places"));
    window.wait_for_text("dialog[data-dialog=places]", "evil.example");
    assert_eq!(seat.profile.get("https://evil.example/").exits(1).stdout, "");
    window.click("dialog[data-dialog=places] button[data-act=accept]");
    window.wait_for(&format!("{}[data-state=live]", row("token.aspect")));
    assert!(seat.profile.get("https://evil.example/").ok().stdout.contains(VALUE));
}

#[test]
fn a_broken_edit_is_shown_with_its_line_until_it_is_mended() {
    let _turn = together();
    let config = [MEMORY, &token("aspect", HOST)].concat();
    let seat = Seat::new(&config);
    seat.profile.add_token("aspect", VALUE);
    let window = seat.drive();
    seat.profile.configure(&format!("{config}hots = 1\n"));
    seat.profile.get(URI).ok();
    window.wait_for_text("[data-config-errors]", "hots");
    seat.profile.configure(&config);
    wait_for("an edit that is read", PATIENCE, || {
        seat.profile.get(URI).ok();
        !window.is_there("[data-config-errors]")
    });
}
