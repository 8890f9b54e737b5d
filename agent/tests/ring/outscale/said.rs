//! What is said of access keys, and by which name.

use keyfob_ipc::reply::{Reply, Teller, TokenReport, Weight};
use keyfob_ipc::{ControlAsk, Secret, ToolAsk};

use super::*;

const WITH_SSO: &str = r#"
[sso.okta]
issuer = "https://okta.example"
client_id = "x"

[outscale.monitoring]
region = "eu-west-2"
user = "monitoring"
endpoint_url = "OUTSCALE"
"#;

async fn given(company: &Company, name: &str, key: &AccessKey) -> Result<TokenReport, Refusal> {
    let value = Secret::new(format!("{}:{}", key.id, key.secret));
    match company.control(ControlAsk::TokenAdd { name: name.to_owned(), value, ends: None }).await? {
        Reply::Token(report) => Ok(*report),
        other => panic!("not a report: {other:?}"),
    }
}

async fn token_entry(company: &Company, name: &str) -> Result<String, Refusal> {
    match company.control(ControlAsk::TokenEntry { name: name.to_owned() }).await? {
        Reply::Entry(entry) => Ok(entry.name),
        other => panic!("not an entry: {other:?}"),
    }
}

#[tokio::test]
async fn the_bare_name_is_enough_and_only_what_fits_is_named() {
    let company = Company::with(WITH_SSO, |_| {}).await;
    for name in ["monitoring", NAME] {
        assert_eq!(token_entry(&company, name).await.unwrap(), NAME);
        let ask = ControlAsk::OutscaleEntry { name: name.to_owned() };
        assert!(matches!(company.control(ask).await, Ok(Reply::Entry(entry)) if entry.name == NAME));
    }
    for ask in [
        ControlAsk::TokenEntry { name: "zzzzzzzzz".to_owned() },
        ControlAsk::OutscaleEntry { name: "zzzzzzzzz".to_owned() },
    ] {
        let refusal = company.control(ask).await.unwrap_err();
        assert_eq!(refusal.code, Code::UnknownEntry);
        assert_eq!(refusal.say, "there is no entry `zzzzzzzzz`; there is outscale.monitoring");
    }
    let key = there(&company).add_user("monitoring", RENEWAL, None);
    given(&company, "monitoring", &key).await.unwrap();
    assert!(company.remove_token("monitoring").await.unwrap().contains("is removed here"));
}

#[tokio::test]
async fn an_entry_that_makes_keys_and_a_token_of_one_name_are_told_apart() {
    let token = "[token.monitoring]\nhosts = [\"aw.example\"]\n";
    let company = Company::with(&format!("{WITH_SSO}\n{token}"), |_| {}).await;
    let refusal = token_entry(&company, "monitoring").await.unwrap_err();
    assert_eq!(refusal.code, Code::AmbiguousEntry);
    assert!(!refusal.say.contains("sso"), "{refusal}");
    let ask = ControlAsk::OutscaleEntry { name: "monitoring".to_owned() };
    assert!(matches!(company.control(ask).await, Ok(Reply::Entry(entry)) if entry.name == NAME));
    let ask = ControlAsk::OutscaleEntry { name: "token.monitoring".to_owned() };
    let refusal = company.control(ask).await.unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::UnknownEntry, "keyfob status"));
}

#[tokio::test]
async fn what_makes_no_sense_for_keys_is_refused_in_words_that_fit() {
    let (company, key) = company().await;
    let name = || NAME.to_owned();
    let rotate = |value| ControlAsk::TokenRotate { name: name(), value, ends: None };
    let by_themselves = "the keys of `outscale.monitoring` are renewed by themselves";
    for is_held in [false, true] {
        if is_held {
            given(&company, NAME, &key).await.unwrap();
        }
        for ask in [rotate(None), rotate(Some("x".into())), ControlAsk::TokenRescue { name: name() }] {
            let refusal = company.control(ask).await.unwrap_err();
            assert_eq!((refusal.say.as_str(), refusal.hint.as_str()), (by_themselves, "keyfob status"));
        }
        let ends = ControlAsk::TokenEnds { name: name(), ends: "2099-01-01".to_owned() };
        let refusal = company.control(ends).await.unwrap_err();
        assert_eq!(refusal.say, "OUTSCALE says when an access key ends");
        let add = ControlAsk::TokenAdd { name: name(), value: "x".into(), ends: Some("2099-01-01".into()) };
        assert_eq!(company.control(add).await.unwrap_err().say, refusal.say);
    }
}

#[tokio::test]
async fn one_word_is_used_for_what_is_missing() {
    let (company, key) = company().await;
    let held = "no access key is held for `outscale.monitoring`";
    assert_eq!(keys(&company).await.unwrap_err().say, held);
    assert_eq!(company.report(NAME).await.refusal.unwrap().say, held);
    let nothing = company.add_token(NAME, " \n").await.unwrap_err();
    assert_eq!(nothing.say, "nothing was given");
    let wrong = AccessKey { secret: "0".repeat(40), ..key };
    let refusal = add(&company, &wrong).await.unwrap_err();
    assert!(
        refusal.say.contains("its secret key is another one") && refusal.say.contains("deleted"),
        "{refusal}"
    );
}

#[tokio::test]
async fn the_end_of_a_key_is_what_outscale_tells() {
    let company = Company::with(CONFIG, |_| {}).await;
    let ends: jiff::Timestamp = "2027-03-01T00:00:00Z".parse().unwrap();
    let own = there(&company).add_user("monitoring", RENEWAL, Some(ends));
    let report = given(&company, NAME, &own).await.unwrap();
    assert_eq!((report.until.as_deref(), report.until_by), (Some("2027-03-01T00:00:00Z"), Some(Teller::Eim)));
    // That of another user's key, too, which says so of itself.
    let other = there(&company).add_user("ada", RENEWAL, Some(ends));
    let report = given(&company, NAME, &other).await.unwrap();
    assert_eq!((report.until.as_deref(), report.until_by), (Some("2027-03-01T00:00:00Z"), Some(Teller::Eim)));
    assert_eq!(report.owner, None);
    assert!(
        report.notes.iter().any(|note| note.weight == Weight::Due && note.say.contains("no key of the user"))
    );
    // One without an end is told from one of which nobody knows.
    let endless = there(&company).add_user("eve", RENEWAL, None);
    let report = given(&company, NAME, &endless).await.unwrap();
    assert_eq!((report.until, report.until_by), (None, Some(Teller::Eim)));
    let root = there(&company).root();
    let report = given(&company, NAME, &root).await.unwrap();
    assert_eq!((report.until, report.until_by), (None, None));
}

#[tokio::test]
async fn keys_are_handed_on_with_no_region_that_nobody_has_confirmed() {
    let (company, _) = at_work().await;
    let exec = async || company.agent.tool(ToolAsk::Exec { name: NAME.to_owned() }).await;
    let Ok(Reply::Exec(before)) = exec().await else { panic!("no keys") };
    assert_eq!(before.region.as_deref(), Some("eu-west-2"));
    company.configure(&CONFIG.replace("eu-west-2", "us-east-2"));
    let refusal = exec().await.unwrap_err();
    assert_eq!(refusal.code, Code::DestinationChanged);
    assert!(refusal.say.contains("region us-east-2"), "{refusal}");
    let changes = company.changes().await;
    assert_eq!(changes[0].places, ["region us-east-2"]);
    company.confirm(Some(changes)).await.unwrap();
    let Ok(Reply::Exec(after)) = exec().await else { panic!("no keys") };
    assert_eq!(after.region.as_deref(), Some("us-east-2"));
}
