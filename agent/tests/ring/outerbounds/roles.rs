//! Roles of AWS by the web identity of a deployment.

use keyfob_ipc::reply::{AwsCredentials, Reply};
use keyfob_ipc::{Code, Refusal, ToolAsk};
use keyfob_sandbox::outerbounds::{CSPR_ROLE, TASK_ROLE};
use keyfob_sandbox::sts::Role;
use keyfob_sandbox::{Endpoint, Fault, StsError};

use super::{CONFIG, with_key};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE};

const EXTERNAL: &str = "arn:aws:iam::123456789012:role/external-data";

async fn ask(company: &Company, role_arn: Option<&str>, task_role: bool) -> Result<AwsCredentials, Refusal> {
    let role_arn = role_arn.map(str::to_owned);
    let ask = ToolAsk::CredentialProcess { name: "aws.prod".to_owned(), role_arn, task_role };
    match company.agent.tool(ask).await? {
        Reply::AwsCredentials(keys) => Ok(keys),
        other => panic!("no keys: {other:?}"),
    }
}

#[tokio::test]
async fn keys_of_the_task_role_where_there_is_no_other() {
    let (company, _) = with_key().await;
    let keys = ask(&company, None, false).await.unwrap();
    assert_eq!(keys.account_id.as_deref(), Some("123456789012"));
    let same = ask(&company, None, true).await.unwrap();
    assert_eq!(keys.access_key_id, same.access_key_id, "one session");
    let counts = company.counts();
    assert_eq!((counts.role(TASK_ROLE), counts.arrived(Endpoint::OuterboundsAws)), (1, 1));
    assert_eq!(counts.assumed[TASK_ROLE].session_name, "ada@acme.test");
    let report = company.report("aws.prod").await;
    assert_eq!(report.facts["region"], "eu-west-1");
    assert_eq!(report.facts["role_arn"], TASK_ROLE);
    let Reply::Exec(exec) = company.agent.tool(ToolAsk::Exec { name: "aws.prod".to_owned() }).await.unwrap()
    else {
        panic!("no keys")
    };
    assert_eq!(exec.region.as_deref(), Some("eu-west-1"));
}

#[tokio::test]
async fn the_region_is_told_to_whoever_has_the_task_roles_keys_alone() {
    let (company, _) = with_key().await;
    let region = async || company.report("aws.prod").await.facts.get("region").cloned();
    assert_eq!(region().await, None, "the control: nobody has said it yet");
    ask(&company, None, true).await.unwrap();
    assert_eq!(region().await.as_deref(), Some("eu-west-1"));
    let Reply::Why(why) = company.agent.tool(ToolAsk::Why { subject: "aws.prod".to_owned() }).await.unwrap()
    else {
        panic!("no answer")
    };
    assert_eq!(why.entry.unwrap().facts["region"], "eu-west-1");
    company.configure(
        &CONFIG.replace("outerbounds = \"prod\"", "outerbounds = \"prod\"\nregion = \"eu-west-3\""),
    );
    assert_eq!(region().await.as_deref(), Some("eu-west-3"), "what is configured goes first");
}

#[tokio::test]
async fn the_customers_role_is_assumed_with_the_task_roles_keys() {
    let (company, _) = with_key().await;
    company.sandbox.outerbounds().set_customer_role(Some(CSPR_ROLE));
    let keys = ask(&company, None, false).await.unwrap();
    assert_eq!(keys.account_id.as_deref(), Some("210987654321"));
    let task = ask(&company, None, true).await.unwrap();
    let counts = company.counts();
    let customer = &counts.assumed[CSPR_ROLE];
    assert_eq!(customer.access_key_id, task.access_key_id);
    assert!(customer.by.contains("obp-task"), "{customer:?}");
    assert_eq!((customer.session_name.as_str(), customer.seconds), ("ada@acme.test", 3600));
    assert_eq!((counts.role(TASK_ROLE), counts.role(CSPR_ROLE)), (1, 1));
    assert_eq!(company.report("aws.prod").await.facts["role_arn"], CSPR_ROLE);
}

