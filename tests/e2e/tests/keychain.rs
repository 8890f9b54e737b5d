//! Keychains as they are on Linux: a real gnome-keyring on a session bus of the test's own, none at all, and the
//! encrypted file.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{OidcProvider, SessionBus, alone, together};
use keyfob_e2e::{Company, Output, PATIENCE, Profile, start, token, wait_for, wait_for_some};
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::{Value, json};

const URI: &str = "https://aw-remote-ext.acme.dev/";
const VALUE: &str = "aw_0123456789abcdef0123456789";
const FILE: &str = "[agent]\nkeychain = \"file\"\n";
const PASSPHRASE: &str = "correct horse battery staple";

/// What a tool's call may take, whatever the keychain does.
const SOON: Duration = Duration::from_secs(2);

fn aspect() -> String {
    token("aspect", "aw-remote-ext.acme.dev")
}

fn on_a_desktop(bus: &SessionBus) -> Profile {
    let mut profile = Profile::new(&aspect());
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile
}

/// A profile whose encrypted file opens by this passphrase file.
fn with_passphrase_file(config: &str) -> (Profile, PathBuf) {
    let mut profile = Profile::new(&[FILE, config].concat());
    let file = profile.path().join("passphrase");
    fs::write(&file, format!("{PASSPHRASE}\n")).expect("room for a file");
    set_mode(&file, 0o600);
    profile.set("KEYFOB_PASSPHRASE_FILE", &file);
    (profile, file)
}

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[track_caller]
fn answers(profile: &Profile) {
    let answer = profile.get(URI).ok();
    assert_eq!(answer.json()["headers"]["X-Aspect"][0], VALUE);
}

#[track_caller]
fn answers_again(profile: &Profile) {
    wait_for_some("an answer", PATIENCE, || (profile.get(URI).code == 0).then_some(()));
    answers(profile);
}

/// A refusal that leaves a tool nothing to misread, and a person the way out.
#[track_caller]
fn refused(answer: Output, code: i32, words: &[&str]) {
    let answer = answer.exits(code);
    assert_eq!(answer.stdout, "");
    for word in words {
        assert!(answer.stderr.contains(word), "no `{word}`: {answer:?}");
    }
}

#[track_caller]
fn keychain_state(profile: &Profile) -> String {
    profile.status()["keychain"]["state"].as_str().unwrap_or_default().to_owned()
}

/// Every file below a folder that holds one of the texts, and how many files there are.
fn files_with(folder: &Path, texts: &[&str]) -> (Vec<PathBuf>, usize) {
    let (mut found, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).expect("a folder of ours").flatten() {
        let kind = entry.file_type().expect("an entry of ours");
        if kind.is_dir() {
            let (below, files) = files_with(&entry.path(), texts);
            found.extend(below);
            count += files;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).expect("a file of ours");
            count += 1;
            if texts.iter().any(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes())) {
                found.push(entry.path());
            }
        }
    }
    (found, count)
}

#[test]
fn the_desktops_keychain_keeps_a_token_over_a_restart_and_for_one_profile_alone() {
    let _turn = together();
    let bus = SessionBus::start();
    let (profile, other) = (on_a_desktop(&bus), on_a_desktop(&bus));
    profile.add_token("aspect", VALUE);
    profile.kill_agent();
    answers(&profile);

    let found = bus.secret_tool(&["search", "--all", "application", "keyfob"]);
    assert_eq!(found.matches("label = ").count(), 1, "{found}");
    for line in ["label = Keyfob: token.aspect", "attribute.item = token.aspect", "attribute.profile = "] {
        assert!(found.contains(line), "no `{line}`: {found}");
    }
    assert!(!found.contains("attribute.profile = default"), "this is not the person's own profile: {found}");
    let item: Value = serde_json::from_str(&bus.item("token.aspect")).expect("an item is JSON");
    assert_eq!(item["value"], VALUE);

    assert_eq!(other.state_of("token.aspect"), "signed-out");
    refused(other.get(URI), 3, &["keyfob token add aspect"]);
    other.run(&["token", "remove", "aspect"], "").ok();
    profile.kill_agent();
    answers(&profile);
    profile.run(&["token", "remove", "aspect"], "").ok();
    assert_eq!(bus.secret_tool(&["search", "--all", "application", "keyfob"]).matches("label = ").count(), 0);
}

