//! A key that a job gets: as a service principal, or out of a secret of AWS.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob_agent::ambient::{Ambient, AwsContainer};
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, Secret, ToolAsk};
use keyfob_sandbox::aws_machine::ROLE as RUNNER;
use keyfob_sandbox::circleci::Version;
use keyfob_sandbox::outerbounds::PRINCIPAL;
use keyfob_sandbox::sts::Role;
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::json;

use super::{header, metaflow};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE};
use crate::machine::{circleci, github, token_file, web_identity};

const CONFIG: &str = r#"
[machine.ci]

[outerbounds.prod]
domain = "foo.obp.acme.test"
machine = "ci"
principal = "my-cicd"
endpoint_url = "DEPLOYMENT"

[aws.prod]
outerbounds = "prod"
endpoint_url = "STS"
"#;

const USER: &str = "arn:aws:iam::123456789012:role/MachineUser";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf";
const IAM: &str = r#"
[machine.ci]
identity = "aws-iam"
role_arn = "arn:aws:iam::123456789012:role/MachineUser"
region = "eu-west-1"
secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf"
endpoint_url = "MACHINE_AWS"

[outerbounds.prod]
domain = "foo.obp.acme.test"
machine = "ci"
endpoint_url = "DEPLOYMENT"

[aws.prod]
outerbounds = "prod"
endpoint_url = "STS"
"#;

async fn of(ambient: impl FnOnce(&Company) -> Ambient) -> Company {
    let mut company = Company::with(CONFIG, |_| {}).await;
    let ambient = ambient(&company);
    company.in_job(ambient);
    company
}

fn exchanges(company: &Company) -> u64 {
    company.counts().arrived(Endpoint::OuterboundsPrincipal)
}

#[tokio::test]
async fn a_job_of_github_is_the_principal_by_a_token_for_the_deployment() {
    let company = of(github).await;
    let (_, config) = metaflow(&company).await.unwrap();
    let key = header(&company).await.unwrap();
    assert_eq!(config["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    assert!(company.sandbox.outerbounds().is_live(&key));
    company.keys_patiently("aws.prod").await.unwrap();
    assert_eq!(company.sandbox.github_actions().audiences(), ["https://foo.obp.acme.test"]);
    assert_eq!(exchanges(&company), 1);
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::Live);
    assert!(company.vault.item("outerbounds.prod").await.is_none(), "nothing is kept");
    let refusal = company.add_token("prod", "obk_x").await.unwrap_err();
    assert_eq!(refusal.code, Code::UnknownEntry, "there is nothing to paste: {refusal:?}");
}

#[tokio::test]
async fn the_audience_is_the_deployments_whatever_the_machine_entry_says() {
    let company = of(github).await;
    company.configure(&CONFIG.replace("[machine.ci]", "[machine.ci]\naudience = \"else\""));
    metaflow(&company).await.unwrap();
    assert_eq!(company.sandbox.github_actions().audiences(), ["https://foo.obp.acme.test"]);
}

#[tokio::test]
async fn tokens_of_circleci_and_of_a_file_are_taken_as_they_are() {
    let company = of(|company| circleci(company, Version::Second)).await;
    metaflow(&company).await.unwrap();
    company.keys_patiently("aws.prod").await.unwrap();
    let company = of(|company| web_identity(token_file(company))).await;
    metaflow(&company).await.unwrap();
    assert_eq!(exchanges(&company), 1);
}

/// A token that CircleCI, or whoever writes a file, has made for this audience. Nobody here checks its signature.
fn token_for(audience: &serde_json::Value) -> Secret<String> {
    let part = |claims: &serde_json::Value| URL_SAFE_NO_PAD.encode(claims.to_string());
    let claims = json!({"iss": "i", "sub": "s", "aud": audience, "exp": 4_102_444_800_u64});
    Secret::new(format!("{}.{}.{}", part(&json!({"alg": "RS256"})), part(&claims), part(&json!("signature"))))
}

#[tokio::test]
async fn a_token_that_is_a_jobs_word_for_aws_is_not_sent_to_outerbounds() {
    let audiences = [
        json!("sts.amazonaws.com"),
        json!(["https://foo.obp.acme.test", "sts.amazonaws.com"]),
        json!("https://sts.amazonaws.com/"),
        json!("sts.amazonaws.com.cn"),
        json!("STS.eu-west-1.amazonaws.com"),
    ];
    for audience in &audiences {
        let token = token_for(audience);
        let of_circleci = Ambient {
            circleci: Some(("CIRCLE_OIDC_TOKEN_V2", token.clone())),
            is_circleci: true,
            ..Ambient::default()
        };
        let company = of(|_| of_circleci).await;
        let by_file = of(|company| {
            let path = company.state().join("token");
            std::fs::write(&path, token.expose()).unwrap();
            web_identity(path)
        })
        .await;
        for company in [company, by_file] {
            let refusal = metaflow(&company).await.unwrap_err();
            assert_eq!(refusal.code, Code::MachineIdentityMissing, "{audience}: {refusal:?}");
            assert!(refusal.say.contains("for AWS"), "{refusal:?}");
            assert!(refusal.hint.contains("made for `https://foo.obp.acme.test`"), "{refusal:?}");
            assert_eq!(exchanges(&company), 0, "{audience}");
        }
    }
    // The control: one for anybody else is sent, and Outerbounds is asked what it is worth.
    for audience in [json!("https://foo.obp.acme.test"), json!("my-sts.amazonaws.com.acme.test")] {
        let circleci = Some(("CIRCLE_OIDC_TOKEN_V2", token_for(&audience)));
        let company = of(|_| Ambient { circleci, is_circleci: true, ..Ambient::default() }).await;
        assert_eq!(metaflow(&company).await.unwrap_err().code, Code::ProviderRefused, "{audience}");
        assert_eq!(exchanges(&company), 1, "{audience}");
    }
}

#[tokio::test]
async fn a_configured_audience_binds_a_token_that_somebody_else_had_made() {
    let company = of(|company| circleci(company, Version::Second)).await;
    company.configure(&CONFIG.replace("[machine.ci]", "[machine.ci]\naudience = \"else\""));
    let refusal = metaflow(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing, "{refusal:?}");
    assert!(refusal.say.contains("and not for `else`"), "{refusal:?}");
    assert_eq!(exchanges(&company), 0);
    let organisation = keyfob_sandbox::circleci::ORGANISATION;
    company
        .configure(&CONFIG.replace("[machine.ci]", &format!("[machine.ci]\naudience = \"{organisation}\"")));
    metaflow(&company).await.unwrap();
}

#[tokio::test]
async fn a_principal_that_is_refused_names_what_to_check() {
    let company = of(github).await;
    company.sandbox.outerbounds().remove_principal(PRINCIPAL);
    let refusal = metaflow(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderRefused);
    assert!(refusal.say.contains("`my-cicd`") && refusal.hint.contains("machine claims ci"), "{refusal:?}");
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::Refused);
    company.faults().set(Endpoint::OuterboundsPrincipal, Fault::Status(502));
    company.pass(A_MOMENT);
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::Offline);
    company.faults().clear_all();
    company.faults().set(Endpoint::OuterboundsPrincipal, Fault::Html);
    company.pass(A_MOMENT);
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::Offline);
}

