//! How entries of the later kinds stand in status, plan and doctor: chains, other programs' keys, keys of OUTSCALE, and what
//! waits for a job.

use keyfob_agent::ambient::Ambient;
use keyfob_ipc::reply::{Check, EntryState, Health, PlannedDeed, Reply};
use keyfob_ipc::{Code, ControlAsk};

use crate::company::{CONFIG, Company};
use crate::outscale::RENEWAL;

/// One of each, behind what `CONFIG` has. `PROGRAM` stands for what writes keys.
const KINDS: &str = r#"
[aws.audit]
source = "dev"
role_arn = "arn:aws:iam::123456789012:role/ReadOnlyRole"
endpoint_url = "STS"

[aws.legacy]
command = ["/bin/cat", "PROGRAM"]
region = "eu-west-1"

[aws.deploy]
machine = "ci"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"

[machine.ci]

[outscale.monitoring]
region = "eu-west-2"
user = "monitoring"
endpoint_url = "OUTSCALE"
"#;

const KEYS: &str = r#"{"Version": 1, "AccessKeyId": "AKIALEGACY", "SecretAccessKey": "hidden", "Expiration": "2026-11-21T09:00:00Z"}"#;

async fn company() -> Company {
    let company = Company::open().await;
    let path = company.state().join("keys.json");
    std::fs::write(&path, KEYS).unwrap();
    company.configure(&format!("{CONFIG}{}", KINDS.replace("PROGRAM", path.to_str().unwrap())));
    company
}

/// The same where a person has given what there is to give, and every entry was used.
async fn at_work() -> Company {
    let company = company().await;
    company.sign_in().await.unwrap();
    let key = company.sandbox.outscale().add_user("monitoring", RENEWAL, None);
    company.add_token("outscale.monitoring", &format!("{}:{}", key.id, key.secret)).await.unwrap();
    for name in ["aws.audit", "aws.legacy", "outscale.monitoring"] {
        company.keys_patiently(name).await.unwrap();
    }
    company
}

async fn doctor(company: &Company) -> Vec<Check> {
    match company.control(ControlAsk::Doctor).await.unwrap() {
        Reply::Checks(checks) => checks,
        other => panic!("no checks: {other:?}"),
    }
}

fn one<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {checks:?}"))
}

#[tokio::test]
async fn before_anything_is_held_each_says_what_it_waits_for() {
    let company = company().await;
    for (name, state, code) in [
        ("aws.audit", EntryState::SignedOut, Some(Code::SignInNeeded)),
        ("aws.legacy", EntryState::Live, None),
        ("aws.deploy", EntryState::Refused, Some(Code::MachineIdentityMissing)),
        ("machine.ci", EntryState::Refused, Some(Code::MachineIdentityMissing)),
        ("outscale.monitoring", EntryState::SignedOut, Some(Code::TokenNeeded)),
    ] {
        let report = company.report(name).await;
        assert_eq!(
            (report.state, report.refusal.as_ref().map(|refusal| refusal.code)),
            (state, code),
            "{name}"
        );
        assert_eq!((report.until, report.plan), (None, Vec::new()), "{name}");
    }
    assert_eq!(company.report("aws.audit").await.refusal.unwrap().hint, "keyfob login okta");
    let key = company.report("outscale.monitoring").await.refusal.unwrap();
    assert_eq!(key.hint, "keyfob token add outscale.monitoring");
    assert_eq!(company.sts_calls(), 0);
}

#[tokio::test]
async fn what_the_agent_renews_by_itself_is_never_ending_and_its_renewal_is_planned() {
    let company = at_work().await;
    for (name, until) in [
        ("aws.audit", "2026-11-21T09:00:00Z"),
        ("aws.legacy", "2026-11-21T09:00:00Z"),
        ("outscale.monitoring", "2026-11-21T20:00:00Z"),
    ] {
        let report = company.report(name).await;
        assert_eq!((report.state, report.until.as_deref()), (EntryState::Live, Some(until)), "{report:?}");
        assert!(!report.until_assumed);
        let deeds: Vec<_> = report.plan.iter().map(|planned| planned.what).collect();
        assert_eq!(deeds, [PlannedDeed::Renew], "{name}");
    }
    // What is behind is told of each.
    assert_eq!(company.report("aws.audit").await.through.as_deref(), Some("aws.dev"));
    assert_eq!(company.report("aws.legacy").await.through, None);
    // And a chain stands and falls with the session.
    company.sign_out().await.unwrap();
    let report = company.report("aws.audit").await;
    assert_eq!((report.state, report.plan), (EntryState::SignedOut, Vec::new()));
}

#[tokio::test]
async fn doctor_has_words_for_each_and_asks_nobody_where_no_job_runs() {
    let company = at_work().await;
    let checks = doctor(&company).await;
    for (name, say) in [
        ("aws.audit", "AWS gives keys, until "),
        ("aws.legacy", "its program gives keys, until "),
        ("outscale.monitoring", "OUTSCALE gives keys"),
        ("machine.ci", "for jobs; none runs here"),
        ("aws.deploy", "for jobs; none runs here"),
    ] {
        let check = one(&checks, name);
        assert_eq!(check.health, Health::Good, "{check:?}");
        assert!(check.say.starts_with(say), "{check:?}");
    }
    assert_eq!(company.counts().role("arn:aws:iam::123456789012:role/OktaRole"), 1, "the person's own alone");
}

#[tokio::test]
async fn in_a_job_a_missing_identity_is_told_where_something_depends_on_it() {
    let mut company = company().await;
    company.in_job(Ambient { is_github: true, ..Ambient::default() });
    let checks = doctor(&company).await;
    let machine = one(&checks, "machine.ci");
    assert_eq!(machine.health, Health::Attention, "{machine:?}");
    assert!(!machine.hint.is_empty(), "{machine:?}");
    assert_eq!(one(&checks, "aws.deploy").health, Health::Bad);

    company.configure("[machine.ci]\n");
    let check = &doctor(&company).await;
    assert_eq!(one(check, "machine.ci").health, Health::Good);
    // The control: the job has one.
    company.in_job(crate::machine::github(&company));
    let checks = doctor(&company).await;
    let machine = one(&checks, "machine.ci");
    assert_eq!(
        (machine.health, machine.say.as_str()),
        (Health::Good, "this job has an identity"),
        "{machine:?}"
    );
}
