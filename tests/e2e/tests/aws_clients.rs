//! The AWS command line and boto3 as they are, through a profile that `keyfob setup aws` wrote, against moto.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_e2e::real::{Moto, alone, together};
use keyfob_e2e::{Company, Output, PATIENCE, Profile, Stage, run, wait_for_some};
use keyfob_sandbox::{Endpoint, Fault, Options};
use serde_json::Value;

/// With this much life left or less, boto3 starts the process again at every call.
const HAMMERED: i64 = 15 * 60;

/// What a tool's call may take, whatever happens behind the agent.
const SOON: Duration = Duration::from_secs(2);

/// A company whose STS passes verified calls on to moto, so that moto knows the keys.
fn company(moto: &Moto) -> Company {
    let mut options = Options::default();
    options.sts.forward = Some(moto.url().parse().expect("moto's address is one"));
    Company::with(options)
}

/// A profile whose `[profile dev]` is written, signed in.
fn signed_in(company: &Company) -> Profile {
    let profile = prepared(company);
    company.sign_in(&profile, "okta");
    profile
}

fn prepared(company: &Company) -> Profile {
    let profile = Profile::new(&company.config());
    profile.run(&["setup", "aws"], "").ok();
    profile
}

/// An AWS program in the surroundings of a person who has a configuration and nothing else.
fn program(profile: &Profile, name: &str) -> Command {
    let mut command = profile.command(Stage::get().python(name));
    // Never asks the network for the keys of a virtual machine.
    command.env("AWS_EC2_METADATA_DISABLED", "true").current_dir(profile.home());
    command
}

#[track_caller]
fn aws(profile: &Profile, moto: &Moto, arguments: &[&str]) -> Output {
    let mut command = program(profile, "aws");
    command.args(["--profile", "dev", "--endpoint-url", moto.url(), "--output", "json"]).args(arguments);
    run(command, "")
}

/// Runs a Python script with boto3. `starts` in it are the starts of `credential_process` so far.
#[track_caller]
fn python(profile: &Profile, endpoint: &str, script: &str) -> Value {
    const WATCH: &str = "\
import json, sys
starts = []
def watch(event, arguments):
    if event == 'subprocess.Popen' and 'credential-process' in arguments[1]:
        starts.append(arguments[1])
sys.addaudithook(watch)
import boto3, botocore.exceptions
endpoint = sys.argv[1]
";
    let mut command = program(profile, "python");
    command.args(["-c", &[WATCH, script].concat(), endpoint]);
    run(command, "").ok().json()
}

/// Seconds of life left in an answer of `credential-process`.
#[track_caller]
fn left(answer: &Output) -> i64 {
    let json = answer.json();
    let end: Timestamp = json["Expiration"].as_str().and_then(|end| end.parse().ok()).expect("an end");
    end.as_second() - Timestamp::now().as_second()
}

#[test]
fn the_command_line_works_through_the_profile() {
    let _turn = together();
    let moto = Moto::start();
    let company = company(&moto);
    let profile = signed_in(&company);
    let identity = aws(&profile, &moto, &["sts", "get-caller-identity"]).ok().json();
    assert_eq!(identity["Arn"], "arn:aws:sts::123456789012:assumed-role/OktaRole/ada@example.com");
    aws(&profile, &moto, &["s3", "mb", "s3://keyfob-tests"]).ok();
    let listed = aws(&profile, &moto, &["s3", "ls"]).ok();
    assert!(listed.stdout.contains("keyfob-tests"), "{listed:?}");
    assert_eq!(company.counts().role(&company.addresses().roles[0]), 1, "three commands, one call of STS");
}

