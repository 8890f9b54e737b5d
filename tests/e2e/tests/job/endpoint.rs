//! The real SDK at the endpoint, and the agent that comes and goes behind it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, MEMORY, Profile, Stage, process, run};
use serde_json::Value;

use crate::{Shell, keyfob};

/// Tells who it is, and asks anew for each line that comes.
const SCRIPT: &str = "
import datetime, json, sys
import boto3
session = boto3.Session()
credentials = session.get_credentials()
for line in sys.stdin:
    if line == 'anew\\n':
        # As when the keys are about to end.
        credentials._expiry_time = datetime.datetime.now(datetime.timezone.utc)
    try:
        sts = session.client('sts', endpoint_url=sys.argv[1])
        told = {'arn': sts.get_caller_identity()['Arn'], 'key': credentials.get_frozen_credentials().access_key}
    except Exception as error:
        told = {'error': str(error)}
    print(json.dumps({'method': credentials.method, 'region': session.region_name, **told}), flush=True)
";

/// A profile that survives its agent, signed in.
fn signed_in(company: &Company) -> Profile {
    let config = company.config().replace(MEMORY, "[agent]\nkeychain = \"file\"\n");
    let mut profile = Profile::new(&config);
    let passphrase = profile.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").expect("a file of ours");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("a file of ours");
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    profile.set("AWS_EC2_METADATA_DISABLED", "true");
    company.sign_in(&profile, "okta");
    profile
}

fn boto(profile: &Profile, company: &Company, variables: &[(&str, &OsStr)]) -> Shell {
    let mut command = profile.command(keyfob());
    command.args(["exec", "dev", "--"]).arg(Stage::get().python("python"));
    command.args(["-c", SCRIPT, &company.addresses().sts_url]).envs(variables.iter().copied());
    Shell::of(command)
}

#[track_caller]
fn told(shell: &mut Shell, line: &str) -> Value {
    shell.tell(line);
    serde_json::from_str(&shell.line()).expect("JSON")
}

#[test]
fn boto3_has_the_role_and_renews_it_while_agents_come_and_go() {
    let _turn = together();
    let company = Company::start();
    let profile = signed_in(&company);
    let mut shell = boto(&profile, &company, &[]);
    let first = told(&mut shell, "now");
    assert_eq!(first["method"], "container-role", "{first}");
    assert_eq!(first["region"], "eu-west-1");
    assert!(first["arn"].as_str().is_some_and(|arn| arn.contains(":assumed-role/OktaRole/")), "{first}");
    assert_eq!(company.counts().role(&company.addresses().roles[0]), 1, "the agent was asked ahead");

    // A new agent has nothing in memory, so these are other keys.
    profile.kill_agent();
    let renewed = told(&mut shell, "anew");
    assert_eq!(renewed["arn"], first["arn"], "{renewed}");
    assert_ne!(renewed["key"], first["key"], "{renewed}");

    profile.run(&["agent", "restart"], "").ok();
    assert_ne!(told(&mut shell, "anew")["key"], renewed["key"]);

    profile.run(&["logout", "okta"], "").ok();
    let refused = told(&mut shell, "anew");
    let text = refused["error"].as_str().expect("an error");
    assert!(text.contains("you are not signed in to `sso.okta`. Run: keyfob login okta"), "{text}");
}

#[test]
fn no_other_identity_of_the_caller_wins() {
    let _turn = together();
    let company = Company::start();
    let profile = signed_in(&company);
    let folder = profile.home().join(".aws");
    fs::create_dir(&folder).expect("a folder in our home");
    let file = folder.join("credentials");
    let keys = "aws_access_key_id = AKIASTRANGER\naws_secret_access_key = x\n";
    fs::write(&file, format!("[default]\n{keys}[stranger]\n{keys}")).expect("room for a file");
    let variables = [
        ("AWS_PROFILE", OsStr::new("stranger")),
        ("AWS_ACCESS_KEY_ID", OsStr::new("AKIASTRANGER")),
        ("AWS_SECRET_ACCESS_KEY", OsStr::new("x")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", OsStr::new("/dev/null")),
        ("AWS_ROLE_ARN", OsStr::new("arn:aws:iam::999999999999:role/Stranger")),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", OsStr::new("/stranger")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", OsStr::new("/dev/null")),
    ];
    let seen = told(&mut boto(&profile, &company, &variables), "now");
    assert_eq!(seen["method"], "container-role", "{seen}");
    assert!(seen["arn"].as_str().is_some_and(|arn| arn.contains("OktaRole")), "{seen}");

    // The control: a program that is given the endpoint and keeps the rest is the stranger.
    let mut shell = Shell::below(&profile, &keyfob(), &["exec", "dev"], &[]);
    let [url, token] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        .map(|name| (name, shell.variable(name)));
    for given in [&variables[..3], &[]] {
        let mut twin = profile.command(Stage::get().python("python"));
        twin.args(["-c", "import boto3; print(boto3.Session().get_credentials().access_key)"]);
        twin.envs([&url, &token].map(|(name, value)| (name, value))).envs(given.iter().copied());
        assert_eq!(run(twin, "").ok().stdout, "AKIASTRANGER\n", "{given:?}");
    }
    assert!(Path::exists(&file), "and nothing was changed");
}

#[test]
fn who_is_not_signed_in_runs_nothing() {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    let refused = profile.run(&["exec", "dev", "--", "sh", "-c", "echo ran"], "").exits(3);
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.ends_with("Run: keyfob login okta\n"), "{refused:?}");
}

#[test]
fn the_ledger_names_the_run_and_not_its_token() {
    let company = Company::start();
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    let mut shell = Shell::below(&profile, &keyfob(), &["exec", "dev"], &[]);
    let token = shell.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    assert_eq!(token.len(), 64);
    let process = shell.pid();
    let line = fs::read(format!("/proc/{process}/cmdline")).expect("it runs");
    assert!(!String::from_utf8_lossy(&line).contains(&token));
    assert!(shell.end("exit 9").0.code() == Some(9) && !process::is_alive(process));
    let ledger = profile.run(&["log", "--json"], "").ok().stdout;
    assert!(ledger.contains("\"exec\"") && !ledger.contains(&token), "{ledger}");
}