#[tokio::test]
async fn outside_of_a_job_nobody_is_asked() {
    let company = Company::with(CONFIG, |_| {}).await;
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::MachineIdentityMissing);
    assert_eq!(exchanges(&company), 0);
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::Refused);
}

#[tokio::test]
async fn its_token_is_renewed_before_its_end_and_one_that_was_taken_back_is_replaced_once() {
    let company = of(github).await;
    company.sandbox.outerbounds().set_origin_life(1800);
    let first = header(&company).await.unwrap();
    company.pass(20 * MINUTE);
    assert_eq!(header(&company).await.unwrap(), first);
    company.pass(HOUR);
    let second = header(&company).await.unwrap();
    assert!(first != second && company.sandbox.outerbounds().is_live(&second));
    assert_eq!(exchanges(&company), 2);
    company.sandbox.outerbounds().revoke(&second);
    let (_, config) = metaflow(&company).await.unwrap();
    let third = config["METAFLOW_SERVICE_AUTH_KEY"].as_str().unwrap();
    assert!(
        third != second && company.sandbox.outerbounds().is_live(third),
        "with the key that the service takes"
    );
    assert_eq!(exchanges(&company), 3);
}

#[tokio::test]
async fn a_token_that_says_no_end_is_used_for_an_hour() {
    let company = of(github).await;
    company.sandbox.outerbounds().set_origin_is_jwt(false);
    company.sandbox.outerbounds().set_origin_life(24 * 3600);
    let first = header(&company).await.unwrap();
    company.pass(50 * MINUTE);
    assert_eq!(header(&company).await.unwrap(), first);
    company.pass(15 * MINUTE);
    assert_ne!(header(&company).await.unwrap(), first);
}

