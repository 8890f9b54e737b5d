//! Jobs and machines that have an identity of their own: the real programs against GitHub's, CircleCI's and AWS' stand-ins and moto,
//! what `keyfob setup` prints for them, and what stands in `integrations/`.
#![cfg(target_os = "linux")]

mod atlantis;
mod aws_iam;
mod job;
mod workflows;

use keyfob_e2e::{Company, MEMORY, Profile, Stage, run};
use serde_json::Value;

/// An address of the job's hosts.
const URI: &str = "https://eu.cache.acme.dev/";

/// A job's configuration: its identity, hosts, and one role.
fn config(company: &Company) -> String {
    [
        MEMORY,
        "[machine.ci]\n",
        "[sso.company]\nmachine = \"ci\"\nhosts = [\"*.cache.acme.dev\"]\n",
        &role(company, "deploy", &company.addresses().roles[0]),
    ]
    .concat()
}

/// A role that is obtained with the job's identity.
fn role(company: &Company, name: &str, arn: &str) -> String {
    let sts = &company.addresses().sts_url;
    format!(
        "[aws.{name}]\nmachine = \"ci\"\nrole_arn = \"{arn}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{sts}\"\n"
    )
}

/// The variables that a job of GitHub gets which may ask for tokens.
fn in_github(profile: &mut Profile, company: &Company) {
    let (url, token) = company.github_actions().request();
    profile.set("GITHUB_ACTIONS", "true");
    profile.set("CI", "true");
    profile.set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
    profile.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
}

/// A document as a real YAML parser reads it.
#[track_caller]
fn yaml(profile: &Profile, text: &str) -> Value {
    const READ: &str = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))";
    let mut command = profile.command(Stage::get().python("python"));
    command.args(["-c", READ]);
    run(command, text).ok().json()
}
