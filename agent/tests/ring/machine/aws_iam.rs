//! The identity `aws-iam`: the machine's own role, the machine user's, and its secret.

use keyfob_agent::ambient::{Ambient, AmbientKeys, AwsContainer};
use keyfob_agent::config::{Limits, load};
use keyfob_ipc::{Code, Refusal, Secret};
use keyfob_sandbox::aws_machine::ROLE as RUNNER;
use keyfob_sandbox::circleci::Version;
use keyfob_sandbox::sts::Role;
use keyfob_sandbox::{Endpoint, Fault};

use super::claims::claims;
use super::{token_file, web_identity};
use crate::company::{Company, HOUR, MINUTE};

const USER: &str = "arn:aws:iam::123456789012:role/MachineUser";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf";
const CONFIG: &str = r#"
[machine.ci]
identity = "aws-iam"
role_arn = "arn:aws:iam::123456789012:role/MachineUser"
region = "eu-west-1"
secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf"
endpoint_url = "MACHINE_AWS"

[aws.deploy]
machine = "ci"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "MACHINE_AWS"
"#;

async fn company() -> Company {
    let company = Company::with(CONFIG, |_| {}).await;
    let user = Role { trusted_principals: vec![RUNNER.to_owned()], ..role(USER) };
    company.sandbox.sts().set_role(user);
    company
        .sandbox
        .sts()
        .set_role(Role { trusted_principals: vec![USER.to_owned()], ..role(super::super::company::ROLE) });
    company
        .sandbox
        .aws_machine()
        .put_text(SECRET, r#"{"METAFLOW_SERVICE_AUTH_KEY":"marked","OBP_PERIMETER":"default"}"#);
    company
}

fn role(arn: &str) -> Role {
    Role { arn: arn.to_owned(), max_session_seconds: 3600, ..Role::default() }
}

fn container(company: &Company) -> Ambient {
    let (url, token) = company.sandbox.aws_machine().container();
    let aws_container = Some(AwsContainer { url, token: Some(Secret::new(token)), token_file: None });
    Ambient { aws_container, ..Ambient::default() }
}

fn virtual_machine(company: &Company) -> Ambient {
    let aws_metadata_endpoint = Some(company.sandbox.aws_machine().url().to_owned());
    Ambient { aws_metadata: true, aws_metadata_endpoint, ..Ambient::default() }
}

async fn secret(company: &Company) -> Result<Secret<Vec<u8>>, Refusal> {
    let entry = company.entry("machine.ci");
    let role = entry.source.as_machine().unwrap().role().unwrap();
    role.secret(&company.agent, &entry.name, &company.agent.footing().unwrap()).await
}

#[tokio::test]
async fn a_container_assumes_the_machine_users_role_and_then_others() {
    let mut company = company().await;
    company.in_job(container(&company));
    let keys = company.keys_patiently("deploy").await.unwrap();
    assert!(keys.access_key_id.starts_with("ASIA"));
    assert_eq!(company.counts().arrived(Endpoint::AwsContainer), 1);
    assert_eq!(company.counts().role(USER), 1);
    company.keys("deploy").await.unwrap();
    company.pass(30 * MINUTE);
    company.keys_patiently("deploy").await.unwrap();
    assert_eq!(company.counts().arrived(Endpoint::AwsContainer), 1, "both last an hour");
}

#[tokio::test]
async fn a_containers_token_file_is_read_each_time_and_goes_before_the_variable() {
    let mut company = company().await;
    let mut ambient = container(&company);
    let path = company.state().join("authorization");
    if let Some(container) = &mut ambient.aws_container {
        std::fs::write(&path, container.token.take().unwrap().expose()).unwrap();
        container.token = Some(Secret::from("an older one"));
        container.token_file = Some(path.clone());
    }
    company.in_job(ambient);
    company.keys_patiently("deploy").await.unwrap();
    std::fs::write(&path, format!("{}\n", company.sandbox.aws_machine().turn_container_token())).unwrap();
    company.pass(2 * HOUR);
    company.keys_patiently("deploy").await.unwrap();
}

#[tokio::test]
async fn a_virtual_machine_is_asked_in_the_second_version_only() {
    let mut company = company().await;
    company.in_job(virtual_machine(&company));
    company.keys_patiently("deploy").await.unwrap();
    assert_eq!(company.counts().arrived(Endpoint::AwsMetadata), 3, "a token, the role, its keys");

    company.sandbox.aws_machine().take_profile();
    company.pass(2 * HOUR);
    let refusal = company.keys_patiently("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("no instance profile"), "{refusal:?}");
}

#[tokio::test]
async fn keys_of_variables_and_a_web_identity_serve_too() {
    let mut company = company().await;
    let keys = company.sandbox.sts().keys_of_role(RUNNER, "shell", 3600);
    let aws_keys = Some(AmbientKeys {
        access_key_id: keys.access_key_id,
        secret_access_key: Secret::new(keys.secret_access_key),
        session_token: keys.session_token.map(Secret::new),
    });
    company.in_job(Ambient { aws_keys, ..Ambient::default() });
    company.keys_patiently("deploy").await.unwrap();

    company.sandbox.sts().set_role(role(RUNNER));
    let path = token_file(&company);
    std::fs::write(&path, company.sandbox.circleci().token(Version::First)).unwrap();
    company.in_job(Ambient { aws_role: Some(RUNNER.to_owned()), ..web_identity(path) });
    company.keys_patiently("deploy").await.unwrap();
    assert_eq!(company.counts().role(RUNNER), 1);
}

#[tokio::test]
async fn a_place_of_the_machine_is_written_as_an_address() {
    let mut company = company().await;
    let mut ambient = container(&company);
    if let Some(container) = &mut ambient.aws_container {
        container.url = container.url.replace("127.0.0.1", "localhost");
    }
    let virtual_machine = virtual_machine(&company);
    let by_name =
        virtual_machine.aws_metadata_endpoint.as_ref().map(|url| url.replace("127.0.0.1", "localhost"));
    for ambient in [ambient, Ambient { aws_metadata_endpoint: by_name, ..virtual_machine }] {
        company.in_job(ambient);
        let refusal = company.keys_patiently("deploy").await.unwrap_err();
        assert_eq!(refusal.code, Code::MachineIdentityMissing);
        assert!(
            refusal.say.contains("http://localhost:") && refusal.hint.contains("127.0.0.1"),
            "{refusal:?}"
        );
    }
    assert_eq!(company.counts().arrived(Endpoint::AwsContainer), 0);
    assert_eq!(company.counts().arrived(Endpoint::AwsMetadata), 0);
    // The control: by its address it answers.
    company.in_job(container(&company));
    company.keys_patiently("deploy").await.unwrap();
}

#[tokio::test]
async fn the_role_of_a_variable_is_one_before_it_is_shown() {
    let mut company = company().await;
    let path = token_file(&company);
    std::fs::write(&path, company.sandbox.circleci().token(Version::First)).unwrap();
    let strange = "arn:aws:iam::123456789012:role/x;evil";
    company.in_job(Ambient { aws_role: Some(strange.to_owned()), ..web_identity(path) });
    let refusal = company.keys_patiently("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("AWS_ROLE_ARN") && !refusal.say.contains("evil"), "{refusal:?}");
}

#[test]
fn a_machine_users_role_and_region_are_read_as_those_of_any_role() {
    let read = |role_arn: &str, region: &str| {
        let text = format!(
            "[machine.ci]\nidentity = \"aws-iam\"\nrole_arn = \"{role_arn}\"\nregion = \"{region}\"\n"
        );
        load(&text, Limits { plain_loopback: false }).map(drop)
    };
    read(USER, "eu-west-1").unwrap();
    let account = "arn:aws:iam::123456789012";
    for role_arn in
        [format!("{account}:role/*"), format!("{account}:role/x;id"), format!("{account}:role/a//b")]
    {
        assert!(read(&role_arn, "eu-west-1").is_err(), "{role_arn}");
    }
    assert!(read(USER, "eu-west-").is_err());
}

#[tokio::test]
async fn where_nothing_is_each_hop_has_its_own_word() {
    let mut company = company().await;
    company.in_job(Ambient::default());
    let none = company.keys_patiently("deploy").await.unwrap_err();
    assert_eq!(none.code, Code::MachineIdentityMissing);
    assert!(none.say.contains("no AWS role"), "{none:?}");

    company.in_job(container(&company));
    company.sandbox.sts().set_role(Role {
        trusted_principals: vec!["arn:aws:iam::123456789012:role/Other".to_owned()],
        ..role(USER)
    });
    let refused = company.keys_patiently("deploy").await.unwrap_err();
    assert_eq!(refused.code, Code::RoleRefused);
    assert!(refused.say.contains("machine.ci") && refused.say.contains("MachineUser"), "{refused:?}");
}

#[tokio::test]
async fn a_place_that_fails_in_passing_is_asked_again_and_one_that_refuses_is_not() {
    let mut company = company().await;
    company.in_job(container(&company));
    company.faults().set_times(Endpoint::AwsContainer, Fault::Status(500), 2);
    company.keys_patiently("deploy").await.unwrap();
    assert_eq!(company.counts().arrived(Endpoint::AwsContainer), 3);
    company.sandbox.aws_machine().turn_container_token();
    company.pass(2 * HOUR);
    let refusal = company.keys_patiently("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("403"), "{refusal:?}");
    assert_eq!(company.counts().arrived(Endpoint::AwsContainer), 4);
}

#[tokio::test]
async fn the_secret_is_read_as_text_or_bytes() {
    let mut company = company().await;
    company.in_job(container(&company));
    let text = secret(&company).await.unwrap();
    assert!(String::from_utf8_lossy(text.expose()).contains("OBP_PERIMETER"));
    assert!(!format!("{text:?}").contains("OBP_PERIMETER"));
    company.sandbox.aws_machine().put_binary(SECRET, b"{\"A\":1}");
    assert_eq!(secret(&company).await.unwrap().expose(), b"{\"A\":1}");
    assert_eq!(company.counts().role(USER), 1, "one lease for both");
}

#[tokio::test]
async fn what_keeps_the_secret_back_is_told_apart() {
    let mut company = company().await;
    company.in_job(container(&company));
    company.configure(&CONFIG.replace("ci-AbCdEf", "other-AbCdEf"));
    let missing = secret(&company).await.unwrap_err();
    assert!(missing.say.contains("there is no secret"), "{missing:?}");
    company.configure(CONFIG);
    company.sandbox.aws_machine().take_key("MachineUser");
    assert!(secret(&company).await.unwrap_err().say.contains("kms:Decrypt"));
    company.sandbox.aws_machine().shut_out("MachineUser");
    assert!(secret(&company).await.unwrap_err().say.contains("secretsmanager:GetSecretValue"));
    company.configure(&CONFIG.replace("secret_arn", "# secret_arn"));
    assert!(secret(&company).await.unwrap_err().hint.contains("secret_arn"));
    company.faults().set(Endpoint::AwsService, Fault::Status(503));
    company.configure(CONFIG);
    assert_eq!(secret(&company).await.unwrap_err().code, Code::Offline);
}

#[tokio::test]
async fn claims_name_the_principal_and_the_keys_of_the_secret_but_no_value() {
    let mut company = company().await;
    company.in_job(container(&company));
    let report = claims(&company).await;
    let whole = serde_json::to_string(&report).unwrap();
    for part in [
        "arn:aws:sts::123456789012:assumed-role/Runner/container",
        "arn:aws:sts::123456789012:assumed-role/MachineUser/keyfob-ci",
        "METAFLOW_SERVICE_AUTH_KEY, OBP_PERIMETER",
        "readable",
    ] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    assert!(!whole.contains("marked"), "{whole}");
    let policy: serde_json::Value = serde_json::from_str(report.trust_policy.as_deref().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], RUNNER);

    company.sandbox.aws_machine().take_key("MachineUser");
    let report = claims(&company).await;
    assert!(report.notes.iter().any(|note| note.contains("kms:Decrypt")), "{report:?}");
    company.sandbox.sts().set_role(Role {
        trusted_principals: vec!["arn:aws:iam::123456789012:role/Other".to_owned()],
        ..role(USER)
    });
    company.pass(2 * HOUR);
    let report = claims(&company).await;
    assert!(report.notes.iter().any(|note| note.contains("MachineUser")), "{report:?}");
    assert!(report.trust_policy.is_some(), "what would help is told all the same");
}
