//! Rotation through the service's API: what a running Bazel sees, what clusters still accept, and what is said of it.

use jiff::{Timestamp, ToSpan as _};
use keyfob_e2e::real::bazel::{self, Credentials};
use keyfob_e2e::{Company, MEMORY, PATIENCE, Profile, Stage, wait_for, wait_for_some};
use keyfob_sandbox::{ClusterOptions, Endpoint, Fault, Lie, Options, Permissions};

use crate::{
    ADA, HOST, URI, cluster_says, company_ahead, entry, given, in_days, issue, notes, profile, refused,
    report, served, text,
};

/// What a Bazel that runs gets at its next question.
#[track_caller]
fn bazel_asks(profile: &Profile) -> Credentials {
    let helper = profile.command(Stage::get().bin("bazel-credential-keyfob"));
    let credentials = bazel::ask(helper, URI).answer().unwrap_or_else(|why| panic!("{why}"));
    let now = Timestamp::now();
    let expires = credentials.expires.unwrap_or_else(|| panic!("no end: {credentials:?}"));
    assert!(expires > now && expires <= now + 10.minutes(), "a year is not for tools: {credentials:?}");
    credentials
}

#[test]
fn a_running_bazel_sees_the_new_value_at_its_next_question() {
    let company = Company::start();
    let profile = profile(&company);
    let old = issue(&company, ADA, Permissions::READ, 20);
    profile.add_token("aspect", &old);
    assert_eq!(bazel_asks(&profile).headers["X-Aspect"][0], old);
    let output = profile.run(&["token", "rotate", "aspect"], "").ok();
    let new = bazel_asks(&profile).headers["X-Aspect"][0].clone();
    assert_ne!(new, old);
    assert!(company.portal().is_live(&new) && !company.portal().is_live(&old));
    for value in [&old, &new] {
        assert!(!output.stdout.contains(value) && !output.stderr.contains(value), "a value is shown");
    }
    assert!(output.stdout.contains("is rotated") && !output.stderr.contains("LOST"), "{output:?}");
    let status = entry(&profile, "token.aspect");
    assert_eq!((text(&status["state"]), text(&status["owner"])), ("live".into(), ADA.into()));
    assert!(text(&status["until"]) > in_days(300).to_string(), "a whole new life: {status}");
    // A removal is seen as soon.
    profile.run(&["token", "remove", "aspect"], "").ok();
    let helper = profile.command(Stage::get().bin("bazel-credential-keyfob"));
    let why = bazel::ask(helper, URI).answer().expect_err("nothing is held");
    assert!(why.contains("keyfob token add aspect"), "{why}");
}

#[test]
fn one_rotation_is_enough_for_everybody_who_asks_for_it_at_once() {
    let company = Company::start();
    let profile = profile(&company);
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 20));
    company.faults().set(Endpoint::TokenRotate, Fault::Slow(std::time::Duration::from_millis(300)));
    keyfob_e2e::at_once(0..4, |_| {
        profile.run(&["token", "rotate", "aspect"], "").ok();
    });
    assert_eq!(company.counts().rotations, 1);
    assert!(company.portal().is_live(&given(&profile)));
}

#[test]
fn clusters_accept_the_old_value_for_the_hour_that_status_tells() {
    let (company, ahead) = company_ahead();
    let profile = profile(&company);
    let old = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &old);
    assert_eq!(cluster_says(&company, &old), 200);
    let before = Timestamp::now();
    profile.run(&["token", "rotate", "aspect"], "").ok();
    let after = Timestamp::now();
    let minutes = [before, after].map(|moment| (moment + 1.hour()).to_string()[11..16].to_owned());
    let said = notes(&profile);
    let is_said = |minute: &String| said.contains(&format!("the token before this one until {minute} UTC"));
    assert!(minutes.iter().any(is_said), "{said}");
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(minutes.iter().any(|minute| page.contains(minute.as_str())), "{page}");

    // So it is: dead at its service, alive at the cluster.
    assert!(!company.portal().is_live(&old));
    assert_eq!(cluster_says(&company, &old), 200);
    assert_eq!(cluster_says(&company, &given(&profile)), 200);
    ahead.set(3500);
    assert_eq!(cluster_says(&company, &old), 200);
    ahead.set(3601);
    assert_eq!(cluster_says(&company, &old), 401);
    assert_eq!(cluster_says(&company, &given(&profile)), 200);
}

#[test]
fn a_shorter_hour_is_believed_and_ends() {
    let cluster = ClusterOptions { cache_seconds: 2, ..ClusterOptions::default() };
    let company = Company::with(Options { cluster, ..Options::default() });
    let profile = profile(&company);
    let old = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &old);
    assert_eq!(cluster_says(&company, &old), 200);
    profile.run(&["token", "rotate", "aspect"], "").ok();
    assert!(notes(&profile).contains("may accept"), "{}", notes(&profile));
    wait_for("the end of what is remembered", PATIENCE, || !notes(&profile).contains("may accept"));
    wait_for("the cluster's end of it", PATIENCE, || cluster_says(&company, &old) == 401);
}

