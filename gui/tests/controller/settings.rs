//! What the window changes outside of the agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use keyfob_gui::controller::Input;
use keyfob_gui::page::{PageAsk, PageReply};
use keyfob_ipc::Reply;
use keyfob_ipc::reply::ConfigReport;

use crate::fake_agent::{Act, DEADLINE};
use crate::story::{Scene, Story, write_configuration};

const MINE: &str = "# Mine.\n[token.aspect] # by hand\nhosts = [\"a.example\"]\n\n[agent]\nreminders = [\"30d\", \"7d\"] # enough\nlock_on = [\"sleep\"]\n";

fn reminders(steps: &[&str]) -> PageAsk {
    PageAsk::SetReminders { steps: steps.iter().map(|step| (*step).to_owned()).collect() }
}

#[test]
fn reminders_are_set_and_all_else_stays() {
    let scene = Scene::new();
    let agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    let story = Story::with_window(&scene);
    story.done(reminders(&["7d", "14d"]));
    let expected = MINE.replace("[\"30d\", \"7d\"]", "[\"14d\", \"7d\"]");
    assert_eq!(fs::read_to_string(path).unwrap(), expected);
    assert_eq!(agent.asked("config-check").len(), 2, "before and after");
}

#[test]
fn an_edit_that_brings_an_error_is_put_back() {
    let scene = Scene::new();
    let agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    // An error that was there before is nobody's fault; the other one is ours.
    let file = path.clone();
    agent.on("config-check", move |_| {
        let mut errors = vec!["line 2: unknown key `x`".to_owned()];
        if fs::read_to_string(&file).unwrap().contains("14d") {
            errors.push("line 6: `14d` is not to the agent's taste".to_owned());
        }
        let path = file.display().to_string();
        vec![Act::Say(Reply::Config(ConfigReport { path, exists: true, errors, in_force: true }))]
    });
    let story = Story::with_window(&scene);
    let trouble = story.ask(reminders(&["14d"])).unwrap_err();
    assert!(trouble.say.contains("not to the agent's taste"), "{}", trouble.say);
    assert_eq!(fs::read_to_string(&path).unwrap(), MINE);
    // The control: one that it likes stays.
    story.done(reminders(&["1d"]));
    assert!(fs::read_to_string(&path).unwrap().contains("[\"1d\"] # enough"));
}

#[test]
fn an_edit_that_nobody_can_judge_is_put_back() {
    let scene = Scene::new();
    let agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    let mut calls = 0;
    let file = path.display().to_string();
    agent.on("config-check", move |_| {
        calls += 1;
        let report = ConfigReport { path: file.clone(), exists: true, errors: Vec::new(), in_force: true };
        if calls == 1 { vec![Act::Say(Reply::Config(report))] } else { vec![Act::Close] }
    });
    let story = Story::with_window(&scene);
    assert_eq!(story.ask(reminders(&["14d"])).unwrap_err().code, "agent_unreachable");
    assert_eq!(fs::read_to_string(&path).unwrap(), MINE);
}

