//! What entries may do, by the word of clusters, token services, the identity provider and AWS.

#[path = "permissions/asked.rs"]
mod asked;
#[path = "permissions/tls.rs"]
mod tls;

use std::collections::BTreeMap;

use keyfob_ipc::reply::{EntryPermissions, Reply, Right, Rights, Teller, ToldFact, ToldRights};
use keyfob_ipc::{Code, ControlAsk, Refusal};
use keyfob_sandbox::portal::Issue;
use keyfob_sandbox::{CapabilitiesOptions, Permissions};

use crate::company::{Company, MINUTE, YEAR};

/// A token for both clusters, whose service can be asked too.
pub const CONFIG: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev", "127.0.0.1"]
header = "X-Aspect"
prefix = "aw_"
service = "keyfob"
api = "TOKENS"
clusters = { aw-remote-ext = "FRONT", aw-remote-two = "SECOND" }
"#;

/// The same, but nobody except its cluster says anything about it.
pub const BY_HAND: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev", "127.0.0.1"]
header = "X-Aspect"
prefix = "aw_"
clusters = { aw-remote-ext = "FRONT" }
"#;

const FIRST: &str = "aw-remote-ext";
const OTHER: &str = "aw-remote-two";

const YES: Right = Right::Yes;
const NO: Right = Right::No;
const UNKNOWN: Right = Right::Unknown;

const WRITE: Permissions = Permissions { read: true, write: true, execute: false };

pub const fn rights(read: Right, write: Right, execute: Right) -> Rights {
    Rights { read, write, execute }
}

/// A company whose portal gave out one token, which is held.
pub async fn with(config: &str, capabilities: CapabilitiesOptions, permissions: Permissions) -> Company {
    let (company, token) = with_token(config, capabilities, permissions.everywhere()).await;
    company.add_token("aspect", &token).await.unwrap();
    company
}

pub async fn with_token(
    config: &str,
    capabilities: CapabilitiesOptions,
    permissions: BTreeMap<String, Permissions>,
) -> (Company, String) {
    let company = Company::with(config, |options| options.cluster.capabilities = capabilities).await;
    let ends = Some(company.world_now() + YEAR);
    let issue = Issue { owner: "ada".to_owned(), admin: false, permissions, ends };
    let token = company.sandbox.portal().issue(issue);
    (company, token)
}

pub async fn ask(company: &Company, name: Option<&str>, again: bool) -> Vec<EntryPermissions> {
    let ask = ControlAsk::Permissions { name: name.map(str::to_owned), again };
    match company.control(ask).await.unwrap() {
        Reply::Permissions(entries) => entries,
        other => panic!("no permissions: {other:?}"),
    }
}

pub async fn of_token(company: &Company) -> EntryPermissions {
    ask(company, Some("aspect"), false).await.remove(0)
}

pub fn row<'a>(entry: &'a EntryPermissions, cluster: &str, by: Teller) -> &'a ToldRights {
    let mut rows = entry.clusters.iter().filter(|row| row.at.cluster == cluster && row.by == by);
    let row = rows.next().unwrap_or_else(|| panic!("{by:?} says nothing about {cluster}: {entry:?}"));
    assert_eq!(rows.next(), None);
    row
}

fn fact<'a>(entry: &'a EntryPermissions, name: &str) -> Option<&'a ToldFact> {
    let mut facts = entry.facts.iter().filter(|fact| fact.name == name);
    let fact = facts.next();
    assert_eq!(facts.next(), None);
    fact
}

fn says(row: &ToldRights, words: &str) -> bool {
    row.note.as_ref().is_some_and(|note| note.contains(words))
}

#[tokio::test]
async fn a_read_only_token_reads_by_the_word_of_the_cluster_and_of_the_service() {
    let company = with(CONFIG, CapabilitiesOptions::default(), Permissions::READ).await;
    let entry = of_token(&company).await;
    assert_eq!((entry.name.as_str(), entry.kind.as_str()), ("token.aspect", "token"));
    for cluster in [FIRST, OTHER] {
        for by in [Teller::Cluster, Teller::TokenService] {
            let row = row(&entry, cluster, by);
            assert_eq!(row.at.rights, rights(YES, NO, NO), "{row:?}");
            assert_eq!((row.when.as_deref(), row.note.as_deref()), (Some("2026-11-21T08:00:00Z"), None));
        }
    }
    assert_eq!(entry.clusters.len(), 4);
    assert_eq!(entry.refusals, []);

    let owner = fact(&entry, "owner").unwrap();
    assert_eq!((owner.values.as_slice(), owner.by), (["ada".to_owned()].as_slice(), Teller::TokenService));
    let ends = fact(&entry, "ends").unwrap();
    assert_eq!((ends.values[0].as_str(), ends.by), ("2027-11-21T08:00:00Z", Teller::TokenService));
    assert!(fact(&entry, "machine").is_none());
    assert_eq!(fact(&entry, "scopes"), None);
}

