//! Tokens: the value goes to the agent, and nowhere else.

use keyfob_gui::controller::Input;
use keyfob_gui::page::{PageAsk, PageReply, TokenOutcome};
use keyfob_gui::view::tray::MenuAct;
use keyfob_ipc::reply::{EntryState, Right, TokenReport};
use keyfob_ipc::{Code, Refusal, Reply, Secret};
use serde_json::json;

use crate::fake_agent::Act;
use crate::said;
use crate::story::{Scene, Story, log};

fn report(write: Right) -> Reply {
    Reply::Token(Box::new(TokenReport {
        say: "`token.aspect` is kept".to_owned(),
        owner: Some("ada@example.com".to_owned()),
        until: Some("2027-11-21T08:00:00Z".to_owned()),
        until_by: None,
        lost: vec!["write at aw-remote-ext".to_owned()],
        gained: Vec::new(),
        notes: Vec::new(),
        permissions: Some(said::permissions(write)),
    }))
}

fn keep(value: &str, replaces: bool) -> PageAsk {
    let ends = Some("2027-11-21".to_owned());
    PageAsk::KeepToken { entry: "token.aspect".to_owned(), value: Secret::from(value), ends, replaces }
}

fn outcome(story: &Story, ask: PageAsk) -> TokenOutcome {
    match story.ask(ask).unwrap() {
        PageReply::Token(outcome) => *outcome,
        other => panic!("no token: {other:?}"),
    }
}

#[test]
fn a_token_is_added_and_its_value_is_seen_nowhere() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("token-add", |_| vec![Act::Say(report(Right::Yes))]);
    let story = Story::with_window(&scene);
    let value = "aw_5e7c0d31added";
    let outcome = outcome(&story, keep(&format!(" {value}\r\n"), false));
    assert_eq!(outcome.say, "`token.aspect` is kept");
    assert!(outcome.before.is_none() && outcome.after.is_some());
    let asked = agent.await_asked("token-add", 1);
    assert_eq!(asked.body, json!({"name": "token.aspect", "value": value, "ends": "2027-11-21"}));
    assert!(agent.asked("permissions").is_empty(), "there was none before");
    // The control: the value did come through here.
    assert!(format!("{asked:?}").contains(value));
    assert!(!format!("{:?}", story.shell.seen()).contains(value));
    assert!(!format!("{outcome:?}").contains(value) && !log().contains(value));
}

#[test]
fn a_token_that_is_replaced_is_compared_with_the_one_before_it() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("permissions", |_| vec![Act::Say(Reply::Permissions(vec![said::permissions(Right::Yes)]))]);
    agent.on("token-rotate", |_| vec![Act::Say(report(Right::No))]);
    let story = Story::with_window(&scene);
    let pasted = outcome(&story, keep("aw_2b9f44rotated", true));
    assert_eq!(pasted.before.as_ref().unwrap().clusters[0].write, "yes");
    assert_eq!(pasted.after.as_ref().unwrap().clusters[0].write, "no");
    assert_eq!(pasted.lost, ["write at aw-remote-ext"]);
    let served = outcome(&story, PageAsk::RotateToken { entry: "token.aspect".to_owned() });
    assert_eq!(served.before, pasted.before);
    let rotated = agent.asked("token-rotate");
    assert_eq!(rotated[0].body["value"], "aw_2b9f44rotated");
    assert_eq!(rotated[1].body, json!({"name": "token.aspect"}), "its service makes the value");
    let order: Vec<String> = agent.names().into_iter().filter(|name| name.contains("o")).collect();
    assert_eq!(&order[..2], ["permissions", "token-rotate"], "{order:?}");
    assert!(!log().contains("aw_2b9f44rotated"));
}

#[test]
fn a_token_whose_permissions_nobody_knows_is_replaced_all_the_same() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("token-rotate", |_| vec![Act::Say(report(Right::No))]);
    let story = Story::with_window(&scene);
    assert!(outcome(&story, keep("aw_77", true)).before.is_none());
}

