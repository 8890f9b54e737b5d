//! The agent comes, changes and goes.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use keyfob_gui::controller::Input;
use keyfob_gui::page::{AgentState, News, PageAsk, PageReply, View};
use keyfob_gui::view::tray::{Icon, MenuAct};
use keyfob_ipc::reply::{EntryState, Event};
use keyfob_ipc::start::Launch;
use keyfob_ipc::{Client, ControlAsk, Door, Refusal, Reply};

use crate::fake_agent::{Act, DEADLINE};
use crate::said;
use crate::story::{Scene, Story, is_absent, is_running};

/// A program that ends at once and well, as an agent does that finds another one starting.
fn gives_way() -> Launch {
    Launch { program: "/bin/sh".into(), environment: Vec::new() }
}

fn await_file(path: &std::path::Path) {
    let deadline = Instant::now() + DEADLINE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "`{}` never came", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn the_first_start_starts_an_agent_and_waits_for_it() {
    static LAUNCHED: AtomicUsize = AtomicUsize::new(0);
    fn launch() -> Result<Launch, Refusal> {
        LAUNCHED.fetch_add(1, Ordering::SeqCst);
        Ok(gives_way())
    }
    let scene = Scene::new();
    let story = Story::begin_with(&scene, launch, || Ok(Vec::new()));
    story.open_window();
    await_file(&scene.places.start_lock());
    let _agent = scene.agent();
    story.await_page("the agent that was started", is_running);
    assert_eq!(LAUNCHED.load(Ordering::SeqCst), 1);
}

#[test]
fn a_change_reaches_the_tray_and_the_page() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    story
        .shell
        .await_seen("a fine icon", |seen| seen.trays.last().filter(|tray| tray.icon == Icon::Fine).map(drop));
    agent.set_status(|status| status.entries[1] = said::entry("token.aspect", EntryState::SignedOut));
    agent.tell(&said::changed());
    story.await_page("a token that is gone", |page| {
        page.rows.iter().any(|row| row.name == "token.aspect" && row.until.is_none())
    });
    story.shell.await_seen("an icon that needs somebody", |seen| {
        seen.trays.last().filter(|tray| tray.icon != Icon::Fine).map(drop)
    });
}

#[test]
fn what_has_not_changed_is_not_drawn_again() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let counts = || {
        let seen = story.shell.seen();
        (seen.trays.len(), seen.news.len())
    };
    let before = counts();
    let asked = agent.asked("status").len();
    agent.tell(&said::changed());
    agent.await_asked("status", asked + 1);
    story.send(Input::TrayHost(false));
    story.await_page("what has changed", |page| page.own.has_tray == Some(false));
    assert_eq!(counts(), (before.0, before.1 + 1));
}

#[test]
fn an_agent_that_goes_is_missed_at_once_and_found_when_it_is_back_and_never_started() {
    static LAUNCHED: AtomicUsize = AtomicUsize::new(0);
    fn launch() -> Result<Launch, Refusal> {
        LAUNCHED.fetch_add(1, Ordering::SeqCst);
        Ok(gives_way())
    }
    let scene = Scene::new();
    let mut agent = scene.agent();
    let story = Story::begin_with(&scene, launch, || Ok(Vec::new()));
    story.open_window();
    story.await_page("a running agent", is_running);
    agent.stop();
    story.await_page("no agent", is_absent);
    story.await_tray("the word that none runs", |tray| tray.contains("The agent is not running"));
    // It has looked for another one at once, and found none.
    story.await_page(
        "the end of that",
        |page| matches!(&page.agent, AgentState::Absent { say, .. } if say == "the agent is not running"),
    );
    assert_eq!(LAUNCHED.load(Ordering::SeqCst), 0, "the person may have stopped it on purpose");
    let _agent = scene.agent();
    story.await_page("the agent that is back", is_running);
    assert_eq!(LAUNCHED.load(Ordering::SeqCst), 0);
}

#[test]
fn an_upgrade_in_place_is_followed() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let window = agent.await_window();
    agent.set_status(|status| status.agent.version = "1.1.0".to_owned());
    agent.close_connections();
    story.await_page(
        "the new version",
        |page| matches!(&page.agent, AgentState::Running { version, .. } if version == "1.1.0"),
    );
    assert_ne!(agent.await_window(), window);
}

#[test]
fn the_person_starts_an_agent() {
    fn launch() -> Result<Launch, Refusal> {
        Ok(gives_way())
    }
    let scene = Scene::new();
    let mut agent = scene.agent();
    let story = Story::begin_with(&scene, launch, || Ok(Vec::new()));
    story.open_window();
    story.await_page("a running agent", is_running);
    agent.stop();
    story.await_page("no agent", is_absent);
    let _ = fs::remove_file(scene.places.start_lock());
    let answer = story.begin_ask(PageAsk::StartAgent);
    await_file(&scene.places.start_lock());
    let _agent = scene.agent();
    answer.recv_timeout(DEADLINE).unwrap().unwrap();
    story.await_page("a running agent again", is_running);
    story.done(PageAsk::StartAgent);
}

