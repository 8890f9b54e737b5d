//! `keyfob machine claims`: enough to create the machine user without guessing.

use keyfob_ipc::reply::ClaimsReport;
use keyfob_ipc::{Code, ControlAsk, Reply};
use keyfob_sandbox::circleci::{ORGANISATION, Version};
use serde_json::{Value, json};

use super::{CONFIG, circleci, of_github, token_file, web_identity};
use crate::company::Company;

pub async fn claims(company: &Company) -> ClaimsReport {
    match company.control(ControlAsk::MachineClaims { name: "ci".to_owned() }).await.unwrap() {
        Reply::Claims(report) => *report,
        other => panic!("not claims: {other:?}"),
    }
}

pub async fn text(company: &Company) -> String {
    serde_json::to_string(&claims(company).await).unwrap()
}

fn value<'a>(report: &'a ClaimsReport, name: &str) -> Option<&'a str> {
    report.claims.iter().find(|claim| claim.name == name).map(|claim| claim.value.as_str())
}

fn condition<'a>(report: &'a ClaimsReport, claim: &str) -> Option<&'a str> {
    report.claims.iter().find(|known| known.claim == claim)?.condition.as_deref()
}

fn policy(report: &ClaimsReport) -> Value {
    serde_json::from_str(report.trust_policy.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn a_job_of_github_is_told_beside_what_a_policy_names() {
    let company = of_github().await;
    company.sandbox.github_actions().set_claim("environment", json!("production"));
    company.sandbox.github_actions().set_claim("sub", json!("repo:acme/payments:environment:production"));
    let report = claims(&company).await;
    assert_eq!((report.entry.as_str(), report.identity.as_str()), ("machine.ci", "github-actions"));
    for (name, expected) in [
        ("issuer", "https://token.actions.githubusercontent.com"),
        ("audience", "sts.amazonaws.com"),
        ("subject", "repo:acme/payments:environment:production"),
        ("organisation", "acme"),
        ("repository", "acme/payments"),
        ("ref", "refs/heads/main"),
        ("workflow", "deploy"),
        ("environment", "production"),
        ("actor", "ada"),
    ] {
        assert_eq!(value(&report, name), Some(expected), "{name}");
    }
    assert_eq!(report.claims[0].name, "issuer");
    assert_eq!(condition(&report, "sub"), Some("token.actions.githubusercontent.com:sub"));
    assert_eq!(condition(&report, "actor"), None);
    assert_eq!(
        report.notes[..3],
        [
            "the policy lets in every job of acme/payments in the environment production, whatever its branch and workflow",
            "it belongs on the role of `aws.deploy`, arn:aws:iam::123456789012:role/OktaRole",
            "it belongs on the role of `aws.read`, arn:aws:iam::123456789012:role/ReadOnlyRole",
        ]
    );
    assert_eq!(
        policy(&report),
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {
                    "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
                },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": {
                    "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                    "token.actions.githubusercontent.com:sub": "repo:acme/payments:environment:production",
                }}
            }]
        })
    );
}

#[tokio::test]
async fn a_job_of_circleci_is_told_with_its_organisation_project_source_and_branch() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    company.in_job(circleci(&company, Version::Second));
    let report = claims(&company).await;
    for (name, expected) in [
        ("organisation", ORGANISATION),
        ("project", "0d1e2f30-4152-6374-8596-a7b8c9daebfc"),
        ("source URL", "github.com/acme/payments"),
        ("branch", "refs/heads/main"),
    ] {
        assert_eq!(value(&report, name), Some(expected), "{name}");
    }
    let provider = format!("oidc.circleci.com/org/{ORGANISATION}");
    assert_eq!(condition(&report, "sub"), Some(format!("{provider}:sub").as_str()));
    let statement = &policy(&report)["Statement"][0];
    assert_eq!(
        statement["Principal"]["Federated"],
        format!("arn:aws:iam::123456789012:oidc-provider/{provider}")
    );
    assert_eq!(statement["Condition"]["StringEquals"][format!("{provider}:aud")], ORGANISATION);
}

#[tokio::test]
async fn any_other_token_has_a_policy_by_its_issuer() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    company.in_job(web_identity(token_file(&company)));
    let report = claims(&company).await;
    assert_eq!(report.identity, "web-identity-file");
    assert!(value(&report, "subject").unwrap().starts_with("org/"));
    assert!(report.trust_policy.unwrap().contains(":sub"));
}

#[tokio::test]
async fn claims_are_text_from_outside() {
    let company = of_github().await;
    company.sandbox.github_actions().set_claim("workflow", json!("\u{1b}[31mred\u{202e}"));
    company.sandbox.github_actions().set_claim("sub", json!("repo:acme/\u{1b}]0;x"));
    let report = claims(&company).await;
    assert_eq!(value(&report, "workflow"), Some("\\u{1b}[31mred\\u{202e}"));
    let whole = report.trust_policy.clone().unwrap() + &report.notes.concat();
    assert!(!whole.contains('\u{1b}'), "{whole}");
    assert_eq!(
        policy(&report)["Statement"][0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"],
        "repo:acme/\u{1b}]0;x"
    );
}

#[tokio::test]
async fn only_a_job_has_claims() {
    let company = Company::with(CONFIG, |_| {}).await;
    let ask = |name: &str| company.control(ControlAsk::MachineClaims { name: name.to_owned() });
    assert_eq!(ask("ci").await.unwrap_err().code, Code::MachineIdentityMissing);
    for name in ["machine.deploy", "machine.company", "nothing"] {
        let refusal = ask(name).await.unwrap_err();
        assert_eq!(refusal.code, Code::UnknownEntry, "{name}");
        assert_eq!(refusal.say, format!("there is no entry `{name}`; there is machine.ci"));
    }
    for name in ["aws.deploy", "company"] {
        let refusal = ask(name).await.unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.hint),
            (Code::UnknownEntry, "keyfob machine claims ci"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_policy_is_for_the_roles_that_trust_the_token_and_names_their_account() {
    let company = of_github().await;
    let chained = "[aws.a]\nsource = \"deploy\"\nrole_arn = \"arn:aws:iam::999999999999:role/Far\"\n";
    company.configure(&format!("{CONFIG}{chained}"));
    let report = claims(&company).await;
    let whole = report.notes.concat() + &report.trust_policy.clone().unwrap();
    assert!(!whole.contains("999999999999"), "it trusts the role before it: {whole}");
    assert!(whole.contains("`aws.deploy`") && whole.contains("every job of"), "{whole}");

    let other = CONFIG.replace("123456789012:role/ReadOnlyRole", "210987654321:role/ReadOnlyRole");
    company.configure(&other);
    let notes = claims(&company).await.notes.concat();
    assert!(
        notes.contains("for a role of another account, put its number in the place of 123456789012"),
        "{notes}"
    );
}

#[tokio::test]
async fn what_gives_no_keys_names_the_roles_that_do() {
    let company = of_github().await;
    for name in ["ci", "company"] {
        let refusal = company.keys(name).await.unwrap_err();
        assert_eq!(refusal.code, Code::UnknownEntry);
        assert!(refusal.say.contains("an AWS role or OUTSCALE keys"), "{refusal:?}");
        let roles = if name == "ci" { "`aws.deploy`, `aws.read`" } else { "`aws.read`" };
        assert_eq!(refusal.hint, format!("name a role that is obtained with it: {roles}"));
    }
}