#[test]
fn a_loss_of_permissions_is_said_aloud_and_stays_in_sight() {
    let company = Company::start();
    let profile = profile(&company);
    profile.add_token("aspect", &issue(&company, ADA, Permissions::ALL, 90));
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let output = profile.run(&["token", "rotate", "aspect"], "").ok();
    assert!(output.stderr.contains("LOST") && output.stderr.contains("write at aw-remote-ext"), "{output:?}");
    assert!(notes(&profile).contains("write at aw-remote-ext"), "{}", notes(&profile));
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("write at aw-remote-ext"), "{page}");
    // For programs it is a list.
    let whole = issue(&company, ADA, Permissions::ALL, 90);
    let report = report(profile.run(&["token", "rotate", "aspect", "--by-hand", "--json"], &*whole));
    assert!(report["gained"].to_string().contains("write at aw-remote-ext"), "{report}");
    assert_eq!(given(&profile), whole);
    assert!(!notes(&profile).contains("could do more"), "{}", notes(&profile));
}

#[test]
fn a_rotation_that_fails_leaves_the_old_value_at_work() {
    let company = Company::start();
    let profile = profile(&company);
    let old = issue(&company, ADA, Permissions::READ, 90);
    profile.add_token("aspect", &old);
    let fails = |profile: &Profile, old: &String, fault: Fault| {
        company.faults().set(Endpoint::TokenRotate, fault.clone());
        let output = profile.run(&["token", "rotate", "aspect"], "");
        company.faults().clear_all();
        let said = refused(output, 1);
        assert!(!said.contains(old), "{fault:?}: the value is repeated");
        assert_eq!(given(profile), *old, "{fault:?}");
        assert!(company.portal().is_live(old), "{fault:?}");
        said
    };
    for fault in [Fault::Status(403), Fault::Busy(60)] {
        fails(&profile, &old, fault);
    }
    profile.run(&["token", "rotate", "aspect"], "").ok();
    assert!(company.portal().is_live(&given(&profile)));

    // Where the service may have acted, what was sent may still arrive.
    for fault in [Fault::Status(500), Fault::Html] {
        let profile = crate::profile(&company);
        let old = issue(&company, ADA, Permissions::READ, 90);
        profile.add_token("aspect", &old);
        assert!(fails(&profile, &old, fault).contains("two minutes"));
        let asked = company.counts().arrived(Endpoint::TokenRotate);
        assert!(refused(profile.run(&["token", "rotate", "aspect"], ""), 1).contains("two minutes"));
        assert_eq!(company.counts().arrived(Endpoint::TokenRotate), asked, "nothing is sent meanwhile");
        assert!(notes(&profile).contains("a rotation did not come about; it can be tried again at"));
        assert_eq!((profile.state_of("token.aspect"), given(&profile)), ("live".into(), old));
    }
}

#[test]
fn a_lost_answer_is_not_asked_for_again_but_named_with_the_way_out() {
    let company = Company::start();
    let profile = profile(&company);
    let old = issue(&company, ADA, Permissions::READ, 90);
    let id = company.portal().id_of_token(&old).expect("it is known");
    profile.add_token("aspect", &old);
    // The service acts, and its answer breaks off.
    company.faults().set_times(Endpoint::TokenRotate, Fault::Reset, 1);
    let output = profile.run(&["token", "rotate", "aspect"], "");
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("keyfob token"), "the way out: {output:?}");
    assert_eq!(company.counts().rotations, 1, "nothing is repeated");
    assert!(!company.portal().is_live(&old));
    let status = entry(&profile, "token.aspect");
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("keyfob token"), "{page}");
    assert_ne!(status["state"], "live", "a dead token is not shown as a good one: {status}");

    // An administrator, or the page, makes another one; that is taken by hand.
    let new = company.portal().token_of_id(&id).expect("it has a new value");
    profile.run(&["token", "rotate", "aspect", "--by-hand"], &*new).ok();
    assert_eq!(given(&profile), new);
    assert_eq!(profile.state_of("token.aspect"), "live");
}

#[test]
fn the_agent_rotates_by_itself_ahead_of_the_end_and_tells() {
    let (company, ahead) = company_ahead();
    // Made a year ago but for five days.
    ahead.set(-360 * 24 * 3600);
    let old = issue(&company, ADA, Permissions::READ, 5);
    ahead.set(0);
    let config = [MEMORY, &served(&company, "aspect", HOST), "rotate = \"auto\"\n"].concat();
    let profile = Profile::new(&config);
    profile.add_token("aspect", &old);
    wait_for("a rotation of the agent's own", PATIENCE, || !company.portal().is_live(&old));
    let new = wait_for_some("the new value", PATIENCE, || {
        let value = given(&profile);
        (value != old).then_some(value)
    });
    assert!(company.portal().is_live(&new));
    assert_eq!(company.counts().rotations, 1);
    assert!(text(&entry(&profile, "token.aspect")["until"]) > in_days(300).to_string());

    // One that is far from its end is left alone, and so is one whose person wants to be reminded.
    let young = issue(&company, ADA, Permissions::READ, 300);
    profile.add_token("aspect", &young);
    profile.configure(&config.replace("auto", "remind"));
    ahead.set(-360 * 24 * 3600);
    let reminded = issue(&company, ADA, Permissions::READ, 5);
    ahead.set(0);
    profile.add_token("aspect", &reminded);
    assert_eq!(profile.state_of("token.aspect"), "ending");
    assert_eq!(company.counts().rotations, 1);
    assert_eq!(given(&profile), reminded);
}
