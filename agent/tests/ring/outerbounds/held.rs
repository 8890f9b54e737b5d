//! A key that a person has pasted.

use std::time::Duration;

use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, ControlAsk, Secret, ToolAsk};
use keyfob_sandbox::outerbounds::{DOMAIN, Outerbounds};
use keyfob_sandbox::{Endpoint, Fault};
use serde_json::{Value, json};

use super::{CONFIG, company, header, metaflow, with_key};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE, eventually};

fn calls(company: &Company) -> u64 {
    [
        Endpoint::OuterboundsConfig,
        Endpoint::OuterboundsAws,
        Endpoint::OuterboundsK8s,
        Endpoint::OuterboundsPrincipal,
    ]
    .into_iter()
    .map(|endpoint| company.counts().arrived(endpoint))
    .sum()
}

#[tokio::test]
async fn a_pasted_string_is_proven_kept_and_served() {
    let (company, key) = with_key().await;
    let report = company.report("outerbounds.prod").await;
    assert_eq!((report.state, report.owner.as_deref()), (EntryState::Live, Some("ada@acme.test")));
    assert_eq!(report.until, None, "nobody has told");
    assert_eq!(header(&company).await.unwrap(), key);
    let (answer, config) = metaflow(&company).await.unwrap();
    assert_eq!(config["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    assert_eq!(config["OBP_AUTH_SERVER"], json!(format!("auth.{DOMAIN}")));
    assert_eq!(answer.perimeter, "default");
    let url = format!("https://api.{DOMAIN}/v1/perimeters/default/metaflowconfigs/default");
    assert_eq!(answer.url.as_deref(), Some(url.as_str()));
    let item = company.vault.item("outerbounds.prod").await.unwrap();
    let value: Value = serde_json::from_str(item["value"].as_str().unwrap()).unwrap();
    assert_eq!(value["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    assert!(value.get("METAFLOW_UI_URL").is_none(), "what the service says is not kept");
}

#[tokio::test]
async fn a_program_that_is_run_gets_the_configuration_too() {
    let (company, key) = with_key().await;
    let answer = company.agent.tool(ToolAsk::Exec { name: "outerbounds.prod".to_owned() }).await.unwrap();
    let keyfob_ipc::reply::Reply::Metaflow(answer) = answer else { panic!("{answer:?}") };
    assert!(answer.config.expose().contains(&key));
    assert!(!format!("{answer:?}").contains(&key));
}

#[tokio::test]
async fn a_string_of_another_domain_is_refused_and_nothing_is_sent() {
    let company = company().await;
    let key = company.sandbox.outerbounds().issue_key("ada");
    let other = company.sandbox.outerbounds().magic_string_at(&key, "https://api.bar.obp.acme.test");
    let refusal = company.add_token("prod", &other).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(
        refusal.say.contains("bar.obp.acme.test") && !format!("{refusal:?}").contains(&key),
        "{refusal:?}"
    );
    assert_eq!(calls(&company), 0);
    assert!(company.vault.item("outerbounds.prod").await.is_none());
}

#[tokio::test]
async fn strings_that_are_none_are_refused_and_not_repeated() {
    let company = company().await;
    for text in ["obk_marked", "foo:obk_marked", "{\"METAFLOW_SERVICE_AUTH_KEY\":\"marked\"}", ""] {
        let refusal = company.add_token("prod", text).await.unwrap_err();
        assert_eq!(refusal.code, Code::TokenInvalid, "{text}");
        assert!(!format!("{refusal:?}").contains("marked"), "{refusal:?}");
    }
    assert_eq!(calls(&company), 0);
}

#[tokio::test]
async fn a_key_that_the_service_does_not_take_is_not_kept_and_one_it_cannot_judge_is() {
    let company = company().await;
    let outerbounds = company.sandbox.outerbounds();
    let string = outerbounds.magic_string("obk_unknown");
    assert_eq!(company.add_token("prod", &string).await.unwrap_err().code, Code::TokenInvalid);
    assert!(company.vault.item("outerbounds.prod").await.is_none());
    for fault in [Fault::Status(503), Fault::Html, Fault::Reset, Fault::Endless] {
        company.faults().set(Endpoint::OuterboundsConfig, fault.clone());
        let report = company
            .control(ControlAsk::TokenAdd {
                name: "prod".to_owned(),
                value: Secret::from(string.as_str()),
                ends: None,
            })
            .await;
        let Ok(keyfob_ipc::reply::Reply::Token(report)) = report else { panic!("{fault:?}: {report:?}") };
        assert!(report.notes.iter().any(|note| note.say.contains("not taken this key yet")), "{fault:?}");
        company.faults().clear_all();
    }
    assert_eq!(header(&company).await.unwrap(), "obk_unknown");
}

#[tokio::test]
async fn a_key_that_is_taken_back_later_is_asked_for_again() {
    let (company, key) = with_key().await;
    metaflow(&company).await.unwrap();
    company.keys_patiently("aws.prod").await.unwrap();
    company.sandbox.outerbounds().revoke(&key);
    company.pass(6 * MINUTE);
    let refusal = metaflow(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert!(refusal.hint.contains("keyfob token add prod"), "{refusal:?}");
    assert!(!format!("{refusal:?}").contains(&key));
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::SignedOut);
    company.pass(HOUR);
    let refusal = company.keys_patiently("aws.prod").await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert!(refusal.say.contains("obtained with `outerbounds.prod`"), "{refusal:?}");
    let new = company.sandbox.outerbounds().issue_key("ada@acme.test");
    company.add_token("prod", &company.sandbox.outerbounds().magic_string(&new)).await.unwrap();
    assert_eq!(metaflow(&company).await.unwrap().1["METAFLOW_SERVICE_AUTH_KEY"], json!(new));
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::Live);
    company.keys_patiently("aws.prod").await.unwrap();
}

#[tokio::test]
async fn a_configuration_outlives_a_service_that_is_out_of_reach_for_half_a_day() {
    let (company, key) = with_key().await;
    metaflow(&company).await.unwrap();
    for fault in [Fault::Status(500), Fault::Html] {
        company.faults().set(Endpoint::OuterboundsConfig, fault);
        company.pass(HOUR);
        let (_, config) = metaflow(&company).await.unwrap();
        assert_eq!(config["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    }
    assert_eq!(company.report("outerbounds.prod").await.state, EntryState::Live, "nobody was signed out");
    company.pass(12 * HOUR);
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::Offline);
    company.faults().clear_all();
    company.pass(A_MOMENT);
    metaflow(&company).await.unwrap();
}

#[tokio::test]
async fn many_callers_make_one_call() {
    let (company, _) = with_key().await;
    let before = company.counts().arrived(Endpoint::OuterboundsConfig);
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let agent = company.agent.clone();
            tokio::spawn(
                async move { agent.tool(ToolAsk::Metaflow { name: "prod".to_owned() }).await.map(drop) },
            )
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(company.counts().arrived(Endpoint::OuterboundsConfig) - before, 1);
    company.pass(6 * MINUTE);
    metaflow(&company).await.unwrap();
    assert_eq!(
        company.counts().arrived(Endpoint::OuterboundsConfig) - before,
        2,
        "and once more when it is old"
    );
}

#[tokio::test]
async fn a_whole_configuration_without_an_address_serves_as_it_is() {
    let company = company().await;
    let outerbounds = company.sandbox.outerbounds();
    let key = outerbounds.issue_key("ada");
    let whole = outerbounds.whole_config(&key);
    company.add_token("prod", &Outerbounds::string_of(&whole)).await.unwrap();
    let (answer, config) = metaflow(&company).await.unwrap();
    assert_eq!((config, answer.url), (whole, None));
    assert_eq!(company.counts().arrived(Endpoint::OuterboundsConfig), 0);
    assert_eq!(company.counts().arrived(Endpoint::OuterboundsK8s), 1, "tried as its client tries it");
    company.keys_patiently("aws.prod").await.unwrap();
}

/// Members with which the extension of Metaflow is told what to run, and as whom.
const OURS: [(&str, &str); 3] = [
    ("METAFLOW_KEYFOB_PROGRAM", "/tmp/evil"),
    ("METAFLOW_KEYFOB_AWS", "aws.prod"),
    ("METAFLOW_KEYFOB_SERVICE", "token.other"),
];

#[tokio::test]
async fn no_configuration_chooses_a_program_or_an_entry() {
    let (company, _) = with_key().await;
    let outerbounds = company.sandbox.outerbounds();
    for (name, value) in OURS {
        outerbounds.set_config(name, &json!(value));
    }
    outerbounds.set_config("METAFLOW_OTHER", &json!("kept"));
    let answered = async || {
        let (_, config) = metaflow(&company).await.unwrap();
        assert_eq!(config["METAFLOW_OTHER"], json!("kept"), "the control");
        OURS.map(|(name, _)| config.get(name).cloned())
    };
    assert_eq!(answered().await, [None, None, None], "fetched");
    let key = outerbounds.issue_key("ada");
    let whole = outerbounds.whole_config(&key);
    assert_eq!(whole["METAFLOW_KEYFOB_PROGRAM"], json!("/tmp/evil"), "the control");
    company.add_token("prod", &Outerbounds::string_of(&whole)).await.unwrap();
    assert_eq!(answered().await, [None, None, None], "pasted whole");
    let item = company.vault.item("outerbounds.prod").await.unwrap();
    assert!(!item.to_string().contains("evil"), "nor is it kept");
}

#[tokio::test]
async fn a_string_whose_remote_tasks_would_send_the_key_elsewhere_is_refused() {
    let company = company().await;
    let outerbounds = company.sandbox.outerbounds();
    let mut whole = outerbounds.whole_config(&outerbounds.issue_key("ada"));
    whole["METAFLOW_SERVICE_INTERNAL_URL"] = json!("https://evil.test/");
    let refusal = company.add_token("prod", &Outerbounds::string_of(&whole)).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(refusal.say.contains("evil.test"), "{refusal:?}");
    assert_eq!(calls(&company), 0);
    whole["METAFLOW_SERVICE_INTERNAL_URL"] = json!(format!("https://metadata.{DOMAIN}/"));
    company.add_token("prod", &Outerbounds::string_of(&whole)).await.unwrap();
}

#[tokio::test]
async fn a_second_string_says_nothing_of_clusters() {
    let (company, _) = with_key().await;
    let string = company.sandbox.outerbounds().magic_string(&company.sandbox.outerbounds().issue_key("ada"));
    let ask = ControlAsk::TokenAdd { name: "prod".to_owned(), value: Secret::new(string), ends: None };
    let keyfob_ipc::reply::Reply::Token(added) = company.control(ask).await.unwrap() else {
        panic!("no report")
    };
    for notes in [added.notes, company.report("outerbounds.prod").await.notes] {
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[tokio::test]
async fn an_edit_while_it_is_fetched_does_not_get_the_configuration_before_it() {
    let (company, _) = with_key().await;
    metaflow(&company).await.unwrap();
    company.pass(6 * MINUTE);
    company.faults().set_times(Endpoint::OuterboundsConfig, Fault::Slow(Duration::from_millis(500)), 1);
    let before = company.counts().arrived(Endpoint::OuterboundsConfig);
    let agent = company.agent.clone();
    let asking = tokio::spawn(async move { agent.tool(ToolAsk::Metaflow { name: "prod".to_owned() }).await });
    eventually("it is fetched", async || company.counts().arrived(Endpoint::OuterboundsConfig) > before)
        .await;
    company.configure(&CONFIG.replace("foo.obp.acme.test\"", "foo.obp.acme.test\"\nperimeter = \"other\""));
    let refusal = asking.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::Pending, "{refusal:?}");
}

#[tokio::test]
async fn a_configuration_that_no_frame_holds_is_refused() {
    let (company, _) = with_key().await;
    company.sandbox.outerbounds().set_config("PADDING", &json!("\"".repeat(30 * 1024)));
    let refusal = metaflow(&company).await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderUntrusted, "{refusal:?}");
    company.sandbox.outerbounds().set_config("PADDING", &json!("x".repeat(30 * 1024)));
    company.pass(A_MOMENT);
    metaflow(&company).await.unwrap();
}

#[tokio::test]
async fn an_edit_that_points_the_key_elsewhere_waits_for_a_word() {
    let (company, key) = with_key().await;
    let calls_before = calls(&company);
    company.configure(&CONFIG.replace("foo.obp", "bar.obp"));
    for refusal in
        [metaflow(&company).await.unwrap_err(), company.keys_patiently("aws.prod").await.unwrap_err()]
    {
        assert_eq!(refusal.code, Code::DestinationChanged, "{refusal:?}");
    }
    company
        .configure(&CONFIG.replace("endpoint_url = \"STS\"", "endpoint_url = \"https://sts.evil.example/\""));
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::DestinationChanged);
    assert_eq!(calls(&company), calls_before, "nothing was sent");
    company.configure(&CONFIG.replace("foo.obp.acme.test\"", "foo.obp.acme.test\"\nperimeter = \"other\""));
    assert_eq!(header(&company).await.unwrap(), key, "a perimeter is no place");
}

#[tokio::test]
async fn a_removed_key_is_gone_with_all_that_it_bought() {
    let (company, _) = with_key().await;
    metaflow(&company).await.unwrap();
    company.keys_patiently("aws.prod").await.unwrap();
    company.remove_token("prod").await.unwrap();
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::TokenNeeded);
    assert_eq!(header(&company).await.unwrap_err().code, Code::TokenNeeded);
    assert_eq!(company.keys_patiently("aws.prod").await.unwrap_err().code, Code::TokenNeeded);
}

#[tokio::test]
async fn a_locked_agent_gives_no_configuration_and_a_policy_counts() {
    let (company, _) = with_key().await;
    company.configure(&format!(
        "{CONFIG}\n[policy.\"outerbounds.prod\"]\nallow = [\"/usr/bin/nobody-has-this\"]\n"
    ));
    for refusal in [
        metaflow(&company).await.unwrap_err(),
        header(&company).await.unwrap_err(),
        company.keys("aws.prod").await.unwrap_err(),
    ] {
        assert!(matches!(refusal.code, Code::NotAllowed | Code::Busy), "{refusal:?}");
    }
    company.configure(CONFIG);
    metaflow(&company).await.unwrap();
    company.control(ControlAsk::Lock).await.unwrap();
    assert_eq!(metaflow(&company).await.unwrap_err().code, Code::Locked);
}

#[tokio::test]
async fn a_string_of_another_perimeter_says_so() {
    let company = company().await;
    company.configure(&CONFIG.replace("foo.obp.acme.test\"", "foo.obp.acme.test\"\nperimeter = \"other\""));
    company.sandbox.outerbounds().add_perimeter("other");
    let key = company.sandbox.outerbounds().issue_key("ada");
    let string = company.sandbox.outerbounds().magic_string(&key);
    let refusal = company.add_token("prod", &string).await.unwrap_err();
    assert!(refusal.say.contains("perimeter `other`"), "{refusal:?}");
    let key = company.sandbox.outerbounds().issue_key_in("other", "ada");
    company.add_token("prod", &company.sandbox.outerbounds().magic_string(&key)).await.unwrap();
    assert_eq!(metaflow(&company).await.unwrap().1["OBP_PERIMETER"], json!("other"));
}

#[tokio::test]
async fn why_doctor_and_permissions_know_the_entry() {
    let (company, key) = with_key().await;
    let why = company.why("https://metadata.foo.obp.acme.test/x").await.unwrap();
    assert!(why.refusal.is_none(), "{why:?}");
    let checks = company.agent.doctor().await;
    let check = checks.iter().find(|check| check.name == "outerbounds.prod").unwrap();
    assert!(check.say.contains("a service key is held as ada@acme.test"), "{check:?}");
    let permissions = company.agent.known_permissions(&company.entry("outerbounds.prod")).await;
    let names: Vec<&str> = permissions.facts.iter().map(|fact| fact.name.as_str()).collect();
    assert_eq!(names, ["owner", "domain", "perimeter"]);
    let all = format!("{why:?}{checks:?}{permissions:?}{:?}", company.report("outerbounds.prod").await);
    assert!(!all.contains(&key));
    let rotate =
        company.control(ControlAsk::TokenRotate { name: "prod".to_owned(), value: None, ends: None }).await;
    assert!(rotate.unwrap_err().hint.contains("keyfob token add prod"));
}