#[test]
fn purging_takes_every_item_of_this_profile_and_none_of_another() {
    let _turn = together();
    let bus = SessionBus::start();
    let (profile, other) = (on_a_desktop(&bus), on_a_desktop(&bus));
    for profile in [&profile, &other] {
        profile.add_token("aspect", VALUE);
    }
    let items = || bus.secret_tool(&["search", "--all", "application", "keyfob"]).matches("label = ").count();
    assert_eq!(items(), 2);
    // A script says so, and a locked keychain keeps everything.
    let answer = profile.run(&["uninstall", "--purge"], "purge\n").exits(1);
    assert!(answer.stdout.contains("token.aspect") && answer.stderr.contains("--yes"), "{answer:?}");
    bus.lock();
    profile.kill_agent();
    refused(profile.run(&["uninstall", "--purge", "--yes"], ""), 5, &["locked"]);
    bus.unlock();
    assert_eq!(items(), 2);
    profile.run(&["uninstall", "--purge", "--yes"], "").ok();
    assert_eq!(items(), 1, "of the other profile");
    assert!(profile.record().is_none() && !profile.agent_socket().exists());
    answers(&other);
}

#[test]
fn a_locked_keychain_is_said_without_a_prompt_and_unlocking_it_is_all_it_takes() {
    let _turn = together();
    let bus = SessionBus::start();
    let profile = on_a_desktop(&bus);
    profile.add_token("aspect", VALUE);
    profile.run(&["agent", "stop"], "").ok();
    bus.lock();

    refused(profile.get(URI), 5, &["locked", "unlock your login keychain"]);
    assert_eq!(
        (keychain_state(&profile), profile.state_of("token.aspect")),
        ("locked".into(), "waiting".into())
    );
    refused(profile.run(&["token", "add", "aspect"], VALUE), 5, &["locked"]);
    let agent = profile.agent_pid();
    assert!(!bus.has_prompted(), "a tool's call asked for a password");
    // A program that does ask is noticed.
    let _waits = bus.start_secret_tool(&["store", "--label=x", "a", "b"]);
    wait_for("the mark of a prompt", PATIENCE, || bus.has_prompted());

    bus.unlock();
    answers(&profile);
    assert_eq!(profile.agent_pid(), agent, "without a restart");
}

#[test]
fn what_was_read_before_the_keychain_locked_is_still_served() {
    let _turn = together();
    let bus = SessionBus::start();
    let profile = on_a_desktop(&bus);
    profile.add_token("aspect", VALUE);
    bus.lock();
    answers(&profile);
}

#[test]
fn a_machine_without_a_keychain_is_told_of_the_file() {
    let _turn = together();
    let bus = SessionBus::without_keychain();
    let profile = on_a_desktop(&bus);
    refused(profile.get(URI), 1, &["no keychain", "keychain = \"file\""]);
    refused(profile.run(&["token", "add", "aspect"], VALUE), 1, &["keychain = \"file\""]);
    assert_eq!(keychain_state(&profile), "missing");
}

#[test]
fn a_machine_without_a_session_bus_is_told_of_the_file() {
    let _turn = together();
    let profile = Profile::new(&aspect());
    refused(profile.get(URI), 1, &["no keychain", "keychain = \"file\""]);
    assert_eq!(keychain_state(&profile), "missing");
}

#[test]
fn nobody_is_sent_to_sign_in_for_a_session_that_could_not_be_kept() {
    let _turn = together();
    let (provider, bus) = (OidcProvider::start(&json!({})), SessionBus::start());
    let mut profile = Profile::new(&provider.sso("okta", "*.cache.acme.dev"));
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    bus.lock();
    let mut login = profile.keyfob(&["login"]);
    login.env("BROWSER", "/bin/false");
    let answer = keyfob_e2e::run(login, "");
    assert!(!answer.stderr.contains("browser"), "{answer:?}");
    refused(answer, 5, &["locked"]);
    bus.unlock();
    provider.sign_in(&profile, "okta");
}

