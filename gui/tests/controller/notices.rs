//! Notices are shown once, by whoever claims them.

use keyfob_gui::page::View;
use keyfob_ipc::reply::{Event, Notice};
use keyfob_ipc::{Code, Refusal, Reply};

use crate::fake_agent::Act;
use crate::said;
use crate::story::{Scene, Story};

#[test]
fn a_notice_is_claimed_and_then_shown() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::begin(&scene);
    let window = agent.await_window();
    agent.tell(&Event::Notice(said::notice(7)));
    let shown = story.shell.await_seen("the notice", |seen| seen.notifications.first().cloned());
    assert_eq!((&*shown.title, &*shown.body), ("A token ends", "aspect ends in 7 days"));
    assert_eq!(shown.opens, View::Overview);
    let claim = agent.await_asked("claim-notice", 1);
    assert_eq!(claim.body["id"], 7);
    assert_ne!(claim.connection, window, "that one is for events and answers");
    assert_eq!(agent.asked("claim-notice").len(), 1);
}

#[test]
fn what_somebody_else_shows_is_not_shown_twice() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("claim-notice", |ask| {
        let is_first = ask["id"] == 1;
        let refusal = Refusal::new(Code::BadRequest, "somebody else shows it already");
        let done = Reply::Done { say: "the notice is yours to show".to_owned() };
        vec![Act::Say(if is_first { Reply::Refused(refusal) } else { done })]
    });
    let story = Story::begin(&scene);
    agent.await_window();
    agent.tell(&Event::Notice(said::notice(1)));
    agent.await_asked("claim-notice", 1);
    // The control: the next one is ours.
    agent.tell(&Event::Notice(said::notice(2)));
    let second = |body: &str| body == "aspect ends in 2 days";
    story.shell.await_seen("the second", |seen| {
        seen.notifications.iter().find(|shown| second(&shown.body)).map(drop)
    });
    assert_eq!(story.shell.seen().notifications.len(), 1);
}

#[test]
fn word_of_a_question_is_claimed_and_told_by_the_question_alone() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::begin(&scene);
    agent.await_window();
    agent.tell(&Event::Notice(Notice { is_question: true, ..said::notice(1) }));
    agent.await_asked("claim-notice", 1);
    // What comes after it is shown after it.
    agent.tell(&Event::Notice(said::notice(2)));
    story.shell.await_seen("the second", |seen| seen.notifications.first().cloned());
    let bodies: Vec<String> =
        story.shell.seen().notifications.iter().map(|shown| shown.body.clone()).collect();
    assert_eq!(bodies, ["aspect ends in 2 days"]);
}

#[test]
fn a_desktop_that_shows_none_leaves_them_to_the_agent() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::begin(&scene);
    story.shell.seen().has_no_notifications = true;
    agent.await_window();
    agent.tell(&Event::Notice(said::notice(1)));
    story.shell.await_seen("that it is not shown", |seen| (seen.not_shown == 1).then_some(()));
    agent.tell(&Event::Notice(said::notice(2)));
    // What is told behind it has been heard.
    agent.tell(&Event::Question(said::question("q1")));
    story.shell.await_seen("word of the question", |seen| (seen.not_shown == 2).then_some(()));
    // The control: one that shows them again is given them again.
    story.shell.seen().has_no_notifications = false;
    agent.tell(&Event::Question(said::question("q2")));
    agent.tell(&Event::Notice(said::notice(3)));
    story.shell.await_seen("the third", |seen| {
        seen.notifications.iter().find(|shown| shown.body == "aspect ends in 3 days").map(drop)
    });
    let ids: Vec<_> = agent.asked("claim-notice").into_iter().map(|asked| asked.body["id"].clone()).collect();
    assert_eq!(ids, [1, 3]);
}
