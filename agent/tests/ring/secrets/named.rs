//! Roles that a caller names for a secret: what the entry that reads it allows, and nothing else.

use keyfob_agent::config::EntryName;
use keyfob_agent::lease::NAMED_ROLES;
use keyfob_ipc::Code;

use super::aws::{ARN, IN_AWS, JSON, reads};
use super::{get, get_with, wanted};
use crate::company::{A_MOMENT, CONFIG, Company, ROLE};
use crate::programs::{Programs, allow, policy};
use crate::roles::role;

const EXTERNAL: &str = "arn:aws:iam::999999999999:role/external-ci";
const OTHER: &str = "arn:aws:iam::999999999999:role/admin";

fn allowing() -> String {
    let allowed = "sso = \"okta\"\nmay_assume = [\"arn:aws:iam::*:role/external-*\"]\nrole_arn";
    format!("{CONFIG}{IN_AWS}").replace("sso = \"okta\"\nrole_arn", allowed)
}

async fn company(config: &str) -> Company {
    let company = Company::with(config, |_| {}).await;
    for arn in [EXTERNAL, OTHER] {
        company.sandbox.sts().set_role(role(arn, &[ROLE]));
    }
    company.sandbox.aws_machine().put_text(ARN, JSON);
    company.sign_in().await.unwrap();
    company
}

fn named(role_arn: &str) -> EntryName {
    EntryName { kind: "secret", name: "db".to_owned() }.of_role(role_arn)
}

#[tokio::test]
async fn a_role_that_the_reader_may_assume_reads_it_and_is_kept_apart() {
    let company = company(&allowing()).await;
    // Only the other role may read it.
    company.sandbox.aws_machine().shut_out("OktaRole");
    assert_eq!(get(&company, "db").await.unwrap_err().code, Code::RoleRefused);
    let found = get_with(&company, "db", Some(EXTERNAL)).await.unwrap();
    assert_eq!((found.entry.as_str(), found.values["port"].expose().as_str()), ("secret.db", "5432"));
    let before = reads(&company);
    get_with(&company, "secret.db", Some(EXTERNAL)).await.unwrap();
    assert_eq!(reads(&company), before, "it is kept, too");
    assert!(company.agent.leases.get(&named(EXTERNAL)).is_some());
    company.pass(A_MOMENT);
    assert_eq!(get(&company, "db").await.unwrap_err().code, Code::RoleRefused, "for that role alone");
}

#[tokio::test]
async fn a_role_that_refuses_is_named_once_and_whole_with_what_it_lacks() {
    let company = company(&allowing()).await;
    let refused = async || {
        let refusal = get_with(&company, "db", Some(EXTERNAL)).await.unwrap_err();
        assert_eq!(refusal.code, Code::RoleRefused);
        // What a person reads is cut there.
        assert_eq!(keyfob_ipc::text::escape(&refusal.say), refusal.say);
        assert_eq!(refusal.say.matches(EXTERNAL).count(), 1, "{refusal}");
        (refusal.say, refusal.hint)
    };
    company.sandbox.aws_machine().shut_out("external-ci");
    let (say, hint) = refused().await;
    assert!(say.starts_with(&format!("the role `{EXTERNAL}` may not read the secret")), "{say}");
    assert_eq!(hint, "keyfob why secret.db");

    company.pass(A_MOMENT);
    company.agent.leases.drop_where(|name| name.role_behind().is_some());
    company.sandbox.sts().set_role(role(EXTERNAL, &[OTHER]));
    let (say, hint) = refused().await;
    let who = format!(
        "`secret.db` is read with `aws.dev`: AWS does not let `aws.dev` assume the role `{EXTERNAL}`: the trust"
    );
    assert!(say.starts_with(&who) && say.ends_with("sts:AssumeRole"), "{say}");
    assert_eq!(hint, "keyfob permissions aws.dev");
}

