//! JFrog: a refresh token is spent, and comes anew.

use keyfob_sandbox::jfrog::{NewToken, Pair};

use super::*;

const CONFIG: &str = r#"
[token.jfrog]
hosts = ["jfrog.acme.dev"]
service = "jfrog"
api = "JFROG"
"#;
const JFROG: &str = "https://jfrog.acme.dev/artifactory";

async fn company(is_refreshable: bool) -> (Company, Pair) {
    let company = Company::with(CONFIG, |_| {}).await;
    let pair = company.sandbox.jfrog().issue_token(NewToken { is_refreshable, ..NewToken::of("ada") });
    let mut pasted = serde_json::json!({"access_token": pair.access_token});
    if let Some(refresh_token) = &pair.refresh_token {
        pasted["refresh_token"] = refresh_token.clone().into();
    }
    company.add_token("jfrog", &pasted.to_string()).await.unwrap();
    (company, pair)
}

async fn bearer(company: &Company) -> String {
    let value = served_at(company, JFROG).await.unwrap();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}

#[tokio::test]
async fn both_secrets_come_anew_each_time() {
    let (company, first) = company(true).await;
    let mut seen = vec![first.access_token];
    for round in 1..=3 {
        company.pass(HOUR);
        rotate(&company, "jfrog").await.unwrap();
        let new = bearer(&company).await;
        assert!(company.sandbox.jfrog().is_live(&new) && !seen.contains(&new), "round {round}");
        let item = item(&company, "jfrog").await;
        assert_eq!(item["value"], new.as_str());
        assert!(company.sandbox.jfrog().is_refreshable(item["companion"].as_str().unwrap()));
        seen.push(new);
    }
}

#[tokio::test]
async fn without_a_refresh_token_it_is_the_persons_to_do() {
    let (company, pair) = company(false).await;
    let refusal = rotate(&company, "jfrog").await.unwrap_err();
    assert_eq!((refusal.code, &*refusal.hint), (Code::ServiceRefused, "keyfob token add jfrog"));
    assert_eq!(asked(&company, Endpoint::JfrogTokens), 0);
    assert_eq!((bearer(&company).await, step(&company, "jfrog").await), (pair.access_token, None));
}

#[tokio::test]
async fn a_refresh_token_that_may_be_spent_is_never_sent_again() {
    // Lost after it was spent, and before.
    for (fault, code) in [(Fault::Reset, Code::TokenNeeded), (Fault::Status(500), Code::ServiceRefused)] {
        let (company, pair) = company(true).await;
        mend(&company);
        company.faults().set_times(Endpoint::JfrogTokens, fault, 1);
        for _ in 0..3 {
            let refusal = rotate(&company, "jfrog").await.unwrap_err();
            assert_eq!((refusal.code, &*refusal.hint), (code, "keyfob token add jfrog"));
            company.pass(LATE);
        }
        assert_eq!(asked(&company, Endpoint::JfrogTokens), 1);
        assert_eq!(bearer(&company).await, pair.access_token, "it serves on");
    }
}

#[tokio::test]
async fn one_whose_token_is_dead_is_not_sent() {
    let (company, pair) = company(true).await;
    company.sandbox.jfrog().revoke(&pair.access_token);
    assert_eq!(rotate(&company, "jfrog").await.unwrap_err().code, Code::TokenNeeded);
    assert_eq!(asked(&company, Endpoint::JfrogTokens), 0);
    assert_eq!(item(&company, "jfrog").await["companion"], pair.refresh_token.unwrap());
    assert_eq!(step(&company, "jfrog").await, None);
}
