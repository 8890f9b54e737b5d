//! Metaflow's metadata service behind a key that only the agent has.

use std::process::Command;

use keyfob_e2e::real::Flow;
use keyfob_e2e::{Metaflow, Profile, Stage, run_within};
use keyfob_sandbox::Fronts;
use serde_json::json;

use crate::Bench;

/// The service's name; nobody can ask it but through the proxy.
pub const HOST: &str = "metadata.acme.test";

/// `[token.metaflow]` for that service.
pub fn entry() -> String {
    format!("[token.metaflow]\nhosts = [\"{HOST}\"]\nheader = \"x-api-key\"\n")
}

/// Variables of a program that finds the fronts behind every name.
pub fn through(command: &mut Command, profile: &Profile, fronts: &Fronts) {
    let bundle = profile.path().join("authority.pem");
    std::fs::write(&bundle, fronts.authority()).expect("room for a file");
    for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
        command.env(name, &bundle);
    }
    command.env("HTTPS_PROXY", fronts.proxy_url()).env("NO_PROXY", "127.0.0.1");
}

/// A person whose Metaflow has the service.
pub fn bench() -> Bench {
    let bench = Bench::new(|_, _| entry());
    bench.company.fronts().lead(HOST, bench.company.metadata().url());
    bench
}

/// Runs a flow that reaches the service.
#[track_caller]
pub fn go(bench: &Bench, flow: Flow, arguments: &[&str]) -> keyfob_e2e::Output {
    let mut command = flow.command(arguments);
    through(&mut command, &bench.profile, bench.company.fronts());
    run_within(command, "", std::time::Duration::from_secs(240))
}

/// What `config.json` says of the service.
fn service() -> serde_json::Value {
    json!({
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": format!("https://{HOST}/"),
    })
}

#[test]
fn a_flow_reaches_the_service_with_the_key_of_the_keychain_and_not_without() {
    let mut bench = bench();
    let key = bench.marked("key of the service");
    bench.company.metadata().accept(&key);
    bench.profile.add_token("metaflow", &key);
    let mut config = service();
    bench.write_config(&config);
    bench.profile.run(&["setup", "metaflow", "dev"], "").ok();
    let artifacts = |metaflow| Flow::new(metaflow, &bench.profile, "artifacts");
    for metaflow in Metaflow::OWN {
        let output = go(&bench, artifacts(metaflow), &["run"]).ok();
        assert_eq!(output.said("RESULT"), ["2 squares"], "{metaflow:?}: {output:?}");
        bench.assert_nothing_leaked(&[&output]);
    }
    let paths = bench.company.metadata().paths();
    let has = |step: &str, end: &str| {
        paths.iter().any(|path| path.contains(&format!("steps/{step}/tasks/")) && path.ends_with(end))
    };
    assert!(has("each", "/artifacts/square/0") && has("end", "/artifacts/squares/0"), "{paths:?}");
    let metadata = bench.company.metadata();
    assert_eq!(metadata.refused(), [""; 0]);
    assert!(metadata.calls().iter().any(|call| call.ends_with("/heartbeat")), "{:?}", metadata.calls());

    // The control: the same without a word of ours.
    config["METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER"] = json!("keyfob");
    config["METAFLOW_SERVICE_RETRY_COUNT"] = json!("1");
    bench.write_config(&config);
    let refused = go(&bench, artifacts(Metaflow::Newest), &["run"]);
    assert!(refused.code != 0 && !metadata.refused().is_empty(), "{refused:?}");
}

#[test]
fn a_program_that_runs_on_takes_the_next_key_with_the_next_call() {
    const SCRIPT: &str = "\
import subprocess, sys
from metaflow import Metaflow, namespace
import metaflow_extensions.keyfob.service_key as ours
# Two minutes, else.
assert ours._FRESH == 120
ours._FRESH = 0
namespace(None)
print(len(Metaflow().flows))
keyfob, value = sys.argv[1], sys.stdin.read()
subprocess.run([keyfob, 'token', 'add', 'metaflow'], input=value, text=True, check=True)
print(len(Metaflow().flows))
";
    let mut bench = bench();
    let keys = ["first key", "second key"].map(|name| bench.marked(name));
    let metadata = bench.company.metadata();
    keys.iter().for_each(|key| metadata.accept(key));
    bench.profile.add_token("metaflow", &keys[0]);
    bench.write_config(&service());
    bench.profile.run(&["setup", "metaflow", "dev"], "").ok();
    let mut command = bench.profile.command(Stage::get().metaflow(Metaflow::Newest, "python"));
    command.args(["-c", SCRIPT]).arg(Stage::get().bin("keyfob")).env("USER", "ada");
    through(&mut command, &bench.profile, bench.company.fronts());
    let output = run_within(command, &*keys[1], keyfob_e2e::PATIENCE).ok();
    assert!(keys.iter().all(|key| metadata.uses(key) > 0), "{output:?}");
    assert_eq!(metadata.refused(), [""; 0]);
    bench.assert_nothing_leaked(&[&output]);
}
