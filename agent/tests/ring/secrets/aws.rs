//! Values in AWS Secrets Manager: read with a role, once for many, and by the rules of everything behind them.

use std::time::Duration;

use keyfob_agent::config::EntryName;
use keyfob_agent::keychain::KeychainError;
use keyfob_agent::policy::Permit;
use keyfob_ipc::reply::{Check, EntryState, Health, PlannedDeed, Reply, Teller};
use keyfob_ipc::{Code, ControlAsk, Refusal};
use keyfob_sandbox::{Endpoint, Fault};

use super::{done, get, set, setting, shown, wanted};
use crate::company::{A_MOMENT, CONFIG, Company, HOUR, MINUTE, eventually};
use crate::programs::{Programs, allow, policy};
use crate::roles::fact;

pub const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:some/test/secret-name-AbCdEf";
pub const IN_AWS: &str = r#"
[secret.db]
from = "aws-secrets-manager"
id = "some/test/secret-name"
aws = "dev"
endpoint_url = "MACHINE_AWS"
"#;
pub const JSON: &str = r#"{"db-password": "marked", "port": 5432}"#;

pub async fn company() -> Company {
    let company = Company::with(&format!("{CONFIG}{IN_AWS}"), |_| {}).await;
    company.sandbox.aws_machine().put_text(ARN, JSON);
    company.sign_in().await.unwrap();
    company
}

/// How often the secret was read.
pub fn reads(company: &Company) -> u64 {
    company.counts().arrived(Endpoint::AwsService)
}

/// For a caller who has time: the flight to its end.
async fn patiently(company: &Company) -> Result<String, Refusal> {
    let entry = company.entry("secret.db");
    let secret = entry.source.as_secret().unwrap();
    let values = secret.values(&company.agent, &entry, &Permit::of_a_test()).await?;
    Ok(shown(&keyfob_ipc::reply::SecretValues { entry: String::new(), values }))
}

fn db() -> EntryName {
    EntryName { kind: "secret", name: "db".to_owned() }
}

#[tokio::test]
async fn fifty_tasks_read_a_secret_once() {
    let company = company().await;
    let asks: Vec<_> = (0..50)
        .map(|_| {
            let agent = company.agent.clone();
            tokio::spawn(async move { agent.tool(wanted("db", None)).await })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(get(&company, "db").await.unwrap(), "db_password=marked port=5432");
    assert_eq!((reads(&company), company.sts_calls()), (1, 1));
    company.pass(5 * MINUTE - Duration::from_secs(1));
    get(&company, "db").await.unwrap();
    assert_eq!(reads(&company), 1);
    // Then it is read again, so that a value which somebody has changed is in use.
    company.pass(Duration::from_secs(2));
    company.sandbox.aws_machine().put_text(ARN, r#"{"db-password": "new"}"#);
    assert_eq!(patiently(&company).await.unwrap(), "db_password=new");
    assert_eq!(reads(&company), 2);
}

#[tokio::test]
async fn an_arn_and_binary_values_are_read_too() {
    let company = company().await;
    company.sandbox.aws_machine().put_binary(ARN, &[0, 1, 255]);
    company.configure(&format!("{CONFIG}{}", IN_AWS.replace("some/test/secret-name", ARN)));
    assert_eq!(get(&company, "db").await.unwrap(), "some_test_secret_name=AAH/");
    company.configure(&format!("{CONFIG}{IN_AWS}keys = [\"KEY\"]\n"));
    assert_eq!(get(&company, "db").await.unwrap(), "KEY=AAH/");
}

#[tokio::test]
async fn what_was_read_serves_for_an_hour_where_aws_is_out_of_reach() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.faults().set(Endpoint::AwsService, Fault::Status(503));
    company.pass(50 * MINUTE);
    assert_eq!(patiently(&company).await.unwrap(), "db_password=marked port=5432");
    assert!(reads(&company) > 1, "it is tried");
    company.pass(11 * MINUTE);
    let refusal = patiently(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::Offline, "{refusal}");
    company.faults().clear(Endpoint::AwsService);
    company.pass(A_MOMENT);
    patiently(&company).await.unwrap();
}

#[tokio::test]
async fn what_was_read_does_not_serve_where_aws_says_no() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.pass(6 * MINUTE);
    company.sandbox.aws_machine().shut_out("OktaRole");
    let refusal = get(&company, "db").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
}

#[tokio::test]
async fn what_was_read_does_not_serve_while_the_keychain_is_locked() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.pass(31 * MINUTE);
    patiently(&company).await.unwrap();
    // The keys and the session have ended since, and a new one has to be kept.
    company.pass(39 * MINUTE);
    company.vault.refuse_stores(Some(KeychainError::Locked));
    assert_eq!(patiently(&company).await.unwrap_err().code, Code::KeychainLocked);
    // The control.
    company.vault.refuse_stores(None);
    company.pass(A_MOMENT);
    patiently(&company).await.unwrap();
}

