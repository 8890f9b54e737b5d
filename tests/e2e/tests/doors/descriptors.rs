//! Few open files: the doors have fewer places, and nothing else runs short.

use std::time::Instant;

use keyfob_e2e::raw::Raw;
use keyfob_e2e::{Company, PATIENCE, Profile, Stage, start};
use serde_json::json;

use crate::{ASPECT, VALUE, allow_open_files, config, header, log, tell};

/// Calls at once, as Bazel makes them.
const BURST: usize = 150;

/// Starts an agent that may have so many open files and no more.
fn start_with(profile: &Profile, files: usize) -> u32 {
    let mut shell = profile.command("/bin/sh");
    shell.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]);
    shell.arg(Stage::get().bin("keyfob")).args(["agent", "start"]);
    keyfob_e2e::run(shell, "").ok();
    profile.agent_pid()
}

#[test]
fn a_burst_is_answered_with_few_open_files() {
    for files in [64, 128, 256] {
        let profile = Profile::new(&config());
        let agent = start_with(&profile, files);
        profile.add_token("aspect", VALUE);
        let request = json!({"uri": ASPECT}).to_string();
        let begun = Instant::now();
        let all: Vec<_> = (0..BURST).map(|_| start(profile.keyfob(&["get"]), request.as_str())).collect();
        let mut worst = std::time::Duration::ZERO;
        for running in all {
            let output = running.output(PATIENCE);
            worst = worst.max(output.took);
            assert_eq!(header(output, "X-Aspect"), VALUE, "{files} files");
        }
        tell(&format!(
            "{BURST} calls at an agent with {files} open files: answered in {} ms, the last after {} ms",
            begun.elapsed().as_millis(),
            worst.as_millis()
        ));
        assert_eq!(profile.agent_pid(), agent);
        assert!(!log(&profile).contains("no connection can be accepted"), "{}", log(&profile));
    }
}

/// What connections may not use is enough for the keychain, the network and files.
#[test]
fn with_every_place_taken_the_agent_still_renews_and_stores() {
    allow_open_files();
    let company = Company::start();
    let profile = Profile::new(&company.config());
    let agent = start_with(&profile, 64);
    let peers: Vec<_> = [profile.agent_socket(), profile.control_socket()]
        .iter()
        .flat_map(|socket| (0..100).map(|_| Raw::connect(socket)).collect::<Vec<_>>())
        .collect();
    company.sign_in(&profile, "okta");
    profile.add_token("aspect", VALUE);
    profile.credential_process("dev").ok();
    profile.get("https://x.cache.acme.dev/a").ok();
    assert_eq!(profile.status()["keychain"]["state"], "present");
    assert_eq!(profile.agent_pid(), agent);
    drop(peers);
}
