//! One role with the keys of another: what is bought when, and who is named when that fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyfob_agent::config::EntryName;
use keyfob_agent::lease::{AwsKeys, Body};
use keyfob_agent::policy::Permit;
use keyfob_agent::upstream::http::Http;
use keyfob_agent::upstream::sts::{self, At, By, RoleAsk, StsError as StsRefusal};
use keyfob_ipc::limits::TOOL_PATIENCE;
use keyfob_ipc::reply::{Change, EntryState};
use keyfob_ipc::{Code, Secret};
use keyfob_sandbox::{Endpoint, Fault, StsError};

use super::{B, C, CHAIN, chain, fact, role};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE, ROLE};

const WEB: &str = "AssumeRoleWithWebIdentity";
const ASSUME: &str = "AssumeRole";

/// Calls for each role of the chain, its own way in.
fn calls(company: &Company) -> [u64; 3] {
    let counts = company.counts();
    [counts.role_by(WEB, ROLE), counts.role_by(ASSUME, B), counts.role_by(ASSUME, C)]
}

/// Two hundred programs at once, spread over the three roles; the keys that each got, by its role. How long one of them waited
/// at most.
async fn burst(company: &Company) -> (Vec<(&'static str, String)>, Duration) {
    let asks: Vec<_> = (0..200)
        .map(|number| {
            let name = ["a", "b", "c"][number % 3];
            let (agent, entry) = (company.agent.clone(), company.entry(name));
            tokio::spawn(async move {
                let asked = Instant::now();
                let keys = entry.source.aws_credentials(&agent, &entry, &Permit::of_a_test()).await;
                let keys = keys.unwrap_or_else(|refusal| panic!("no keys of {name}: {refusal}"));
                ((name, keys.access_key_id), asked.elapsed())
            })
        })
        .collect();
    let (mut keys, mut longest) = (Vec::new(), Duration::ZERO);
    for ask in asks {
        let (given, waited) = ask.await.unwrap();
        keys.push(given);
        longest = longest.max(waited);
    }
    keys.sort();
    (keys, longest)
}

#[tokio::test]
async fn each_hop_signs_with_the_keys_of_the_one_before() {
    let company = chain(CHAIN).await;
    let keys = company.keys("c").await.unwrap();
    assert_eq!(calls(&company), [1, 1, 1]);
    assert_eq!(keys.account_id.as_deref(), Some("210987654321"));
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T09:00:00Z"));
    let counts = company.counts();
    // The person is the same all along.
    assert_eq!(counts.assumed[C].by, "arn:aws:sts::123456789012:assumed-role/Deploy/ada@example.com");
    assert_eq!(counts.assumed[C].session_name, "ada@example.com");
    let report = company.report("c").await;
    assert_eq!((report.state, report.through.as_deref()), (EntryState::Live, Some("aws.b")));
    assert_eq!(report.facts["region"], "eu-west-1", "that of the first one");
    assert_eq!(fact(&company, "c", "hops").await, ["sso.okta", "aws.a", "aws.b", "aws.c"]);
    assert_eq!(fact(&company, "c", "account").await, ["210987654321"]);
    assert!(fact(&company, "a", "hops").await.is_empty());
}

#[tokio::test]
async fn a_chained_session_is_capped_at_an_hour_and_that_is_said() {
    let config = CHAIN.replace("source = \"a\"", "source = \"a\"\nduration = \"12h\"");
    let company = chain(&config).await;
    let keys = company.keys("b").await.unwrap();
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T09:00:00Z"));
    assert_eq!(company.counts().assumed[B].seconds, 3600);
    let report = company.report("b").await;
    assert_eq!(
        (report.facts["duration"].as_str(), report.facts["duration_capped"].as_str()),
        ("3600", "43200")
    );
    let told = fact(&company, "b", "duration_capped").await;
    assert_eq!(told, ["1h instead of 12h: AWS gives a chained role no longer session"]);
    assert!(!company.report("c").await.facts.contains_key("duration_capped"));
    assert!(fact(&company, "c", "duration_capped").await.is_empty());
}

#[tokio::test]
async fn two_hundred_callers_over_three_chained_roles_make_one_refresh_and_one_call_a_hop() {
    let company = chain(CHAIN).await;
    company.pass(2 * HOUR);
    let (mut keys, _) = burst(&company).await;
    assert_eq!((keys.len(), company.counts().refreshes()), (200, 1));
    assert_eq!(calls(&company), [1, 1, 1]);
    keys.dedup();
    assert_eq!(keys.len(), 3, "one set of keys for each role");
}

#[tokio::test]
async fn with_everything_down_and_twenty_minutes_left_two_hundred_callers_are_answered() {
    let company = chain(CHAIN).await;
    let (before, _) = burst(&company).await;
    company.pass(40 * MINUTE);
    for endpoint in [Endpoint::Discovery, Endpoint::Token, Endpoint::Jwks, Endpoint::Sts] {
        company.faults().set(endpoint, Fault::Status(503));
    }
    let (now, waited) = burst(&company).await;
    assert_eq!(now, before);
    assert!(waited < TOOL_PATIENCE, "{waited:?}");
    company.agent.flights.quiet().await;
    // The same once SDKs would rather have newer ones.
    company.pass(10 * MINUTE);
    let (later, waited) = burst(&company).await;
    assert_eq!(later, before);
    assert!(waited < TOOL_PATIENCE, "{waited:?}");
    // And with nothing left, none.
    company.agent.flights.quiet().await;
    company.pass(11 * MINUTE);
    assert_eq!(company.keys_patiently("c").await.unwrap_err().code, Code::Offline);
}

#[tokio::test]
async fn the_one_behind_is_renewed_first_where_its_end_is_near() {
    let company = chain(CHAIN).await;
    let first = company.keys("a").await.unwrap();
    company.pass(42 * MINUTE);
    company.keys("b").await.unwrap();
    assert_eq!(calls(&company), [2, 1, 0]);
    let now = company.keys("a").await.unwrap();
    assert_ne!(now.access_key_id, first.access_key_id);
    let end: Timestamp = now.expiration.unwrap().parse().unwrap();
    assert!(end.duration_since(company.world_now()).as_secs() > 20 * 60);
    assert_eq!(calls(&company), [2, 1, 0], "it was there already");
    assert_eq!(company.counts().assumed[B].access_key_id, now.access_key_id, "and signed for the next");

    // Far from its end it is used as it is.
    company.pass(30 * MINUTE);
    company.keys("c").await.unwrap();
    assert_eq!(calls(&company)[0], 2);
}

#[tokio::test]
async fn where_the_one_behind_cannot_be_renewed_its_last_minutes_do() {
    let company = chain(CHAIN).await;
    let first = company.keys("a").await.unwrap();
    company.pass(42 * MINUTE);
    // Nobody gets it any more.
    company.sandbox.sts().set_role(role(ROLE, &["arn:aws:iam::123456789012:role/Nobody"]));
    company.keys("b").await.unwrap();
    assert_eq!(calls(&company), [2, 1, 0]);
    assert_eq!(company.counts().assumed[B].access_key_id, first.access_key_id);
    company.pass(20 * MINUTE);
    assert_eq!(company.keys("a").await.unwrap_err().code, Code::RoleRefused);
}

#[tokio::test]
async fn keys_that_aws_takes_for_expired_are_bought_anew_once() {
    let company = chain(CHAIN).await;
    company.keys("a").await.unwrap();
    company.faults().set_times(Endpoint::Sts, Fault::StsError(StsError::ExpiredToken), 1);
    company.keys("b").await.unwrap();
    assert_eq!(company.counts().role_by(WEB, ROLE), 2);
    assert_eq!(company.counts().refreshes(), 0, "the session had nothing to do with it");
}

#[tokio::test]
async fn a_refusal_names_the_hop_and_keeps_its_words() {
    let company = chain(CHAIN).await;
    company.sandbox.sts().set_role(role(B, &[C]));
    let refusal = company.keys("b").await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleRefused);
    assert!(
        refusal.say.starts_with(&format!("AWS does not let `aws.a` assume the role `{B}`: the trust policy"))
            && refusal.say.contains("external_id"),
        "{refusal}"
    );
    assert_eq!(refusal.hint, "keyfob permissions aws.a");
    let through = company.keys("c").await.unwrap_err();
    assert_eq!(through.say, format!("`aws.c` is obtained with `aws.b`: {}", refusal.say));
    assert_eq!((through.code, &through.hint), (refusal.code, &refusal.hint));
    assert_eq!(company.report("c").await.refusal, Some(through));

    // One hop more.
    company.sandbox.sts().set_role(role(ROLE, &["arn:aws:iam::123456789012:role/Nobody"]));
    company.configure(
        &CHAIN.replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nsession_name = \"other\""),
    );
    company.pass(A_MOMENT);
    let refusal = company.keys("c").await.unwrap_err();
    let hops = "`aws.c` is obtained with `aws.b`: `aws.b` is obtained with `aws.a`: AWS does not let you have the role";
    assert!(refusal.say.starts_with(hops), "{refusal}");
}