#[tokio::test]
async fn an_edit_while_it_is_read_does_not_get_what_was_read_before_it() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.pass(6 * MINUTE);
    company.faults().set_times(Endpoint::AwsService, Fault::Slow(Duration::from_millis(500)), 1);
    let agent = company.agent.clone();
    let asking = tokio::spawn(async move { agent.tool(wanted("db", None)).await });
    eventually("it is read", async || reads(&company) == 2).await;
    company.configure(&format!("{CONFIG}{IN_AWS}keys = [\"port\"]\n"));
    let refusal = asking.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::Pending, "{refusal:?}");
    company.pass(A_MOMENT);
    assert_eq!(patiently(&company).await.unwrap(), "port=5432");
}

#[tokio::test]
async fn names_that_steer_programs_are_for_a_person_to_choose() {
    let company = company().await;
    company.sandbox.aws_machine().put_text(ARN, r#"{"LD_PRELOAD": "marked", "DB": "one"}"#);
    let refusal = get(&company, "db").await.unwrap_err();
    assert_eq!(refusal.code, Code::BadRequest);
    assert!(refusal.say.contains("`LD_PRELOAD`, which decides what programs run or read"), "{refusal:?}");
    assert!(refusal.say.contains("in `keys` under [secret.db]"), "{refusal:?}");
    company.configure(&format!("{CONFIG}{IN_AWS}keys = [\"DB\", \"LD_PRELOAD\"]\n"));
    assert_eq!(get(&company, "db").await.unwrap(), "DB=one LD_PRELOAD=marked");
}

#[tokio::test]
async fn values_that_nobody_gets_any_more_are_forgotten() {
    let company = company().await;
    let ahead = tokio::spawn(company.agent.clone().renew_ahead());
    get(&company, "db").await.unwrap();
    assert!(company.agent.leases.get(&db()).is_some());
    let before = reads(&company);
    company.pass(HOUR + MINUTE);
    eventually("they are forgotten", async || company.agent.leases.get(&db()).is_none()).await;
    assert_eq!(reads(&company), before, "nobody has asked");
    ahead.abort();
}

#[tokio::test]
async fn each_refusal_of_aws_names_the_next_step_and_shows_no_value() {
    let company = company().await;
    let machine = company.sandbox.aws_machine();
    let refused = async || {
        company.pass(A_MOMENT);
        let refusal = get(&company, "db").await.unwrap_err();
        assert!(!format!("{refusal:?}").contains("marked"), "{refusal:?}");
        (refusal.code, refusal.say, refusal.hint)
    };
    let look = "keyfob why secret.db";
    let role = |say: &str, hint: &str| (Code::RoleRefused, say.to_owned(), hint.to_owned());
    machine.refuse_next("AccessDeniedException", "User: x is not authorized");
    assert_eq!(
        refused().await,
        role(
            "the role of `aws.dev` may not read the secret `some/test/secret-name`: allow it \
             `secretsmanager:GetSecretValue` there",
            look
        )
    );
    for (code, message) in
        [("AccessDeniedException", "Access to KMS is not allowed"), ("DecryptionFailure", "")]
    {
        machine.refuse_next(code, message);
        let (_, say, hint) = refused().await;
        let decrypt = "the role of `aws.dev` may not decrypt the secret `some/test/secret-name`: allow it `kms:Decrypt`";
        assert!(say.starts_with(decrypt) && hint == look, "{say}. {hint}");
    }
    machine.refuse_next("ResourceNotFoundException", "Secrets Manager can't find marked");
    assert_eq!(
        refused().await,
        role(
            "there is no secret `some/test/secret-name` in eu-west-1, or it is about to be deleted: check `id`, `region` \
             and `endpoint_url` under [secret.db]",
            look
        )
    );
    machine.refuse_next("SomethingNewException", "marked");
    let new = "AWS does not give the secret `some/test/secret-name` (400 SomethingNewException)";
    assert_eq!(refused().await, role(new, look));
    machine.refuse_next("ThrottlingException", "Rate exceeded");
    assert_eq!(refused().await.0, Code::Offline);
    for (fault, code) in [
        (Fault::Html, Code::ProviderUntrusted),
        (Fault::Endless, Code::ProviderUntrusted),
        (Fault::Status(500), Code::Offline),
        (Fault::Reset, Code::Offline),
    ] {
        company.faults().set_times(Endpoint::AwsService, fault.clone(), 1);
        company.pass(A_MOMENT);
        let refusal = patiently(&company).await.unwrap_err();
        assert_eq!(refusal.code, code, "{fault:?}: {refusal}");
    }
    company.sandbox.aws_machine().put_text(ARN, r#"{"A": "marked", "B C": "marked"}"#);
    let (code, say, hint) = refused().await;
    assert_eq!(code, Code::BadRequest);
    assert_eq!(
        say,
        "the secret `some/test/secret-name` has the name `B C`, which no variable can have: change it in AWS Secrets \
         Manager, or name others in `keys` under [secret.db]"
    );
    assert_eq!(hint, look);
    // The control: nothing of all that lasts.
    company.sandbox.aws_machine().put_text(ARN, JSON);
    company.pass(A_MOMENT);
    get(&company, "db").await.unwrap();
}

#[tokio::test]
async fn keys_that_aws_takes_for_expired_are_replaced_once() {
    let company = company().await;
    company.sandbox.aws_machine().refuse_next("ExpiredTokenException", "The security token is expired");
    get(&company, "db").await.unwrap();
    assert_eq!((reads(&company), company.sts_calls()), (2, 2));
    // Twice is no accident.
    company.pass(6 * MINUTE);
    for _ in 0..2 {
        company.sandbox.aws_machine().refuse_next("ExpiredTokenException", "");
    }
    let refusal = patiently(&company).await.unwrap_err();
    assert_eq!(refusal.hint, "set this machine's clock, and try again");
    assert_eq!(reads(&company), 4);
}

#[tokio::test]
async fn whoever_is_signed_out_gets_nothing_and_is_told_where_to_sign_in() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.sign_out().await.unwrap();
    assert!(company.agent.leases.get(&db()).is_none(), "what was bought with the session is gone");
    let refusal = get(&company, "db").await.unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::SignInNeeded, "keyfob login okta"));
    let report = company.report("secret.db").await;
    assert_eq!((report.state, report.refusal.unwrap().hint), (EntryState::SignedOut, refusal.hint));
}

