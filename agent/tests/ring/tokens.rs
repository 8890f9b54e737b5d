//! What a person does with a personal access token whose service can be asked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{
    ClusterRights, EntryState, Issued, IssuedToken, Reply, Right, Rights, Teller, TokenReport,
};
use keyfob_ipc::{AdminAct, Code, ControlAsk, Refusal, Secret};
use keyfob_sandbox::portal::Issue;
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};

use crate::company::{CLUSTER, Company, HOUR, YEAR};

const CONFIG: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"
service = "keyfob"
api = "TOKENS"

[token.bot]
hosts = ["bot.acme.dev"]
prefix = "aw_"
service = "keyfob"
api = "TOKENS"
"#;

/// A page and nothing else.
const BY_HAND: &str = r#"
[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"
portal = "https://workflows.acme.dev/token"
"#;

async fn company() -> Company {
    Company::with(CONFIG, |_| {}).await
}

fn issue(company: &Company, owner: &str, permissions: Permissions, days: i64) -> String {
    company.sandbox.portal().issue_token(owner, permissions, in_days(company, days))
}

fn in_days(company: &Company, days: i64) -> Timestamp {
    company.world_now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

async fn add(company: &Company, name: &str, value: &str) -> Result<TokenReport, Refusal> {
    token(company, ControlAsk::TokenAdd { name: name.to_owned(), value: Secret::from(value), ends: None })
        .await
}

async fn rotate(company: &Company, value: Option<&str>) -> Result<TokenReport, Refusal> {
    let value = value.map(Secret::from);
    token(company, ControlAsk::TokenRotate { name: "aspect".to_owned(), value, ends: None }).await
}

async fn token(company: &Company, ask: ControlAsk) -> Result<TokenReport, Refusal> {
    match company.control(ask).await? {
        Reply::Token(report) => Ok(*report),
        other => panic!("no report: {other:?}"),
    }
}

async fn served(company: &Company) -> String {
    company.get(CLUSTER).await.unwrap().headers["X-Aspect"][0].expose().clone()
}

async fn administrate(company: &Company, act: AdminAct) -> Result<Reply, Refusal> {
    company.control(ControlAsk::Admin { name: Some("aspect".to_owned()), act }).await
}

async fn list(company: &Company, owner: Option<&str>) -> Result<Vec<IssuedToken>, Refusal> {
    match administrate(company, AdminAct::List { owner: owner.map(str::to_owned) }).await? {
        Reply::Tokens(tokens) => Ok(tokens),
        other => panic!("no list: {other:?}"),
    }
}

async fn issued(company: &Company, act: AdminAct) -> Issued {
    match administrate(company, act).await.unwrap() {
        Reply::Issued(issued) => *issued,
        other => panic!("nothing issued: {other:?}"),
    }
}

fn administrator(company: &Company) -> String {
    company.sandbox.portal().issue(Issue {
        owner: "ada@acme.dev".to_owned(),
        admin: true,
        permissions: Permissions::ALL.everywhere(),
        ends: Some(in_days(company, 100)),
    })
}

fn rights(cluster: &str, read: Right, write: Right, execute: Right) -> ClusterRights {
    ClusterRights { cluster: cluster.to_owned(), rights: Rights { read, write, execute } }
}

#[tokio::test]
async fn the_service_says_whose_a_token_is_and_until_when() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    let report = add(&company, "aspect", &value).await.unwrap();
    assert_eq!(report.owner.as_deref(), Some("ada@acme.dev"));
    assert_eq!(report.until.as_deref(), Some("2027-02-19T08:00:00Z"));
    assert_eq!(report.until_by, Some(Teller::TokenService));
    let entry = company.report("aspect").await;
    assert_eq!((entry.until_assumed, entry.until_by), (false, Some(Teller::TokenService)));
    assert_eq!(entry.owner.as_deref(), Some("ada@acme.dev"));
    assert_eq!(served(&company).await, value);
    // Value and facts are one item.
    let item = company.vault.item("token.aspect").await.unwrap();
    assert_eq!(item["value"], value.as_str());
    assert_eq!(item["facts"]["owner"], "ada@acme.dev");
}

#[tokio::test]
async fn a_token_that_is_known_to_be_wrong_is_refused_with_the_reason() {
    let company = company().await;
    let good = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &good).await.unwrap();

    let others = issue(&company, "eve@acme.dev", Permissions::ALL, 90);
    let refusal = add(&company, "aspect", &others).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.say.contains("eve@acme.dev, not to ada@acme.dev"), "{refusal:?}");
    assert!(refusal.hint.contains("[token.aspect]"), "{refusal:?}");

    let ended = issue(&company, "ada@acme.dev", Permissions::READ, 0);
    let refusal = add(&company, "aspect", &ended).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.say.contains("ended"), "{refusal:?}");

    let refusal = add(&company, "aspect", "aw_never_made").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.hint.contains("keyfob token add aspect"), "{refusal:?}");

    assert_eq!(served(&company).await, good);
}