#[tokio::test]
async fn whoever_is_not_signed_in_hears_that_and_how() {
    let company = Company::with(CHAIN, super::trusting).await;
    let refusal = company.keys("c").await.unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::SignInNeeded, "keyfob login okta"));
    assert!(refusal.say.contains("`aws.c` is obtained with `aws.b`"), "{refusal}");
}

#[tokio::test]
async fn keys_go_with_the_session_at_the_beginning_of_the_chain() {
    let company = chain(CHAIN).await;
    company.keys("c").await.unwrap();
    company.sign_out().await.unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(company.keys(name).await.unwrap_err().code, Code::SignInNeeded, "{name}");
    }
}

#[tokio::test]
async fn another_role_behind_gets_no_keys_of_the_old_one() {
    let company = chain(CHAIN).await;
    let first = company.keys("b").await.unwrap().access_key_id;
    company.sandbox.sts().set_role(role(B, &["arn:aws:iam::123456789012:root"]));
    company.configure(&CHAIN.replace("role/OktaRole", "role/ReadOnlyRole"));
    assert_ne!(company.keys("b").await.unwrap().access_key_id, first);
    assert_eq!(
        company.counts().assumed[B].by,
        "arn:aws:sts::123456789012:assumed-role/ReadOnlyRole/ada@example.com"
    );
}