#[tokio::test]
async fn a_role_that_sts_refuses_is_named_with_the_secret() {
    let company = company().await;
    company.configure(&format!("{CONFIG}{IN_AWS}").replace("role/OktaRole", "role/Nobody"));
    let refusal = get(&company, "db").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.starts_with("`secret.db` is read with `aws.dev`: "), "{refusal}");
    assert_eq!(company.report("secret.db").await.state, EntryState::Refused);
}

#[tokio::test]
async fn the_policies_of_the_secret_and_of_everything_behind_it_bind() {
    let company = company().await;
    let programs = Programs::new();
    for guarded in ["secret.db", "aws.dev", "sso.okta"] {
        let guard = policy(guarded, &allow(&programs.path("python")));
        company.configure(&format!("{CONFIG}{IN_AWS}{guard}"));
        let ask =
            async |program: &str| company.agent.tool_of(wanted("db", None), &programs.asker(program)).await;
        let refusal = ask("evil").await.unwrap_err();
        assert_eq!(refusal.code, Code::NotAllowed, "{guarded}: {refusal}");
        // The control.
        ask("python").await.unwrap();
    }
}

#[tokio::test]
async fn the_lock_takes_what_was_read() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.control(ControlAsk::Lock).await.unwrap();
    assert_eq!(get(&company, "db").await.unwrap_err().code, Code::Locked);
    assert!(company.agent.leases.get(&db()).is_none());
}

#[tokio::test]
async fn a_new_endpoint_waits_for_the_persons_word() {
    let evil = |company: &Company| company.sandbox.addresses().cluster_url.clone();
    let company = company().await;
    get(&company, "db").await.unwrap();
    let elsewhere = format!("{CONFIG}{}", IN_AWS.replace("MACHINE_AWS", &evil(&company)));
    company.configure(&elsewhere);
    let refusal = get(&company, "db").await.unwrap_err();
    assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
    assert_eq!(refusal.hint, "keyfob config confirm sso.okta");
    assert_eq!(company.report("secret.db").await.refusal.unwrap().code, Code::DestinationChanged);
    assert_eq!(company.counts().arrived(Endpoint::Cluster), 0);
    // So it is for one that is added, with the keys in memory.
    company.configure(&format!(
        "{CONFIG}{IN_AWS}{}",
        IN_AWS.replace("MACHINE_AWS", &evil(&company)).replace("secret.db", "secret.other")
    ));
    assert_eq!(get(&company, "other").await.unwrap_err().code, Code::DestinationChanged);
    assert_eq!(company.counts().arrived(Endpoint::Cluster), 0);
    // The control: with the word it goes there.
    company.configure(&elsewhere);
    let changes = company.changes().await;
    company.confirm(Some(changes)).await.unwrap();
    assert_ne!(get(&company, "db").await.unwrap_err().code, Code::DestinationChanged);
    assert_eq!(company.counts().arrived(Endpoint::Cluster), 1);
}

