//! Values in the keychain: given, merged, forgotten, and never lost or shown.

use keyfob_agent::config::{Ask, Limits, load};
use keyfob_agent::keychain::KeychainError;
use keyfob_ipc::reply::{EntryState, Reply};
use keyfob_ipc::{Code, ControlAsk, Refusal, ToolAsk};
use serde_json::json;

use super::{KEPT, done, filled, get, get_with, set, setting, with_kept};
use crate::company::{CONFIG, Company, eventually, with_paths};
use crate::programs::{Programs, allow, policy};

fn removing(key: Option<&str>) -> ControlAsk {
    ControlAsk::SecretRemove { name: "build".to_owned(), key: key.map(str::to_owned) }
}

async fn stored(company: &Company) -> String {
    let item = company.vault.item("secret.build").await.unwrap();
    item["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn values_are_kept_and_given_by_the_names_of_the_configuration() {
    let company = with_kept().await;
    let refusal = get(&company, "build").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert_eq!(refusal.say, "no value is held for `secret.build`");
    assert_eq!(refusal.hint, "keyfob secret set build");
    assert_eq!(company.report("secret.build").await.state, EntryState::SignedOut);

    let say = set(&company, &[("SECRET_KEY1", "one")]).await.unwrap();
    assert_eq!(say, "`secret.build` keeps `SECRET_KEY1`; it still has no `SECRET_KEY2`");
    let refusal = get(&company, "build").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert_eq!(refusal.say, "`secret.build` has no value yet for `SECRET_KEY2`");
    assert_eq!(refusal.hint, "keyfob secret set build SECRET_KEY2");
    let report = company.report("secret.build").await;
    assert_eq!((report.state, report.refusal), (EntryState::SignedOut, Some(refusal.clone())));
    let why = company.why("secret.build").await.unwrap();
    assert_eq!(why.refusal, Some(refusal));

    let say = set(&company, &[("SECRET_KEY2", "two")]).await.unwrap();
    assert_eq!(say, "`secret.build` keeps `SECRET_KEY2`");
    for name in ["build", "secret.build"] {
        assert_eq!(get(&company, name).await.unwrap(), "SECRET_KEY1=one SECRET_KEY2=two");
    }
    let report = company.report("secret.build").await;
    assert_eq!((report.state, report.until, report.plan), (EntryState::Live, None, vec![]));
    assert_eq!(report.facts["keys"], "SECRET_KEY1, SECRET_KEY2");
    assert!(company.why("secret.build").await.unwrap().refusal.is_none());
    assert_eq!(stored(&company).await, r#"{"SECRET_KEY1":"one","SECRET_KEY2":"two"}"#);
    // `exec` asks for whatever it is that a program needs.
    let ask = ToolAsk::Exec { name: "build".to_owned() };
    let Reply::Secret(found) = company.agent.tool(ask).await.unwrap() else { panic!("no values") };
    assert_eq!((found.entry.as_str(), found.values.len()), ("secret.build", 2));
    // A role is nothing to it: Metaflow names its usual one to every backend.
    let role = "arn:aws:iam::123456789012:role/any";
    assert_eq!(get_with(&company, "build", Some(role)).await.unwrap().values.len(), 2);
}

#[tokio::test]
async fn a_value_that_cannot_be_kept_is_refused_by_its_name_alone() {
    let company = filled().await;
    let long = "marked".repeat(3000);
    for (pairs, say, hint) in [
        (vec![], "no value was given", "keyfob secret set build"),
        (
            vec![("SECRET_KEY1", "")],
            "no value was given for `SECRET_KEY1`",
            "keyfob secret set build SECRET_KEY1",
        ),
        (
            vec![("SECRET_KEY1", "mark\0ed")],
            "the value of `SECRET_KEY1` has a zero byte, which no variable can have",
            "keyfob secret set build SECRET_KEY1",
        ),
        (
            vec![("SECRET_KEY1", long.as_str())],
            "the value of `SECRET_KEY1` is too long; one has at most 16 KiB",
            "keep a file of that size elsewhere",
        ),
        (
            vec![("SECRET_KEY3", "marked")],
            "`secret.build` has no value `SECRET_KEY3`; did you mean `SECRET_KEY1`?",
            "add the name to `keys` under [secret.build], or run: keyfob secret set build",
        ),
        (
            vec![("SECRET_KEY1", "marked"), ("other\u{1b}", "marked")],
            "`secret.build` has no value `other\\u{1b}`; it has `SECRET_KEY1` and `SECRET_KEY2`",
            "add the name to `keys` under [secret.build], or run: keyfob secret set build",
        ),
    ] {
        let refusal = set(&company, &pairs).await.unwrap_err();
        assert_eq!(refusal, Refusal::new(Code::BadRequest, say).hint(hint));
    }
    let refusal = done(&company, setting("bild", &[("A", "marked")], false)).await.unwrap_err();
    assert!(refusal.code == Code::UnknownEntry && refusal.say.contains("`build`"), "{refusal}");
    let refusal = done(&company, setting("aspect", &[("A", "marked")], false)).await.unwrap_err();
    assert_eq!(refusal.code, Code::UnknownEntry, "{refusal}");
    assert_eq!(stored(&company).await, r#"{"SECRET_KEY1":"one","SECRET_KEY2":"two"}"#, "all or nothing");
}

#[tokio::test]
async fn all_values_together_fit_one_answer() {
    let names: Vec<String> = (0..5).map(|number| format!("K{number}")).collect();
    let config = format!("{CONFIG}\n[secret.build]\nkeys = {names:?}\n");
    let company = Company::with(&config, |_| {}).await;
    let long = "x".repeat(16 * 1024);
    for name in &names[..3] {
        set(&company, &[(name.as_str(), long.as_str())]).await.unwrap();
    }
    let refusal = set(&company, &[("K3", &long)]).await.unwrap_err();
    assert_eq!(
        refusal.say,
        "the values of `secret.build` are too long together; all of them have at most 63 KiB"
    );
    set(&company, &[("K3", &long[..13 * 1024]), ("K4", "x")]).await.unwrap();
    let ask = super::wanted("build", None);
    let answer = company.agent.tool(ask).await.unwrap();
    let size = serde_json::to_string(&answer).unwrap().len();
    assert!(size < keyfob_ipc::limits::TOOL_FRAME, "{size}");
}

#[tokio::test]
async fn a_set_replaces_all_only_where_that_is_said() {
    let company = filled().await;
    done(&company, setting("build", &[("SECRET_KEY2", "new")], false)).await.unwrap();
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY1=one SECRET_KEY2=new");
    let say = done(&company, setting("build", &[("SECRET_KEY2", "newer")], true)).await.unwrap();
    assert_eq!(say, "`secret.build` keeps `SECRET_KEY2`; it still has no `SECRET_KEY1`");
    assert_eq!(stored(&company).await, r#"{"SECRET_KEY2":"newer"}"#);
}

#[tokio::test]
async fn of_two_who_give_values_at_once_none_loses_the_others() {
    let names: Vec<String> = (0..20).map(|number| format!("K{number}")).collect();
    let config = format!("{CONFIG}\n[secret.build]\nkeys = {names:?}\n");
    let company = Company::with(&config, |_| {}).await;
    let tasks: Vec<_> = names
        .iter()
        .map(|name| {
            let agent = company.agent.clone();
            let ask = setting("build", &[(name.as_str(), name.as_str())], false);
            tokio::spawn(async move { agent.control(ask).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(get_with(&company, "build", None).await.unwrap().values.len(), 20);
    // The same where the first write is still on its way, and whoever sent it has gone.
    let before = company.vault.stores();
    company.vault.hold_stores();
    let agent = company.agent.clone();
    let first = tokio::spawn(async move { agent.control(setting("build", &[("K1", "first")], false)).await });
    eventually("the first one is written", async || company.vault.stores() > before).await;
    first.abort();
    let agent = company.agent.clone();
    let second =
        tokio::spawn(async move { agent.control(setting("build", &[("K2", "second")], false)).await });
    tokio::task::yield_now().await;
    company.vault.release_stores();
    second.await.unwrap().unwrap();
    let found = get_with(&company, "build", None).await.unwrap().values;
    assert_eq!((found["K1"].expose().as_str(), found["K2"].expose().as_str()), ("first", "second"));
}

#[tokio::test]
async fn a_keychain_that_takes_nothing_leaves_everything_as_it_was() {
    let company = filled().await;
    company.vault.refuse_stores(Some(KeychainError::Locked));
    let refusal = set(&company, &[("SECRET_KEY1", "marked")]).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainLocked);
    company.vault.refuse_stores(None);
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY1=one SECRET_KEY2=two");

    // What cannot be read is not taken for nothing.
    let mut company = company;
    company.restart();
    company.vault.set(Some(KeychainError::Locked));
    let refusal = set(&company, &[("SECRET_KEY1", "new")]).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeychainLocked);
    assert_eq!(get(&company, "build").await.unwrap_err().code, Code::KeychainLocked);
    company.vault.set(None);
    set(&company, &[("SECRET_KEY1", "new")]).await.unwrap();
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY1=new SECRET_KEY2=two");
}

#[tokio::test]
async fn a_damaged_item_is_replaced_only_by_who_says_so() {
    let mut company = filled().await;
    let mut item = company.vault.item("secret.build").await.unwrap();
    item["value"] = json!("marked");
    company.vault.put_item("secret.build", &item).await;
    company.restart();
    for refusal in [
        get(&company, "build").await.unwrap_err(),
        set(&company, &[("SECRET_KEY1", "new")]).await.unwrap_err(),
        company.report("secret.build").await.refusal.unwrap(),
    ] {
        assert_eq!(
            (refusal.code, refusal.hint.as_str()),
            (Code::KeychainFailed, "keyfob secret set build --replace")
        );
        assert!(!refusal.say.contains("marked"), "{refusal}");
    }
    // Where not even that much can be read, nothing is written over it.
    company.vault.put_item("secret.build", &json!("marked")).await;
    company.restart();
    for ask in [setting("build", &[("SECRET_KEY1", "new")], false), removing(Some("SECRET_KEY1"))] {
        let refusal = done(&company, ask).await.unwrap_err();
        assert_eq!(refusal.hint, "keyfob secret set build --replace", "{refusal}");
    }
    assert_eq!(company.vault.item("secret.build").await.unwrap(), json!("marked"));
    let both = [("SECRET_KEY1", "1"), ("SECRET_KEY2", "2")];
    done(&company, setting("build", &both, true)).await.unwrap();
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY1=1 SECRET_KEY2=2");
}

#[tokio::test]
async fn values_are_forgotten_one_by_one_or_all() {
    let company = filled().await;
    let refusal = done(&company, removing(Some("SECRET_KEY3"))).await.unwrap_err();
    assert_eq!(refusal.say, "`secret.build` keeps no value `SECRET_KEY3`; did you mean `SECRET_KEY1`?");
    assert_eq!(
        done(&company, removing(Some("SECRET_KEY1"))).await.unwrap(),
        "`secret.build` keeps no `SECRET_KEY1` any more"
    );
    assert_eq!(stored(&company).await, r#"{"SECRET_KEY2":"two"}"#);
    assert_eq!(get(&company, "build").await.unwrap_err().hint, "keyfob secret set build SECRET_KEY1");
    assert_eq!(done(&company, removing(None)).await.unwrap(), "`secret.build` keeps no value any more");
    assert!(company.vault.item("secret.build").await.is_none());
    assert_eq!(done(&company, removing(None)).await.unwrap(), "`secret.build` kept no value");
    let refusal = done(&company, removing(Some("SECRET_KEY1"))).await.unwrap_err();
    assert_eq!(refusal.say, "`secret.build` keeps no value `SECRET_KEY1`; it keeps nothing");
}

#[tokio::test]
async fn a_name_that_is_taken_out_of_the_configuration_gives_nothing_and_can_come_back() {
    let company = filled().await;
    company.configure(&format!("{CONFIG}\n[secret.build]\nkeys = [\"SECRET_KEY2\"]\n"));
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY2=two");
    set(&company, &[("SECRET_KEY2", "new")]).await.unwrap();
    company.configure(&format!("{CONFIG}{KEPT}"));
    assert_eq!(get(&company, "build").await.unwrap(), "SECRET_KEY1=one SECRET_KEY2=new");
    company.configure(&format!("{CONFIG}\n[secret.build]\nkeys = [\"SECRET_KEY2\"]\n"));
    done(&company, removing(Some("SECRET_KEY1"))).await.unwrap();
    assert_eq!(stored(&company).await, r#"{"SECRET_KEY2":"new"}"#);
}

#[tokio::test]
async fn the_policy_of_a_secret_and_the_lock_hold() {
    let programs = Programs::new();
    let guard = policy("secret.build", &allow(&programs.path("python")));
    let company = Company::with(&format!("{CONFIG}{KEPT}{guard}"), |_| {}).await;
    done(&company, setting("build", &[("SECRET_KEY1", "one"), ("SECRET_KEY2", "two")], false)).await.unwrap();
    let ask = async |program: &str| {
        let ask = super::wanted("build", None);
        company.agent.tool_of(ask, &programs.asker(program)).await
    };
    assert_eq!(ask("evil").await.unwrap_err().code, Code::NotAllowed);
    // The control.
    ask("python").await.unwrap();

    company.control(ControlAsk::Lock).await.unwrap();
    assert_eq!(ask("python").await.unwrap_err().code, Code::Locked);
    assert_eq!(set(&company, &[("SECRET_KEY1", "marked")]).await.unwrap_err().code, Code::Locked);
    assert_eq!(done(&company, removing(None)).await.unwrap_err().code, Code::Locked);
}

#[tokio::test]
async fn no_value_is_shown_anywhere() {
    let company = with_kept().await;
    let marked = [("SECRET_KEY1", "marked-one"), ("SECRET_KEY2", "marked-two")];
    let ask = setting("build", &marked, false);
    let mut seen = format!("{ask:?}");
    seen += &format!("{:?}", company.control(ask).await);
    seen += &format!("{:?}", company.agent.tool(super::wanted("build", None)).await);
    seen += &format!("{:?}", company.report("secret.build").await);
    seen += &format!("{:?}", company.control(ControlAsk::Status).await);
    seen += &format!("{:?}", company.control(ControlAsk::Permissions { name: None, again: false }).await);
    seen += &format!("{:?}", company.agent.holdings().get(&company.entry("secret.build").name).await);
    seen += &format!("{:?}", company.entry("secret.build"));
    assert!(seen.contains("SECRET_KEY1") && !seen.contains("marked"), "{seen}");
}

#[tokio::test]
async fn exec_means_the_platform_where_its_role_has_the_same_name() {
    let platform = "\n[outerbounds.prod]\ndomain = \"foo.obp.outerbounds.com\"\n";
    let role = "\n[aws.prod]\nouterbounds = \"prod\"\n";
    let found = |config: &str| {
        let config = load(&with_paths(config), Limits { plain_loopback: true }).unwrap();
        config.find("prod", Ask::Exec).map(|entry| entry.name.to_string()).map_err(|refusal| refusal.code)
    };
    let both = format!("{platform}{role}");
    assert_eq!(found(&both).unwrap(), "outerbounds.prod");
    let config = load(&both, Limits { plain_loopback: true }).unwrap();
    assert_eq!(config.find("prod", Ask::AwsCredentials).unwrap().name.to_string(), "aws.prod");
    // Anything else of that name is another one.
    let secret = "\n[secret.prod]\nkeys = [\"A\"]\n";
    assert_eq!(found(&format!("{both}{secret}")).unwrap_err(), Code::AmbiguousEntry);
    let other = "\n[aws.prod]\ncommand = [\"/usr/bin/vault\"]\n";
    assert_eq!(found(&format!("{platform}{other}")).unwrap_err(), Code::AmbiguousEntry);
    assert_eq!(
        found(role.replace("outerbounds = \"prod\"", "command = [\"/usr/bin/vault\"]").as_str()).unwrap(),
        "aws.prod"
    );
}
