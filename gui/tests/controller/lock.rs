//! Lock and unlock, over the connection of the window.

use keyfob_gui::controller::Input;
use keyfob_gui::page::{PageAsk, PageReply};
use keyfob_gui::view::tray::MenuAct;
use keyfob_ipc::reply::{Event, LockReport, LockedBy};
use keyfob_ipc::{Code, Refusal, Reply, Secret};

use crate::fake_agent::DEADLINE;
use crate::story::{Scene, Story, log};

fn locked() -> LockReport {
    LockReport { since: "2026-11-21T08:00:00Z".to_owned(), by: LockedBy::Person, is_pause: false }
}

#[test]
fn what_is_locked_is_unlocked_with_a_passphrase_that_goes_nowhere_else() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("lock", "keyfob is locked");
    agent.on_done("unlock", "keyfob is unlocked");
    let story = Story::with_window(&scene);
    assert_eq!(story.done(PageAsk::Lock), "keyfob is locked");
    agent.set_status(|status| status.lock = Some(locked()));
    agent.tell(&Event::Lock(Some(locked())));
    let page = story.await_page("the lock", |page| page.lock.is_some());
    assert!(page.lock.unwrap().needs_passphrase);
    let passphrase = "correct horse 8161 battery";
    story.done(PageAsk::Unlock { passphrase: Some(Secret::from(passphrase)) });
    agent.set_status(|status| status.lock = None);
    agent.tell(&Event::Lock(None));
    story.await_page("no lock", |page| page.lock.is_none());
    let window = agent.await_window();
    let unlock = agent.await_asked("unlock", 1);
    assert_eq!((unlock.connection, unlock.body["passphrase"].as_str()), (window, Some(passphrase)));
    assert_eq!(agent.await_asked("lock", 1).connection, window);
    assert!(!format!("{:?}", story.shell.seen()).contains(passphrase));
    assert!(!log().contains(passphrase));
}

#[test]
fn a_wrong_passphrase_is_said_so() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("unlock", |_| {
        let refusal = Refusal::new(Code::KeychainDenied, "the passphrase is wrong").hint("keyfob unlock");
        vec![crate::fake_agent::Act::Say(Reply::Refused(refusal))]
    });
    let story = Story::with_window(&scene);
    let trouble = story.ask(PageAsk::Unlock { passphrase: Some(Secret::from("x")) }).unwrap_err();
    assert_eq!((&*trouble.code, &*trouble.say), ("keychain_denied", "the passphrase is wrong"));
}

#[test]
fn each_answer_goes_to_whoever_asked_first() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("lock", |_| Vec::new());
    agent.on("unlock", |_| Vec::new());
    let story = Story::with_window(&scene);
    // The click in the menu has its own place in the row.
    story.send(Input::Menu(MenuAct::Lock));
    let asks = [
        story.begin_ask(PageAsk::Lock),
        story.begin_ask(PageAsk::Unlock { passphrase: None }),
        story.begin_ask(PageAsk::Lock),
    ];
    agent.await_asked("lock", 3);
    let window = agent.await_window();
    for say in ["menu", "first", "second", "third"] {
        agent.say(window, Reply::Done { say: say.to_owned() });
        // What happens meanwhile does not mix them up.
        agent.tell(&crate::said::changed());
    }
    for (ask, say) in asks.iter().zip(["first", "second", "third"]) {
        let answer = ask.recv_timeout(DEADLINE).unwrap().unwrap();
        assert_eq!(answer, PageReply::Done { say: say.to_owned() });
    }
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("lock", "keyfob is locked");
    let story = Story::with_window(&scene);
    agent.say(agent.await_window(), Reply::Done { say: "of nobody".to_owned() });
    agent.set_status(|status| status.lock = Some(locked()));
    agent.tell(&Event::Lock(Some(locked())));
    story.await_page("what came behind it", |page| page.lock.is_some());
    assert_eq!(story.done(PageAsk::Lock), "keyfob is locked");
}