#[tokio::test]
async fn an_endpoint_anywhere_in_a_chain_waits_for_a_confirmation() {
    let company = chain(CHAIN).await;
    // All that is needed is in memory.
    company.keys("c").await.unwrap();
    let evil = company.sandbox.addresses().cluster_url.clone();
    for (name, before) in [("b", "role/team/Deploy\"\n"), ("c", "role/Foreign\"\n")] {
        let edited = CHAIN.replace(
            &format!("{before}endpoint_url = \"STS\""),
            &format!("{before}endpoint_url = \"{evil}\""),
        );
        assert_ne!(edited, CHAIN);
        company.configure(&edited);
        let refusal = company.keys(name).await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{name}: {refusal}");
        assert!(refusal.say.contains(&format!("endpoint {evil}")), "{refusal}");
        assert_eq!(refusal.hint, "keyfob config confirm sso.okta");
        assert_eq!(company.counts().arrived(Endpoint::Cluster), 0, "{name}");
        let change = Change { entry: "sso.okta".to_owned(), places: vec![format!("endpoint {evil}/")] };
        assert_eq!(company.changes().await, [change]);
        company.configure(CHAIN);
        company.pass(A_MOMENT);
        company.keys(name).await.unwrap();
    }
    // What this is for: once somebody says yes, the keys of `b` do go there.
    company.configure(&CHAIN.replace(
        "role/Foreign\"\nendpoint_url = \"STS\"",
        &format!("role/Foreign\"\nendpoint_url = \"{evil}\""),
    ));
    let shown = company.changes().await;
    company.confirm(Some(shown)).await.unwrap();
    company.pass(A_MOMENT);
    company.keys("c").await.unwrap_err();
    assert!(company.counts().arrived(Endpoint::Cluster) > 0);
}

