//! `keyfob permissions`: who says what about read, write and execute, cluster by cluster, and how old that is.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use keyfob_e2e::{Company, MEMORY, PATIENCE, Profile, start, token, wait_for};
use keyfob_sandbox::cluster::{CapabilitiesOptions, NAMES};
use keyfob_sandbox::{ClusterOptions, Endpoint, Fault, Issue, Options, Permissions};
use serde_json::Value;

use crate::{ADA, HOST, given, in_days, text};

const WRITE: Permissions = Permissions { read: true, write: true, execute: false };

/// `token.aspect` for both clusters of the company, which are asked themselves.
fn clusters(company: &Company) -> String {
    let at = company.addresses();
    let [first, second] =
        [&at.cluster_url, &at.second_cluster_url].map(|url| url.replace("http://", "grpc://"));
    let [one, other] = NAMES;
    token("aspect", HOST).replace(&format!("\"{HOST}\""), &format!("\"{HOST}\", \"127.0.0.1\""))
        + &format!("clusters = {{ {one} = \"{first}\", {other} = \"{second}\" }}\n")
}

fn with_api(company: &Company) -> String {
    format!("{}service = \"keyfob\"\napi = \"{}\"\n", clusters(company), company.addresses().token_api_url)
}

/// A company whose clusters tell it so.
fn company_that_tells(capabilities: CapabilitiesOptions) -> Company {
    let cluster = ClusterOptions { capabilities, ..ClusterOptions::default() };
    Company::with(Options { cluster, ..Options::default() })
}

/// A token that may read and write at the first cluster and read at the second.
fn issue(company: &Company) -> String {
    let [one, other] = NAMES.map(str::to_owned);
    let permissions = BTreeMap::from([(one, WRITE), (other, Permissions::READ)]);
    company.portal().issue(Issue {
        owner: ADA.to_owned(),
        admin: false,
        permissions,
        ends: Some(in_days(90)),
    })
}

/// One entry of `keyfob permissions --json`.
#[track_caller]
fn entry(profile: &Profile, name: &str, words: &[&str]) -> Value {
    let all = profile.run(&[&["permissions", "--json"], words].concat(), "").ok().json();
    let entries = all.as_array().cloned().unwrap_or_default();
    entries.into_iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}: {all}"))
}

/// `yes no unknown`, as this one says of that cluster.
#[track_caller]
fn says(entry: &Value, by: &str, cluster: &str) -> String {
    let row = row(entry, by, cluster);
    ["read", "write", "execute"].map(|right| text(&row[right])).join(" ")
}

#[track_caller]
fn row<'a>(entry: &'a Value, by: &str, cluster: &str) -> &'a Value {
    let rows = entry["clusters"].as_array().into_iter().flatten();
    let mut found = rows.filter(|row| row["by"] == by && row["cluster"] == cluster);
    let row = found.next().unwrap_or_else(|| panic!("{by} says nothing of {cluster}: {entry}"));
    assert!(found.next().is_none(), "twice: {entry}");
    row
}

/// The line of a table that has all these words.
#[track_caller]
fn line<'a>(page: &'a str, words: &[&str]) -> &'a str {
    let found = page.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no line with {words:?}:\n{page}"))
}

#[test]
fn one_token_for_two_clusters_by_the_clusters_and_by_the_service_with_the_age() {
    let company = Company::start();
    let profile = Profile::new(&[MEMORY, &with_api(&company)].concat());
    let before = Timestamp::now() - 1.second();
    profile.add_token("aspect", &issue(&company));
    let known = entry(&profile, "token.aspect", &[]);
    for by in ["cluster", "token-service"] {
        assert_eq!(says(&known, by, "aw-remote-ext"), "yes yes no", "{known}");
        assert_eq!(says(&known, by, "aw-remote-two"), "yes no no", "{known}");
        let when: Timestamp = text(&row(&known, by, "aw-remote-ext")["when"]).parse().expect("a time");
        assert!(before <= when && when <= Timestamp::now(), "{known}");
    }
    let page = profile.run(&["permissions"], "").ok().stdout;
    for column in ["ENTRY", "CLUSTER", "READ", "WRITE", "EXECUTE", "AGE"] {
        assert!(page.contains(column), "no {column}:\n{page}");
    }
    let words = |line: &str| -> String {
        line.split_ascii_whitespace().skip(2).take(3).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(line(&page, &["aw-remote-ext", "the cluster"])), "yes yes no");
    assert_eq!(words(line(&page, &["aw-remote-two", "the token service"])), "yes no no");
    assert!(page.contains(ADA), "the owner:\n{page}");
    let value = given(&profile);
    assert!(!page.contains(&value) && !known.to_string().contains(&value));
}

#[test]
fn an_answer_is_good_for_an_hour_unless_the_person_wants_another_one() {
    let company = Company::start();
    let profile = Profile::new(&[MEMORY, &with_api(&company)].concat());
    let value = issue(&company);
    profile.add_token("aspect", &value);
    entry(&profile, "token.aspect", &[]);
    let calls = || {
        [Endpoint::Cluster, Endpoint::SecondCluster, Endpoint::TokenSelf]
            .map(|at| company.counts().arrived(at))
    };
    let before = calls();
    company.portal().permit(&value, Permissions::READ.everywhere());
    assert_eq!(says(&entry(&profile, "token.aspect", &[]), "token-service", "aw-remote-ext"), "yes yes no");
    assert_eq!(calls(), before, "nobody is asked twice in an hour");
    let again = entry(&profile, "token.aspect", &["--again"]);
    assert!(calls().iter().zip(before).all(|(now, before)| *now > before), "{:?}", calls());
    assert_eq!(says(&again, "token-service", "aw-remote-ext"), "yes no no");
    // The cluster remembers for an hour, which is said.
    assert_eq!(says(&again, "cluster", "aw-remote-ext"), "yes yes no");
    assert!(row(&again, "cluster", "aw-remote-ext")["note"].is_string(), "{again}");
}

