//! A picture of the agent's memory, read as a debugger reads it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use keyfob_e2e::needles::Secret;
use keyfob_e2e::real::{Lines, Part, SessionBus, together};
use keyfob_e2e::{Company, Examiner, MEMORY, Profile, Stage};

use crate::story;

/// How long the agent may take to give back what it does not need any more.
const SOON: Duration = Duration::from_secs(10);

/// Each of these is found: the search works, and they are where it looks.
#[track_caller]
fn are_found(examiner: &mut Examiner, process: u32, secrets: &[Secret]) {
    let found = examiner.search(process, secrets);
    for secret in secrets {
        let is_found =
            found.iter().any(|finding| finding.starts_with(&format!("{} (as it is)", secret.name)));
        assert!(is_found, "{} is held, and not found: {found:#?}", secret.name);
    }
}

/// None of these is found, after a moment.
#[track_caller]
fn are_gone(examiner: &mut Examiner, process: u32, secrets: &[Secret], when: &str) {
    let end = Instant::now() + SOON;
    loop {
        let found = examiner.search(process, secrets);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{when}: {found:#?}");
    }
}

/// What empties the agent.
#[derive(Clone, Copy)]
enum By {
    Removal,
    Lock,
}

/// A life with everything in it, over a keychain: what is held is found; what was replaced, what was `fleeting` from the
/// beginning, and in the end all of it is not.
#[track_caller]
fn emptied(company: &Company, profile: &Profile, fleeting: &[Secret], by: By) {
    let (held, replaced) = story::live(company, profile);
    let agent = profile.agent_pid();
    let mut examiner = Examiner::meet();
    are_found(&mut examiner, agent, &held);
    are_gone(&mut examiner, agent, &replaced, "what was replaced");
    are_gone(&mut examiner, agent, fleeting, "what is needed for a moment");
    match by {
        By::Removal => {
            profile.run(&["token", "remove", "aspect"], "").ok();
            profile.run(&["logout", "okta"], "").ok();
        }
        By::Lock => drop(profile.run(&["lock"], "").ok()),
    }
    are_gone(&mut examiner, agent, &held, "what is held no longer");
    assert_eq!(profile.agent_pid(), agent);
}

fn over_the_encrypted_file(by: By) {
    let company = Company::start();
    let mut profile = Profile::new(&["[agent]\nkeychain = \"file\"\n", &story::config(&company)].concat());
    let passphrase = Secret::random("the passphrase");
    story::add_passphrase(&mut profile, passphrase.value());
    emptied(&company, &profile, &[passphrase], by);
}

fn over_the_desktops_keychain(by: By) {
    let _turn = together();
    let (company, bus) = (Company::start(), SessionBus::start());
    let mut profile = Profile::new(&["[agent]\nkeychain = \"system\"\n", &story::config(&company)].concat());
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    emptied(&company, &profile, &[], by);
}

#[test]
fn what_was_removed_is_nowhere_in_the_agents_memory() {
    let company = Company::start();
    let profile = Profile::new(&[MEMORY, &story::config(&company)].concat());
    emptied(&company, &profile, &[], By::Removal);
}

#[test]
fn what_was_removed_from_the_encrypted_file_is_nowhere_in_the_agents_memory() {
    over_the_encrypted_file(By::Removal);
}

#[test]
fn what_was_removed_from_the_desktops_keychain_is_nowhere_in_the_agents_memory() {
    over_the_desktops_keychain(By::Removal);
}

#[test]
fn a_locked_agent_has_nothing_of_the_encrypted_file_in_its_memory() {
    over_the_encrypted_file(By::Lock);
}

#[test]
fn a_locked_agent_has_nothing_of_the_desktops_keychain_in_its_memory() {
    over_the_desktops_keychain(By::Lock);
}

#[test]
fn what_other_programs_give_back_is_still_there() {
    let secret = Secret::random("the secret");
    let mut examiner = Examiner::meet();
    for (argument, is_left) in [(None, true), (Some("--with-care"), false)] {
        let mut command = std::process::Command::new(Stage::get().bin("keyfob-careless"));
        command.args(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut twin = Part::start(&mut command);
        let (mut stdin, stdout) = (twin.child().stdin.take().unwrap(), twin.child().stdout.take().unwrap());
        let said = Lines::of(stdout);
        std::io::Write::write_all(&mut stdin, secret.value().as_bytes()).unwrap();
        said.find("`held`", |line| (line == "held").then_some(()));
        are_found(&mut examiner, twin.child().id(), std::slice::from_ref(&secret));
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        said.find("`given back`", |line| (line == "given back").then_some(()));
        let found = examiner.search(twin.child().id(), std::slice::from_ref(&secret));
        assert_eq!(!found.is_empty(), is_left, "{argument:?}: {found:#?}");
    }
}
