//! Ten thousand entries.

use std::fmt::Write as _;

use keyfob_e2e::real::alone;
use keyfob_e2e::{PATIENCE, Profile, start, wait_for};

use crate::{ANSWER, FILE, FIRST_CALL, VALUE, add_passphrase, header, refused, tell};

const ENTRIES: usize = 10_000;

fn config(entries: usize) -> String {
    let mut config = FILE.to_owned();
    for number in 0..entries {
        let _ = write!(
            config,
            "[token.n{number}]\nhosts = [\"n{number}.acme.dev\"]\nheader = \"X-Aspect\"\nprefix = \"aw_\"\n"
        );
    }
    config
}

fn host(number: usize) -> String {
    format!("https://n{number}.acme.dev/")
}

#[test]
fn with_ten_thousand_entries_every_call_is_in_time() {
    let _turn = alone();
    let mut profile = Profile::new(&config(ENTRIES));
    add_passphrase(&mut profile);
    let first = profile.run(&["token", "add", "n7777"], VALUE).ok();
    profile.kill_agent();
    let started = profile.get(&host(7777));
    assert!(started.took < FIRST_CALL, "{started:?}");
    let took = started.took;
    assert_eq!(header(started, "X-Aspect"), VALUE);
    let agent = profile.agent_pid();
    let warm = profile.get(&host(7777));
    assert!(warm.took < ANSWER, "{warm:?}");
    refused(profile.get(&host(ENTRIES - 1)), 3, &["n9999"], "keyfob token add n9999");
    let asking = start(profile.keyfob(&["status", "--json"]), "");
    let meanwhile = profile.get(&host(7777)).ok();
    assert!(meanwhile.took < ANSWER, "{meanwhile:?}");
    let status = asking.output(PATIENCE).ok();
    assert_eq!(status.json()["entries"].as_array().map(Vec::len), Some(ENTRIES));
    tell(&format!(
        "{ENTRIES} entries: {} ms to store the first token, {} ms for a call that starts the agent, {} ms for one that \
         does not, {} ms for the status, and {} ms for a call meanwhile",
        first.took.as_millis(),
        took.as_millis(),
        warm.took.as_millis(),
        status.took.as_millis(),
        meanwhile.took.as_millis(),
    ));

    // A saved edit is read while tools ask.
    profile.configure(&config(ENTRIES + 1));
    wait_for("the new entry", PATIENCE, || {
        let output = profile.get(&host(ENTRIES));
        assert!(output.took < ANSWER, "{output:?}");
        output.code == 3
    });
    assert_eq!(header(profile.get(&host(7777)), "X-Aspect"), VALUE);
    assert_eq!(profile.agent_pid(), agent, "without a restart");
}
