//! Any program on the bus can click in the menu and in notifications. It opens the window, pauses reminders, locks, starts
//! the agent or quits, and no more.

use keyfob_gui::controller::Input;
use keyfob_gui::page::{Approval, Deed, News, PageAsk, View};
use keyfob_gui::view::tray::MenuAct;
use keyfob_ipc::reply::{Event, LockReport, LockedBy};

use crate::said;
use crate::story::{Begun, Scene, Story};

/// Every deed that a menu could name.
fn deeds() -> Vec<Deed> {
    let sso = || "sso.okta".to_owned();
    let token = || "token.aspect".to_owned();
    vec![
        Deed::SignIn { entry: sso() },
        Deed::SignOut { entry: sso() },
        Deed::AddToken { entry: token() },
        Deed::RotateToken { entry: token() },
        Deed::RemoveToken { entry: token() },
        Deed::SayEnd { entry: token() },
        Deed::Snooze { entry: token() },
        Deed::ConfirmPlaces { entry: token() },
        Deed::Unlock,
    ]
}

#[test]
fn a_forged_click_answers_nothing() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("answer", "`terraform` may use `aws.dev` once");
    let story = Story::begin(&scene);
    agent.await_window();
    agent.tell(&Event::Question(said::question("q1")));
    let shown = story.shell.await_seen("word of the question", |seen| seen.notifications.first().cloned());
    agent.tell(&Event::Lock(Some(LockReport {
        since: "2026-11-21T08:00:00Z".to_owned(),
        by: LockedBy::Person,
        is_pause: true,
    })));
    for number in [shown.number, 0, 1, u64::MAX] {
        story.send(Input::NotificationOpened(number));
    }
    for deed in deeds() {
        story.send(Input::Menu(MenuAct::Begin(deed)));
    }
    story.send(Input::Menu(MenuAct::Open(View::Settings)));
    story.send(Input::Raised);
    story.settle();
    assert_eq!(story.shell.seen().windows, 4 + deeds().len() + 2, "each of them opens the window");
    // The control: the page's own answer, through the same controller, to the same question.
    story.open_window();
    story.done(PageAsk::Answer { id: "q1".to_owned(), approval: Approval::Once });
    let asked = agent.names().into_iter().filter(|name| name != "watch" && name != "status");
    assert_eq!(asked.collect::<Vec<_>>(), ["answer"]);
    assert!(story.shell.seen().addresses.is_empty(), "no sign-in was begun");
}

#[test]
fn a_click_opens_the_dialog_where_there_is_no_window_yet() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::begin(&scene);
    agent.await_window();
    let deed = Deed::SignIn { entry: "sso.okta".to_owned() };
    story.send(Input::Menu(MenuAct::Begin(deed.clone())));
    assert_eq!(story.open_window(), Begun { view: View::Overview, deed: Some(deed) });
    assert_eq!(story.open_window(), Begun { view: View::Overview, deed: None }, "it is begun once");
    assert!(agent.asked("login").is_empty());
}

#[test]
fn a_click_goes_to_the_view_where_there_is_a_window() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    story.send(Input::Menu(MenuAct::Open(View::Timeline)));
    let deed = Deed::RotateToken { entry: "token.aspect".to_owned() };
    story.send(Input::Menu(MenuAct::Begin(deed.clone())));
    story.settle();
    let went = |seen: &crate::fake_shell::Seen, to: &News| seen.news.contains(to).then_some(());
    story.shell.await_seen("the view", |seen| went(seen, &News::Go { view: View::Timeline, deed: None }));
    story.shell.await_seen("the dialog", |seen| {
        went(seen, &News::Go { view: View::Overview, deed: Some(deed.clone()) })
    });
    assert!(agent.asked("token-rotate").is_empty());
}

#[test]
fn the_program_started_again_shows_the_window_as_it_is() {
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::with_window(&scene);
    story.send(Input::Raised);
    story.settle();
    let seen = story.shell.seen();
    assert_eq!(seen.windows, 1);
    assert!(!seen.news.iter().any(|news| matches!(news, News::Go { .. })));
}

#[test]
fn a_window_that_was_closed_is_told_nothing() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    story.send(Input::WindowClosed);
    story.settle();
    let told = story.shell.seen().news.len();
    agent.tell(&Event::Question(said::question("q1")));
    story.shell.await_seen("word of the question", |seen| seen.notifications.first().map(drop));
    story.send(Input::Menu(MenuAct::Open(View::Activity)));
    story.settle();
    assert_eq!(story.shell.seen().news.len(), told);
    assert_eq!(story.open_window().view, View::Activity);
}
