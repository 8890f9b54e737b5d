//! The parts that other tests stand on, by themselves: what is assumed of them there is seen here.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use keyfob_e2e::real::http::{self, Answer};
use keyfob_e2e::real::{JupyterHub, Notification, NotificationServer, SessionBus, Urgency};
use keyfob_e2e::{PATIENCE, Stage, run, wait_for};

/// Enough for a token to see, replace and delete itself.
const OWN_TOKENS: &[&str] = &["tokens!user"];

fn get(hub: &JupyterHub, path: &str, value: &str) -> Answer {
    let header = format!("token {value}");
    http::get(&format!("{}{path}", hub.url()), Some(("authorization", &header)))
}

#[test]
fn a_token_of_jupyterhub_lives_until_it_is_deleted_or_expires() {
    let hub = JupyterHub::start();
    let (id, value) = hub.issue_token("ada", OWN_TOKENS, Some(3600), "keyfob");
    let (short, ends) = hub.issue_token("ada", OWN_TOKENS, Some(1), "short");
    let (_, endless) = hub.issue_token("grace", &[], None, "endless");

    let itself = get(&hub, "/user", &value).json();
    assert_eq!((&itself["name"], &itself["token_id"]), (&"ada".into(), &id.clone().into()));
    let facts = get(&hub, &format!("/users/ada/tokens/{id}"), &value).json();
    let moment = |name: &str| facts[name].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (Some(created), Some(expires)) = (moment("created"), moment("expires_at")) else {
        panic!("no moments: {facts}")
    };
    // The hub takes the time once for each of them.
    assert!((3599..=3600).contains(&(expires.as_second() - created.as_second())), "an hour: {facts}");
    assert_eq!(hub.tokens("grace")[0]["expires_at"], serde_json::Value::Null);

    wait_for("the end of a token", PATIENCE, || !hub.takes(&ends));
    assert!(!hub.token_exists("ada", &short) && hub.token_exists("ada", &id));
    hub.delete_token("ada", &id);
    assert_eq!(get(&hub, "/user", &value).status, 403);
    assert!(hub.tokens("ada").is_empty() && hub.takes(&endless));
}

#[test]
fn a_notification_is_shown_as_it_was_sent() {
    let bus = SessionBus::without_keychain();
    let server = NotificationServer::start(&bus);
    let last = Notification {
        app_name: "keyfob".to_owned(),
        summary: "`aspect` ends in 3 days".to_owned(),
        body: "it's <b>bold</b> &amp; calm\nkeyfob token rotate aspect".to_owned(),
        urgency: Urgency::Critical,
    };
    let first = Notification { urgency: Urgency::Normal, body: String::new(), ..last.clone() };
    assert_eq!(server.shown(), []);
    for sent in [&first, &last, &last] {
        server.notify(sent);
    }
    assert_eq!(server.wait_for("an urgent one", |shown| shown.urgency == Urgency::Critical), last);
    assert_eq!(server.shown(), [first, last.clone(), last]);
}

#[test]
fn schemathesis_is_there() {
    let mut command = Command::new(Stage::get().python("schemathesis"));
    command.env_clear().arg("--version").stdin(Stdio::null());
    assert!(run(command, "").ok().stdout.contains("4."));
}