#[tokio::test]
async fn the_answer_of_a_cluster_is_what_the_token_may_do_there() {
    for (permissions, expected) in [
        (WRITE, rights(YES, YES, NO)),
        (Permissions::ALL, rights(YES, YES, YES)),
        (Permissions { execute: true, ..Permissions::READ }, rights(YES, NO, YES)),
        // A token that the cluster knows, and that may do nothing there.
        (Permissions::default(), rights(NO, NO, NO)),
    ] {
        let company = with(BY_HAND, CapabilitiesOptions::default(), permissions).await;
        let entry = of_token(&company).await;
        let row = row(&entry, FIRST, Teller::Cluster);
        assert_eq!((row.at.rights, row.note.as_deref()), (expected, None), "{permissions:?}");
        assert_eq!(entry.clusters.len(), 1);
        assert_eq!(entry.refusals, []);
        // Nobody but the configuration says when it ends.
        assert_eq!(fact(&entry, "ends").unwrap().by, Teller::Configuration);
        assert_eq!(fact(&entry, "owner"), None);
    }
}

#[tokio::test]
async fn each_cluster_speaks_for_itself() {
    let permissions = BTreeMap::from([(FIRST.to_owned(), WRITE), (OTHER.to_owned(), Permissions::READ)]);
    let (company, token) = with_token(CONFIG, CapabilitiesOptions::default(), permissions).await;
    company.add_token("aspect", &token).await.unwrap();
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    assert_eq!(row(&entry, OTHER, Teller::Cluster).at.rights, rights(YES, NO, NO));
    assert_eq!(row(&entry, FIRST, Teller::TokenService).at.rights, rights(YES, YES, NO));
    assert_eq!(row(&entry, OTHER, Teller::TokenService).at.rights, rights(YES, NO, NO));
}

#[tokio::test]
async fn execute_on_a_cluster_without_remote_execution_is_without_effect() {
    let idle = CapabilitiesOptions { execution: false, ..CapabilitiesOptions::default() };
    let company = with(CONFIG, idle.clone(), Permissions::ALL).await;
    let entry = of_token(&company).await;
    let of_cluster = row(&entry, FIRST, Teller::Cluster);
    assert_eq!(of_cluster.at.rights, rights(YES, YES, Right::WithoutEffect));
    assert!(says(of_cluster, "no remote execution"), "{of_cluster:?}");
    assert_eq!(row(&entry, FIRST, Teller::TokenService).at.rights, rights(YES, YES, YES));

    // A token that has not that right loses nothing.
    let company = with(CONFIG, idle, WRITE).await;
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
}

#[tokio::test]
async fn a_cluster_that_answers_everybody_alike_tells_nothing() {
    for (execution, execute) in [(true, UNKNOWN), (false, Right::WithoutEffect)] {
        let open = CapabilitiesOptions { anonymous_same: true, execution, ..CapabilitiesOptions::default() };
        let company = with(CONFIG, open, Permissions::ALL).await;
        let entry = of_token(&company).await;
        let of_cluster = row(&entry, FIRST, Teller::Cluster);
        assert_eq!(of_cluster.at.rights, rights(UNKNOWN, UNKNOWN, execute));
        assert!(says(of_cluster, "the same without a token"), "{of_cluster:?}");
        assert_eq!(of_cluster.when.as_deref(), Some("2026-11-21T08:00:00Z"));
        assert_eq!(row(&entry, FIRST, Teller::TokenService).at.rights, rights(YES, YES, YES));
    }
}

#[tokio::test]
async fn a_cluster_without_the_service_tells_nothing() {
    let none = CapabilitiesOptions { unimplemented: true, ..CapabilitiesOptions::default() };
    let company = with(BY_HAND, none, Permissions::ALL).await;
    let entry = of_token(&company).await;
    let of_cluster = row(&entry, FIRST, Teller::Cluster);
    assert_eq!(of_cluster.at.rights, Rights::default());
    assert!(says(of_cluster, "no capabilities service"), "{of_cluster:?}");
    assert_eq!(entry.refusals, []);
}

#[tokio::test]
async fn where_cluster_and_service_do_not_agree_both_are_shown() {
    // Every token gets the full answer there.
    let careless = CapabilitiesOptions { tells: false, ..CapabilitiesOptions::default() };
    let company = with(CONFIG, careless, Permissions::READ).await;
    let entry = of_token(&company).await;
    let (of_cluster, of_service) =
        (row(&entry, FIRST, Teller::Cluster), row(&entry, FIRST, Teller::TokenService));
    assert_eq!(of_cluster.at.rights, rights(YES, YES, YES));
    assert_eq!(of_service.at.rights, rights(YES, NO, NO));
    assert!(says(of_cluster, "the token service says otherwise about write and execute"), "{of_cluster:?}");
    assert!(says(of_service, "the cluster says otherwise about write and execute"), "{of_service:?}");
}

