//! What the person is told: by a real notification server, by whoever watches the control door, never by both.

#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use keyfob_e2e::raw::{Raw, request};
use keyfob_e2e::real::{NotificationServer, SessionBus, Urgency, together};
use keyfob_e2e::{PATIENCE, Profile, token, wait_for};
use serde_json::{Value, json};

const VALUE: &str = "aw_0123456789abcdef0123456789";
const FILE: &str = "[agent]\nkeychain = \"file\"\n";

/// Two tokens by hand, in a keychain that outlives the agent.
fn on_a_desktop(bus: &SessionBus) -> Profile {
    let tokens = token("aspect", "aspect.acme.dev") + &token("other", "other.acme.dev");
    let mut profile = Profile::new(&[FILE, &tokens].concat());
    let file = profile.path().join("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").expect("room for a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
    profile.set("KEYFOB_PASSPHRASE_FILE", &file);
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile
}

/// Keeps a token that ends in so many hours, by the person's word.
fn keep(profile: &Profile, name: &str, hours: u64) {
    profile.add_token(name, VALUE);
    let end = jiff::Timestamp::now() + Duration::from_secs(hours * 3600);
    profile.run(&["token", "ends", name, &end.to_string()], "").ok();
}

fn watch(profile: &Profile, notices: bool) -> Raw {
    let mut watcher = profile.control_door();
    assert_eq!(watcher.ask(&json!({"watch": {"notices": notices}})), json!({"event": "watching"}));
    watcher
}

/// The next notice; what changed meanwhile is passed over.
fn notice(watcher: &mut Raw) -> Value {
    loop {
        let event = watcher.receive().expect("an event")["reply"]["event"].clone();
        if let Some(notice) = event.get("notice") {
            return notice.clone();
        }
        assert!(event["changed"]["entries"].is_array(), "{event}");
    }
}

fn claim(profile: &Profile, notice: &Value) -> Value {
    profile.control_door().ask(&json!({"claim-notice": {"id": notice["id"]}}))
}

#[test]
fn the_agent_shows_a_reminder_where_nobody_listens_and_only_once() {
    let _turn = together();
    let bus = SessionBus::without_keychain();
    let server = NotificationServer::start(&bus);
    let profile = on_a_desktop(&bus);
    keep(&profile, "aspect", 25);
    let shown = server.wait_for("a reminder", |shown| shown.summary.contains("aspect"));
    assert_eq!(shown.app_name, "Keyfob");
    assert_eq!(shown.summary, "Token aspect ends in 1 day");
    assert_eq!(shown.body, "Rotate it: keyfob token rotate aspect");
    assert_eq!(shown.urgency, Urgency::Critical);

    for _ in 0..2 {
        profile.kill_agent();
        profile.start_agent();
    }
    // What is due about the first one would come before this.
    keep(&profile, "other", 14 * 24);
    let other = server.wait_for("another reminder", |shown| shown.summary.contains("other"));
    assert_eq!((other.summary.as_str(), other.urgency), ("Token other ends in 14 days", Urgency::Normal));
    assert_eq!(server.shown().len(), 2);
}

#[test]
fn what_a_watcher_claims_is_shown_by_nobody_else() {
    let _turn = together();
    let bus = SessionBus::without_keychain();
    let server = NotificationServer::start(&bus);
    let profile = on_a_desktop(&bus);
    profile.start_agent();
    let (mut one, mut other) = (watch(&profile, true), watch(&profile, true));
    keep(&profile, "aspect", 25);
    let (seen, seen_too) = (notice(&mut one), notice(&mut other));
    assert_eq!(seen, seen_too);
    assert_eq!((&seen["entry"], &seen["weight"]), (&json!("token.aspect"), &json!("urgent")));
    assert_eq!(seen["title"], "Token aspect ends in 1 day");
    assert!(claim(&profile, &seen)["done"].is_object());
    let refused = claim(&profile, &seen);
    assert_eq!(refused["refused"]["say"], "somebody else shows it already");

    // A watcher that dies is not waited for, and one that shows nothing is no reason to wait.
    drop((one, other));
    let _deaf = watch(&profile, false);
    keep(&profile, "other", 25);
    server.wait_for("the other reminder", |shown| shown.summary.contains("other"));
    let shown: Vec<String> = server.shown().into_iter().map(|shown| shown.summary).collect();
    assert_eq!(shown, ["Token other ends in 1 day"]);
}

#[test]
fn a_watcher_that_claims_nothing_loses_the_notice_to_the_agent() {
    let _turn = together();
    let bus = SessionBus::without_keychain();
    let server = NotificationServer::start(&bus);
    let profile = on_a_desktop(&bus);
    profile.start_agent();
    let mut watcher = watch(&profile, true);
    keep(&profile, "aspect", 25);
    let seen = notice(&mut watcher);
    server.wait_for("the reminder", |shown| shown.summary == seen["title"]);
    assert_eq!(claim(&profile, &seen)["refused"]["say"], "the agent has shown it already");
}

#[test]
fn without_a_server_a_reminder_waits_for_somebody_who_shows_it() {
    let _turn = together();
    let bus = SessionBus::without_keychain();
    let profile = on_a_desktop(&bus);
    keep(&profile, "aspect", 25);
    let file = profile.state().join("reminders.json");
    let owed = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("owed"));
    wait_for("it is known that nobody has shown it", PATIENCE, owed);
    let mut watcher = watch(&profile, true);
    let seen = notice(&mut watcher);
    assert_eq!(seen["title"], "Token aspect ends in 1 day");
    assert!(claim(&profile, &seen)["done"].is_object());
    wait_for("nothing is owed", PATIENCE, || !owed());
}

#[test]
fn watchers_are_few_and_a_byte_ends_a_watch() {
    let _turn = together();
    let profile = Profile::new(&token("aspect", "aspect.acme.dev"));
    profile.start_agent();
    let mut all: Vec<Raw> = (0..16).map(|_| watch(&profile, false)).collect();
    let refused = profile.control_door().ask(&json!({"watch": {}}));
    assert_eq!(refused["refused"]["code"], "busy");
    // One that has gone makes room, and so does one that talks.
    drop(all.pop());
    let mut talker = all.pop().expect("one of them");
    talker.send(&request(&json!("about")));
    assert!(talker.is_closed());
    let has_room = || profile.control_door().ask(&json!({"watch": {}})) == json!({"event": "watching"});
    wait_for("room for another one", PATIENCE, has_room);
}
