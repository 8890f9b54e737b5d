//! Atlantis: many plans at once on a server, as a service user with no session, no bus and no keychain.

use std::fs;
use std::process::Command;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, PATIENCE, Profile, Stage, start};
use keyfob_sandbox::circleci::Version;

/// Plans that run at once.
const PLANS: usize = 12;

#[test]
fn twelve_plans_at_once_get_keys_with_one_call_of_sts() {
    let _turn = together();
    let company = Company::start();
    let role = company.addresses().roles[0].clone();
    let machine = "[machine.ci]\nidentity = \"web-identity-file\"\n";
    let config = [keyfob_e2e::MEMORY, machine, &super::role(&company, "plan", &role)].concat();
    let mut profile = Profile::new(&config);
    let file = profile.path().join("token");
    fs::write(&file, company.circleci().token(Version::First)).expect("room for a token");
    profile.set("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
    profile.run(&["setup", "aws"], "").ok();
    profile.run(&["agent", "stop"], "").ok();
    let plans: Vec<_> = (0..PLANS).map(|_| start(plan(&profile, &company), "")).collect();
    for plan in plans {
        let identity = plan.output(PATIENCE).ok().json();
        let arn = identity["Arn"].as_str().expect("an ARN").to_owned();
        assert!(arn.starts_with("arn:aws:sts::123456789012:assumed-role/OktaRole/circleci-"), "{arn}");
    }
    assert_eq!(company.counts().role(&role), 1, "twelve plans, one call");
}

/// What a provider of Terraform does first.
fn plan(profile: &Profile, company: &Company) -> Command {
    let mut command = profile.command(Stage::get().python("aws"));
    let sts = &company.addresses().sts_url;
    command.env("AWS_EC2_METADATA_DISABLED", "true").current_dir(profile.home());
    command.args(["--profile", "plan", "--region", "eu-west-1", "--endpoint-url", sts, "--output", "json"]);
    command.args(["sts", "get-caller-identity"]);
    command
}
