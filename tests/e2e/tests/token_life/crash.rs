//! The agent killed in the middle of a rotation that takes long, and what the next one says and does.

use std::time::Duration;

use keyfob_e2e::{Company, PATIENCE, Profile, Running, start, wait_for};
use keyfob_sandbox::{Endpoint, Fault, Permissions};

use crate::{ADA, HOST, durable, entry, given, issue, notes, refused, served};

/// Longer than any test; nobody waits for it.
const LONG: Duration = Duration::from_secs(3600);

/// A rotation that stands before its service.
fn rotation_under_way(company: &Company, profile: &Profile) -> Running {
    company.faults().set(Endpoint::TokenRotate, Fault::Slow(LONG));
    let before = company.counts().arrived(Endpoint::TokenRotate);
    let rotating = start(profile.keyfob(&["token", "rotate", "aspect"]), "");
    let arrived = || company.counts().arrived(Endpoint::TokenRotate) > before;
    wait_for("the request at the service", PATIENCE, arrived);
    rotating
}

#[test]
fn a_kill_before_the_service_acted_costs_nothing() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    let old = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &old);
    let rotating = rotation_under_way(&company, &profile);
    // A tool is not held up meanwhile.
    assert_eq!(given(&profile), old);
    profile.kill_agent();
    let output = rotating.output(PATIENCE).exits(4);
    assert!(output.stderr.starts_with("keyfob: "), "{output:?}");
    company.faults().clear_all();

    // The next agent asks the service what came of it, and does not repeat anything.
    assert_eq!(given(&profile), old);
    wait_for("the end of the doubt", PATIENCE, || entry(&profile, "token.aspect")["state"] == "live");
    assert_eq!(company.counts().rotations, 0);
    assert!(company.portal().is_live(&old));
    // What was sent may still arrive, so nothing else is sent for a while.
    wait_for("what is known of it", PATIENCE, || notes(&profile).contains("can be tried again at"));
    let asked = company.counts().arrived(Endpoint::TokenRotate);
    let said = refused(profile.run(&["token", "rotate", "aspect"], ""), 1);
    assert!(said.contains("two minutes"), "{said}");
    assert_eq!((given(&profile), company.counts().arrived(Endpoint::TokenRotate)), (old, asked));
}

#[test]
fn a_kill_after_the_service_acted_is_named_with_the_way_out() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    let old = issue(&company, ADA, Permissions::READ, 90);
    let id = company.portal().id_of_token(&old).expect("it is known");
    profile.add_token("aspect", &old);
    let rotating = rotation_under_way(&company, &profile);
    profile.kill_agent();
    drop(rotating);
    // As if the service had acted on what it was asked: the value that is held is dead.
    company.portal().revoke(&old);
    company.faults().clear_all();

    wait_for("the loss in sight", PATIENCE, || notes(&profile).contains("its answer is lost"));
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("keyfob token add aspect"), "the way out: {page}");
    assert_ne!(
        entry(&profile, "token.aspect")["state"],
        "live",
        "a dead token is not shown as a good one: {page}"
    );
    assert_eq!(company.counts().rotations, 0, "nothing is repeated");
    assert_eq!(company.portal().token_of_id(&id), None);

    let new = issue(&company, ADA, Permissions::READ, 90);
    profile.run(&["token", "add", "aspect"], &*new).ok();
    assert_eq!(given(&profile), new);
    assert_eq!(profile.state_of("token.aspect"), "live");
}

#[test]
fn an_agent_that_is_told_to_stop_finishes_the_rotation_first() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    let old = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &old);
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(700)), 1);
    let before = company.counts().arrived(Endpoint::TokenRotate);
    let rotating = start(profile.keyfob(&["token", "rotate", "aspect"]), "");
    let arrived = || company.counts().arrived(Endpoint::TokenRotate) > before;
    wait_for("the request at the service", PATIENCE, arrived);
    profile.run(&["agent", "stop"], "").ok();
    // Whether its caller still hears of it is not the point.
    drop(rotating);
    let new = given(&profile);
    assert_ne!(new, old);
    assert!(company.portal().is_live(&new));
    assert_eq!(company.counts().rotations, 1);
}