#[tokio::test]
async fn a_longer_session_is_the_task_roles_alone() {
    let (company, _) = with_key().await;
    company.configure(&CONFIG.replace("outerbounds = \"prod\"", "outerbounds = \"prod\"\nduration = \"6h\""));
    company.sandbox.outerbounds().set_customer_role(Some(CSPR_ROLE));
    company.confirm(None).await.unwrap();
    ask(&company, None, false).await.unwrap();
    let counts = company.counts();
    assert_eq!((counts.assumed[TASK_ROLE].seconds, counts.assumed[CSPR_ROLE].seconds), (6 * 3600, 3600));
    assert_eq!(company.report("aws.prod").await.facts["duration_capped"], "21600");
}

#[tokio::test]
async fn a_role_that_a_caller_names_is_assumed_with_the_task_roles_keys_where_that_is_allowed() {
    let (company, _) = with_key().await;
    company.sandbox.outerbounds().set_customer_role(Some(CSPR_ROLE));
    let trusted_principals = vec![TASK_ROLE.to_owned()];
    company.sandbox.sts().set_role(Role {
        arn: EXTERNAL.to_owned(),
        max_session_seconds: 3600,
        trusted_principals,
        ..Role::default()
    });
    let refusal = ask(&company, Some(EXTERNAL), false).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotAllowed);
    assert!(
        refusal.hint.contains("may_assume = [\"arn:aws:iam::123456789012:role/external-data\"]"),
        "{refusal:?}"
    );
    assert_eq!(company.counts().role(EXTERNAL), 0);
    company.configure(&CONFIG.replace(
        "outerbounds = \"prod\"",
        "outerbounds = \"prod\"\nmay_assume = [\"arn:aws:iam::123456789012:role/external-*\"]",
    ));
    ask(&company, Some(EXTERNAL), false).await.unwrap();
    let counts = company.counts();
    assert!(counts.assumed[EXTERNAL].by.contains("obp-task"), "never with the customer's: {counts:?}");
    assert_eq!(counts.role(CSPR_ROLE), 0);
    let refusal = ask(&company, Some("arn:aws:iam::123456789012:role/OktaRole"), false).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotAllowed);
}

#[tokio::test]
async fn other_entries_have_no_task_role() {
    let company = Company::open().await;
    let ask = ToolAsk::CredentialProcess { name: "aws.dev".to_owned(), role_arn: None, task_role: true };
    let refusal = company.agent.tool(ask).await.unwrap_err();
    assert_eq!(refusal.code, Code::BadRequest);
    assert!(refusal.say.contains("no task role"), "{refusal:?}");
}

#[tokio::test]
async fn the_policy_of_an_entry_holds_for_its_task_role_and_the_roles_behind_it() {
    let (company, _) = with_key().await;
    let allowed = CONFIG.replace(
        "outerbounds = \"prod\"",
        "outerbounds = \"prod\"\nmay_assume = [\"arn:aws:iam::123456789012:role/external-*\"]",
    );
    company.configure(&format!("{allowed}\n[policy.\"aws.prod\"]\nallow = [\"/usr/bin/nobody-has-this\"]\n"));
    for (role_arn, task_role) in [(None, false), (None, true), (Some(EXTERNAL), false), (Some("task"), false)]
    {
        let refusal = ask(&company, role_arn, task_role).await.unwrap_err();
        assert!(
            matches!(refusal.code, Code::NotAllowed | Code::Busy),
            "{role_arn:?} {task_role}: {refusal:?}"
        );
    }
    assert_eq!(company.sts_calls(), 0);
    company.configure(CONFIG);
    ask(&company, None, true).await.unwrap();
}

#[tokio::test]
async fn a_long_run_gets_new_keys_of_both_roles_each_hour() {
    let (company, _) = with_key().await;
    company.sandbox.outerbounds().set_customer_role(Some(CSPR_ROLE));
    let mut before = String::new();
    for _ in 0..4 {
        let keys = company.keys_patiently("aws.prod").await.unwrap();
        assert_ne!(keys.access_key_id, before);
        before = keys.access_key_id;
        company.pass(HOUR - 10 * MINUTE);
    }
    let counts = company.counts();
    assert_eq!((counts.role(TASK_ROLE), counts.role(CSPR_ROLE)), (4, 4));
    assert_eq!(counts.arrived(Endpoint::OuterboundsAws), 4);
}

