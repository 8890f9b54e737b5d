//! An end that comes near: in `status`, and out of sight for a while where the person wants that.

use keyfob_e2e::{Company, MEMORY, Profile};
use keyfob_sandbox::Permissions;

use crate::{ADA, HOST, durable, in_days, issue, notes, profile, refused, served};

#[test]
fn status_speaks_of_an_end_that_comes_near_and_a_snooze_of_when_it_does_again() {
    let company = Company::start();
    let profile = profile(&company);
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 90));
    assert!(!notes(&profile).contains("ends on"), "{}", notes(&profile));
    profile.run(&["token", "remove", "aspect"], "").ok();
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 5));
    let said = notes(&profile);
    assert!(said.contains("ends on "), "{said}");
    assert!(said.contains("keyfob token rotate aspect"), "{said}");
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("ends on") && page.contains("keyfob token rotate aspect"), "{page}");

    let day = in_days(3).to_string()[..10].to_owned();
    let output = profile.run(&["token", "snooze", "aspect", "3"], "").ok();
    assert!(output.stdout.contains(&day), "{output:?}");
    assert!(notes(&profile).contains(&day), "{}", notes(&profile));
    profile.run(&["token", "snooze", "aspect", "0"], "").ok();
    assert!(!notes(&profile).contains(&day), "{}", notes(&profile));
    profile.run(&["token", "snooze", "aspect"], "").ok();
    assert!(notes(&profile).contains("no reminders until"), "{}", notes(&profile));
    for wrong in [&["token", "snooze", "aspect", "4000"], &["token", "snooze", "nobody", "1"]] {
        refused(profile.run(wrong, ""), 1);
    }
    // A new value is a new life.
    profile.run(&["token", "rotate", "aspect"], "").ok();
    assert!(!notes(&profile).contains("no reminders until"), "{}", notes(&profile));
}

#[test]
fn a_snooze_outlives_the_agent() {
    let company = Company::start();
    let profile = durable(&served(&company, "aspect", HOST));
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 5));
    profile.run(&["token", "snooze", "aspect", "3"], "").ok();
    let said = notes(&profile);
    assert!(said.contains("no reminders until"), "{said}");
    profile.kill_agent();
    assert!(notes(&profile).contains("no reminders until"), "{}", notes(&profile));
}

#[test]
fn who_wants_no_reminders_gets_none() {
    let company = Company::start();
    let config = [MEMORY, "reminders = []\n", &served(&company, "aspect", HOST)].concat();
    let profile = Profile::new(&config);
    profile.add_token("aspect", &issue(&company, ADA, Permissions::READ, 5));
    assert!(!notes(&profile).contains("ends on"), "{}", notes(&profile));
    assert_eq!(profile.state_of("token.aspect"), "ending");
    let output = profile.run(&["token", "snooze", "aspect", "1"], "").exits(1);
    assert!(output.stderr.contains("no reminders"), "{output:?}");
}
