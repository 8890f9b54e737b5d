//! The desktop's keychain behind a question that nobody answers, and without its bus. `tests/e2e/tests/keychain.rs` has what
//! else becomes of a keychain.

use keyfob_e2e::real::{Screen, SessionBus, together};
use keyfob_e2e::{PATIENCE, Profile, token, wait_for};

use crate::{ANSWER, ASPECT, HOST, VALUE, header, refused};

const NEW: &str = "aw_a_new_value";
const LOCKED: &str = "unlock your login keychain (sign in to the desktop), then try again";

fn on_a_desktop(bus: &SessionBus) -> Profile {
    let mut profile = Profile::new(&token("aspect", HOST));
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile.add_token("aspect", VALUE);
    profile
}

#[test]
fn a_prompt_that_is_left_open_holds_no_tool_up() {
    let _turn = together();
    let screen = Screen::start();
    let bus = SessionBus::with_prompts_on(&screen);
    let profile = on_a_desktop(&bus);
    // Something else of the desktop asks for the password.
    bus.lock();
    let _asking = bus.start_secret_tool(&["store", "--label=x", "a", "b"]);
    wait_for("the prompt", PATIENCE, || bus.has("org.gnome.keyring.SystemPrompter"));
    // What is in memory is served.
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
    profile.run(&["agent", "restart"], "").ok();
    let agent = profile.agent_pid();
    for _ in 0..3 {
        refused(profile.get(ASPECT), 5, &["the keychain is locked"], LOCKED);
    }
    refused(profile.run(&["token", "add", "aspect"], NEW), 5, &["the keychain is locked"], LOCKED);
    let status = profile.run(&["status", "--json"], "").ok();
    assert!(status.took < ANSWER, "{status:?}");
    assert_eq!(status.json()["keychain"]["state"], "locked");
    assert!(bus.has("org.gnome.keyring.SystemPrompter"), "it is still open");

    bus.unlock();
    wait_for("an answer", PATIENCE, || profile.get(ASPECT).code == 0);
    assert!([VALUE, NEW].contains(&&*header(profile.get(ASPECT), "X-Aspect")));
    assert_eq!(profile.agent_pid(), agent, "without a restart");
}

#[test]
fn a_session_bus_may_go_and_come_back() {
    let _turn = together();
    let mut bus = SessionBus::start();
    let profile = on_a_desktop(&bus);
    bus.kill_bus();
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE, "from memory");
    let gone = ["this machine has no keychain that keyfob can use"];
    let hint = "set `keychain = \"file\"` under [agent] in the configuration";
    refused(profile.run(&["token", "add", "aspect"], NEW), 1, &gone, hint);
    profile.run(&["agent", "restart"], "").ok();
    let agent = profile.agent_pid();
    refused(profile.get(ASPECT), 1, &gone, hint);

    bus.start_bus();
    bus.start_keyring();
    wait_for("an answer", PATIENCE, || profile.get(ASPECT).code == 0);
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE, "what was refused was not stored");
    assert_eq!(profile.agent_pid(), agent, "without a restart");
}