/// Asks STS as the agent does, with whatever parameters.
async fn assume(company: &Company, keys: &AwsKeys, duration: Duration) -> Result<String, StsRefusal> {
    let (http, url) = at_sts(company);
    let ask = RoleAsk {
        at: At { region: "eu-west-1", endpoint: Some(&url), use_fips: false },
        role_arn: B,
        session_name: "ada",
        duration,
        policy_arns: &[],
        by: By::Keys { keys, of: "aws.a", look: "", external_id: None, tags: &BTreeMap::new() },
        now: company.world_now(),
    };
    Ok(sts::assume_role(&http, &ask).await?.0.access_key_id)
}

fn at_sts(company: &Company) -> (Http, String) {
    let http = company.agent.http(&company.agent.footing().unwrap()).unwrap();
    (http, company.sandbox.addresses().sts_url.clone())
}

fn said(refused: StsRefusal) -> String {
    match refused {
        StsRefusal::Refused(refusal) => refusal.say,
        StsRefusal::Expired => "expired".to_owned(),
    }
}

#[tokio::test]
async fn aws_refuses_the_session_that_the_cap_spares_us_and_a_signature_that_is_none() {
    let company = chain(CHAIN).await;
    company.keys("a").await.unwrap();
    let lease = company.agent.leases.get(&EntryName { kind: "aws", name: "a".to_owned() }).unwrap();
    let Body::Aws(keys) = &lease.body else { panic!("no keys") };
    assume(&company, keys, HOUR).await.unwrap();
    let refusal = said(assume(&company, keys, HOUR + Duration::from_secs(1)).await.unwrap_err());
    let words =
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
    assert!(refusal.ends_with(words), "{refusal}");

    let with = |secret: &str, token: Option<&str>| AwsKeys {
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: Secret::from(secret),
        session_token: token.map(Secret::from),
        assumed: None,
    };
    let (secret, token) = (keys.secret_access_key.expose(), keys.session_token.as_ref().unwrap().expose());
    let refusal = said(assume(&company, &with("another", Some(token)), HOUR).await.unwrap_err());
    assert!(refusal.contains("does not accept the signature"), "{refusal}");
    for token in [None, Some("another")] {
        let refusal = said(assume(&company, &with(secret, token), HOUR).await.unwrap_err());
        assert!(refusal.contains("does not know the keys"), "{refusal}");
    }
    // The control: the same, as they are.
    assume(&company, &with(secret, Some(token)), HOUR).await.unwrap();
    company.pass(2 * HOUR);
    assert_eq!(said(assume(&company, keys, HOUR).await.unwrap_err()), "expired");
}

#[tokio::test]
async fn keys_know_whose_they_are() {
    let company = chain(CHAIN).await;
    company.keys("b").await.unwrap();
    let lease = company.agent.leases.get(&EntryName { kind: "aws", name: "b".to_owned() }).unwrap();
    let Body::Aws(keys) = &lease.body else { panic!("no keys") };
    let (http, url) = at_sts(&company);
    let at = At { region: "eu-west-1", endpoint: Some(&url), use_fips: false };
    let caller = sts::caller_identity(&http, at, (keys, "aws.b"), company.world_now()).await.unwrap();
    assert_eq!(caller.account, "123456789012");
    assert_eq!(Some(caller.arn), keys.assumed);
}
