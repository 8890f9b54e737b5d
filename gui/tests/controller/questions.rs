//! Questions are answered in the window, over the connection that each was sent on.

use keyfob_gui::controller::Input;
use keyfob_gui::page::{Approval, PageAsk, View};
use keyfob_ipc::reply::Event;
use serde_json::json;

use crate::said;
use crate::story::{Scene, Story, is_running};

fn answer(id: &str, approval: Approval) -> PageAsk {
    PageAsk::Answer { id: id.to_owned(), approval }
}

#[test]
fn a_question_is_told_shown_and_answered_where_it_came_from() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("answer", "`terraform` may use `aws.dev` once");
    let story = Story::begin(&scene);
    let window = agent.await_window();
    agent.tell(&Event::Question(said::question("81d2")));
    let shown = story.shell.await_seen("word of it", |seen| seen.notifications.first().cloned());
    story.send(Input::NotificationOpened(shown.number));
    assert_eq!(story.open_window().view, View::Overview);
    let page = story.await_page("the question", |page| !page.questions.is_empty());
    let said = story.done(answer(&page.questions[0].id, Approval::Today));
    assert_eq!(said, "`terraform` may use `aws.dev` once");
    let asked = agent.await_asked("answer", 1);
    assert_eq!(asked.connection, window);
    assert_eq!(asked.body, json!({"id": "81d2", "approval": {"for": {"seconds": 28_800}}}));
    agent.tell(&Event::QuestionClosed { id: "81d2".to_owned() });
    story.await_page("no question", |page| page.questions.is_empty());
    story
        .shell
        .await_seen("its notification withdrawn", |seen| (seen.withdrawn == [shown.number]).then_some(()));
}

#[test]
fn whoever_has_the_window_before_them_needs_no_notification() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    story.look_at_window();
    agent.tell(&Event::Question(said::question("q1")));
    story.await_page("the first", |page| page.questions.len() == 1);
    assert!(story.shell.seen().notifications.is_empty());
    story.send(Input::WindowFocused(false));
    story.settle();
    agent.tell(&Event::Question(said::question("q2")));
    story.await_page("the second", |page| page.questions.len() == 2);
    assert_eq!(story.shell.seen().notifications.len(), 1);
    // One that is asked again is not told again.
    agent.tell(&Event::Question(keyfob_ipc::reply::Question { count: 5, ..said::question("q2") }));
    story.await_page("how often", |page| page.questions.iter().any(|question| question.count == 5));
    assert_eq!(story.shell.seen().notifications.len(), 1);
}

#[test]
fn a_window_that_never_came_to_the_front_is_not_looked_at() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    agent.tell(&Event::Question(said::question("q1")));
    story.shell.await_seen("word of it", |seen| seen.notifications.first().map(drop));
}

#[test]
fn the_id_of_another_connection_is_not_even_sent() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("answer", "answered");
    let story = Story::with_window(&scene);
    agent.tell(&Event::Question(said::question("of the first")));
    story.await_page("the question", |page| !page.questions.is_empty());
    agent.close_connections();
    agent.await_asked("watch", 2);
    story.await_page("the agent without it", |page| is_running(page) && page.questions.is_empty());
    for id in ["of the first", "made up", ""] {
        let trouble = story.ask(answer(id, Approval::Once)).unwrap_err();
        assert_eq!(trouble.code, "bad_request", "{id}");
    }
    // The control: what this connection was sent is answered.
    agent.tell(&Event::Question(said::question("of the second")));
    story.await_page("another question", |page| !page.questions.is_empty());
    story.done(answer("of the second", Approval::Never));
    let ids: Vec<_> = agent.asked("answer").into_iter().map(|asked| asked.body["id"].clone()).collect();
    assert_eq!(ids, ["of the second"]);
}

#[test]
fn what_the_policy_does_not_offer_is_not_sent() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("answer", "answered");
    let story = Story::with_window(&scene);
    agent.tell(&Event::Question(said::question("q1")));
    story.await_page("the question", |page| !page.questions.is_empty());
    let trouble = story.ask(answer("q1", Approval::Always)).unwrap_err();
    assert_eq!(trouble.code, "bad_request");
    assert!(!trouble.hint.is_empty());
    assert!(agent.asked("answer").is_empty());
    story.done(answer("q1", Approval::Once));
}

#[test]
fn questions_of_an_agent_that_has_gone_are_withdrawn() {
    let scene = Scene::new();
    let mut agent = scene.agent();
    let story = Story::begin(&scene);
    agent.await_window();
    agent.tell(&Event::Question(said::question("q1")));
    let shown = story.shell.await_seen("word of it", |seen| seen.notifications.first().cloned());
    agent.stop();
    story
        .shell
        .await_seen("its notification withdrawn", |seen| (seen.withdrawn == [shown.number]).then_some(()));
}