#[tokio::test]
async fn a_burst_makes_one_exchange_and_one_call() {
    let company = of(github).await;
    let asks: Vec<_> = (0..100)
        .map(|number| {
            let agent = company.agent.clone();
            let ask = match number % 3 {
                0 => ToolAsk::Metaflow { name: "prod".to_owned() },
                1 => ToolAsk::Get { uri: super::SERVICE.to_owned() },
                _ => ToolAsk::CredentialProcess {
                    name: "aws.prod".to_owned(),
                    role_arn: None,
                    task_role: false,
                },
            };
            tokio::spawn(async move { agent.tool(ask).await.map(drop) })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    let counts = company.counts();
    for endpoint in [
        Endpoint::GithubIdToken,
        Endpoint::OuterboundsPrincipal,
        Endpoint::OuterboundsConfig,
        Endpoint::OuterboundsAws,
        Endpoint::Sts,
    ] {
        assert_eq!(counts.arrived(endpoint), 1, "{endpoint:?}");
    }
}

/// A machine of AWS whose role may read the secret.
async fn of_iam(config: &str) -> Company {
    let mut company = Company::with(config, |_| {}).await;
    let trusted_principals = vec![RUNNER.to_owned()];
    let user =
        Role { arn: USER.to_owned(), max_session_seconds: 3600, trusted_principals, ..Role::default() };
    company.sandbox.sts().set_role(user);
    let (url, token) = company.sandbox.aws_machine().container();
    let aws_container = Some(AwsContainer { url, token: Some(Secret::new(token)), token_file: None });
    company.in_job(Ambient { aws_container, ..Ambient::default() });
    company
}

fn put_secret(company: &Company) -> String {
    let outerbounds = company.sandbox.outerbounds();
    let key = outerbounds.issue_key("machine");
    let config = outerbounds.whole_config(&key);
    let config = json!({
        "OBP_METAFLOW_CONFIG_URL": "https://api.foo.obp.acme.test/v1/perimeters/default/metaflowconfigs/default",
        "METAFLOW_SERVICE_AUTH_KEY": config["METAFLOW_SERVICE_AUTH_KEY"],
    });
    company.sandbox.aws_machine().put_binary(SECRET, config.to_string().as_bytes());
    key
}

#[tokio::test]
async fn a_machine_user_reads_its_secret_for_each_lease() {
    let company = of_iam(IAM).await;
    let key = put_secret(&company);
    assert_eq!(metaflow(&company).await.unwrap().1["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    assert_eq!(header(&company).await.unwrap(), key);
    company.keys_patiently("aws.prod").await.unwrap();
    assert!(company.vault.item("outerbounds.prod").await.is_none(), "it is kept nowhere");
    // A secret that has the whole of it chooses no program either.
    let mut whole = company.sandbox.outerbounds().whole_config(&key);
    whole["METAFLOW_KEYFOB_PROGRAM"] = json!("/tmp/evil");
    let other = of_iam(IAM).await;
    let key_there = other.sandbox.outerbounds().issue_key("machine");
    whole["METAFLOW_SERVICE_AUTH_KEY"] = json!(key_there);
    other.sandbox.aws_machine().put_text(SECRET, &whole.to_string());
    let (_, config) = metaflow(&other).await.unwrap();
    assert_eq!(config["METAFLOW_SERVICE_AUTH_KEY"], json!(key_there));
    assert_eq!(config.get("METAFLOW_KEYFOB_PROGRAM"), None);
    // The secret is replaced, and its key taken back: the new one is read at the first refusal.
    company.sandbox.outerbounds().revoke(&key);
    let new = put_secret(&company);
    company.pass(6 * MINUTE);
    assert_eq!(metaflow(&company).await.unwrap().1["METAFLOW_SERVICE_AUTH_KEY"], json!(new));
}

#[tokio::test]
async fn what_a_role_may_not_read_is_named_by_its_hop() {
    let company = of_iam(IAM).await;
    put_secret(&company);
    company.sandbox.aws_machine().take_key("MachineUser");
    let refusal = metaflow(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(
        refusal.say.contains("obtained with `machine.ci`") && refusal.say.contains("kms:Decrypt"),
        "{refusal:?}"
    );
    let company = of_iam(IAM).await;
    for odd in [
        "no json",
        "[]",
        "{\"METAFLOW_SERVICE_AUTH_KEY\":\"marked\",\"OBP_AUTH_SERVER\":\"auth.evil.example\"}",
    ] {
        company.sandbox.aws_machine().put_text(SECRET, odd);
        company.pass(A_MOMENT);
        let refusal = metaflow(&company).await.unwrap_err();
        assert_eq!(refusal.code, Code::ServiceRefused, "{odd}: {refusal:?}");
        assert!(!format!("{refusal:?}").contains("marked"));
    }
    assert_eq!(company.counts().arrived(Endpoint::OuterboundsConfig), 0);
}

#[tokio::test]
async fn a_pointer_is_read_once_with_the_machines_role_and_what_it_names_is_kept() {
    let without = IAM.replace(
        "secret_arn = \"arn:aws:secretsmanager:eu-west-1:123456789012:secret:outerbounds/ci-AbCdEf\"\n",
        "",
    );
    let company = of_iam(&without).await;
    let key = put_secret(&company);
    let pointer = company.sandbox.outerbounds().pointer_string(SECRET, "eu-west-1");
    company.add_token("prod", &pointer).await.unwrap();
    assert_eq!(header(&company).await.unwrap(), key);
    assert!(company.vault.item("outerbounds.prod").await.is_some());
    company.sandbox.aws_machine().shut_out("MachineUser");
    let refusal = company.add_token("prod", &pointer).await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.contains("secretsmanager:GetSecretValue"), "{refusal:?}");
    assert_eq!(refusal.hint, "keyfob machine claims ci");
    assert_eq!(header(&company).await.unwrap(), key, "what was kept serves on");

    let company = super::company().await;
    let refusal = company.add_token("prod", &pointer).await.unwrap_err();
    assert!(refusal.hint.contains("`machine`") && refusal.hint.contains("aws-iam"), "{refusal:?}");
}