#[tokio::test]
async fn a_token_of_another_than_who_is_signed_in_is_refused_and_a_machines_is_not() {
    let session = "[sso.okta]\nissuer = \"ISSUER\"\nclient_id = \"keyfob-demo\"\n";
    let company = Company::with(&format!("{session}{CONFIG}"), |_| {}).await;
    company.sign_in().await.unwrap();
    let person = company.report("okta").await.owner.unwrap();
    assert!(person.contains('@'), "{person}");

    let others = issue(&company, "eve@acme.dev", Permissions::ALL, 90);
    let refusal = add(&company, "aspect", &others).await.unwrap_err();
    assert!(refusal.say.contains("eve@acme.dev"), "{refusal:?}");
    // A name of another system says nothing about a mail address.
    for owner in [person.as_str(), "bot-ci", "octocat"] {
        let value = issue(&company, owner, Permissions::READ, 90);
        add(&company, "aspect", &value).await.unwrap();
        company.remove_token("aspect").await.unwrap();
    }

    company.configure(&format!(
        "{session}{}",
        CONFIG.replacen("prefix = \"aw_\"", "prefix = \"aw_\"\nowner = \"eve@acme.dev\"", 1)
    ));
    let value = issue(&company, "eve@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &value).await.unwrap();
    let mine = issue(&company, &person, Permissions::READ, 90);
    assert_eq!(add(&company, "aspect", &mine).await.unwrap_err().code, Code::TokenInvalid);
}

#[tokio::test]
async fn a_service_that_cannot_be_asked_is_no_reason_to_lose_a_token() {
    for fault in [Fault::Status(503), Fault::Html, Fault::Reset] {
        let company = company().await;
        let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
        company.faults().set(Endpoint::TokenSelf, fault.clone());
        let report = add(&company, "aspect", &value).await.unwrap();
        assert_eq!(
            (report.owner.as_deref(), report.until_by),
            (None, Some(Teller::Configuration)),
            "{fault:?}"
        );
        let note = &report.notes[0];
        assert!(note.say.contains("has not told yet"), "{note:?}");
        assert_eq!(note.hint, "keyfob permissions aspect");
        assert_eq!(served(&company).await, value);
    }
}

#[tokio::test]
async fn an_end_that_the_service_does_not_tell_is_assumed_and_can_be_said() {
    let company = company().await;
    let value = company.sandbox.portal().issue(Issue {
        owner: "ada@acme.dev".to_owned(),
        admin: false,
        permissions: Permissions::READ.everywhere(),
        ends: None,
    });
    let report = add(&company, "aspect", &value).await.unwrap();
    assert_eq!(report.until_by, Some(Teller::Configuration));

    let end = |ends: &str| ControlAsk::TokenEnds { name: "aspect".to_owned(), ends: ends.to_owned() };
    let report = token(&company, end("2027-03-01")).await.unwrap();
    assert_eq!(report.until.as_deref(), Some("2027-03-01T00:00:00Z"));
    assert_eq!(report.until_by, Some(Teller::Person));
    for wrong in ["soon", "2020-01-01", "2199-01-01", "2027-02-30", ""] {
        let refusal = token(&company, end(wrong)).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest, "{wrong}");
    }
    assert!(!company.report("aspect").await.until_assumed);

    // A service that knows is not contradicted.
    let told = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &told).await.unwrap();
    assert_eq!(token(&company, end("2027-03-01")).await.unwrap_err().code, Code::BadRequest);
}