#[test]
fn a_refused_value_is_not_repeated() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("token-add", |_| {
        let refusal = Refusal::new(Code::TokenInvalid, "this is no token of `token.aspect`");
        vec![Act::Say(Reply::Refused(refusal))]
    });
    let story = Story::with_window(&scene);
    let trouble = story.ask(keep("aw_91refused77", false)).unwrap_err();
    assert_eq!(trouble.code, "token_invalid");
    assert!(!log().contains("aw_91refused77"));
}

#[test]
fn the_page_of_a_token_is_where_the_agent_says() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let portal = || PageAsk::OpenPortal { entry: "token.aspect".to_owned() };
    story.done(portal());
    assert_eq!(story.shell.seen().addresses, ["https://workflows.acme.dev/token"]);
    agent.set_status(|status| {
        status.entries[1].facts.insert("portal".to_owned(), "file:///etc/passwd".to_owned());
        status.entries[1].state = EntryState::Ending;
    });
    agent.tell(&said::changed());
    story.await_page("the change", |page| {
        page.rows.iter().any(|row| row.state == keyfob_gui::page::RowState::Ending)
    });
    let trouble = story.ask(portal()).unwrap_err();
    assert_eq!((&*trouble.code, trouble.hint.contains("token.aspect")), ("bad_request", true));
    let elsewhere = PageAsk::OpenPortal { entry: "sso.okta".to_owned() };
    assert_eq!(story.ask(elsewhere).unwrap_err().code, "bad_request");
    assert_eq!(story.shell.seen().addresses.len(), 1);
}

#[test]
fn where_nothing_reminds_the_person_is_told_what_to_do_about_it() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.set_status(|status| status.entries.truncate(1));
    let story = Story::with_window(&scene);
    let trouble = story.ask(PageAsk::PauseReminders { days: 7 }).unwrap_err();
    assert_eq!((&*trouble.code, trouble.hint.is_empty()), ("bad_request", false));
}

#[test]
fn reminders_are_paused_for_every_token_that_ends() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("token-snooze", "no reminders");
    agent.set_status(|status| {
        let mut other = status.entries[1].clone();
        other.name = "token.page".to_owned();
        status.entries.push(other);
        status.entries.push(said::entry("token.endless", EntryState::Live));
    });
    let story = Story::with_window(&scene);
    assert_eq!(
        story.done(PageAsk::PauseReminders { days: 7 }),
        "no reminders about your 2 tokens for 7 days"
    );
    let asked = agent.asked("token-snooze");
    let bodies: Vec<_> = asked.into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [json!({"name": "token.aspect", "days": 7}), json!({"name": "token.page", "days": 7})]
    );
    story.send(Input::Menu(MenuAct::PauseReminders(0)));
    assert_eq!(agent.await_asked("token-snooze", 4).body, json!({"name": "token.page", "days": 0}));
}

#[test]
fn what_takes_one_ask_is_one_ask() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let token = || "token.aspect".to_owned();
    let asks = [
        (
            PageAsk::RemoveToken { entry: token(), keep_at_service: true },
            "token-remove",
            json!({"name": token(), "keep_at_service": true}),
        ),
        (
            PageAsk::SayEnd { entry: token(), ends: "2027-03-01".to_owned() },
            "token-ends",
            json!({"name": token(), "ends": "2027-03-01"}),
        ),
        (PageAsk::Snooze { entry: token(), days: 3 }, "token-snooze", json!({"name": token(), "days": 3})),
        (PageAsk::SignOut { entry: "sso.okta".to_owned() }, "logout", json!({"name": "sso.okta"})),
        (PageAsk::Revoke { id: "1c57".to_owned() }, "revoke", json!({"which": "1c57"})),
    ];
    for (ask, name, body) in asks {
        agent.on_done(name, "done");
        assert_eq!(story.done(ask), "done", "{name}");
        assert_eq!(agent.await_asked(name, 1).body, body);
    }
}
