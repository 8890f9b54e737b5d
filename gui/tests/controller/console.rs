//! The console of AWS: opened from the window alone, by an address of this machine.

use keyfob_gui::page::{PageAsk, PageReply};
use keyfob_ipc::reply::Step;
use keyfob_ipc::{Code, Refusal, Reply};
use serde_json::json;

use crate::fake_agent::{Act, FakeAgent};
use crate::story::{Scene, Story, log};

const ADDRESS: &str = "http://127.0.0.1:41233/6b1f5e";

fn hands_out(agent: &FakeAgent, address: &'static str) {
    agent.on("aws-console", move |_| {
        let done = Reply::Done { say: "the browser was sent to the AWS console as `aws.dev`".to_owned() };
        vec![Act::Say(Reply::Step(Step::OpenBrowser { url: address.to_owned() })), Act::Say(done)]
    });
}

fn open() -> PageAsk {
    PageAsk::OpenConsole { entry: "aws.dev".to_owned() }
}

#[test]
fn the_browser_gets_the_address_and_the_page_the_sentence() {
    let scene = Scene::new();
    let agent = scene.agent();
    hands_out(&agent, ADDRESS);
    let story = Story::with_window(&scene);
    let reply = story.ask(open()).unwrap();
    let say = "the browser was sent to the AWS console as `aws.dev`".to_owned();
    assert_eq!(reply, PageReply::Done { say });
    assert_eq!(story.shell.seen().addresses, [ADDRESS]);
    assert_eq!(agent.await_asked("aws-console", 1).body, json!({"name": "aws.dev"}));
    // What leads to the console is for the browser alone.
    assert!(!log().contains("6b1f5e"));
}

#[test]
fn nothing_is_opened_that_is_not_on_this_machine() {
    for address in [
        "https://signin.aws.amazon.com/federation?SigninToken=x",
        "http://127.0.0.1.evil.example:80/",
        "http://127.0.0.1:80/ -x",
        "file:///etc/passwd",
    ] {
        let scene = Scene::new();
        let agent = scene.agent();
        hands_out(&agent, address);
        let story = Story::with_window(&scene);
        assert_eq!(story.ask(open()).unwrap_err().code, "version_mismatch", "{address}");
        assert!(story.shell.seen().addresses.is_empty(), "{address}");
    }
}

#[test]
fn where_no_browser_opens_or_the_agent_refuses_the_page_says_so() {
    let scene = Scene::new();
    let agent = scene.agent();
    hands_out(&agent, ADDRESS);
    let story = Story::with_window(&scene);
    story.shell.seen().has_no_browser = true;
    let trouble = story.ask(open()).unwrap_err();
    assert_eq!((&*trouble.code, &*trouble.hint), ("internal", "keyfob aws console dev"));
    agent.on("aws-console", |_| {
        vec![Act::Say(Reply::Refused(Refusal::new(Code::NotAllowed, "the policy says no").hint("add it")))]
    });
    let trouble = story.ask(open()).unwrap_err();
    assert_eq!((&*trouble.code, &*trouble.say), ("not_allowed", "the policy says no"));
}
