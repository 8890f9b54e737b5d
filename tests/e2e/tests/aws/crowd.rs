//! Case 15: two hundred programs at once.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Mutex;
use std::time::Duration;

use keyfob_e2e::real::{NotificationServer, SessionBus, alone};
use keyfob_e2e::{Company, Output, Profile, at_once, run};
use keyfob_sandbox::{Endpoint, Fault};

use crate::{CAP, arn, company, cut_off, left, line, refused, shell, tell};

const ALL: usize = 200;
const ENTRIES: [&str; 3] = ["aws.dev", "aws.readonly", "aws.third"];

/// Three roles over one session in the encrypted file, which an agent's end does not end.
pub fn three_roles(company: &Company, more: &str) -> Profile {
    let third = company.aws("third", "okta", &arn("ThirdRole"));
    let config = [&company.config().replace("\"memory\"", "\"file\""), &third, more].concat();
    let mut profile = Profile::new(&config);
    let passphrase = profile.path().join("passphrase");
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&passphrase).expect("a new file");
    std::io::Write::write_all(&mut file, b"correct horse battery staple\n").expect("room");
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    profile
}

/// `count` programs at once, spread over the entries, through a shell as most SDKs start one; slowest last.
pub fn everybody(profile: &Profile, entries: &[&str], count: usize) -> Vec<Output> {
    let outputs = Mutex::new(Vec::new());
    at_once(0..count, |number| {
        let output = run(shell(profile, &line(entries[number % entries.len()])), "");
        outputs.lock().expect("nobody panics with it").push(output);
    });
    let mut outputs = outputs.into_inner().expect("nobody panics with it");
    outputs.sort_by_key(|output| output.took);
    outputs
}

/// All were given keys in time.
#[track_caller]
pub fn all_given(what: &str, outputs: Vec<Output>) {
    let (half, slowest) = (outputs[outputs.len() / 2].took, outputs[outputs.len() - 1].took);
    tell(&format!("{what}: {} calls, half within {half:.1?}, the slowest {slowest:.1?}", outputs.len()));
    for output in outputs {
        let output = output.ok();
        assert!(left(&output) > 0 && output.stderr.is_empty(), "{output:?}");
        assert!(output.took < CAP, "{output:?}");
    }
}

#[test]
fn case_15_two_hundred_cold_programs_for_three_roles_cost_one_refresh_and_three_calls() {
    let _turn = alone();
    let company = company(&["ThirdRole"], None);
    let profile = three_roles(&company, "");
    company.sign_in(&profile, "okta");
    let authorized = company.counts().arrived(Endpoint::Authorize);
    // Nothing in memory but what the keychain holds: a refresh token that is good once, without any grace.
    profile.kill_agent();
    profile.start_agent();
    all_given("cold", everybody(&profile, &ENTRIES, ALL));
    let counts = company.counts();
    assert_eq!(counts.refreshes(), 1);
    assert_eq!(counts.sts_actions.values().sum::<u64>(), 3, "{:?}", counts.sts_actions);
    assert!(company.addresses().roles.iter().all(|role| counts.role(role) == 1), "{:?}", counts.sts_roles);
    assert_eq!(counts.arrived(Endpoint::Authorize), authorized, "no page of a browser");
    all_given("warm", everybody(&profile, &ENTRIES, ALL));
    assert_eq!(company.counts().sts_actions, counts.sts_actions);
}

#[test]
fn case_15_two_hundred_are_served_from_twenty_minutes_of_life_while_everything_behind_is_down() {
    let _turn = alone();
    let company = company(&["ThirdRole"], None);
    let profile = three_roles(&company, "");
    company.sign_in(&profile, "okta");
    company.sts().set_credential_seconds(Some(20 * 60));
    for entry in ENTRIES {
        profile.credential_process(entry).ok();
    }
    cut_off(&company);
    all_given("the identity provider and STS refuse", everybody(&profile, &ENTRIES, ALL));
    company.faults().clear_all();
    for endpoint in [Endpoint::Discovery, Endpoint::Token, Endpoint::Sts] {
        company.faults().set(endpoint, Fault::Slow(Duration::from_secs(30)));
    }
    all_given("the identity provider and STS hang", everybody(&profile, &ENTRIES, ALL));
}

#[test]
fn case_15_with_nothing_cached_two_hundred_are_refused_in_time_and_the_person_hears_of_it_once_at_most() {
    let _turn = alone();
    let bus = SessionBus::without_keychain();
    let server = NotificationServer::start(&bus);
    let company = company(&["ThirdRole"], None);
    let mut profile = three_roles(&company, "");
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    company.sign_in(&profile, "okta");
    profile.kill_agent();
    for fault in [Fault::Status(503), Fault::Slow(Duration::from_secs(30))] {
        for endpoint in [Endpoint::Discovery, Endpoint::Token, Endpoint::Sts] {
            company.faults().set(endpoint, fault.clone());
        }
        profile.start_agent();
        let outputs = everybody(&profile, &ENTRIES, ALL);
        tell(&format!("nothing cached, {fault:?}: the slowest {:.1?}", outputs[ALL - 1].took));
        for output in outputs {
            refused(output);
        }
        profile.kill_agent();
        company.faults().clear_all();
    }
    let shown = server.shown();
    assert!(shown.len() <= 1, "{shown:?}");
    // The session was not lost in all of that.
    profile.credential_process("dev").ok();
}
