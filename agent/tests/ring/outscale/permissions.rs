//! What the user may do, read over EIM.

use keyfob_ipc::ControlAsk;
use keyfob_ipc::reply::{EntryPermissions, Reply, Teller};
use keyfob_sandbox::Endpoint;

use super::*;

async fn permissions(company: &Company, again: bool) -> EntryPermissions {
    match company.control(ControlAsk::Permissions { name: Some(NAME.to_owned()), again }).await {
        Ok(Reply::Permissions(mut all)) => all.remove(0),
        other => panic!("not permissions: {other:?}"),
    }
}

fn fact<'a>(report: &'a EntryPermissions, name: &str) -> &'a [String] {
    let fact = report.facts.iter().find(|fact| fact.name == name);
    fact.map(|fact| fact.values.as_slice()).unwrap_or_default()
}

#[tokio::test]
async fn the_groups_and_statements_of_the_user_are_told() {
    let company = Company::with(CONFIG, |_| {}).await;
    let actions: Vec<&str> = RENEWAL.iter().copied().chain(["eim:*", "ec2:Describe*"]).collect();
    let key = there(&company).add_user("monitoring", &actions, None);
    add(&company, &key).await.unwrap();
    assert!(fact(&permissions(&company, false).await, "allows").is_empty(), "no keys are made for a report");
    assert_eq!(company.counts().arrived(Endpoint::Eim), 0);
    keys(&company).await.unwrap();
    let report = permissions(&company, false).await;
    assert_eq!(fact(&report, "user"), ["monitoring"]);
    assert_eq!(fact(&report, "groups"), ["monitoring-group"]);
    assert_eq!(fact(&report, "allows"), [format!("{} on *", actions.join(", "))]);
    let allows = report.facts.iter().find(|fact| fact.name == "allows").unwrap();
    assert_eq!((allows.by, allows.when.is_some()), (Teller::Eim, true));
    let calls = company.counts().arrived(Endpoint::Eim);
    permissions(&company, false).await;
    assert_eq!(company.counts().arrived(Endpoint::Eim), calls, "asked once an hour");
    permissions(&company, true).await;
    assert!(company.counts().arrived(Endpoint::Eim) > calls, "or when it is wanted");
}

#[tokio::test]
async fn a_user_that_may_not_read_its_policies_gets_one_quiet_line() {
    let (company, _) = at_work().await;
    keys(&company).await.unwrap();
    let report = permissions(&company, false).await;
    assert_eq!(fact(&report, "allows"), [""; 0]);
    let said: Vec<&str> = report.refusals.iter().map(|refusal| refusal.say.as_str()).collect();
    assert_eq!(said, ["OUTSCALE does not let this user read its own policies"]);
}
