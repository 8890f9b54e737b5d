//! Machine users: the real command with a token of its identity provider, and ours with `[machine.*]` and no token anywhere.

use std::fs;

use keyfob_e2e::Metaflow;
use keyfob_e2e::Stage;
use keyfob_sandbox::circleci::Version;
use keyfob_sandbox::outerbounds::{DOMAIN, PRINCIPAL};
use serde_json::json;

use super::{Deployment, entry, role, run, without_key};

/// `service-principal-configure` of the real command; what it wrote.
#[track_caller]
fn theirs(deployment: &Deployment, with: &[&str], variables: &[(&str, String)]) -> serde_json::Value {
    let home = deployment.bench.profile.home().join("theirs");
    let mut words =
        vec!["service-principal-configure", "--force", "-n", PRINCIPAL, "--deployment-domain", DOMAIN];
    words.extend(with);
    let mut command = deployment.outerbounds(&home, &words);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    run(command).ok();
    without_key(&fs::read_to_string(home.join("config.json")).expect("their configuration"))
}

/// What `keyfob metaflow prod` gives.
#[track_caller]
fn ours(deployment: &Deployment) -> serde_json::Value {
    without_key(&deployment.bench.profile.run(&["metaflow", "prod"], "").ok().stdout)
}

/// The job's entries: nothing in it is a secret.
fn entries(company: &keyfob_e2e::Company) -> String {
    let principal = format!("machine = \"ci\"\nprincipal = \"{PRINCIPAL}\"\n");
    ["[machine.ci]\n", &entry(company, &principal), &role(company)].concat()
}

#[test]
fn a_job_of_github_is_configured_as_the_real_command_configures_it_with_no_token_in_any_place() {
    let mut deployment = Deployment::with(entries);
    let (url, token) = deployment.bench.company.github_actions().request();
    let variables = [
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("CI", "true".to_owned()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token),
    ];
    let theirs = theirs(&deployment, &["--github-actions"], &variables);
    fs::remove_dir_all(deployment.bench.profile.home().join("theirs")).expect("our own folder");
    for (name, value) in &variables {
        deployment.bench.profile.set(name, value);
    }
    assert_eq!(ours(&deployment), theirs);
    let audiences = deployment.bench.company.github_actions().audiences();
    assert_eq!(audiences.last(), audiences.first(), "both ask for the same audience");
    deployment.bench.profile.credential_process("aws.prod").ok();
    // The real command, by our key: what it needs is in memory while it runs.
    let outerbounds = Stage::get().metaflow(Metaflow::Outerbounds, "outerbounds");
    let mut command = deployment.bench.profile.keyfob(&["exec", "outerbounds.prod", "--"]);
    command.arg(outerbounds).args(["perimeter", "list", "-o", "json"]);
    crate::service::through(&mut command, &deployment.bench.profile, deployment.bench.company.fronts());
    let listed = run(command).ok();
    assert_eq!(listed.json()["data"]["perimeters"][0]["id"], "default", "{listed:?}");
}

#[test]
fn a_job_of_circleci_is_configured_as_the_real_command_configures_it() {
    for version in [Version::First, Version::Second] {
        let mut deployment = Deployment::with(entries);
        let token = deployment.bench.company.circleci().token(version);
        let theirs = theirs(&deployment, &["--jwt-token", &token], &[]);
        let name = if version == Version::First { "CIRCLE_OIDC_TOKEN" } else { "CIRCLE_OIDC_TOKEN_V2" };
        for (name, value) in [("CIRCLECI", "true"), ("CI", "true"), (name, &token)] {
            deployment.bench.profile.set(name, value);
        }
        assert_eq!(ours(&deployment), theirs, "{version:?}");
    }
}

/// The string points at a secret of AWS: theirs reads it with the keys of the surroundings, ours with the machine's role.
#[test]
fn a_pointer_into_aws_is_followed_as_the_real_command_follows_it() {
    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:obp-my-cicd-AbCdEf";
    const MACHINE_ROLE: &str = "arn:aws:iam::123456789012:role/MachineUser";
    let mut deployment = Deployment::with(|company| {
        company.sts().set_role(keyfob_sandbox::Role {
            arn: MACHINE_ROLE.to_owned(),
            max_session_seconds: 3600,
            ..keyfob_sandbox::Role::default()
        });
        let machine = format!(
            "[machine.ci]\nidentity = \"aws-iam\"\nrole_arn = \"{MACHINE_ROLE}\"\nregion = \"eu-west-1\"\n\
             endpoint_url = \"{}\"\n",
            company.aws_machine().url()
        );
        [machine, entry(company, "machine = \"ci\"\n"), role(company)].concat()
    });
    let bench = &deployment.bench;
    let whole = bench.company.outerbounds().whole_config(&deployment.key);
    let arn = bench.moto.put_secret(
        &format!("pointer-{}", bench.bucket),
        "SecretBinary",
        &base64::Engine::encode(&base64::engine::general_purpose::STANDARD, whole.to_string()),
    );
    let home = bench.profile.home().join("theirs");
    let string = bench.company.outerbounds().pointer_string(&arn, "eu-west-1");
    let mut command = deployment.outerbounds(&home, &["configure", "--force", &string]);
    command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", bench.moto.url());
    command.envs([("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "none")]);
    run(command).ok();
    let theirs = without_key(&fs::read_to_string(home.join("config.json")).expect("their configuration"));
    fs::remove_dir_all(&home).expect("our own folder");

    bench.company.aws_machine().put_binary(SECRET, whole.to_string().as_bytes());
    let (url, token) = bench.company.aws_machine().container();
    let string = bench.company.outerbounds().pointer_string(SECRET, "eu-west-1");
    deployment.bench.profile.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    deployment.bench.profile.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
    let profile = &deployment.bench.profile;
    profile.run(&["token", "add", "outerbounds.prod"], string).ok();
    assert_eq!(ours(&deployment), theirs);
    let given = profile.run(&["metaflow", "prod"], "").ok().json();
    assert_eq!(given["METAFLOW_SERVICE_AUTH_KEY"], json!(deployment.key));
    profile.credential_process("aws.prod").ok();
    deployment.bench.assert_nothing_leaked(&[]);
}
