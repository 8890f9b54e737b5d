//! How entries of the later kinds stand in status, plan and doctor: chains, other programs' keys, keys of OUTSCALE, and what
//! waits for a job.

use std::time::Duration;

use keyfob_agent::ambient::Ambient;
use keyfob_ipc::reply::{Check, EntryPermissions, EntryState, Health, PlannedDeed, Reply, Teller, Weight};
use keyfob_ipc::{Code, ControlAsk};

use crate::company::{CONFIG, Company, HOUR};
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

/// In the place of `[machine.ci]`: a machine of AWS, and a role behind it that is to last longer than AWS lets it.
const MACHINE_USER: &str = r#"
[aws.long]
machine = "ci"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"
duration = "4h"
may_assume = ["PATTERN"]

[machine.ci]
identity = "aws-iam"
role_arn = "arn:aws:iam::123456789012:role/MachineUser"
region = "eu-west-1"
"#;

const DAY: Duration = Duration::from_secs(24 * 3600);

const KEYS: &str = r#"{"Version": 1, "AccessKeyId": "AKIALEGACY", "SecretAccessKey": "hidden", "Expiration": "2026-11-21T09:00:00Z"}"#;

async fn company() -> Company {
    let company = Company::open().await;
    let path = company.state().join("keys.json");
    std::fs::write(&path, KEYS).unwrap();
    company.configure(&format!(
        "{CONFIG}{}",
        KINDS.replace("PROGRAM", &path.to_str().unwrap().replace('\\', "\\\\"))
    ));
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

async fn permissions(company: &Company, name: &str) -> EntryPermissions {
    let ask = ControlAsk::Permissions { name: Some(name.to_owned()), again: false };
    match company.control(ask).await.unwrap() {
        Reply::Permissions(mut entries) => entries.remove(0),
        other => panic!("no permissions: {other:?}"),
    }
}

/// A company whose key that makes keys ends so long from now; keys are made with it.
async fn making_keys_with_one_that_ends_in(life: Duration) -> Company {
    let company = company().await;
    let ends = company.world_now() + life;
    let key = company.sandbox.outscale().add_user("monitoring", RENEWAL, Some(ends));
    company.add_token("outscale.monitoring", &format!("{}:{}", key.id, key.secret)).await.unwrap();
    company.keys_patiently("outscale.monitoring").await.unwrap();
    company
}

#[tokio::test]
async fn of_keys_that_renew_themselves_nobody_is_reminded_and_of_the_one_that_makes_them_in_its_own_words() {
    let far = making_keys_with_one_that_ends_in(DAY * 200).await;
    let report = far.report("outscale.monitoring").await;
    assert_eq!((report.state, report.notes.as_slice()), (EntryState::Live, [].as_slice()));
    assert_eq!(report.until.as_deref(), Some("2026-11-21T20:00:00Z"), "that of the keys that tools get");

    let near = making_keys_with_one_that_ends_in(DAY * 20).await;
    let report = near.report("outscale.monitoring").await;
    let [note] = report.notes.as_slice() else { panic!("{:?}", report.notes) };
    assert_eq!(note.say, "the key that makes its keys ends on 2026-12-11");
    assert_eq!((note.weight, note.hint.as_str()), (Weight::Due, "keyfob token add outscale.monitoring"));
    assert_eq!((report.state, report.until.as_deref()), (EntryState::Ending, Some("2026-11-21T20:00:00Z")));
    let deeds: Vec<_> = report.plan.iter().map(|planned| planned.what).collect();
    assert_eq!(deeds.first(), Some(&PlannedDeed::Renew), "{deeds:?}");
    assert!(deeds.contains(&PlannedDeed::Remind) && deeds.last() == Some(&PlannedDeed::End), "{deeds:?}");
    near.agent.remind_now().await;
    let shown = near.desktop.shown();
    assert_eq!(shown[0].title, "The key that makes keys for monitoring ends in 20 days");
    assert_eq!(shown[0].body, "Add a new one: keyfob token add outscale.monitoring");
}

#[tokio::test]
async fn keys_that_were_made_serve_on_where_the_one_that_made_them_has_ended() {
    let company = making_keys_with_one_that_ends_in(HOUR * 6).await;
    company.pass(HOUR * 7);
    assert_eq!(company.report("outscale.monitoring").await.state, EntryState::Ending);
    assert!(company.keys("outscale.monitoring").await.is_ok());
}

#[tokio::test]
async fn permissions_ask_for_no_holding_where_there_is_none_and_refuse_once() {
    let mut company = company().await;
    let codes = async |company: &Company, name: &str| {
        let refusals = permissions(company, name).await.refusals;
        refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&company, "aws.legacy").await, []);
    for name in ["machine.ci", "aws.deploy"] {
        assert_eq!(codes(&company, name).await, [Code::MachineIdentityMissing], "{name}");
    }
    assert_eq!(codes(&company, "outscale.monitoring").await, [Code::TokenNeeded]);
    // The control.
    assert_eq!(codes(&company, "aws.audit").await, [Code::SignInNeeded]);
    company.in_job(crate::machine::github(&company));
    for name in ["machine.ci", "aws.deploy"] {
        assert_eq!(codes(&company, name).await, [], "{name}");
    }
}

#[tokio::test]
async fn a_role_whose_keys_went_with_an_edit_is_as_if_it_had_not_been_used() {
    let company = at_work().await;
    assert!(company.report("aws.audit").await.until.is_some());
    let before = std::fs::read_to_string(company.state().join("config.toml")).unwrap();
    company.configure(&before.replace("role/ReadOnlyRole", "role/OtherRole"));
    let report = company.report("aws.audit").await;
    assert_eq!((report.state, report.until, report.refusal), (EntryState::Live, None, None));
    assert_eq!(report.through.as_deref(), Some("aws.dev"));
}

#[tokio::test]
async fn what_callers_may_name_and_what_aws_cuts_are_facts_of_a_role() {
    const PATTERN: &str = "arn:aws:iam::*:role/external-*";
    let company = company().await;
    let config = format!("{CONFIG}{KINDS}")
        .replace("[machine.ci]", &MACHINE_USER.replace("PATTERN", PATTERN))
        .replace("PROGRAM", "/dev/null");
    company.configure(&config);
    let report = company.report("aws.long").await;
    for (name, value) in [("duration", "3600"), ("duration_capped", "14400"), ("may_assume", PATTERN)] {
        assert_eq!(report.facts.get(name).map(String::as_str), Some(value), "{name}: {report:?}");
    }
    let facts = permissions(&company, "aws.long").await.facts;
    let may = facts.iter().find(|fact| fact.name == "may_assume").unwrap();
    assert_eq!((may.values.as_slice(), may.by), ([PATTERN.to_owned()].as_slice(), Teller::Configuration));
    // The control: an hour is what AWS gives.
    let report = company.report("aws.deploy").await;
    assert_eq!(report.facts["duration"], "3600");
    assert!(!report.facts.contains_key("duration_capped") && !report.facts.contains_key("may_assume"));
}

#[tokio::test]
async fn why_says_of_a_machine_whether_the_identity_of_a_job_is_there() {
    let mut company = company().await;
    let why = company.why("machine.ci").await.unwrap();
    assert_eq!(why.refusal.map(|refusal| refusal.code), Some(Code::MachineIdentityMissing));
    company.in_job(crate::machine::github(&company));
    let why = company.why("machine.ci").await.unwrap();
    assert_eq!(why.refusal, None);
    assert_eq!(why.say, "this job has an identity, which is what `machine.ci` stands for");
}