#[tokio::test]
async fn an_edit_of_the_lifetime_counts_for_the_token_that_is_held() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    assert_eq!(company.report("aspect").await.until.as_deref(), Some("2027-11-21T08:00:00Z"));
    company.configure(&BY_HAND.replace("prefix", "lifetime = \"90d\"\nprefix"));
    assert_eq!(company.report("aspect").await.until.as_deref(), Some("2027-02-19T08:00:00Z"));
}

#[tokio::test]
async fn a_rotation_through_the_service_gives_the_new_value_at_the_next_question() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    assert_eq!(served(&company).await, old);
    let report = rotate(&company, None).await.unwrap();
    assert_eq!((report.lost.len(), report.gained.len()), (0, 0), "{report:?}");
    assert_eq!(report.until.as_deref(), Some("2027-11-21T08:00:00Z"));
    let new = served(&company).await;
    assert_ne!(new, old);
    assert!(company.sandbox.portal().is_live(&new) && !company.sandbox.portal().is_live(&old));
    // A running Bazel asks again within ten minutes.
    let headers = company.get(CLUSTER).await.unwrap();
    assert_eq!(headers.expires.as_deref(), Some("2026-11-21T08:10:00Z"));

    let said = |report: &keyfob_ipc::reply::EntryReport| {
        report.notes.iter().find(|note| note.say.contains("may accept")).map(|note| note.say.clone())
    };
    let entry = company.report("aspect").await;
    assert_eq!(said(&entry).unwrap(), "clusters may accept the token before this one until 09:00 UTC");
    company.pass(HOUR);
    assert_eq!(said(&company.report("aspect").await), None);
}

#[tokio::test]
async fn a_loss_of_permissions_is_reported_and_stays_in_sight() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::ALL, 20);
    add(&company, "aspect", &old).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
    let report = rotate(&company, None).await.unwrap();
    let lost = [
        "execute at aw-remote-ext",
        "execute at aw-remote-two",
        "write at aw-remote-ext",
        "write at aw-remote-two",
    ];
    let mut seen = report.lost.clone();
    seen.sort();
    assert_eq!(seen, lost);
    let notes = company.report("aspect").await.notes;
    assert!(notes.iter().any(|note| note.say.contains("write at aw-remote-ext")), "{notes:?}");
    // The next one that is complete ends it.
    let whole = issue(&company, "ada@acme.dev", Permissions::ALL, 20);
    let report = rotate(&company, Some(&whole)).await.unwrap();
    assert_eq!(report.gained.len(), 4, "{report:?}");
    let notes = company.report("aspect").await.notes;
    assert!(!notes.iter().any(|note| note.say.contains("could do more")), "{notes:?}");
}

#[tokio::test]
async fn a_rotation_by_hand_takes_a_new_value_and_no_other() {
    let company = Company::with(BY_HAND, |_| {}).await;
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::TokenNeeded);
    add(&company, "aspect", "aw_1").await.unwrap();
    let refusal = rotate(&company, None).await.unwrap_err();
    assert!(refusal.say.contains("https://workflows.acme.dev/token"), "{refusal:?}");
    for wrong in ["aw_1", "gh_2", ""] {
        assert_eq!(rotate(&company, Some(wrong)).await.unwrap_err().code, Code::TokenInvalid, "{wrong}");
        assert_eq!(served(&company).await, "aw_1");
    }
    company.pass(HOUR);
    let report = rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(report.until.as_deref(), Some("2027-11-21T09:00:00Z"));
    assert_eq!(served(&company).await, "aw_2");
    assert!(report.notes.iter().any(|note| note.say.contains("until 10:00 UTC")), "{:?}", report.notes);
}

#[tokio::test]
async fn the_old_value_serves_until_the_new_one_is_stored() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    company.vault.set(Some(KeychainError::Locked));
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::KeychainLocked);
    assert_eq!(served(&company).await, "aw_1");
    company.vault.set(None);
    rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(served(&company).await, "aw_2");
}

#[tokio::test]
async fn a_removal_reaches_the_service_where_it_can() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("removed here and at its service"), "{said}");
    assert!(!company.sandbox.portal().is_live(&value));
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::TokenNeeded);

    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRemove { name: "aspect".to_owned(), keep_at_service: true };
    company.control(ask).await.unwrap();
    assert!(company.sandbox.portal().is_live(&value));

    add(&company, "aspect", &value).await.unwrap();
    company.faults().set(Endpoint::TokenDelete, Fault::Status(500));
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("but not at its service"), "{said}");
    assert_eq!(company.report("aspect").await.state, EntryState::SignedOut);
}