#[tokio::test]
async fn a_token_that_nobody_can_be_asked_about_shows_what_the_person_and_the_configuration_say() {
    let company = Company::with("[token.aspect]\nhosts = [\"aw-remote-ext.acme.dev\"]\n", |_| {}).await;
    let codes =
        |entry: &EntryPermissions| entry.refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>();
    let entry = of_token(&company).await;
    assert_eq!((codes(&entry), entry.facts, entry.clusters), (vec![Code::TokenNeeded], vec![], vec![]));

    company.add_token("aspect", "a-token").await.unwrap();
    let entry = of_token(&company).await;
    assert_eq!((codes(&entry), entry.clusters.as_slice()), (vec![], [].as_slice()));
    let [ends] = entry.facts.as_slice() else { panic!("{:?}", entry.facts) };
    assert_eq!((ends.name.as_str(), ends.by), ("ends", Teller::Configuration));
    assert_eq!(ends.values, ["2027-11-21T08:00:00Z"]);

    let (name, ends) = ("aspect".to_owned(), "2026-12-24".to_owned());
    company.control(ControlAsk::TokenEnds { name, ends }).await.unwrap();
    let entry = of_token(&company).await;
    let ends = fact(&entry, "ends").unwrap();
    assert_eq!(ends.by, Teller::Person);
    assert!(ends.values[0].starts_with("2026-12-24T"), "{ends:?}");
}

#[tokio::test]
async fn a_session_shows_what_was_granted_and_its_groups() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let entry = ask(&company, Some("okta"), false).await.remove(0);
    let shown = |entry: &EntryPermissions, name: &str| {
        let fact = fact(entry, name).unwrap();
        assert_eq!(fact.by, Teller::IdentityProvider);
        (fact.values.clone(), fact.when.clone().unwrap())
    };
    let then = "2026-11-21T08:00:00Z".to_owned();
    assert_eq!(shown(&entry, "owner"), (vec!["ada@example.com".to_owned()], then.clone()));
    let scopes = ["openid", "profile", "email", "offline_access"].map(str::to_owned).to_vec();
    assert_eq!(shown(&entry, "scopes"), (scopes, then.clone()));
    let groups = ["Everyone", "engineering"].map(str::to_owned).to_vec();
    assert_eq!(shown(&entry, "groups"), (groups.clone(), then.clone()));

    // The hours in between bring the same, and are not worth a write.
    let stores = company.vault.stores();
    company.pass(58 * MINUTE);
    company.bearer().await.unwrap();
    company.agent.flights.quiet().await;
    assert_eq!((company.counts().refreshes(), company.vault.stores()), (1, stores + 1));
    // A day later it is said to be of that day.
    company.pass(24 * 60 * MINUTE);
    company.bearer().await.unwrap();
    let entry = ask(&company, Some("okta"), false).await.remove(0);
    assert_eq!(shown(&entry, "groups"), (groups, "2026-11-22T08:58:00Z".to_owned()));
}

#[tokio::test]
async fn a_role_shows_its_account_and_who_aws_says_it_is() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let entry = ask(&company, Some("dev"), false).await.remove(0);
    let role = fact(&entry, "role").unwrap();
    assert_eq!(role.values, ["arn:aws:iam::123456789012:role/OktaRole"]);
    assert_eq!((role.by, &role.when), (Teller::Configuration, &None));
    assert_eq!(fact(&entry, "account").unwrap().values, ["123456789012"]);
    assert_eq!(fact(&entry, "owner").unwrap().by, Teller::IdentityProvider);
    // Nobody has had its keys yet, and a report is no reason to buy some.
    assert_eq!(fact(&entry, "assumed"), None);
    assert_eq!(company.sts_calls(), 0);

    company.keys("dev").await.unwrap();
    let entry = ask(&company, Some("dev"), false).await.remove(0);
    let assumed = fact(&entry, "assumed").unwrap();
    assert_eq!(assumed.values, ["arn:aws:sts::123456789012:assumed-role/OktaRole/ada@example.com"]);
    assert_eq!((assumed.by, assumed.when.as_deref()), (Teller::Aws, Some("2026-11-21T08:00:00Z")));
    assert_eq!(entry.refusals, []);
}

#[tokio::test]
async fn what_stands_in_the_way_of_one_entry_does_not_hide_the_others() {
    let company = Company::with(&format!("{}{CONFIG}", session()), |_| {}).await;
    let token = company.sandbox.portal().issue_token("ada", WRITE, company.world_now() + YEAR);
    company.add_token("aspect", &token).await.unwrap();
    let entries = ask(&company, None, false).await;
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["sso.okta", "token.aspect", "aws.dev"]);
    let codes = |refusals: &[Refusal]| refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>();
    assert_eq!(codes(&entries[0].refusals), [Code::SignInNeeded]);
    assert_eq!(entries[0].facts, []);
    assert_eq!(row(&entries[1], FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    assert_eq!(entries[1].refusals, []);
    // A role is no better off than its session, and what the configuration says is said.
    assert_eq!(codes(&entries[2].refusals), [Code::SignInNeeded]);
    assert!(fact(&entries[2], "role").is_some());
}

fn session() -> &'static str {
    r#"
[sso.okta]
issuer = "ISSUER"
client_id = "keyfob-demo"

[aws.dev]
sso = "okta"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"
"#
}