#[test]
fn an_agent_that_cannot_be_started_says_why() {
    let scene = Scene::new();
    let story = Story::begin(&scene);
    story.open_window();
    let page = story.await_page("no agent", is_absent);
    assert!(matches!(page.agent, AgentState::Absent { say, .. } if say == "there is nothing to start here"));
    let trouble = story.ask(PageAsk::StartAgent).unwrap_err();
    assert_eq!((&*trouble.code, &*trouble.say), ("agent_unreachable", "there is nothing to start here"));
    assert_eq!(story.ask(PageAsk::Grants).unwrap_err().code, "agent_unreachable");
    assert_eq!(story.ask(PageAsk::Lock).unwrap_err().code, "agent_unreachable");
    // Another look, which finds that none runs, says less.
    story.send(Input::AgentMayRun);
    story.ask(PageAsk::StartAgent).unwrap_err();
    let seen = story.shell.seen();
    let is_less = |news: &News| {
        matches!(news, News::Page(page)
            if matches!(&page.agent, AgentState::Absent { say, .. } if say == "the agent is not running"))
    };
    assert!(!seen.news.iter().any(is_less));
}

#[test]
fn an_agent_that_comes_back_without_a_word_is_found() {
    let scene = Scene::new();
    let mut agent = scene.agent();
    let story = Story::with_window(&scene);
    agent.stop();
    // The first try, at once, is in vain.
    story.await_page(
        "that none runs",
        |page| matches!(&page.agent, AgentState::Absent { say, .. } if say == "the agent is not running"),
    );
    let _agent = scene.agent_without_word();
    story.await_page("the agent that is back", is_running);
}

#[test]
fn a_state_folder_that_is_removed_is_made_again_and_watched_again() {
    let scene = Scene::new();
    let story = Story::begin(&scene);
    story.open_window();
    story.await_page("no agent", is_absent);
    for _ in 0..2 {
        fs::remove_dir_all(&scene.places.state).unwrap();
        await_file(&scene.places.state);
        // What was on its way is done.
        story.settle();
    }
    let _agent = scene.agent();
    story.await_page("an agent that leaves word there", is_running);
}

#[test]
fn a_flood_of_changes_makes_few_asks_and_the_last_word_counts() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let before = agent.asked("status").len();
    let begun = Instant::now();
    for number in 0..3000 {
        agent.set_status(|status| status.entries[0].owner = Some(format!("{number}@example.com")));
        agent.tell(&said::changed());
    }
    story.await_page("the last of them", |page| {
        page.rows.iter().any(|row| row.owner.as_deref() == Some("2999@example.com"))
    });
    let asked = agent.asked("status").len() - before;
    let tenths = usize::try_from(begun.elapsed().as_millis() / 100).unwrap();
    assert!(asked <= tenths + 2, "{asked} asks in {tenths} tenths of a second");
}

#[test]
fn what_happens_is_told_as_it_happens_to_a_page_that_looks_at_it() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    agent.on("log", |_| vec![Act::Say(Reply::Ledger(Vec::new()))]);
    // A line, and behind it something that is told in any case.
    let tell = |act: &str, question: &str| {
        let line = format!(r#"{{"at":"2026-11-21T08:00:00.871Z","act":"{act}","outcome":"given"}}"#);
        agent.tell(&Event::Ledger(serde_json::from_str(&line).unwrap()));
        agent.tell(&Event::Question(said::question(question)));
        story.await_page("what is behind the line", |page| {
            page.questions.iter().any(|one| one.id == question)
        });
    };
    tell("before-it-is-asked-for", "q1");
    assert_eq!(story.ask(PageAsk::Activity).unwrap(), PageReply::Activity(Vec::new()));
    tell("get", "q2");
    story.send(Input::WindowClosed);
    story.open_window();
    tell("in-another-window", "q3");
    let seen = story.shell.seen();
    let acts = seen.news.iter().filter_map(|news| match news {
        News::Activity(line) => Some(&*line.act),
        News::Page(_) | News::Go { .. } => None,
    });
    assert_eq!(acts.collect::<Vec<_>>(), ["get"]);
}

#[test]
fn quitting_leaves_the_agent_alone() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    let window = agent.await_window();
    story.send(Input::Menu(MenuAct::Quit));
    story.shell.await_seen("the end", |seen| seen.has_quit.then_some(()));
    drop(story);
    assert!(agent.names().iter().all(|name| name == "watch" || name == "status"), "{:?}", agent.names());
    assert!(window > 0);
    let mut client = Client::connect(&scene.places, Door::Control).unwrap();
    client.ask(ControlAsk::Status, DEADLINE).unwrap();
}

#[test]
fn a_window_that_is_asked_for_while_it_closes_opens_again_where_it_was_asked_for() {
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::with_window(&scene);
    let windows = || story.shell.seen().windows;
    let before = windows();
    story.send(Input::WindowClosing);
    story.send(Input::Menu(MenuAct::Open(View::Settings)));
    story.send(Input::Raised);
    story.settle();
    assert_eq!(windows(), before, "the one that closes cannot be raised");
    story.send(Input::WindowClosed);
    assert_eq!(story.open_window().view, View::Settings);
    assert_eq!(windows(), before + 1);
    let is_go = |news: &News| matches!(news, News::Go { .. });
    assert!(!story.shell.seen().news.iter().any(is_go), "nothing is told to the last page");
    // The control: one that nobody asks for stays closed, and the next one begins anew.
    story.send(Input::WindowClosing);
    story.send(Input::WindowClosed);
    let begun = story.open_window();
    assert_eq!((begun.view, begun.deed), (View::Overview, None));
    assert_eq!(windows(), before + 1);
}