#[test]
fn a_refresh_token_that_comes_while_the_keychain_is_locked_is_not_lost() {
    let _turn = together();
    const SESSION: &str = "https://x.cache.acme.dev/";
    let bus = SessionBus::start();
    let provider = OidcProvider::start(&json!({"ttl": {"AccessToken": 4, "IdToken": 4}}));
    let mut profile = Profile::new(&provider.sso("okta", "*.cache.acme.dev"));
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    provider.sign_in(&profile, "okta");
    profile.get(SESSION).ok();
    bus.lock();
    let answer = wait_for_some("the end of the token", PATIENCE, || {
        let answer = profile.get(SESSION);
        (answer.code != 0).then_some(answer)
    });
    // Nothing that an unsaved refresh token bought is handed out, and no other one is bought.
    refused(answer, 5, &["locked"]);
    let spent = provider.refreshes();
    refused(profile.get(SESSION), 5, &["locked"]);
    assert_eq!(provider.refreshes(), spent);
    assert_eq!(profile.state_of("sso.okta"), "waiting");
    bus.unlock();
    wait_for_some("an answer", PATIENCE, || (profile.get(SESSION).code == 0).then_some(()));
    profile.kill_agent();
    profile.get(SESSION).ok();
    assert_eq!(provider.refreshes().refused, 0);
}

#[test]
fn a_keychain_that_stands_still_holds_nobody_up() {
    let _turn = alone();
    let bus = SessionBus::start();
    let profile = on_a_desktop(&bus);
    profile.add_token("aspect", VALUE);
    profile.run(&["agent", "restart"], "").ok();
    bus.keyring().halt();
    for _ in 0..3 {
        let answer = profile.get(URI);
        assert!(answer.took < SOON, "{answer:?}");
        refused(answer, 1, &["keyfob: "]);
    }
    bus.keyring().resume();
    answers_again(&profile);
}

#[test]
fn a_keychain_may_go_and_come_back() {
    let _turn = together();
    let mut bus = SessionBus::start();
    let profile = on_a_desktop(&bus);
    profile.add_token("aspect", VALUE);
    profile.run(&["agent", "restart"], "").ok();
    let agent = profile.agent_pid();
    bus.kill_keyring();
    refused(profile.get(URI), 1, &["no keychain"]);
    bus.start_keyring();
    answers(&profile);
    assert_eq!(profile.agent_pid(), agent, "without a restart");
}

#[test]
fn on_a_desktop_no_secret_is_on_the_disk_in_clear_text() {
    let _turn = together();
    let (provider, bus) = (OidcProvider::start(&json!({})), SessionBus::start());
    let mut profile = Profile::new(&[aspect(), provider.sso("okta", "*.cache.acme.dev")].concat());
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile.add_token("aspect", VALUE);
    provider.sign_in(&profile, "okta");
    let answer = profile.get("https://x.cache.acme.dev/").ok().json();
    let access = answer["headers"]["Authorization"][0].as_str().expect("a token").replace("Bearer ", "");
    let item: Value = serde_json::from_str(&bus.item("sso.okta")).expect("an item is JSON");
    let session: Value = serde_json::from_str(item["value"].as_str().expect("text")).expect("JSON");
    let refresh = session["refresh_token"].as_str().expect("a refresh token");
    for folder in [profile.path(), &bus.files()] {
        let (found, files) = files_with(folder, &[VALUE, &access, refresh, "refresh_token"]);
        assert!(found.is_empty(), "{found:?}");
        assert!(files > 0, "{} is not where things are kept", folder.display());
    }
}