#[tokio::test]
async fn what_cannot_be_forgotten_here_is_not_deleted_there() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.vault.refuse_stores(Some(KeychainError::Failed("read-only".to_owned())));
    company.remove_token("aspect").await.unwrap_err();
    assert!(company.sandbox.portal().is_live(&value));
    assert_eq!(served(&company).await, value);
}

#[tokio::test]
async fn a_token_whose_successor_nobody_has_is_not_said_to_be_gone() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Reset, 1);
    rotate(&company, None).await.unwrap_err();
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("it lives on under a value that nobody has"), "{said}");
}

#[tokio::test]
async fn a_token_that_is_replaced_by_hand_may_still_be_good_at_its_service() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    let report = rotate(&company, Some(&new)).await.unwrap();
    assert!(
        report.notes.iter().any(|note| note.say.contains("still good at its service")),
        "{:?}",
        report.notes
    );
    assert!(!report.notes.iter().any(|note| note.say.contains("may accept")), "{:?}", report.notes);
    // One that the page has ended is remembered by clusters alone.
    company.sandbox.portal().revoke(&new);
    let newer = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    let report = rotate(&company, Some(&newer)).await.unwrap();
    assert!(report.notes.iter().any(|note| note.say.contains("may accept")), "{:?}", report.notes);
}

#[tokio::test]
async fn a_token_that_its_service_does_not_accept_any_more_is_shown_so() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &value).await.unwrap();
    company.sandbox.portal().revoke(&value);
    let ask = ControlAsk::Permissions { name: Some("aspect".to_owned()), again: true };
    company.control(ask).await.unwrap();
    let report = company.report("aspect").await;
    assert_eq!(report.state, EntryState::SignedOut);
    let refusal = report.refusal.unwrap();
    assert!(refusal.say.contains("does not accept"), "{refusal:?}");
    assert_eq!(refusal.hint, "keyfob token add aspect");
    // Clusters may still take it, so tools still get it.
    assert_eq!(served(&company).await, value);
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 90);
    add(&company, "aspect", &new).await.unwrap();
    assert_eq!(company.report("aspect").await.state, EntryState::Live);
}

#[tokio::test]
async fn a_service_that_an_edit_has_named_gets_no_token_until_that_is_confirmed() {
    let company = Company::with(BY_HAND, |_| {}).await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.configure(CONFIG);
    let calls = || company.counts().arrived(Endpoint::TokenSelf);
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    for ask in [
        ControlAsk::TokenAdd { name: "aspect".to_owned(), value: Secret::from(new.as_str()), ends: None },
        ControlAsk::TokenRotate { name: "aspect".to_owned(), value: None, ends: None },
        ControlAsk::TokenRemove { name: "aspect".to_owned(), keep_at_service: false },
    ] {
        // Done or refused: nobody was asked.
        let _ = company.control(ask).await;
        assert_eq!(calls(), 0);
    }
    assert!(company.sandbox.portal().is_live(&new));
}

#[tokio::test]
async fn a_token_that_its_service_gets_goes_through_no_proxy_that_nobody_confirmed() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let calls = company.counts().arrived(Endpoint::TokenSelf);
    for (network, place) in [
        ("proxy = \"http://proxy.evil.example:3128\"", "proxy http://proxy.evil.example:3128/"),
        ("ca_file = \"/nowhere/evil.pem\"", "certificates of /nowhere/evil.pem"),
    ] {
        company.configure(&format!("{CONFIG}\n[network]\n{network}\n"));
        let refusal = company.get(CLUSTER).await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
        assert!(refusal.say.contains(place), "{refusal}");
        rotate(&company, None).await.unwrap_err();
        // One that only tools bring anywhere has no business with the network of the agent.
        company.configure(&format!("{BY_HAND}\n[network]\n{network}\n"));
        assert_eq!(company.report("aspect").await.state, EntryState::Ending);
    }
    assert_eq!(company.counts().arrived(Endpoint::TokenSelf), calls);
}