#[test]
fn steps_that_are_none_are_refused_before_anything_is_touched() {
    let scene = Scene::new();
    let agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    let story = Story::with_window(&scene);
    for steps in [&["30d", "soon"][..], &["0d"], &["\"]\n[sso.evil]"], &["30d"; 33]] {
        let trouble = story.ask(reminders(steps)).unwrap_err();
        assert_eq!((&*trouble.code, trouble.hint.is_empty()), ("bad_request", false), "{steps:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), MINE);
    assert!(agent.asked("config-check").is_empty());
}

#[test]
fn a_configuration_that_is_not_there_is_not_made() {
    let scene = Scene::new();
    let _agent = scene.agent();
    fs::remove_file(&scene.places.config).unwrap();
    let story = Story::with_window(&scene);
    for ask in [PageAsk::OpenConfiguration, reminders(&["7d"])] {
        let trouble = story.ask(ask).unwrap_err();
        assert!(trouble.say.contains("does not exist") && !trouble.hint.is_empty(), "{}", trouble.say);
    }
    assert!(!scene.places.config.exists() && story.shell.seen().files.is_empty());
    let path = write_configuration(&scene, MINE);
    story.done(PageAsk::OpenConfiguration);
    assert_eq!(story.shell.seen().files, [path] as [PathBuf; 1]);
}

#[test]
fn edits_at_once_come_one_after_the_other() {
    let scene = Scene::new();
    let agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    // What the file says at each look that the agent is asked for.
    let looks = Arc::new(Mutex::new(Vec::new()));
    let (file, noted) = (path.clone(), Arc::clone(&looks));
    agent.on("config-check", move |_| {
        noted.lock().unwrap().push(fs::read_to_string(&file).unwrap());
        let path = file.display().to_string();
        let report = ConfigReport { path, exists: true, errors: Vec::new(), in_force: true };
        vec![Act::Say(Reply::Config(report))]
    });
    let story = Story::with_window(&scene);
    for round in 0..10 {
        looks.lock().unwrap().clear();
        let steps: Vec<String> = (1..=6).map(|day| format!("{}d", 10 * round + day)).collect();
        let edits: Vec<_> = steps.iter().map(|step| story.begin_ask(reminders(&[step]))).collect();
        for edit in edits {
            assert_eq!(
                edit.recv_timeout(DEADLINE).unwrap().unwrap(),
                PageReply::Done { say: "the reminders are set".to_owned() }
            );
        }
        let looks = looks.lock().unwrap();
        // Each begins with what the one before it has left.
        assert_eq!(looks.len(), 2 * steps.len());
        for pair in looks[1..looks.len() - 1].chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
    }
    assert_eq!(
        fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter(|item| { item.as_ref().unwrap().file_name().to_string_lossy().contains("keyfob-new") })
            .count(),
        0
    );
}

#[test]
fn a_configuration_that_may_not_be_written_or_read_stays_and_says_what_to_do() {
    let scene = Scene::new();
    let _agent = scene.agent();
    let path = write_configuration(&scene, MINE);
    let story = Story::with_window(&scene);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let trouble = story.ask(reminders(&["14d"])).unwrap_err();
    assert!(trouble.say.contains("read-only") && trouble.hint.contains("config.toml"), "{trouble:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), MINE);
    // The control: its owner allows it again.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    story.done(reminders(&["14d"]));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let trouble = story.ask(reminders(&["7d"])).unwrap_err();
    assert!(trouble.say.contains("cannot be read") && trouble.hint.contains("config.toml"), "{trouble:?}");
}

#[test]
fn starting_at_sign_in_is_set_and_shown() {
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::with_window(&scene);
    story.await_page("how it is", |page| page.own.starts_at_sign_in == Some(false));
    story.done(PageAsk::StartAtSignIn { on: true });
    story.await_page("how it is now", |page| page.own.starts_at_sign_in == Some(true));
}

#[test]
fn that_there_is_no_icon_is_said_once_ever() {
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::with_window(&scene);
    story.send(Input::TrayHost(false));
    story.await_page("the remark", |page| page.own.says_no_tray);
    story.done(PageAsk::PutNoTrayAway);
    story.await_page("it put away", |page| !page.own.says_no_tray);
    drop(story);
    let story = Story::with_window(&scene);
    story.send(Input::TrayHost(false));
    let page = story.await_page("what is known", |page| page.own.has_tray == Some(false));
    assert!(!page.own.says_no_tray);
}

#[test]
fn that_there_is_no_icon_is_said_again_until_it_was_read() {
    let scene = Scene::new();
    let _agent = scene.agent();
    for _ in 0..2 {
        let story = Story::with_window(&scene);
        story.send(Input::TrayHost(false));
        story.await_page("the remark", |page| page.own.says_no_tray);
        story.send(Input::TrayHost(true));
        story.await_page("no remark where there is one", |page| !page.own.says_no_tray);
    }
}
