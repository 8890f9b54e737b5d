//! What a role is asked for with, and what is told of it.

use keyfob_ipc::Code;
use keyfob_ipc::reply::Teller;

use super::{B, CHAIN, chain, fact, role, told};
use crate::company::{CONFIG, Company, HOUR, ROLE};

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn with(lines: &str) -> String {
    CHAIN.replace("source = \"a\"", &format!("source = \"a\"\n{lines}"))
}

#[tokio::test]
async fn an_external_id_opens_the_role_that_asks_for_one() {
    let company = chain(CHAIN).await;
    let mut asking = role(B, &[ROLE]);
    asking.external_id = Some("acme:42/x".to_owned());
    company.sandbox.sts().set_role(asking);
    let refusal = company.keys("b").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(refusal.say.contains("external_id"), "{refusal:?}");
    company.configure(&with("external_id = \"acme:42/x\""));
    company.keys("b").await.unwrap();
    assert_eq!(company.counts().assumed[B].external_id.as_deref(), Some("acme:42/x"));
    assert_eq!(fact(&company, "b", "external_id").await, ["acme:42/x"]);
}

#[tokio::test]
async fn tags_policies_and_the_name_of_a_session_are_passed_on_and_shown() {
    let lines = format!(
        "session_name = \"build-farm\"\nsession_tags = {{ team = \"infra\", \"cost center\" = \"\" }}\npolicy_arns = [\"{READ_ONLY}\"]"
    );
    let company = chain(&with(&lines)).await;
    company.keys("b").await.unwrap();
    let asked = company.counts().assumed[B].clone();
    assert_eq!(asked.session_name, "build-farm");
    assert_eq!(asked.tags["team"], "infra");
    assert_eq!(asked.tags["cost center"], "");
    assert_eq!(asked.policy_arns, [READ_ONLY]);
    assert_eq!(fact(&company, "b", "session_tags").await, ["cost center=", "team=infra"]);
    assert_eq!(fact(&company, "b", "policy_arns").await, [READ_ONLY]);
    // They stay with their own hop.
    company.keys("c").await.unwrap();
    let next = company.counts().assumed[super::C].clone();
    assert!(next.tags.is_empty() && next.policy_arns.is_empty());
    assert_eq!(next.session_name, "build-farm", "who asks is told along the chain");
}

#[tokio::test]
async fn a_web_identity_takes_policies_and_brings_its_tags_in_its_token() {
    let config = CONFIG.replace(
        "region = \"eu-west-1\"",
        &format!("region = \"eu-west-1\"\npolicy_arns = [\"{READ_ONLY}\"]"),
    );
    let company = Company::with(&config, |options| {
        let tags = [("cost", "7\u{202e}"), ("team", "infra")];
        options.issuer.person.session_tags =
            tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    })
    .await;
    assert!(fact(&company, "dev", "session_tags").await.is_empty(), "nobody has said anything yet");
    company.sign_in().await.unwrap();
    let expected = ["cost=7\\u{202e} (transitive)", "team=infra"];
    // By the token in memory at first, then by the one that the keys were bought with.
    assert_eq!(fact(&company, "dev", "session_tags").await, expected);
    company.keys("dev").await.unwrap();
    let tags = told(&company, "dev").await.into_iter().find(|told| told.name == "session_tags").unwrap();
    assert_eq!(
        (tags.values.as_slice(), tags.by),
        (&expected.map(str::to_owned)[..], Teller::IdentityProvider)
    );
    assert_eq!(company.counts().assumed[ROLE].policy_arns, [READ_ONLY]);
    company.pass(2 * HOUR);
    assert!(fact(&company, "okta", "session_tags").await.is_empty(), "they are the role's");
}

#[tokio::test]
async fn a_role_without_tags_says_nothing_about_them() {
    let company = chain(CHAIN).await;
    company.keys("b").await.unwrap();
    for name in ["a", "b"] {
        for absent in ["session_tags", "policy_arns", "external_id"] {
            assert!(fact(&company, name, absent).await.is_empty(), "{name} {absent}");
        }
    }
}
