//! What goes wrong ends what it must, and nothing else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob_gui::controller::Input;
use keyfob_gui::page::{AgentState, PageAsk, PageReply, Tool};
use keyfob_ipc::reply::Event;
use keyfob_ipc::{Code, Heard, Refusal, Reply};

use crate::fake_agent::{Act, DEADLINE};
use crate::said;
use crate::story::{Scene, Story, is_absent, is_running, nothing_to_launch};

/// What an agent could send that is no answer.
fn no_answers() -> Vec<Vec<u8>> {
    let frame = |text: &str| {
        let mut bytes = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    vec![
        frame("garbage"),
        frame(r#"{"v":1,"reply":{"event":{"question":{"id":7}}}}"#),
        frame(r#"{"v":9,"answer":"of another protocol"}"#),
        // More than any frame may have.
        u32::MAX.to_le_bytes().to_vec(),
    ]
}

#[test]
fn garbage_ends_the_connection_and_nothing_else() {
    for bytes in no_answers() {
        let scene = Scene::new();
        let agent = scene.agent();
        let story = Story::with_window(&scene);
        let drawn = story.shell.seen().news.len();
        agent.tell_bytes(&bytes);
        story.shell.await_seen("that there is none to talk to", |seen| {
            let pages = seen.news.iter().skip(drawn);
            pages
                .into_iter()
                .any(|news| matches!(news, keyfob_gui::page::News::Page(page) if is_absent(page)))
                .then_some(())
        });
        story.await_page("the agent, by another connection", is_running);
        assert_eq!(agent.asked("watch").len(), 2);
    }
}

#[test]
fn half_a_frame_ends_the_connection_and_nothing_else() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    agent.tell_bytes(&[200, 0, 0, 0, b'{']);
    agent.close_connections();
    agent.await_asked("watch", 2);
    story.await_page("the agent, by another connection", is_running);
}

#[test]
fn a_connection_that_goes_on_breaking_is_not_made_again_and_again() {
    let scene = Scene::new();
    let agent = scene.agent();
    let _story = Story::with_window(&scene);
    let begun = Instant::now();
    agent.on("watch", |_| vec![Act::Say(Reply::Event(Event::Watching)), Act::Close]);
    agent.close_connections();
    // The first at once, the second after a second, then ever later.
    agent.await_asked("watch", 3);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[test]
fn an_agent_of_another_version_is_named_in_its_own_words_and_tried_again() {
    let scene = Scene::new();
    let agent = scene.agent();
    let say = "the running agent speaks another protocol version";
    agent.on("watch", move |_| {
        let refusal = Refusal::new(Code::VersionMismatch, say).hint("keyfob agent restart");
        vec![Act::Say(Reply::Refused(refusal)), Act::Close]
    });
    let story = Story::begin(&scene);
    story.open_window();
    let page = story.await_page("an agent that cannot be used", is_absent);
    let AgentState::Absent { say: said, hint, can_start } = page.agent else { unreachable!() };
    assert_eq!((&*said, &*hint, can_start), (say, "keyfob agent restart", false));
    // It leaves no word when it can be used.
    agent.as_usual("watch");
    story.await_page("the agent that can be used now", is_running);
}

#[test]
fn a_broken_connection_refuses_all_that_wait() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on("lock", |_| Vec::new());
    let story = Story::with_window(&scene);
    let asks = [story.begin_ask(PageAsk::Lock), story.begin_ask(PageAsk::Lock)];
    agent.await_asked("lock", 2);
    agent.close_connections();
    for ask in asks {
        let trouble = ask.recv_timeout(DEADLINE).unwrap().unwrap_err();
        assert_eq!(trouble.code, "agent_unreachable");
    }
}

#[test]
fn what_an_earlier_connection_brings_is_nobodys_business() {
    let scene = Scene::new();
    let agent = scene.agent();
    let story = Story::with_window(&scene);
    agent.close_connections();
    agent.await_asked("watch", 2);
    story.await_page("the agent, by the second connection", is_running);
    let ask = |id: &str| Heard::Event(Event::Question(said::question(id)));
    let gone = Refusal::new(Code::AgentUnreachable, "gone");
    story.send(Input::Heard(1, ask("of the first")));
    story.send(Input::Gone(1, gone));
    story.send(Input::Heard(2, ask("of the second")));
    let page = story.await_page("a question", |page| !page.questions.is_empty());
    assert!(is_running(&page));
    assert_eq!(page.questions.iter().map(|question| &*question.id).collect::<Vec<_>>(), ["of the second"]);
}

#[test]
fn a_worker_that_fails_ends_nothing_but_its_own_work() {
    fn fails() -> Result<Vec<Tool>, Refusal> {
        panic!("a fault in a worker, on purpose")
    }
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::begin_with(&scene, nothing_to_launch, fails);
    story.open_window();
    story.await_page("that it runs", is_running);
    assert_eq!(story.ask(PageAsk::Tools).unwrap_err().code, "internal");
    assert_eq!(story.done(PageAsk::SetUp { tool: "bazel".to_owned() }), "bazel is set up");
}

#[test]
fn nobody_looks_at_tools_where_the_agent_was_stopped() {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    fn looks() -> Result<Vec<Tool>, Refusal> {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }
    let scene = Scene::new();
    let mut agent = scene.agent();
    let story = Story::begin_with(&scene, nothing_to_launch, looks);
    story.open_window();
    story.await_page("that it runs", is_running);
    // The control: while it runs, somebody does.
    assert_eq!(story.ask(PageAsk::Tools).unwrap(), PageReply::Tools(Vec::new()));
    agent.stop();
    story.await_page("that it is gone", is_absent);
    assert_eq!(story.ask(PageAsk::Tools).unwrap_err().code, "agent_unreachable");
    assert_eq!(story.ask(PageAsk::SetUp { tool: "bazel".to_owned() }).unwrap_err().code, "agent_unreachable");
    assert_eq!(LOOKS.load(Ordering::SeqCst), 1);
}

#[test]
fn more_work_than_there_are_workers_is_refused() {
    static GOES_ON: AtomicBool = AtomicBool::new(false);
    fn waits() -> Result<Vec<Tool>, Refusal> {
        while !GOES_ON.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(Vec::new())
    }
    let scene = Scene::new();
    let _agent = scene.agent();
    let story = Story::begin_with(&scene, nothing_to_launch, waits);
    story.open_window();
    story.await_page("that it runs", is_running);
    let asks: Vec<_> = (0..8).map(|_| story.begin_ask(PageAsk::Tools)).collect();
    assert_eq!(story.ask(PageAsk::Tools).unwrap_err().code, "busy");
    GOES_ON.store(true, Ordering::SeqCst);
    for ask in asks {
        assert_eq!(ask.recv_timeout(DEADLINE).unwrap().unwrap(), PageReply::Tools(Vec::new()));
    }
}

#[test]
fn an_agent_that_answers_another_question_is_not_believed() {
    let scene = Scene::new();
    let agent = scene.agent();
    agent.on_done("grants", "here are none");
    let story = Story::with_window(&scene);
    assert_eq!(story.ask(PageAsk::Grants).unwrap_err().code, "version_mismatch");
}