#[tokio::test]
async fn nothing_is_shown_that_the_keychain_has() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRescue { name: "aspect".to_owned() };
    assert_eq!(company.control(ask).await.unwrap_err().code, Code::BadRequest);
}

#[tokio::test]
async fn an_administrator_lists_permits_rotates_and_deletes() {
    let company = company().await;
    add(&company, "aspect", &administrator(&company)).await.unwrap();
    let grace = issue(&company, "grace@acme.dev", Permissions::READ, 50);
    assert_eq!(list(&company, None).await.unwrap().len(), 2);
    let [token] = &list(&company, Some("grace@acme.dev")).await.unwrap()[..] else { panic!("not one") };
    assert_eq!(token.permissions[0].rights.write, Right::No);

    let id = token.id.clone();
    let permissions = vec![rights("aw-remote-ext", Right::Yes, Right::Yes, Right::No)];
    administrate(&company, AdminAct::SetPermissions { id: id.clone(), permissions }).await.unwrap();
    let allowed = company.sandbox.portal().permissions(&grace, "aw-remote-ext").unwrap();
    assert!(allowed.read && allowed.write && !allowed.execute);

    let rotated = issued(&company, AdminAct::Rotate { id: id.clone(), into: None }).await;
    let value = rotated.value.unwrap();
    assert!(company.sandbox.portal().is_live(value.expose()) && !company.sandbox.portal().is_live(&grace));

    administrate(&company, AdminAct::Delete { id: id.clone() }).await.unwrap();
    assert!(!company.sandbox.portal().is_live(value.expose()));
    let refusal = administrate(&company, AdminAct::Delete { id }).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.hint.as_str()),
        (Code::ServiceRefused, "keyfob admin tokens list --with aspect")
    );
}

#[tokio::test]
async fn a_machine_gets_a_token_that_an_entry_keeps() {
    let company = company().await;
    add(&company, "aspect", &administrator(&company)).await.unwrap();
    let create = |owner: &str, into: Option<&str>| AdminAct::CreateMachine {
        owner: owner.to_owned(),
        permissions: vec![rights("aw-remote-ext", Right::Yes, Right::No, Right::No)],
        ends: Some("2027-06-01".to_owned()),
        into: into.map(str::to_owned),
    };
    let made = issued(&company, create("bot-ci", Some("bot"))).await;
    assert_eq!((made.value, made.kept_by.as_deref()), (None, Some("token.bot")));
    let bot = company.report("bot").await;
    assert_eq!((bot.owner.as_deref(), bot.until.as_deref()), (Some("bot-ci"), Some("2027-06-01T00:00:00Z")));

    let refusal = administrate(&company, create("ci", None)).await.unwrap_err();
    assert!(refusal.say.contains("bot-"), "{refusal:?}");
    // A keychain that cannot keep it is found out before there is a value to lose.
    company.vault.set(Some(KeychainError::Locked));
    let machines = |tokens: Vec<IssuedToken>| tokens.into_iter().filter(|token| token.machine).count();
    assert_eq!(
        administrate(&company, create("bot-two", Some("bot"))).await.unwrap_err().code,
        Code::KeychainLocked
    );
    assert_eq!(machines(list(&company, None).await.unwrap()), 1);
}

#[tokio::test]
async fn an_entry_that_holds_another_token_keeps_it() {
    let company = company().await;
    let own = administrator(&company);
    add(&company, "aspect", &own).await.unwrap();
    let held = issue(&company, "bot-old", Permissions::READ, 50);
    add(&company, "bot", &held).await.unwrap();
    let create = |owner: &str, into: &str| AdminAct::CreateMachine {
        owner: owner.to_owned(),
        permissions: Vec::new(),
        ends: None,
        into: Some(into.to_owned()),
    };
    let rotate = |value: &str, into: &str| AdminAct::Rotate {
        id: company.sandbox.portal().id_of_token(value).unwrap(),
        into: Some(into.to_owned()),
    };
    let asked = || company.counts().arrived(Endpoint::TokenAdmin);
    for act in
        [create("bot-ci", "aspect"), create("bot-ci", "bot"), rotate(&own, "aspect"), rotate(&own, "bot")]
    {
        let refusal = administrate(&company, act).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest, "{refusal:?}");
        assert_eq!(asked(), 0);
    }
    assert_eq!(served(&company).await, own);
    // The very token of that entry is another matter.
    let issued = issued(&company, rotate(&held, "bot")).await;
    assert_eq!(issued.kept_by.as_deref(), Some("token.bot"));
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_waits_for_what_an_administrator_rotates() {
    let company = Company::in_real_time(|_| {}).await;
    company.configure(CONFIG);
    add(&company, "aspect", &administrator(&company)).await.unwrap();
    let grace = issue(&company, "grace@acme.dev", Permissions::READ, 50);
    let id = company.sandbox.portal().id_of_token(&grace).unwrap();
    company.faults().set(Endpoint::TokenAdmin, Fault::Slow(Duration::from_millis(500)));
    let rotating = issued(&company, AdminAct::Rotate { id, into: Some("bot".to_owned()) });
    let stopping = async {
        company.call_arrives(Endpoint::TokenAdmin).await;
        company.agent.wind_up().await;
        assert!(!company.sandbox.portal().is_live(&grace));
    };
    let (issued, ()) = tokio::join!(rotating, stopping);
    assert_eq!(issued.kept_by.as_deref(), Some("token.bot"));
}