#[tokio::test]
async fn each_hop_is_named_by_what_refuses() {
    let (company, _) = with_key().await;
    company.faults().set(Endpoint::OuterboundsAws, Fault::Status(500));
    let refusal = company.keys_patiently("aws.prod").await.unwrap_err();
    assert_eq!(refusal.code, Code::Offline);
    assert!(refusal.say.contains("`outerbounds.prod`"), "{refusal:?}");
    company.faults().clear_all();
    company.pass(A_MOMENT);

    company.faults().set(Endpoint::Sts, Fault::StsError(StsError::AccessDenied));
    let refusal = company.keys_patiently("aws.prod").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.contains("the task role of `aws.prod`"), "{refusal:?}");
    assert!(refusal.hint.contains("`outerbounds.prod`"), "{refusal:?}");
    company.faults().clear_all();
    company.pass(A_MOMENT);

    let foreign = "arn:aws:iam::210987654321:role/foreign";
    company.sandbox.outerbounds().set_customer_role(Some(foreign));
    let refusal = company.keys_patiently("aws.prod").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(
        refusal.say.contains("the task role of aws.prod") && refusal.say.contains(foreign),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn an_answer_that_names_no_role_is_not_believed() {
    let (company, _) = with_key().await;
    let outerbounds = company.sandbox.outerbounds();
    outerbounds.set_task_role("arn:aws:iam::123456789012:user/ada");
    assert_eq!(company.keys_patiently("aws.prod").await.unwrap_err().code, Code::ProviderUntrusted);
    outerbounds.set_task_role(TASK_ROLE);
    company.pass(A_MOMENT);
    outerbounds.set_region(Some("evil.example/"));
    assert_eq!(company.keys_patiently("aws.prod").await.unwrap_err().code, Code::ProviderUntrusted);
    company.pass(A_MOMENT);
    outerbounds.set_region(None);
    let refusal = company.keys_patiently("aws.prod").await.unwrap_err();
    assert!(refusal.hint.contains("`region` under [aws.prod]"), "{refusal:?}");
    assert_eq!(company.sts_calls(), 0);
    company.configure(
        &CONFIG.replace("outerbounds = \"prod\"", "outerbounds = \"prod\"\nregion = \"eu-west-1\""),
    );
    company.pass(A_MOMENT);
    company.keys_patiently("aws.prod").await.unwrap();
}

#[tokio::test]
async fn its_console_needs_a_region_of_the_configuration() {
    let (company, _) = with_key().await;
    assert!(company.entry("aws.prod").source.console().is_none());
    company.configure(
        &CONFIG.replace("outerbounds = \"prod\"", "outerbounds = \"prod\"\nregion = \"cn-north-1\""),
    );
    let entry = company.entry("aws.prod");
    let console = entry.source.console().unwrap();
    assert_eq!((console.partition, console.region), ("aws-cn", "cn-north-1"));
}

#[tokio::test]
async fn an_identity_that_aged_on_the_way_is_replaced_once() {
    let (company, _) = with_key().await;
    company.faults().set_times(Endpoint::Sts, Fault::StsError(StsError::ExpiredToken), 1);
    company.keys_patiently("aws.prod").await.unwrap();
    assert_eq!(company.counts().arrived(Endpoint::OuterboundsAws), 2);
}

#[tokio::test]
async fn a_role_has_it_as_its_source() {
    let (company, _) = with_key().await;
    company.sandbox.outerbounds().set_customer_role(Some(CSPR_ROLE));
    let trusted_principals = vec![CSPR_ROLE.to_owned()];
    company.sandbox.sts().set_role(Role {
        arn: EXTERNAL.to_owned(),
        max_session_seconds: 3600,
        trusted_principals,
        ..Role::default()
    });
    company.configure(&format!(
        "{CONFIG}\n[aws.data]\nsource = \"prod\"\nrole_arn = \"{EXTERNAL}\"\nregion = \"eu-west-1\"\nendpoint_url = \"STS\"\n"
    ));
    company.keys_patiently("aws.data").await.unwrap();
    assert!(company.counts().assumed[EXTERNAL].by.contains("obp-customer"));
}