#[tokio::test]
async fn an_edit_takes_what_was_read_by_other_words() {
    let company = company().await;
    get(&company, "db").await.unwrap();
    company.configure(&format!("{CONFIG}{IN_AWS}keys = [\"port\"]\n"));
    assert_eq!(get(&company, "db").await.unwrap(), "port=5432");
    assert_eq!(reads(&company), 2);
    company.configure(&format!("{CONFIG}{IN_AWS}keys = [\"port\", \"host\"]\n"));
    let refusal = get(&company, "db").await.unwrap_err();
    assert!(refusal.say.starts_with("the secret `some/test/secret-name` has no `host`: "), "{refusal}");
}

#[tokio::test]
async fn doctor_tries_what_is_in_aws_and_looks_at_what_is_kept() {
    let company = company().await;
    company.configure(&format!("{CONFIG}{IN_AWS}{}", super::KEPT));
    let checks = async || match company.control(ControlAsk::Doctor).await.unwrap() {
        Reply::Checks(checks) => checks,
        other => panic!("no checks: {other:?}"),
    };
    let said = |checks: &[Check], name: &str| {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        (check.health, check.say.clone(), check.hint.clone())
    };
    let before = checks().await;
    let good = |say: &str| (Health::Good, say.to_owned(), String::new());
    assert_eq!(said(&before, "secret.db"), good("AWS Secrets Manager gives its values"));
    assert_eq!(reads(&company), 1);
    let (health, say, hint) = said(&before, "secret.build");
    assert_eq!((health, hint.as_str()), (Health::Bad, "keyfob secret set build"), "{say}");
    set(&company, &[("SECRET_KEY1", "one"), ("SECRET_KEY2", "two")]).await.unwrap();
    company.pass(6 * MINUTE);
    company.sandbox.aws_machine().refuse_next("DecryptionFailure", "");
    let after = checks().await;
    assert_eq!(said(&after, "secret.build"), good("its values are held"));
    let (health, say, _) = said(&after, "secret.db");
    assert!(health == Health::Bad && say.contains("may not decrypt"), "{say}");
}

#[tokio::test]
async fn it_stands_in_status_plan_doctor_and_permissions_without_an_end() {
    let company = company().await;
    let report = company.report("secret.db").await;
    assert_eq!((report.state, report.until.clone(), report.since), (EntryState::Live, None, None));
    assert_eq!(report.through.as_deref(), Some("aws.dev"));
    for (name, value) in [
        ("from", "aws-secrets-manager"),
        ("id", "some/test/secret-name"),
        ("aws", "dev"),
        ("region", "eu-west-1"),
    ] {
        assert_eq!(report.facts[name], value);
        assert_eq!(fact(&company, "secret.db", name).await, [value]);
    }
    assert!(fact(&company, "secret.db", "keys").await.is_empty(), "nobody has said them");
    assert!(company.why("secret.db").await.unwrap().refusal.is_none());
    assert_eq!(reads(&company), 1, "it was tried");
    let report = company.report("secret.db").await;
    assert_eq!((report.state, report.until), (EntryState::Live, None));
    assert!(report.plan.iter().all(|planned| planned.what != PlannedDeed::Renew), "{:?}", report.plan);
    assert!(report.plan.is_empty(), "{:?}", report.plan);
    assert_eq!(fact(&company, "secret.db", "keys").await, ["db_password", "port"]);
    let told = crate::roles::told(&company, "secret.db").await;
    assert!(told.iter().any(|fact| fact.name == "keys" && fact.by == Teller::Aws && fact.when.is_some()));
    // A person changes it in AWS, and nowhere else.
    for ask in [
        setting("db", &[("A", "marked")], false),
        ControlAsk::SecretRemove { name: "db".to_owned(), key: None },
    ] {
        let refusal = done(&company, ask).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest);
        assert_eq!(refusal.hint, "change the secret `some/test/secret-name` there");
    }
}
