//! Flows of the deployment's Metaflow, which has an AWS provider of its own and takes no other by configuration.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyfob_sandbox::Endpoint;
use keyfob_sandbox::outerbounds::{CSPR_ROLE, TASK_ROLE};
use serde_json::{Value, json};

use super::{Deployment, sts_calls};
use crate::{FLOW_ROLE, OTHER_ROLE, digest};

/// What Outerbounds' own provider would leave behind for user `ada`.
pub(super) fn token_file() -> PathBuf {
    PathBuf::from(format!("/tmp/obp_token.{}", &digest("ada")[..16]))
}

#[test]
fn with_an_empty_home_the_configuration_the_service_key_and_the_keys_of_aws_are_the_agents() {
    let deployment = Deployment::new();
    let before = deployment.bench.company.counts();
    let keyfob = keyfob_e2e::Stage::get().bin("keyfob");
    let flow = deployment.flow("artifacts").with("METAFLOW_KEYFOB_SERVICE", "outerbounds.prod");
    let flow = flow.with("METAFLOW_KEYFOB_AWS", "aws.prod");
    let output = deployment.go(flow.with("METAFLOW_KEYFOB_PROGRAM", keyfob.to_str().expect("a path"))).ok();
    assert_eq!(output.said("RESULT"), ["2 squares"], "{output:?}");
    let company = &deployment.bench.company;
    assert_eq!(sts_calls(company), 1);
    for endpoint in [Endpoint::OuterboundsAws, Endpoint::OuterboundsConfig] {
        let calls = company.counts().arrived(endpoint) - before.arrived(endpoint);
        assert_eq!(calls, 1, "{endpoint:?}: the agent alone, once");
    }
    assert!(company.metadata().uses(&deployment.key) > 10 && company.metadata().refused().is_empty());
    assert!(!deployment.bench.moto.objects(&deployment.bench.bucket).is_empty());
    assert!(!token_file().exists(), "their provider wrote {}", token_file().display());
    deployment.bench.assert_nothing_leaked(&[&output]);
}

#[test]
fn set_up_by_one_command_a_persons_clients_have_the_customers_role_and_metaflow_has_its_own() {
    let deployment = Deployment::new();
    deployment.bench.profile.run(&["setup", "metaflow", "outerbounds.prod"], "").ok();
    deployment.bench.company.outerbounds().set_customer_role(Some(CSPR_ROLE));
    let output = deployment.go(deployment.flow("customer")).ok();
    let who = |word| output.said(word).first().map(|line| (*line).to_owned()).unwrap_or_default();
    assert!(who("MINE").contains("assumed-role/obp-customer/"), "{output:?}");
    assert!(who("TASK").contains("assumed-role/obp-task/"), "{output:?}");
    let counts = deployment.bench.company.counts();
    assert_eq!((counts.role(TASK_ROLE), counts.role(CSPR_ROLE)), (1, 1), "{counts:?}");

    // With a role of the flow's own: from the task's role, under `may_assume`.
    let roles = |role| deployment.go(deployment.flow("roles").with("ROLE", role));
    let inside = roles(FLOW_ROLE).ok();
    assert!(inside.said("RESULT")[1].contains("assumed-role/FlowRole/"), "{inside:?}");
    let outside = roles(OTHER_ROLE);
    assert!(outside.code != 0 && outside.stdout.contains("may_assume"), "{outside:?}");
    assert_eq!(deployment.bench.company.counts().role(OTHER_ROLE), 0);
    assert!(!token_file().exists());
}

#[test]
fn a_secret_of_the_deployment_is_given_before_and_after_the_import_of_its_key() {
    let mut deployment = Deployment::with(|company| {
        // What `keyfob import` is to find: the deployment is known, its key stands in the file.
        [super::entry(company, ""), super::role(company)].concat()
    });
    deployment.bench.keep_on_disk();
    let value = deployment.bench.marked("a value of the deployment");
    let kept = STANDARD.encode(json!({ "SECRET_KEY1": STANDARD.encode(&value) }).to_string());
    let name = format!("obp-{}", deployment.bench.bucket);
    let arn = deployment.bench.moto.put_secret(&name, "SecretBinary", &kept);
    deployment.bench.company.outerbounds().add_integration("my-secret", &arn, "aws-secrets-manager");
    let home = deployment.bench.profile.home().join(".metaflowconfig");
    let string = deployment.bench.company.outerbounds().magic_string(&deployment.key);
    super::run(deployment.outerbounds(&home, &["configure", "--force", &string])).ok();
    let secret = || {
        let flow = deployment.flow("secret").with("SOURCES", &json!(["outerbounds.my-secret"]).to_string());
        let output = deployment.go(flow.with("EXPECTED", "SECRET_KEY1")).ok();
        let seen: Value = serde_json::from_str(output.said("RESULT")[0]).expect("a line of JSON");
        assert_eq!(seen, json!({ "SECRET_KEY1": digest(&value) }));
        output
    };
    let profile = &deployment.bench.profile;
    // The person has asked for our AWS credentials, and has the key in the file as the deployment's own command wrote it.
    let added = profile.run(
        &["token", "add", "outerbounds.prod"],
        deployment.bench.company.outerbounds().magic_string(&deployment.key),
    );
    added.ok();
    profile.run(&["setup", "metaflow", "outerbounds.prod"], "").ok();
    secret();
    profile.run(&["import", "--check"], "").exits(6);
    profile.run(&["import", "--yes"], "").ok();
    profile.run(&["import", "--check"], "").ok();
    let output = secret();
    deployment.bench.assert_nothing_leaked(&[&output]);
    assert!(!token_file().exists());
}