#[tokio::test]
async fn a_store_that_fails_takes_no_token_away() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    company.vault.fail_store(1, KeychainError::Failed("no space".to_owned()));
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::KeychainFailed);
    assert_eq!(served(&company).await, "aw_1");
    rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(served(&company).await, "aw_2");
}

#[tokio::test]
async fn a_value_in_memory_alone_is_found_whatever_becomes_of_the_configuration() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(100)), 1);
    let refusing = async {
        company.call_arrives(Endpoint::TokenRotate).await;
        company.vault.refuse_stores(Some(KeychainError::Failed("no space".to_owned())));
    };
    let (rotated, ()) = tokio::join!(rotate(&company, None), refusing);
    rotated.unwrap_err();
    let rescue = || async {
        match company.control(ControlAsk::TokenRescue { name: "aspect".to_owned() }).await.unwrap() {
            Reply::Value { value } => value.expose().clone(),
            other => panic!("no value: {other:?}"),
        }
    };
    let new = rescue().await;
    assert!(company.sandbox.portal().is_live(&new));
    company.configure(&format!("[agent]\nkeychain = \"file\"\n{CONFIG}"));
    assert_eq!(rescue().await, new);
    let notes = company.report("aspect").await.notes;
    assert!(notes.iter().any(|note| note.hint == "keyfob token rescue aspect"), "{notes:?}");
    company.configure("[token.other]\nhosts = [\"other.acme.dev\"]\n");
    assert_eq!(rescue().await, new);
}

#[tokio::test]
async fn an_end_is_not_said_for_a_token_that_the_service_makes() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRotate {
        name: "aspect".to_owned(),
        value: None,
        ends: Some("2027-03-01".to_owned()),
    };
    assert_eq!(token(&company, ask).await.unwrap_err().code, Code::BadRequest);
    assert_eq!(served(&company).await, value);
}

#[tokio::test]
async fn who_is_no_administrator_is_told_so() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let refusal = list(&company, None).await.unwrap_err();
    assert_eq!(refusal.code, Code::ServiceRefused);
    assert!(refusal.say.contains("not an administrator"), "{refusal:?}");
    let unnamed = ControlAsk::Admin { name: None, act: AdminAct::List { owner: None } };
    assert_eq!(company.control(unnamed).await.unwrap_err().code, Code::AmbiguousEntry);
}

#[tokio::test]
async fn a_tool_is_answered_while_the_service_hangs() {
    let company = Company::in_real_time(|_| {}).await;
    company.configure(CONFIG);
    let value = company.sandbox.portal().issue_token("ada@acme.dev", Permissions::READ, Timestamp::MAX);
    add(&company, "aspect", &value).await.unwrap();
    company.faults().set(Endpoint::TokenSelf, Fault::Slow(YEAR));
    company.faults().set(Endpoint::TokenRotate, Fault::Slow(YEAR));
    let rotating = rotate(&company, None);
    let asking = async { tokio::time::timeout(Duration::from_secs(1), served(&company)).await.unwrap() };
    tokio::select! {
        // The service never answers, so this does not end first.
        outcome = rotating => panic!("{outcome:?}"),
        value_served = asking => assert_eq!(value_served, value),
    }
}
