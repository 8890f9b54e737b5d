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
    let actions: Vec<&str> = RENEWAL.iter().copied().chain(["iam:*", "ec2:Describe*"]).collect();
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
async fn a_user_that_may_not_read_its_policies_is_told_which_rights_are_missing() {
    let (company, _) = at_work().await;
    keys(&company).await.unwrap();
    let report = permissions(&company, false).await;
    assert_eq!(fact(&report, "allows"), [""; 0]);
    let said: Vec<&str> = report.refusals.iter().map(|refusal| refusal.say.as_str()).collect();
    let all = "OUTSCALE does not let the user `monitoring` read all of its own rights: its policy lacks \
               iam:ListGroupsForUser, iam:ListAttachedUserPolicies, iam:ListUserPolicies";
    assert_eq!(said, [all]);
    assert_eq!(report.refusals[0].hint, "keyfob outscale bootstrap monitoring --actions ACTIONS");
    // What is shown in part is no secret either, and it is said each time.
    let (company, _) = with_rights(&["iam:ListGroupsForUser", "iam:ListAttachedGroupPolicies"]).await;
    keys(&company).await.unwrap();
    for _ in 0..2 {
        let report = permissions(&company, false).await;
        assert_eq!(fact(&report, "groups"), ["monitoring-group"]);
        let said = &report.refusals[0].say;
        assert!(said.contains("iam:GetPolicy") && !said.contains("iam:ListGroupsForUser"), "{said}");
    }
}

async fn with_rights(more: &[&str]) -> (Company, AccessKey) {
    let company = Company::with(CONFIG, |_| {}).await;
    let actions: Vec<&str> = RENEWAL.iter().chain(more).copied().collect();
    let key = there(&company).add_user("monitoring", &actions, None);
    add(&company, &key).await.unwrap();
    (company, key)
}
