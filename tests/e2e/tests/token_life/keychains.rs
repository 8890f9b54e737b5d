//! What outlives the agent: value and facts, in one item.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use keyfob_e2e::real::SessionBus;
use keyfob_e2e::{Company, PATIENCE, Profile, start, wait_for};
use keyfob_sandbox::{Endpoint, Fault, Permissions};
use serde_json::Value;

use crate::{ADA, HOST, durable, entry, given, issue, notes, refused, served, text};

/// What must be as it was: whose, until when, by whose word.
#[track_caller]
fn facts(profile: &Profile) -> [String; 4] {
    let entry = entry(profile, "token.aspect");
    ["state", "owner", "until", "until_by"].map(|name| text(&entry[name]))
}

#[test]
fn the_encrypted_file_keeps_a_token_with_its_facts_over_every_end_of_the_agent() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 90));
    profile.run(&["token", "rotate", "aspect"], "").ok();
    let (value, known, said) = (given(&profile), facts(&profile), notes(&profile));
    assert!(said.contains("may accept"), "{said}");
    let calls = company.counts().arrived.values().sum::<u64>();
    for _ in 0..2 {
        profile.kill_agent();
        assert_eq!(
            (given(&profile), facts(&profile), notes(&profile)),
            (value.clone(), known.clone(), said.clone())
        );
        profile.run(&["agent", "restart"], "").ok();
        assert_eq!((given(&profile), facts(&profile)), (value.clone(), known.clone()));
    }
    assert_eq!(company.counts().arrived.values().sum::<u64>(), calls, "what is kept is not asked for again");

    profile.run(&["token", "remove", "aspect"], "").ok();
    profile.kill_agent();
    assert_eq!(profile.state_of("token.aspect"), "signed-out");
}

#[test]
fn the_desktops_keychain_keeps_value_and_facts_in_one_item() {
    let company = Company::start();
    let bus = SessionBus::start();
    let mut profile = Profile::new(&served(&company, "aspect", HOST));
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 90));
    profile.run(&["token", "rotate", "aspect"], "").ok();
    let (value, known) = (given(&profile), facts(&profile));
    profile.kill_agent();
    assert_eq!((given(&profile), facts(&profile)), (value.clone(), known));

    let found = bus.secret_tool(&["search", "--all", "application", "keyfob"]);
    assert_eq!(found.matches("label = ").count(), 1, "one item: {found}");
    let item: Value = serde_json::from_str(&bus.item("token.aspect")).expect("an item is JSON");
    assert_eq!((text(&item["value"]), text(&item["facts"]["owner"])), (value, ADA.to_owned()));
    assert_eq!(item["rotation"], Value::Null, "nothing is left to be done");
    profile.run(&["token", "remove", "aspect"], "").ok();
    assert_eq!(bus.item("token.aspect"), "");
}

#[test]
fn a_value_that_the_keychain_does_not_take_is_kept_in_memory_shown_on_demand_and_stored_later() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    let old = issue(&company, ADA, Permissions::READ, 90);
    let id = company.portal().id_of_token(&old).expect("it is known");
    profile.add_token("aspect", &old);
    let said = refused(profile.run(&["token", "rescue", "aspect"], ""), 1);
    assert!(!said.contains(&old), "what the keychain has is not shown");

    // The disk is taken away between the service's answer and the keychain.
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(700)), 1);
    let before = company.counts().arrived(Endpoint::TokenRotate);
    let rotating = start(profile.keyfob(&["token", "rotate", "aspect"]), "");
    let arrived = || company.counts().arrived(Endpoint::TokenRotate) > before;
    wait_for("the request at the service", PATIENCE, arrived);
    let folder = profile.state().join("keychain");
    set_mode(&folder, 0o500);
    let output = rotating.output(PATIENCE);
    let new = company.portal().token_of_id(&id).expect("it has a new value");
    assert_ne!(new, old);
    let shown = [&*output.stdout, &*output.stderr].concat();
    assert!(
        shown.contains("keyfob token rescue aspect") && !shown.contains(&new),
        "exit {}: loud",
        output.code
    );
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("keyfob token rescue aspect") && !page.contains(&new), "{page}");
    let rescued = profile.run(&["token", "rescue", "aspect"], "").ok();
    assert_eq!(rescued.stdout.trim_end(), new);
    assert!(!rescued.stderr.contains(&new));

    set_mode(&folder, 0o700);
    wait_for("the value in the keychain", PATIENCE, || {
        profile.get(crate::URI).code == 0 && given(&profile) == new
    });
    wait_for("the end of the alarm", PATIENCE, || !notes(&profile).contains("only in memory"));
    profile.kill_agent();
    assert_eq!(given(&profile), new);
    refused(profile.run(&["token", "rescue", "aspect"], ""), 1);
}

fn set_mode(folder: &Path, mode: u32) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("our own folder");
}
