//! An agent that does not answer, and clients that end before their answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{Sdk, alone};
use keyfob_e2e::{PATIENCE, Profile, run, start, wait_for};
use keyfob_sandbox::{Endpoint, Fault};

use crate::{
    CAP, DEV, assert_everybody_is, assert_everybody_reads, company, line, refused, sdk, shell, signed_in,
    write_default,
};

/// Case 12.
#[test]
fn case_12_with_a_hung_agent_every_client_is_told_within_four_seconds() {
    let _turn = alone();
    let company = company(&[], None);
    let profile = signed_in(&company);
    write_default(&profile, &line("aws.dev"), "");
    let sts = &company.addresses().sts_url;
    let agent = profile.agent_pid();
    profile.credential_process("dev").ok();
    process::signal(agent, Signal::STOP);
    let output = refused(run(shell(&profile, &line("aws.dev")), "")).exits(4);
    assert!(output.stderr.contains("keyfob agent restart"), "{output:?}");
    assert_everybody_reads(&profile, sts, &["keyfob agent restart"]);
    process::signal(agent, Signal::CONT);
    assert_everybody_is(&profile, sts, DEV);
    assert_eq!(profile.agent_pid(), agent);
}

/// Case 12: killed as Go kills what was late, and as Terraform kills everything at an interrupt.
#[test]
fn case_12_killed_clients_cancel_nobody_and_leave_no_lock() {
    const EACH: usize = 12;
    let _turn = alone();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let role = company.addresses().roles[0].clone();
    let agent = profile.agent_pid();
    let before = files(profile.path());
    company.faults().set(Endpoint::Sts, Fault::Slow(Duration::from_millis(1500)));
    let line = line("aws.dev");
    let begin = || start(shell(&profile, &line), "");
    let (mut killed, stay): (Vec<_>, Vec<_>) = (0..EACH).map(|_| (begin(), begin())).unzip();
    wait_for("the call of STS", PATIENCE, || company.counts().arrived(Endpoint::Sts) > 0);
    for client in &mut killed {
        client.kill();
    }
    for client in stay {
        let output = client.output(PATIENCE).ok();
        assert!(output.took < CAP, "{output:?}");
    }
    assert_eq!(company.counts().role(&role), 1, "nobody was cancelled, and nobody asked twice");
    // All of the first ones may be killed: who comes afterwards gets what they have waited for.
    company.sts().set_credential_seconds(Some(1190));
    let mut alone: Vec<_> =
        (0..EACH).map(|_| start(profile.keyfob(&["credential-process", "readonly"]), "")).collect();
    let called = || company.counts().arrived(Endpoint::Sts) > 1;
    wait_for("another call of STS", PATIENCE, called);
    alone.iter_mut().for_each(keyfob_e2e::Running::kill);
    let role = &company.addresses().roles[1];
    wait_for("its answer", PATIENCE, || company.counts().role(role) > 0);
    profile.credential_process("readonly").ok();
    // With twenty minutes left it is renewed behind their backs, so two are allowed.
    assert!(company.counts().role(role) <= 2);
    assert_eq!(company.counts().abandoned(Endpoint::Sts), 0);
    assert_eq!(profile.agent_pid(), agent);
    assert_nothing_is_left(&profile, &before);
    company.faults().clear_all();
    write_default(&profile, &line, "");
    assert_eq!(sdk(&profile, Sdk::Rust, &company.addresses().sts_url).ask("identity")["Arn"], DEV);
}

/// Every file and socket in a folder, at any depth.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort();
    found
}

/// No file is there that was not, and nobody but the agent has a lock.
#[track_caller]
pub fn assert_nothing_is_left(profile: &Profile, before: &[PathBuf]) {
    let agent = profile.agent_pid();
    let after = files(profile.path());
    let new: Vec<_> = after.iter().filter(|file| !before.contains(file)).collect();
    assert!(new.is_empty(), "{new:?}");
    for file in &after {
        let holders = process::lock_holders(file);
        assert!(holders.iter().all(|holder| *holder == agent), "{file:?} is locked by {holders:?}");
    }
}
