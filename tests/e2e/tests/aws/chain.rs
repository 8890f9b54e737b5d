//! Roles that are assumed with the keys of another role.

use std::time::Duration;

use keyfob_e2e::real::{Moto, Sdk, alone, together};
use keyfob_e2e::{Company, Profile};
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::json;

use crate::crowd::{all_given, everybody, three_roles};
use crate::{arn, aws, company, cut_off, line, sdk, signed_in_with, write_default};

/// From the session to the last role.
const CHAIN: [&str; 3] = ["aws.dev", "aws.middle", "aws.last"];
const ROLES: [&str; 2] = ["MiddleRole", "LastRole"];

/// `aws.middle` over `aws.dev`, and `aws.last` over that.
fn entries(company: &Company) -> String {
    let sts = &company.addresses().sts_url;
    [("middle", "dev", ROLES[0]), ("last", "middle", ROLES[1])]
        .map(|(name, source, role)| {
            let role = arn(role);
            format!("[aws.{name}]\nsource = \"{source}\"\nrole_arn = \"{role}\"\nendpoint_url = \"{sts}\"\n")
        })
        .concat()
}

/// Calls of STS so far: with a web identity, and with keys.
fn calls(company: &Company) -> [u64; 2] {
    let counts = company.counts();
    ["AssumeRoleWithWebIdentity", "AssumeRole"]
        .map(|action| counts.sts_actions.get(action).copied().unwrap_or_default())
}

#[test]
fn chain_of_three_roles_costs_two_hundred_callers_one_refresh_and_one_call_a_hop() {
    let _turn = alone();
    let company = company(&[&ROLES[..], &["ThirdRole"]].concat(), None);
    let profile = three_roles(&company, &entries(&company));
    company.sign_in(&profile, "okta");
    profile.kill_agent();
    profile.start_agent();
    all_given("a chain, cold", everybody(&profile, &CHAIN, 200));
    assert_eq!(company.counts().refreshes(), 1);
    assert_eq!(calls(&company), [1, 2]);
    // And with the last one alone, whose hops are all there.
    all_given("a chain, warm", everybody(&profile, &CHAIN[2..], 200));
    assert_eq!(calls(&company), [1, 2]);
}

#[test]
fn chain_of_three_roles_serves_two_hundred_with_twenty_minutes_left_and_everything_behind_down() {
    let _turn = alone();
    let company = company(&[&ROLES[..], &["ThirdRole"]].concat(), None);
    let profile = three_roles(&company, &entries(&company));
    company.sign_in(&profile, "okta");
    company.sts().set_credential_seconds(Some(20 * 60));
    for entry in CHAIN {
        profile.credential_process(entry).ok();
    }
    for down in [Fault::Status(503), Fault::Slow(Duration::from_secs(30))] {
        company.faults().clear_all();
        if down == Fault::Status(503) {
            cut_off(&company);
        } else {
            for endpoint in [Endpoint::Discovery, Endpoint::Token, Endpoint::Sts] {
                company.faults().set(endpoint, down.clone());
            }
        }
        all_given(&format!("a chain, {down:?}"), everybody(&profile, &CHAIN, 200));
    }
}

/// A chain whose last hop is moto's own word.
fn over_moto(moto: &Moto) -> (Company, Profile) {
    let company = company(&ROLES, Some(moto));
    let profile = signed_in_with(&company, &entries(&company));
    write_default(&profile, &line("aws.last"), "");
    (company, profile)
}

#[test]
fn chain_end_is_who_the_command_line_and_every_sdk_are_for_aws() {
    let _turn = together();
    let moto = Moto::start();
    let (company, profile) = over_moto(&moto);
    let identity = aws(&profile, moto.url(), &["sts", "get-caller-identity"]).ok().json();
    let assumed = identity["Arn"].as_str().expect("an ARN");
    assert!(assumed.starts_with("arn:aws:sts::123456789012:assumed-role/LastRole/"), "{assumed}");
    for one in Sdk::ALL {
        assert_eq!(sdk(&profile, one, moto.url()).ask("identity")["Arn"], assumed, "{one:?}");
    }
    assert_eq!(calls(&company), [1, 2]);
}

#[test]
fn chain_end_uses_buckets_keys_and_secrets() {
    let _turn = together();
    let moto = Moto::start();
    let (company, profile) = over_moto(&moto);
    let aws = |arguments: &[&str]| aws(&profile, moto.url(), arguments).ok();
    aws(&["s3", "mb", "s3://keyfob-chain"]);
    assert!(aws(&["s3", "ls"]).stdout.contains("keyfob-chain"));
    let key = aws(&["kms", "create-key"]).json();
    let key = key["KeyMetadata"]["KeyId"].as_str().expect("a key").to_owned();
    let made =
        ["secretsmanager", "create-secret", "--name", "ci", "--kms-key-id", &key, "--secret-string", "{}"];
    aws(&made);
    let secret = aws(&["secretsmanager", "get-secret-value", "--secret-id", "ci"]).json();
    assert_eq!(secret["SecretString"], "{}");
    for one in [Sdk::Boto, Sdk::JavaScript] {
        let buckets = sdk(&profile, one, moto.url()).ask("buckets");
        let buckets = buckets["Buckets"].as_array().expect("a list").clone();
        assert!(buckets.contains(&json!("keyfob-chain")) && buckets.len() > 1, "{one:?}: {buckets:?}");
    }
    assert_eq!(calls(&company), [1, 2], "five programs of the command line and two SDKs");
}
