//! What an administrator does with the tokens of others.

use super::*;

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
