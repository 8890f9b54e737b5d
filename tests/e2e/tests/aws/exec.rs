//! `keyfob exec NAME -- PROGRAM`: the SDKs get keys from an endpoint on this machine, for as long as the program runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Command;

use keyfob_e2e::real::{Moto, Sdk, SdkClient, alone, together};
use keyfob_e2e::{PATIENCE, Profile, Stage, run, wait_for, wait_for_some};
use serde_json::json;

use crate::{DEV, company, signed_in};

/// What a person may have set, each of which would win over our endpoint in some SDK, or break it.
const IN_THE_WAY: [(&str, &str); 9] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjOLD"),
    ("AWS_PROFILE", "nobody"),
    ("AWS_DEFAULT_PROFILE", "nobody"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/old"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/old"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "old"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere/token"),
];

fn exec(profile: &Profile, words: &[OsString]) -> Command {
    let mut command = profile.keyfob(&["exec", "dev", "--"]);
    command.args(words).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn set_in_the_way(profile: &mut Profile) {
    for (name, value) in IN_THE_WAY {
        profile.set(name, value);
    }
}

#[test]
fn exec_gives_every_client_the_role_whatever_else_the_person_has_set() {
    let _turn = together();
    let moto = Moto::start();
    let company = company(&[], Some(&moto));
    let mut profile = signed_in(&company);
    set_in_the_way(&mut profile);
    for one in Sdk::ALL {
        let mut client = SdkClient::start(exec(&profile, &one.words(moto.url())));
        assert_eq!(client.ask("identities")["Arns"], json!([DEV]), "{one:?}");
        if one != Sdk::Rust {
            assert!(client.ask("buckets")["Buckets"].is_array(), "{one:?}");
        }
        assert_eq!(client.end(), Some(0), "{one:?}: the program's own code");
    }
    let command = ["aws", "--endpoint-url", moto.url(), "--output", "json", "sts", "get-caller-identity"];
    let mut words: Vec<OsString> = command.into_iter().map(OsString::from).collect();
    words[0] = Stage::get().python("aws").into();
    let answer = run(exec(&profile, &words), "").ok();
    assert_eq!(answer.json()["Arn"], DEV, "the AWS CLI");
    assert_eq!(company.counts().role(&company.addresses().roles[0]), 1, "four programs, one call of STS");
}

/// Terraform under `keyfob exec`: a process for each alias, all over one endpoint.
#[test]
fn exec_serves_many_programs_of_one_run_at_once() {
    const MANY: usize = 24;
    let _turn = alone();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let client = Stage::get().bin("keyfob-aws-sdk");
    let one = format!("echo identity | {} {} &", client.display(), company.addresses().sts_url);
    let script = format!("for alias in $(seq {MANY}); do\n{one}\ndone\nwait");
    let output = run(exec(&profile, &["/bin/sh".into(), "-c".into(), script.into()]), "").ok();
    assert_eq!(output.stdout.matches(DEV).count(), MANY, "{}", output.stdout);
    assert_eq!(company.counts().role(&company.addresses().roles[0]), 1);
}

#[test]
fn exec_sets_one_address_and_one_token_and_nothing_that_wins_over_them() {
    let _turn = together();
    let company = company(&[], None);
    let mut profile = signed_in(&company);
    set_in_the_way(&mut profile);
    let output = run(exec(&profile, &["/usr/bin/env".into()]), "").ok();
    let variables: BTreeMap<&str, &str> =
        output.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    let address = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    assert!(address.starts_with("http://127.0.0.1:") && !address.contains(":9/"), "{address}");
    // Which of the two wins depends on the SDK, so there is one.
    let tokens = ["AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    let set: Vec<&&str> = tokens.iter().filter_map(|name| variables.get(name)).collect();
    assert!(set.len() == 1 && *set[0] != "old" && *set[0] != "/nowhere/token", "{} tokens", set.len());
    assert!(!set[0].contains(['\r', '\n']));
    let ours = [&tokens[..], &["AWS_CONTAINER_CREDENTIALS_FULL_URI"]].concat();
    for (name, _) in IN_THE_WAY.iter().filter(|(name, _)| !ours.contains(name)) {
        assert!(!variables.contains_key(name), "{name} is still set");
    }
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        assert_eq!(variables.get(name), Some(&"eu-west-1"), "{name}");
    }
}

#[test]
fn exec_renews_the_keys_of_a_program_that_runs_on() {
    let _turn = alone();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let sts = &company.addresses().sts_url;
    company.sts().set_credential_seconds(Some(8));
    let mut clients = Sdk::ALL.map(|one| (one, SdkClient::start(exec(&profile, &one.words(sts)))));
    let firsts = clients.each_mut().map(|(_, client)| client.ask("keys")["AccessKeyId"].clone());
    let processes = clients.each_ref().map(|(_, client)| client.id());
    for ((one, client), first) in clients.iter_mut().zip(firsts) {
        let later = wait_for_some("other keys", PATIENCE, || {
            assert_eq!(client.ask("identity")["Arn"], DEV, "{one:?}");
            let keys = client.ask("keys")["AccessKeyId"].clone();
            (keys != first).then_some(keys)
        });
        assert!(later.as_str().is_some_and(|keys| keys.starts_with("ASIA")), "{one:?}");
    }
    assert_eq!(clients.each_ref().map(|(_, client)| client.id()), processes, "the same processes");
    assert!(company.counts().role(&company.addresses().roles[0]) > 1);
    for (one, client) in clients {
        assert_eq!(client.end(), Some(0), "{one:?}");
    }
}

#[test]
fn exec_takes_its_address_with_it_when_the_program_ends() {
    let _turn = together();
    let company = company(&[], None);
    let profile = signed_in(&company);
    let words = ["/bin/sh", "-c", "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; exit 7"].map(OsString::from);
    let output = run(exec(&profile, &words), "").exits(7);
    let address = output.stdout.trim_start_matches("http://").split('/').next().expect("an address").trim();
    wait_for("nobody at the address", PATIENCE, || std::net::TcpStream::connect(address).is_err());
}
