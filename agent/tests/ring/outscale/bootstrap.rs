//! The user that an entry makes keys for.

use keyfob_ipc::reply::{BootstrapStep, EntryPermissions, Reply};
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
async fn a_key_that_a_broken_run_has_left_goes_with_the_next_one() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    company.faults().set_times(Endpoint::OutscaleCreate, Fault::Reset, 1);
    run(&company, &root, Some(plan)).await.unwrap_err();
    let left = there(&company).keys_of("monitoring");
    assert!(left.len() == 1 && there(&company).signs(&left[0].id), "a year long, and nobody has it");
    let plan = run(&company, &root, None).await.unwrap();
    assert_eq!(undone(&plan), ["left", "key"]);
    assert!(plan.iter().any(|step| step.say.contains(&left[0].id)));
    run(&company, &root, Some(plan)).await.unwrap();
    let now = there(&company).keys_of("monitoring");
    assert!(now.len() == 1 && now[0].id != left[0].id);
    assert_eq!(there(&company).expiries_lost(), 0);
}

#[tokio::test]
async fn a_new_key_replaces_the_one_before_it_at_outscale_or_says_that_it_stays() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    run(&company, &root, Some(plan)).await.unwrap();
    let before = there(&company).keys_of("monitoring").remove(0).id;
    company.pass(366 * 24 * HOUR);
    let plan = run(&company, &root, None).await.unwrap();
    assert_eq!(undone(&plan), ["left", "key"]);
    run(&company, &root, Some(plan)).await.unwrap();
    let ids: Vec<_> = there(&company).keys_of("monitoring").into_iter().map(|key| key.id).collect();
    assert!(ids.len() == 1 && ids[0] != before, "{ids:?}");
    // Somebody's own key is not ours to delete.
    add(&company, &root).await.unwrap();
    let plan = run(&company, &root, None).await.unwrap();
    let said = &plan.last().unwrap().say;
    assert!(said.contains(&root.id) && said.contains("stays as it is at OUTSCALE"), "{said}");
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

async fn permissions(company: &Company) -> EntryPermissions {
    match company.control(ControlAsk::Permissions { name: Some(NAME.to_owned()), again: true }).await {
        Ok(Reply::Permissions(mut all)) => all.remove(0),
        other => panic!("not permissions: {other:?}"),
    }
}

#[tokio::test]
async fn the_user_that_is_made_may_read_what_it_may_do() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    assert!(plan[1].say.contains("reading groups and policies"), "{}", plan[1].say);
    assert!(plan.last().unwrap().say.contains("ends after 365 days"), "{:?}", plan.last());
    run(&company, &root, Some(plan)).await.unwrap();
    keys(&company).await.unwrap();
    let report = permissions(&company).await;
    assert!(report.refusals.is_empty(), "{:?}", report.refusals);
    let fact = |name: &str| report.facts.iter().find(|fact| fact.name == name).unwrap().values.clone();
    assert_eq!(fact("groups"), ["keyfob-monitoring"]);
    let allows = fact("allows");
    assert!(allows.len() == 3 && allows[0] == "ec2:Describe* on *", "{allows:?}");
}

#[tokio::test]
async fn what_was_there_is_told_from_what_is_to_be_done_and_what_was_done() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let plan = run(&company, &root, None).await.unwrap();
    let group = |steps: &[BootstrapStep]| (steps[0].say.clone(), steps[0].is_done, steps[0].is_new);
    assert_eq!(group(&plan), ("create the group keyfob-monitoring".to_owned(), false, false));
    let done = run(&company, &root, Some(plan)).await.unwrap();
    assert_eq!(group(&done), ("the group keyfob-monitoring".to_owned(), true, true));
    let again = run(&company, &root, None).await.unwrap();
    assert_eq!(group(&again), ("the group keyfob-monitoring".to_owned(), true, false));
    let key = &again.last().unwrap().say;
    assert!(key.contains("ends on 2027-11-21"), "{key}");
}

#[tokio::test]
async fn a_user_with_other_rights_is_said_to_have_them() {
    let company = Company::with(CONFIG, |_| {}).await;
    there(&company).add_user("monitoring", &["ec2:*"], None);
    let plan = run(&company, &there(&company).root(), None).await.unwrap();
    let user = plan.iter().find(|step| step.what == "user").unwrap();
    assert!(user.is_done);
    assert_eq!(
        user.say,
        "the user monitoring, which has other groups (monitoring-group): its rights are not only these"
    );
}

#[tokio::test]
async fn the_next_command_of_a_refusal_is_whole() {
    let company = Company::with(CONFIG, |_| {}).await;
    let root = there(&company).root();
    let whole = "keyfob outscale bootstrap monitoring --actions 'ec2:Describe*'";
    let wrong = AccessKey { secret: "0".repeat(40), ..root.clone() };
    let refusal = run(&company, &wrong, None).await.unwrap_err();
    assert_eq!(refusal.hint, whole);
    assert!(refusal.say.contains("its secret key is another one"), "{refusal}");
    assert_eq!(run(&company, &root, Some(Vec::new())).await.unwrap_err().hint, whole);
    let half = AccessKey { secret: "x".to_owned(), ..root };
    assert!(run(&company, &half, None).await.unwrap_err().hint.ends_with(whole));
}
