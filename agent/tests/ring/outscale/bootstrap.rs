//! The user that an entry makes keys for.

use keyfob_ipc::reply::{BootstrapStep, Reply};
use keyfob_ipc::{ControlAsk, Secret};
use keyfob_sandbox::{Endpoint, Fault};

use super::*;

async fn run(
    company: &Company,
    key: &AccessKey,
    accept: Option<Vec<BootstrapStep>>,
) -> Result<Vec<BootstrapStep>, Refusal> {
    let ask = ControlAsk::OutscaleBootstrap {
        name: "monitoring".to_owned(),
        actions: vec!["ec2:Describe*".to_owned()],
        access_key: key.id.clone(),
        secret_key: Secret::from(key.secret.as_str()),
        accept,
    };
    match company.control(ask).await? {
        Reply::Bootstrap(steps) => Ok(steps),
        other => panic!("no steps: {other:?}"),
    }
}

fn undone(steps: &[BootstrapStep]) -> Vec<&str> {
    steps.iter().filter(|step| !step.is_done).map(|step| step.what.as_str()).collect()
}

#[tokio::test]
async fn a_plan_changes_nothing_and_a_second_run_neither() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    assert_eq!(undone(&plan), ["group", "policy", "attach", "user", "membership", "key"]);
    assert_eq!(there(&company).changes(), 0);
    assert!(plan[1].say.contains("ec2:Describe*") && plan[1].document.is_some());
    let done = run(&company, &root, Some(plan)).await.unwrap();
    assert_eq!(undone(&done), [""; 0]);
    let changes = there(&company).changes();
    // The user makes its own keys from here on, and the administrator's is nowhere.
    keys(&company).await.unwrap();
    let item = company.vault.item(NAME).await.unwrap().to_string();
    assert!(!item.contains(&root.id) && !item.contains(&root.secret));
    let plan = run(&company, &root, None).await.unwrap();
    assert_eq!(undone(&plan), [""; 0]);
    run(&company, &root, Some(plan)).await.unwrap();
    assert_eq!(there(&company).changes(), changes + 1, "the key of the agent's own");
}

#[tokio::test]
async fn a_run_that_broke_goes_on_where_it_was() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    company.faults().set(Endpoint::OutscaleCreate, Fault::Outscale(24));
    run(&company, &root, Some(plan.clone())).await.unwrap_err();
    company.faults().clear_all();
    let rest = run(&company, &root, None).await.unwrap();
    assert_eq!(undone(&rest), ["key"]);
    // What was shown before is not what there is to do now.
    assert_eq!(run(&company, &root, Some(plan)).await.unwrap_err().code, Code::Pending);
    run(&company, &root, Some(rest)).await.unwrap();
    keys(&company).await.unwrap();
}

#[tokio::test]
async fn somebody_who_may_not_is_told_so() {
    let company = Company::with(CONFIG, |_| {}).await;
    let nobody = there(&company).add_user("eve", RENEWAL, None);
    let refusal = run(&company, &nobody, None).await.unwrap_err();
    assert!(refusal.say.contains("does not let this administrator"), "{refusal}");
    let wrong = AccessKey { secret: "0".repeat(40), ..there(&company).root() };
    assert_eq!(run(&company, &wrong, None).await.unwrap_err().code, Code::TokenInvalid);
}