#[tokio::test]
async fn a_name_that_is_no_secrets_leads_to_the_list_of_them() {
    let company = company(&allowing()).await;
    for name in ["a b", "token.nothing", "dev", "aws.dev", "okta"] {
        let refusal = get(&company, name).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.hint.as_str()),
            (Code::UnknownEntry, "keyfob secret list"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_readers_own_role_needs_no_pattern_and_is_the_secret_itself() {
    let company = company(&format!("{CONFIG}{IN_AWS}")).await;
    get_with(&company, "db", Some(ROLE)).await.unwrap();
    get(&company, "db").await.unwrap();
    assert_eq!(reads(&company), 1);
}

#[tokio::test]
async fn any_other_role_is_refused_with_the_line_to_add() {
    let company = company(&allowing()).await;
    let before = company.sts_calls();
    let refusal = get_with(&company, "db", Some(OTHER)).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotAllowed);
    let line = format!("may_assume = [\"arn:aws:iam::*:role/external-*\", \"{OTHER}\"]");
    assert_eq!(refusal.hint, format!("put under [aws.dev] of the configuration: {line}"));
    for none in ["admin", "", "arn:aws:iam::999999999999:user/x", "a\u{1b}[2J"] {
        assert_eq!(get_with(&company, "db", Some(none)).await.unwrap_err().code, Code::BadRequest, "{none}");
    }
    assert_eq!((company.sts_calls(), reads(&company)), (before, 0));
    // The control: the line is good as it stands.
    company.configure(&allowing().replace("may_assume = [\"arn:aws:iam::*:role/external-*\"]", &line));
    get_with(&company, "db", Some(OTHER)).await.unwrap();
}

#[tokio::test]
async fn a_role_with_an_entry_of_its_own_is_not_reached_around_it() {
    let prod = format!(
        "\n[aws.prod]\nsso = \"okta\"\nrole_arn = \"{EXTERNAL}\"\nregion = \"eu-west-1\"\nendpoint_url = \"STS\"\n"
    );
    let company = company(&allowing()).await;
    // The control.
    get_with(&company, "db", Some(EXTERNAL)).await.unwrap();
    company.configure(&format!("{}{prod}", allowing()));
    let refusal = get_with(&company, "db", Some(EXTERNAL)).await.unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::NotAllowed, "ask for aws.prod"));
    assert!(company.agent.leases.get(&named(EXTERNAL)).is_none(), "what was read before is not kept");
    // One that is obtained through the reader is that entry's, with its policy.
    let programs = Programs::new();
    let chained = prod.replace("sso = \"okta\"", "source = \"dev\"");
    let guard = policy("aws.prod", &allow(&programs.path("python")));
    company.configure(&format!("{}{chained}{guard}", allowing()));
    let ask = async |program: &str| {
        company.agent.tool_of(wanted("db", Some(EXTERNAL)), &programs.asker(program)).await
    };
    assert_eq!(ask("evil").await.unwrap_err().code, Code::NotAllowed);
    ask("python").await.unwrap();
}

#[tokio::test]
async fn a_role_that_is_named_does_not_lead_around_a_policy() {
    let company = company(&allowing()).await;
    let programs = Programs::new();
    for guarded in ["secret.db", "aws.dev", "sso.okta"] {
        company.configure(&format!("{}{}", allowing(), policy(guarded, &allow(&programs.path("python")))));
        let ask = async |program: &str| {
            company.agent.tool_of(wanted("db", Some(EXTERNAL)), &programs.asker(program)).await
        };
        let refusal = ask("evil").await.unwrap_err();
        assert_eq!(refusal.code, Code::NotAllowed, "{guarded}: {refusal}");
        // The control.
        ask("python").await.unwrap();
    }
}

#[tokio::test]
async fn many_names_fill_no_memory() {
    let company = company(&allowing()).await;
    let arn = |number: usize| format!("arn:aws:iam::999999999999:role/external-{number}");
    let config = company.agent.config().unwrap();
    let entry = company.entry("secret.db");
    for number in 0..NAMED_ROLES + 8 {
        company.sandbox.sts().set_role(role(&arn(number), &[ROLE]));
        let entry = config.secret_through(&entry, &arn(number)).unwrap();
        let permit = keyfob_agent::policy::Permit::of_a_test();
        entry.source.as_secret().unwrap().values(&company.agent, &entry, &permit).await.unwrap();
        assert!(company.agent.states.get(&entry.name).is_none(), "nobody is shown it");
    }
    let kept =
        (0..NAMED_ROLES + 8).filter(|number| company.agent.leases.get(&named(&arn(*number))).is_some());
    assert_eq!(kept.count(), NAMED_ROLES);
}
