//! What the tray shows through a real notification server, and what a click on that is worth.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use keyfob_e2e::real::{Desktop, NotificationServer, Urgency, together};
use keyfob_e2e::{MEMORY, Profile, token};
use serde_json::json;

use crate::programs::{get, program};
use crate::seat::{Seat, TITLE, go};
use crate::{HOST, VALUE};

const FILE: &str = "[agent]\nkeychain = \"file\"\n";
const QUESTION: &str = "section[data-question=\"token.aspect\"]";

/// Two tokens by hand. Reminders need a keychain that outlives the agent.
fn reminded() -> Profile {
    let tokens = token("aspect", HOST) + &token("other", "other.acme.dev");
    let mut profile = Profile::new(&[FILE, &tokens].concat());
    let file = profile.path().join("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").expect("room for a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
    profile.set("KEYFOB_PASSPHRASE_FILE", &file);
    profile
}

/// Keeps a token that ends in so many hours, by the person's word.
fn keep(profile: &Profile, name: &str, hours: u64) {
    profile.add_token(name, VALUE);
    let end = jiff::Timestamp::now() + Duration::from_secs(hours * 3600);
    profile.run(&["token", "ends", name, &end.to_string()], "").ok();
}

fn asked() -> Profile {
    let policy = "[policy.\"token.aspect\"]\nconfirm = \"first\"\n";
    Profile::new(&[MEMORY, &token("aspect", HOST), policy].concat())
}

fn grants(seat: &Seat) -> usize {
    seat.profile.control_door().ask(&json!("grants"))["grants"].as_array().expect("a list").len()
}

#[test]
fn a_reminder_is_shown_by_the_tray_once_and_not_by_the_agent_too() {
    let _turn = together();
    let seat = Seat::at(Desktop::start(), reminded());
    let server = NotificationServer::start_on(seat.bus(), seat.desktop.screen());
    // It knows the bus as well as the tray does.
    seat.profile.start_agent();
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("aspect · ");
    keep(&seat.profile, "aspect", 25);
    let shown = server.wait_for("a reminder", |shown| shown.summary.contains("aspect"));
    assert_eq!((shown.app_name.as_str(), shown.urgency), ("Keyfob", Urgency::Critical));
    assert_eq!(shown.summary, "Token aspect ends in 1 day");
    keep(&seat.profile, "other", 14 * 24);
    server.wait_for("another reminder", |shown| shown.summary.contains("other"));
    let shown: Vec<_> = server.shown().into_iter().map(|shown| shown.summary).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    // What was shown is not shown again by whoever comes next.
    drop(tray);
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("Rotate aspect…");
    assert_eq!(server.shown().len(), 2);
}

#[test]
fn the_tray_speaks_for_an_agent_that_has_no_bus() {
    let _turn = together();
    let profile = reminded();
    profile.start_agent();
    let seat = Seat::at(Desktop::start(), profile);
    let server = NotificationServer::start_on(seat.bus(), seat.desktop.screen());
    keep(&seat.profile, "aspect", 25);
    // The control: alone, this agent can show nothing.
    assert_eq!(server.shown(), []);
    let _tray = seat.start(&["--hidden"]);
    server.wait_for("a reminder that was owed", |shown| shown.summary == "Token aspect ends in 1 day");
}

#[test]
fn a_question_is_shown_with_nothing_of_it_read_as_markup() {
    let _turn = together();
    let seat = Seat::at(Desktop::start(), asked());
    let server = NotificationServer::start_on(seat.bus(), seat.desktop.screen());
    seat.profile.add_token("aspect", VALUE);
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("aspect · ");
    let marked = program(&seat.profile, "<b>bold<b> & <a href='x'>");
    get(&seat.profile, &marked).exits(5);
    let shown = server.wait_for("a question", |shown| shown.body.contains("bold"));
    assert_eq!(shown.app_name, "Keyfob");
    assert!(shown.body.contains("&lt;b&gt;bold") && shown.body.contains("&amp;"), "{shown:?}");
    assert!(!shown.body.contains("<b>") && !shown.body.contains("<a"), "{shown:?}");
    assert!(!shown.body.contains(VALUE));
    // Shown once, though the agent has words for it too. What comes about the first comes before the second.
    let other = program(&seat.profile, "terraform");
    get(&seat.profile, &other).exits(5);
    server.wait_for("another question", |shown| shown.body.contains("terraform"));
    get(&seat.profile, &program(&seat.profile, "bazel")).exits(5);
    server.wait_for("a third question", |shown| shown.body.contains("bazel"));
    let bodies: Vec<_> = server.shown().into_iter().map(|shown| shown.summary).collect();
    let about = |name: &str| bodies.iter().filter(|summary| summary.contains(name)).count();
    assert_eq!((about("bold"), about("terraform")), (1, 1), "{bodies:#?}");
}

#[test]
fn a_forged_click_opens_the_window_and_approves_nothing() {
    let _turn = together();
    let seat = Seat::at(Desktop::start(), asked());
    let server = NotificationServer::start_on(seat.bus(), seat.desktop.screen());
    seat.profile.add_token("aspect", VALUE);
    let tray = seat.start(&["--hidden"]);
    seat.menu(tray.id()).wait_for("aspect · ");
    let terraform = program(&seat.profile, "terraform");
    get(&seat.profile, &terraform).exits(5);
    let number = server.number("a question", |shown| shown.summary.contains("terraform"));
    assert!(seat.desktop.windows(TITLE).is_empty());
    for action in ["once", "always", "allow", "0", "yes", "default"] {
        server.forge_click(number, action);
    }
    // The control: it is received, and taken for a click.
    seat.desktop.wait_for_window(TITLE);
    assert_eq!(grants(&seat), 0);
    get(&seat.profile, &terraform).exits(5);
    let open = seat.profile.control_door().ask(&json!("questions"));
    assert_eq!(open["questions"].as_array().map(Vec::len), Some(1), "{open}");
}

#[test]
fn the_answer_in_the_window_approves_what_a_forged_click_does_not() {
    let _turn = together();
    let seat = Seat::at(Desktop::start(), asked());
    let server = NotificationServer::start_on(seat.bus(), seat.desktop.screen());
    seat.profile.add_token("aspect", VALUE);
    let window = seat.drive();
    go(&window, "settings");
    // Who looks at the window is told there.
    seat.desktop.put_away(&seat.desktop.wait_for_window(TITLE), TITLE);
    let terraform = program(&seat.profile, "terraform");
    get(&seat.profile, &terraform).exits(5);
    let number = server.number("a question", |shown| shown.summary.contains("terraform"));
    server.forge_click(number, "default");
    seat.desktop.wait_for_window(TITLE);
    window.wait_for(QUESTION);
    assert_eq!(grants(&seat), 0);
    get(&seat.profile, &terraform).exits(5);
    window.click(&format!("{QUESTION} button[data-answer=once]"));
    window.wait_for_none(QUESTION);
    assert!(get(&seat.profile, &terraform).ok().stdout.contains(VALUE));
}
