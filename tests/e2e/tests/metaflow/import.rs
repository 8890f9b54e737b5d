//! `keyfob import`: keys that stand in plain text in Metaflow's own files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyfob_e2e::needles::{self, Search};
use keyfob_e2e::real::Flow;
use keyfob_e2e::{Metaflow, Output};
use keyfob_sandbox::outerbounds::DOMAIN;
use serde_json::{Value, json};

use crate::Bench;
use crate::service::{HOST, go, through};

/// A person whose keychain is an encrypted file, so that what is kept is on the disk, and whose agent reaches every name.
fn bench() -> Bench {
    let mut bench = Bench::signed_out(|_, _| String::new());
    let authority = bench.profile.path().join("authority.pem");
    fs::write(&authority, bench.company.fronts().authority()).expect("room for a file");
    let config = fs::read_to_string(bench.profile.config()).expect("the configuration");
    let network = format!(
        "[network]\nproxy = \"{}\"\nca_file = \"{}\"\n",
        bench.company.fronts().proxy_url(),
        authority.display()
    );
    bench.profile.configure(&[config, network].concat());
    bench.keep_on_disk();
    bench.company.sign_in(&bench.profile, "okta");
    bench
}

/// Whether any file of the person's has a piece of a marked value.
fn is_on_disk(bench: &Bench) -> bool {
    let mut found = Vec::new();
    needles::search(bench.profile.path(), &Search::new(&bench.secrets), &mut found);
    !found.is_empty()
}

fn read(bench: &Bench) -> String {
    fs::read_to_string(bench.config_file()).expect("the configuration")
}

#[test]
fn the_key_of_a_metadata_service_moves_into_the_keychain_and_back() {
    let mut bench = bench();
    let key = bench.marked("key of the service");
    let metadata = bench.company.metadata();
    metadata.accept(&key);
    bench.company.fronts().lead(HOST, metadata.url());
    bench.write_config(&json!({
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": format!("https://{HOST}/"),
        "METAFLOW_SERVICE_AUTH_KEY": key,
    }));
    bench.profile.run(&["setup", "metaflow", "dev"], "").ok();
    let before = read(&bench);
    assert!(before.contains(&key) && is_on_disk(&bench), "the control: it is there, and is found");
    let flow = |metaflow| go(&bench, Flow::new(metaflow, &bench.profile, "resumed"), &["run"]).ok();
    flow(Metaflow::Newest);
    let check = bench.profile.run(&["import", "--check"], "").exits(6);
    assert!(check.stdout.contains("METAFLOW_SERVICE_AUTH_KEY"), "{check:?}");
    assert_eq!(read(&bench), before, "a check changes nothing");

    let imported = bench.profile.run(&["import", "--yes"], "").ok();
    bench.profile.run(&["import", "--check"], "").ok();
    let after: Value = serde_json::from_str(&read(&bench)).expect("JSON");
    assert!(after.get("METAFLOW_SERVICE_AUTH_KEY").is_none(), "{after}");
    let uses = metadata.uses(&key);
    let outputs: Vec<Output> = Metaflow::OWN.into_iter().map(flow).collect();
    assert!(metadata.uses(&key) > uses && metadata.refused().is_empty());
    bench.assert_nothing_leaked(&[&imported, &check, &outputs[0], &outputs[1]]);
    assert!(!is_on_disk(&bench));
    // The next agent has it from the keychain.
    bench.profile.kill_agent();
    flow(Metaflow::Newest);

    bench.profile.run(&["import", "--undo", "--yes"], "").ok();
    assert_eq!(read(&bench), before, "to the byte");
    let mode = fs::metadata(bench.config_file()).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    flow(Metaflow::Newest);
    assert!(metadata.refused().is_empty());
}

#[test]
fn the_key_that_the_real_outerbounds_command_wrote_moves_into_the_keychain_and_back() {
    let mut bench = bench();
    // Nobody has said where our program is: it is one of those that a person has.
    let bin = keyfob_e2e::Stage::get().bin("keyfob");
    bench.profile.set("PATH", format!("{}:/usr/bin:/bin", bin.parent().expect("a folder").display()));
    let (fronts, outerbounds) = (bench.company.fronts(), bench.company.outerbounds());
    for name in ["auth", "api"] {
        fronts.lead(&format!("{name}.{DOMAIN}"), outerbounds.url());
    }
    fronts.lead(&format!("metadata.{DOMAIN}"), bench.company.metadata().url());
    for (name, value) in bench.s3().as_object().expect("an object") {
        outerbounds.set_config(name, value);
    }
    outerbounds.set_config("METAFLOW_DEFAULT_DATASTORE", &json!("local"));
    let key = outerbounds.issue_key("ada");
    bench.company.metadata().accept(&key);
    bench.secrets.push(needles::Secret::new("service key", &key));
    let theirs = keyfob_e2e::Stage::get().metaflow(Metaflow::Outerbounds, "outerbounds");
    let mut command = bench.profile.command(theirs);
    command.args(["configure", "--force", &bench.company.outerbounds().magic_string(&key)]);
    through(&mut command, &bench.profile, bench.company.fronts());
    keyfob_e2e::run(command, "").ok();
    let before = read(&bench);
    assert!(is_on_disk(&bench), "the control");
    let flow = || go(&bench, Flow::new(Metaflow::Outerbounds, &bench.profile, "resumed"), &["run"]).ok();
    flow();
    bench.profile.run(&["import", "--check"], "").exits(6);
    let imported = bench.profile.run(&["import", "--yes"], "").ok();
    let output = flow();
    bench.assert_nothing_leaked(&[&imported, &output]);
    assert!(!is_on_disk(&bench));
    assert!(bench.company.metadata().refused().is_empty());
    bench.profile.run(&["import", "--undo", "--yes"], "").ok();
    assert_eq!(read(&bench), before, "to the byte");
    flow();
}