#[test]
fn one_session_of_boto3_starts_the_process_once() {
    let _turn = together();
    const SCRIPT: &str = "
session = boto3.Session(profile_name='dev')
sts, s3 = (session.client(name, endpoint_url=endpoint) for name in ('sts', 's3'))
arns = {sts.get_caller_identity()['Arn'] for _ in range(5)}
s3.list_buckets()
print(json.dumps({'arns': sorted(arns), 'starts': starts, 'region': session.region_name}))
";
    let moto = Moto::start();
    let company = company(&moto);
    let profile = signed_in(&company);
    let seen = python(&profile, moto.url(), SCRIPT);
    assert_eq!(seen["arns"].as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(seen["region"], "eu-west-1");
    let keyfob = Stage::get().bin("keyfob").display().to_string();
    assert_eq!(seen["starts"], serde_json::json!([[keyfob, "credential-process", "aws.dev"]]));
    // Moto gives an hour whatever is asked, so the sandbox's own STS gives the shorter life.
    let company = Company::start();
    company.sts().set_credential_seconds(Some(1190));
    let profile = signed_in(&company);
    let mut all = 0;
    for _ in 0..2 {
        let seen = python(&profile, &company.addresses().sts_url, &SCRIPT.replace("s3.list_buckets()", ""));
        all += seen["starts"].as_array().map_or(0, Vec::len);
    }
    assert_eq!(all, 2, "once for each program, with twenty minutes left too");
}

#[test]
fn the_answer_is_what_every_sdk_reads() {
    let _turn = together();
    let company = Company::start();
    let profile = signed_in(&company);
    let answer = profile.credential_process("dev").ok();
    assert_eq!(answer.stderr, "");
    assert!(answer.stdout.starts_with(r#"{"Version":1,"#), "a number, and nothing before");
    assert_eq!(answer.stdout.matches('\n').count(), 1);
    assert!(answer.stdout.ends_with("}\n"));
    let json = answer.json();
    let mut members: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected = ["AccessKeyId", "AccountId", "Expiration", "SecretAccessKey", "SessionToken", "Version"];
    assert_eq!(members, expected);
    let end = json["Expiration"].as_str().expect("text");
    let form: String = end.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00Z");
    assert_eq!(json["AccountId"], "123456789012");

    let read = python(
        &profile,
        "",
        "
import botocore.session
from botocore.credentials import ProcessProvider
configured = botocore.session.Session(profile='dev').full_config
credentials = ProcessProvider('dev', lambda: configured).load()
frozen = credentials.get_frozen_credentials()
print(json.dumps({
    'AccessKeyId': frozen.access_key, 'SecretAccessKey': frozen.secret_key, 'SessionToken': frozen.token,
    'AccountId': frozen.account_id, 'Version': len(starts),
    'Expiration': credentials._expiry_time.strftime('%Y-%m-%dT%H:%M:%SZ'),
}))
",
    );
    assert_eq!(read, json, "botocore's own reading");
}

#[test]
fn keys_with_twenty_minutes_left_are_renewed_behind_the_tools_back() {
    let _turn = alone();
    let company = Company::start();
    let profile = signed_in(&company);
    let slow = Duration::from_secs(1);
    company.faults().set(Endpoint::Sts, Fault::Slow(slow));
    company.sts().set_credential_seconds(Some(1190));
    let first = profile.credential_process("dev").ok();
    assert!((HAMMERED..=1190).contains(&left(&first)), "{} s left", left(&first));

    // The renewal is under way now, and nobody waits for it.
    company.sts().set_credential_seconds(None);
    let second = profile.credential_process("dev").ok();
    assert_eq!(second.stdout, first.stdout);
    assert!(second.took < slow, "{second:?}");
    let renewed = wait_for_some("new keys", Duration::from_secs(20), || {
        let answer = profile.credential_process("dev").ok();
        assert!(left(&answer) > HAMMERED, "{} s left", left(&answer));
        (answer.stdout != first.stdout).then_some(answer)
    });
    assert!(left(&renewed) > 3500, "{} s left", left(&renewed));
}

#[test]
fn keys_with_fifteen_minutes_left_are_not_given_where_the_role_allows_more() {
    let _turn = alone();
    let company = Company::start();
    let profile = signed_in(&company);
    company.faults().set(Endpoint::Sts, Fault::Slow(Duration::from_millis(500)));
    company.sts().set_credential_seconds(Some(890));
    // All that there is.
    assert!(left(&profile.credential_process("dev").ok()) <= 890);
    company.sts().set_credential_seconds(None);
    // After a rest of some seconds (a wrong clock must not ask STS at each call) the caller waits for the new ones.
    wait_for_some("better keys", Duration::from_secs(20), || {
        let answer = profile.credential_process("dev").ok();
        (left(&answer) > HAMMERED).then_some(())
    });
}

#[test]
fn keys_that_are_still_good_are_given_while_sts_is_out_of_reach() {
    let _turn = alone();
    let company = Company::start();
    let profile = signed_in(&company);
    company.sts().set_credential_seconds(Some(890));
    profile.credential_process("dev").ok();
    for fault in [Fault::Status(503), Fault::Slow(Duration::from_secs(30))] {
        company.faults().set(Endpoint::Sts, fault);
        let answer = profile.credential_process("dev").ok();
        assert!((1..=890).contains(&left(&answer)), "{} s left", left(&answer));
        assert!(answer.took < SOON, "{answer:?}");
        company.faults().clear(Endpoint::Sts);
    }
}

#[test]
fn keys_that_have_ended_are_never_given() {
    let _turn = together();
    let company = Company::start();
    let role = company.addresses().roles[0].clone();
    let profile = signed_in(&company);
    company.sts().set_credential_seconds(Some(6));
    wait_for_some("three renewals", PATIENCE, || {
        let answer = profile.credential_process("dev").ok();
        assert!(left(&answer) >= 0, "{} s left", left(&answer));
        (company.counts().role(&role) > 3).then_some(())
    });
    company.faults().set(Endpoint::Sts, Fault::Status(503));
    let refused = wait_for_some("the end of the last keys", PATIENCE, || {
        let answer = profile.credential_process("dev");
        (answer.code != 0).then_some(answer)
    });
    let refused = refused.exits(1);
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.starts_with("keyfob: "), "{refused:?}");
}

#[test]
fn who_is_not_signed_in_reads_our_sentence_in_the_tools_own_error() {
    let _turn = together();
    let company = Company::start();
    let profile = prepared(&company);
    let sts = &company.addresses().sts_url;
    let mut command = program(&profile, "aws");
    command.args(["--profile", "dev", "--endpoint-url", sts, "sts", "get-caller-identity"]);
    let refused = run(command, "");
    assert_ne!(refused.code, 0);
    let seen = python(
        &profile,
        sts,
        "
try:
    boto3.Session(profile_name='dev').client('sts', endpoint_url=endpoint).get_caller_identity()
except botocore.exceptions.CredentialRetrievalError as error:
    print(json.dumps({'error': str(error), 'starts': len(starts)}))
",
    );
    assert_eq!(seen["starts"], 1);
    for text in [&*refused.stderr, seen["error"].as_str().expect("text")] {
        assert!(text.contains("you are not signed in to `sso.okta`. Run: keyfob login okta"), "{text}");
    }
    assert!(company.counts().sts_actions.is_empty(), "nobody asked STS");
}

#[test]
fn the_configuration_is_edited_and_given_back_to_the_byte() {
    let _turn = together();
    const BEFORE: &str = "[default]\nregion = eu-central-1\n\n[profile mine]\noutput = text";
    let company = Company::start();
    let mut profile = Profile::new(&company.config());
    let file = profile.path().join("aws-config");
    profile.set("AWS_CONFIG_FILE", &file);
    let read = || fs::read_to_string(&file).unwrap_or_default();

    let printed = profile.run(&["setup", "aws", "--print"], "").ok();
    assert!(printed.stdout.contains("[profile dev]") && !Path::exists(&file), "{printed:?}");

    fs::write(&file, BEFORE).expect("room for a file");
    profile.run(&["setup", "aws"], "").ok();
    let once = read();
    assert!(once.starts_with(BEFORE) && once.contains(&printed.stdout), "{once}");
    profile.run(&["setup", "aws"], "").ok();
    assert_eq!(read(), once, "a second time changes nothing");
    let profiles = python(&profile, "", "print(json.dumps(boto3.Session().available_profiles))");
    assert_eq!(profiles, serde_json::json!(["default", "mine", "dev", "readonly"]), "botocore reads it");
    profile.run(&["setup", "aws", "--remove"], "").ok();
    assert_eq!(read(), BEFORE);
}

#[test]
fn a_profile_that_would_win_over_ours_is_named_and_nothing_is_written() {
    let _turn = together();
    let company = Company::start();
    let profile = Profile::new(&company.config());
    let folder = profile.home().join(".aws");
    fs::create_dir(&folder).expect("a folder in our home");
    let (config, credentials) = (folder.join("config"), folder.join("credentials"));
    let cases =
        [(&credentials, "[dev]\naws_access_key_id = AKIA1\n"), (&config, "[profile dev]\nregion = x\n")];
    for (file, text) in cases {
        fs::write(file, text).expect("room for a file");
        let refused = profile.run(&["setup", "aws"], "").exits(1);
        assert!(refused.stderr.contains("`dev`") && refused.stderr.contains("already"), "{refused:?}");
        assert_eq!(fs::read_to_string(file).ok().as_deref(), Some(text));
        fs::remove_file(file).expect("our own file");
    }
    assert!(!config.exists());
    profile.run(&["setup", "aws"], "").ok();
    assert!(config.exists());
}

#[test]
fn no_service_of_an_outscale_profile_is_asked_at_aws() {
    // Keys of its own: a client needs some, and none of these is sent anywhere.
    const ASK: &str = "\
keys = {'aws_access_key_id': 'AKIA', 'aws_secret_access_key': 'none'}
def address(profile, service):
    return boto3.Session(profile_name=profile).client(service, **keys).meta.endpoint_url
services = ['ec2', 'elb', 'iam', 's3', 'directconnect', 'sts', 'elbv2', 'kms', 'cloudwatch', 'logs', 'route53',
            'cloudfront', 'dynamodb', 's3control', 'secretsmanager', 'lambda', 'sso']
print(json.dumps({'ours': {name: address('monitoring', name) for name in services}, 'aws': address('dev', 'ec2')}))
";
    let _turn = together();
    let company = Company::start();
    let outscale = "[outscale.monitoring]\nregion = \"eu-west-2\"\nuser = \"monitoring\"\n";
    let profile = Profile::new(&[&company.config(), outscale].concat());
    let setup = profile.run(&["setup", "aws"], "").ok();
    assert!(setup.stderr.contains("2.13"), "{setup:?}");
    let said = python(&profile, "none", ASK);
    for (service, host) in
        [("ec2", "fcu"), ("elb", "lbu"), ("iam", "eim"), ("s3", "oos"), ("directconnect", "directlink")]
    {
        assert_eq!(said["ours"][service], format!("https://{host}.eu-west-2.outscale.com"));
    }
    for (service, address) in said["ours"].as_object().expect("addresses") {
        let address = address.as_str().unwrap_or_default();
        assert!(address.ends_with(".eu-west-2.outscale.com"), "{service}: {address}");
    }
    // The control: a profile without these lines.
    assert!(said["aws"].as_str().is_some_and(|address| address.contains("amazonaws.com")), "{said}");
}