#[test]
fn the_encrypted_file_opens_by_a_passphrase_file_and_shows_nothing() {
    let _turn = together();
    let provider = OidcProvider::start(&json!({}));
    let (profile, passphrase) =
        with_passphrase_file(&[aspect(), provider.sso("okta", "*.cache.acme.dev")].concat());
    profile.add_token("aspect", VALUE);
    provider.sign_in(&profile, "okta");
    profile.kill_agent();
    answers(&profile);
    let answer = profile.get("https://x.cache.acme.dev/").ok().json();
    let access = answer["headers"]["Authorization"][0].as_str().expect("a token").replace("Bearer ", "");

    let secrets = [VALUE, &access, "refresh_token", "AGE-SECRET-KEY"];
    let (found, files) = files_with(profile.path(), &secrets);
    assert!(found.is_empty(), "{found:?}");
    assert!(files > 3, "identity, two items, lock and log, and not {files} files");
    assert_eq!(files_with(profile.path(), &[PASSPHRASE]).0, [passphrase]);
    for entry in fs::read_dir(profile.state().join("keychain")).expect("the keychain's folder").flatten() {
        let mode = entry.metadata().expect("a file of ours").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn the_encrypted_file_opens_by_a_passphrase_on_standard_input() {
    let _turn = together();
    let profile = Profile::new(&[FILE, &aspect()].concat());
    refused(profile.get(URI), 5, &["keyfob unlock"]);
    refused(profile.run(&["token", "add", "aspect"], VALUE), 5, &["keyfob unlock"]);
    profile.run(&["unlock"], PASSPHRASE).ok();
    profile.add_token("aspect", VALUE);
    answers(&profile);

    profile.kill_agent();
    refused(profile.get(URI), 5, &["keyfob unlock"]);
    refused(profile.run(&["unlock"], "wrong horse"), 1, &["passphrase"]);
    refused(profile.get(URI), 5, &["keyfob unlock"]);
    profile.run(&["unlock"], PASSPHRASE).ok();
    answers(&profile);
    // A wrong one closes nothing.
    refused(profile.run(&["unlock"], "wrong horse"), 1, &["passphrase"]);
    answers(&profile);
}

#[test]
fn a_wrong_passphrase_file_is_said_and_can_be_mended_by_unlocking() {
    let _turn = together();
    let (profile, passphrase) = with_passphrase_file(&aspect());
    profile.add_token("aspect", VALUE);
    profile.kill_agent();
    fs::write(&passphrase, "wrong horse\n").expect("room");
    refused(profile.get(URI), 1, &["passphrase", "keyfob unlock"]);
    assert_eq!(keychain_state(&profile), "denied");
    profile.run(&["unlock"], PASSPHRASE).ok();
    answers(&profile);
}

#[test]
fn a_passphrase_file_that_others_can_read_is_refused_by_name() {
    let _turn = together();
    let (profile, passphrase) = with_passphrase_file(&aspect());
    set_mode(&passphrase, 0o644);
    let name = passphrase.display().to_string();
    refused(profile.get(URI), 1, &[&name, "0644", "chmod 600"]);
    refused(profile.run(&["token", "add", "aspect"], VALUE), 1, &[&name]);
    assert!(!profile.state().join("keychain/identity.age").exists(), "nothing was sealed by it");
    set_mode(&passphrase, 0o600);
    profile.add_token("aspect", VALUE);
    answers(&profile);
}

#[test]
fn an_agent_that_is_stopped_in_mid_renewal_loses_nothing_and_the_next_one_waits_for_it() {
    let company = Company::start();
    let (profile, _) = with_passphrase_file(&company.sso("okta", "*.cache.acme.dev"));
    company.sign_in(&profile, "okta");
    profile.run(&["agent", "restart"], "").ok();
    let stopped = profile.agent_pid();
    // The provider has rotated the token when its answer is still under way.
    company.faults().set(Endpoint::Token, Fault::Slow(Duration::from_millis(1200)));
    let before = company.counts().arrived(Endpoint::Token);
    let asking = start(profile.keyfob(&["get"]), r#"{"uri":"https://x.cache.acme.dev/"}"#);
    wait_for("a renewal under way", PATIENCE, || company.counts().arrived(Endpoint::Token) > before);
    process::signal(stopped, Signal::TERM);
    wait_for("closed doors", PATIENCE, || !profile.agent_socket().exists());

    assert_eq!(profile.get("https://elsewhere.example/").ok().stdout, "{\"headers\":{}}\n");
    assert_ne!(profile.agent_pid(), stopped);
    asking.output(PATIENCE);
    company.faults().clear_all();
    let answer = profile.get("https://x.cache.acme.dev/").ok();
    assert!(answer.json()["headers"]["Authorization"][0].is_string());
    assert_eq!(company.counts().refreshes(), 2, "the second one spent the token that the first one brought");
}
