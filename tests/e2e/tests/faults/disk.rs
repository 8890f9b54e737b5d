//! A state folder that takes nothing: on a full disk, on a read-only one, or closed by its mode.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, PATIENCE, Profile, token, wait_for};
use keyfob_sandbox::{IssuerOptions, Options};

use crate::apart::Apart;
use crate::{ASPECT, FILE, HOST, SESSION, VALUE, header, refused};

const OTHER: &str = "https://other.acme.dev/";
const OTHER_VALUE: &str = "aw_another";

fn two_tokens() -> String {
    [FILE.to_owned(), token("aspect", HOST), token("other", "other.acme.dev")].concat()
}

#[test]
fn a_full_disk_costs_no_token_and_what_is_in_memory_is_served() {
    let _turn = together();
    let apart = Apart::on_a_small_disk(&two_tokens());
    apart.run(&["token", "add", "aspect"], VALUE).ok();
    let agent = apart.agent();
    apart.fill();
    // Whatever else it writes meanwhile, log and reminders among it.
    for _ in 0..20 {
        assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);
    }
    let said = ["cannot be written", "No space left on device"];
    refused(apart.run(&["token", "add", "other"], OTHER_VALUE), 1, &said, "keyfob status");
    refused(apart.run(&["token", "add", "aspect"], "aw_a_new_value"), 1, &said, "keyfob status");
    assert_eq!(apart.agent(), agent, "without a restart");

    // What was on the disk is whole.
    apart.kill_agent();
    apart.make_room();
    assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);
    apart.run(&["token", "add", "other"], OTHER_VALUE).ok();
    assert_eq!(header(apart.get(OTHER), "X-Aspect"), OTHER_VALUE);
    let items = fs::read_dir(apart.state().join("keychain")).expect("our folder").flatten();
    let left: Vec<_> = items.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".new")), "{left:?}");
}

#[test]
fn a_refresh_token_that_comes_while_the_disk_is_full_is_not_lost() {
    let _turn = together();
    let issuer = IssuerOptions { access_token_seconds: 1, ..IssuerOptions::default() };
    let company = Company::with(Options { issuer, ..Options::default() });
    let apart = Apart::on_a_small_disk(&[FILE, &company.sso("okta", "*.cache.acme.dev")].concat());
    let mut login = apart.keyfob(&["login", "okta"]);
    login.env("BROWSER", keyfob_e2e::Stage::get().bin("keyfob-sandbox-browser"));
    keyfob_e2e::run(login, "").ok();
    let agent = apart.agent();
    apart.fill();
    let mut output = apart.get(SESSION);
    wait_for("the end of the first token", PATIENCE, || {
        output = apart.get(SESSION);
        output.code != 0
    });
    refused(output, 1, &["cannot be written", "No space left on device"], "keyfob status");
    let spent = company.counts().refreshes();
    for _ in 0..3 {
        refused(apart.get(SESSION), 1, &["No space left on device"], "keyfob status");
    }
    assert_eq!(company.counts().refreshes(), spent, "nothing more is bought");

    apart.make_room();
    wait_for("an answer once there is room", PATIENCE, || apart.get(SESSION).code == 0);
    assert_eq!(apart.agent(), agent, "without a restart");
    apart.kill_agent();
    header(apart.get(SESSION), "Authorization");
    assert_eq!(company.counts().grant("authorization_code"), 1);
}

#[test]
fn a_first_start_on_a_full_disk_is_refused_by_name() {
    let _turn = together();
    let apart = Apart::on_a_small_disk(&two_tokens());
    apart.fill();
    let place = apart.profile.state().display().to_string();
    for _ in 0..2 {
        let said = ["cannot be written", &place, "No space left on device"];
        refused(apart.get(ASPECT), 1, &said, "make room on that disk, then try again");
    }
    assert!(apart.agent_by_hand().exits(1).stderr.contains(&place));
    apart.make_room();
    apart.run(&["token", "add", "aspect"], VALUE).ok();
    assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);
}

#[test]
fn a_disk_that_becomes_read_only_costs_no_token() {
    let _turn = together();
    let apart = Apart::on_a_disk_of_its_own(&two_tokens());
    let place = apart.profile.state().display().to_string();
    apart.set_read_only(true);
    let hint = "make that disk writable, then try again";
    refused(apart.get(ASPECT), 1, &[&place, "Read-only file system"], hint);
    apart.set_read_only(false);

    apart.run(&["token", "add", "aspect"], VALUE).ok();
    let agent = apart.agent();
    apart.set_read_only(true);
    for _ in 0..5 {
        assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);
    }
    let said = ["cannot be written", "Read-only file system"];
    refused(apart.run(&["token", "add", "other"], OTHER_VALUE), 1, &said, "keyfob status");
    assert_eq!(apart.agent(), agent);
    apart.kill_agent();
    refused(apart.get(ASPECT), 1, &[&place, "Read-only file system"], hint);
    apart.set_read_only(false);
    assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);
    apart.run(&["token", "add", "other"], OTHER_VALUE).ok();
}

#[test]
fn a_state_folder_that_is_closed_by_its_mode_is_named_with_the_way_out() {
    let _turn = together();
    let profile = Profile::new(&[keyfob_e2e::MEMORY, &token("aspect", HOST)].concat());
    let close = |mode: u32| {
        fs::set_permissions(profile.state(), fs::Permissions::from_mode(mode)).expect("our own folder");
    };
    fs::create_dir(profile.state()).expect("a new folder");
    close(0o500);
    let place = profile.state().display().to_string();
    let hint = format!("chmod 700 '{place}'");
    refused(profile.get(ASPECT), 1, &[&place, "Permission denied"], &hint);
    close(0o700);
    profile.add_token("aspect", VALUE);
    let agent = profile.agent_pid();

    close(0o500);
    for _ in 0..5 {
        assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
    }
    assert_eq!(profile.agent_pid(), agent);
    profile.kill_agent();
    refused(profile.get(ASPECT), 1, &[&place, "Permission denied"], &hint);
    close(0o700);
    // This keychain is the agent's memory, and nothing else is in the way.
    profile.add_token("aspect", VALUE);
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
}
