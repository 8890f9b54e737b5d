//! Notices are shown once, by whoever claims them.

use keyfob_gui::controller::Input;
use keyfob_ipc::reply::{Event, Notice};
use keyfob_ipc::{Code, Refusal, Reply};

use crate::fake_agent::{Act, FakeAgent};
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

/// Word of a question for that entry.
fn word(id: u64, entry: &str) -> Event {
    Event::Notice(Notice { is_question: true, entry: entry.to_owned(), ..said::notice(id) })
}

/// Which notices are claimed of these and of one more behind them.
fn claims(agent: &FakeAgent, story: &Story, events: &[Event]) -> Vec<u64> {
    events.iter().for_each(|event| agent.tell(event));
    agent.tell(&Event::Notice(said::notice(99)));
    story.shell.await_seen("what comes behind", |seen| {
        seen.notifications.iter().find(|shown| shown.body == "aspect ends in 99 days").map(drop)
    });
    // Claims are made at once, each by a thread of its own.
    agent.await_asked("claim-notice", if events.len() > 1 { 2 } else { 1 });
    let claimed = agent.asked("claim-notice").into_iter();
    let mut ids: Vec<u64> = claimed.map(|asked| asked.body["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn word_of_a_question_is_claimed_where_the_question_was_told() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::begin(&scene);
    agent.await_window();
    let asked = Event::Question(said::question("q1"));
    assert_eq!(claims(&agent, &story, &[asked, word(1, "aws.dev")]), [1, 99]);
    let titles: Vec<String> =
        story.shell.seen().notifications.iter().map(|shown| shown.title.clone()).collect();
    assert_eq!(titles, ["terraform asks for aws.dev", "A token ends"], "the question is told once");
}

#[test]
fn word_of_a_question_is_claimed_where_the_window_is_looked_at() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::with_window(&scene);
    story.look_at_window();
    let asked = Event::Question(said::question("q1"));
    assert_eq!(claims(&agent, &story, &[asked, word(1, "aws.dev")]), [1, 99]);
    assert_eq!(story.shell.seen().notifications.len(), 1, "the question is in the window");
}

#[test]
fn word_of_a_question_that_was_not_told_is_left_to_the_agent() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("claim-notice", "the notice is yours to show");
    let story = Story::begin(&scene);
    agent.await_window();
    assert_eq!(claims(&agent, &story, &[word(1, "aws.dev")]), [99], "nobody has asked that");
    // It was in the window, which nobody looks at any more.
    story.open_window();
    story.look_at_window();
    agent.tell(&Event::Question(said::question("q1")));
    story.await_page("the question", |page| !page.questions.is_empty());
    story.send(Input::WindowFocused(false));
    story.settle();
    agent.tell(&word(2, "aws.dev"));
    agent.tell(&Event::Notice(said::notice(3)));
    agent.await_asked("claim-notice", 2);
    let ids: Vec<_> = agent.asked("claim-notice").into_iter().map(|asked| asked.body["id"].clone()).collect();
    assert_eq!(ids, [99, 3]);
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