#[test]
fn a_cluster_works_where_the_portal_has_no_api() {
    let company = Company::start();
    let profile = Profile::new(&[MEMORY, &clusters(&company)].concat());
    profile.add_token("aspect", &issue(&company));
    let known = entry(&profile, "token.aspect", &[]);
    assert_eq!(says(&known, "cluster", "aw-remote-ext"), "yes yes no", "{known}");
    // A token that it does not know is none of its.
    profile.run(&["token", "remove", "aspect"], "").ok();
    let stranger = "aw_0123456789abcdef0123456789";
    profile.run(&["token", "add", "aspect"], stranger);
    let page = profile.run(&["permissions", "--again"], "").ok().stdout;
    assert!(page.contains("aw-remote-ext") && !page.contains(stranger), "{page}");
}

#[test]
fn a_cluster_that_does_not_tell_is_shown_so_and_never_as_a_permission() {
    let usual = CapabilitiesOptions::default;
    let cases = [
        (
            CapabilitiesOptions { anonymous_same: true, ..usual() },
            "unknown unknown unknown",
            "without a token",
        ),
        (CapabilitiesOptions { unimplemented: true, ..usual() }, "unknown unknown unknown", "does not tell"),
    ];
    for (options, rights, note) in cases {
        let company = company_that_tells(options.clone());
        let profile = Profile::new(&[MEMORY, &clusters(&company)].concat());
        profile.add_token("aspect", &issue(&company));
        let known = entry(&profile, "token.aspect", &[]);
        assert_eq!(says(&known, "cluster", "aw-remote-ext"), rights, "{options:?}: {known}");
        let page = profile.run(&["permissions"], "").ok().stdout;
        assert!(page.contains(note), "{options:?}:\n{page}");
    }
}

#[test]
fn execute_is_without_effect_where_there_is_nothing_to_execute_with() {
    let company =
        company_that_tells(CapabilitiesOptions { execution: false, ..CapabilitiesOptions::default() });
    let profile = Profile::new(&[MEMORY, &with_api(&company)].concat());
    let value = company.portal().issue_token(ADA, Permissions::ALL, in_days(90));
    profile.add_token("aspect", &value);
    let known = entry(&profile, "token.aspect", &[]);
    assert_eq!(says(&known, "cluster", "aw-remote-ext"), "yes yes without-effect", "{known}");
    assert!(profile.run(&["permissions"], "").ok().stdout.contains("no effect"));
}

#[test]
fn a_cluster_that_hangs_or_fails_blocks_no_tool_and_is_named() {
    let company = Company::start();
    let profile = Profile::new(&[MEMORY, &with_api(&company)].concat());
    let value = issue(&company);
    profile.add_token("aspect", &value);
    company.faults().set(Endpoint::Cluster, Fault::Slow(std::time::Duration::from_secs(3600)));
    let before = company.counts().arrived(Endpoint::Cluster);
    let mut asking = start(profile.keyfob(&["permissions", "--again"]), "");
    wait_for("the question at the cluster", PATIENCE, || {
        company.counts().arrived(Endpoint::Cluster) > before
    });
    let answer = profile.get(crate::URI).ok();
    assert!(answer.took < std::time::Duration::from_secs(1), "{answer:?}");
    asking.kill();
    for fault in [Fault::Status(503), Fault::Html, Fault::Reset] {
        company.faults().clear_all();
        company.faults().set(Endpoint::Cluster, fault.clone());
        let known = entry(&profile, "token.aspect", &["--again"]);
        assert!(known["refusals"].to_string().contains("aw-remote-ext"), "{fault:?}: {known}");
        // What it said before is still what is known, and its age says so.
        assert_eq!(says(&known, "cluster", "aw-remote-ext"), "yes yes no", "{fault:?}: {known}");
        assert_eq!(says(&known, "cluster", "aw-remote-two"), "yes no no", "{fault:?}: {known}");
    }
}

#[test]
fn sessions_and_roles_are_in_the_same_report() {
    let company = Company::start();
    let role = &company.addresses().roles[0];
    let config = [
        MEMORY,
        &company.sso("okta", "*.cache.acme.dev"),
        &company.aws("dev", "okta", role),
        &with_api(&company),
    ];
    let profile = Profile::new(&config.concat());
    company.sign_in(&profile, "okta");
    profile.credential_process("dev").ok();
    let fact = |entry: &Value, name: &str| -> Value {
        let mut facts = entry["facts"].as_array().into_iter().flatten();
        facts.find(|fact| fact["name"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {entry}"))
    };
    let session = entry(&profile, "sso.okta", &[]);
    for name in ["scopes", "groups"] {
        let fact = fact(&session, name);
        assert_eq!(fact["by"], "identity-provider", "{session}");
        assert!(fact["values"].as_array().is_some_and(|values| !values.is_empty()), "{session}");
    }
    let aws = entry(&profile, "aws.dev", &[]);
    assert!(fact(&aws, "account")["values"].to_string().contains("123456789012"), "{aws}");
    assert!(fact(&aws, "role")["values"].to_string().contains("OktaRole"), "{aws}");
    let page = profile.run(&["permissions"], "").ok().stdout;
    for shown in ["sso.okta", "the identity provider", "aws.dev", "OktaRole"] {
        assert!(page.contains(shown), "no {shown}:\n{page}");
    }
    // One by its name, and none of an entry that is not there.
    let one = profile.run(&["permissions", "dev", "--json"], "").ok().json();
    assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
    profile.run(&["permissions", "nobody"], "").exits(1);
}
