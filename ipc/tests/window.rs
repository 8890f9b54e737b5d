//! A window's connection: one thread hears while another asks.
#![cfg(unix)]

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use keyfob_ipc::limits::CONTROL_FRAME;
use keyfob_ipc::reply::Event;
use keyfob_ipc::{Answer, Client, Code, ControlAsk, Door, Heard, Places, Refusal, Reply, Request, frame};

const PATIENCE: Duration = Duration::from_secs(20);

/// The agent's end of the connection.
struct Agent {
    stream: UnixStream,
    reader: frame::Reader,
}

impl Agent {
    fn hears(&mut self) -> ControlAsk {
        let bytes = self.reader.next(&mut self.stream, CONTROL_FRAME).expect("a frame").expect("an ask");
        frame::decode::<Request<ControlAsk>>(&bytes).expect("a request").ask
    }

    fn says(&mut self, reply: Reply) {
        frame::write(&mut self.stream, &Answer::new(reply), CONTROL_FRAME).expect("the client reads");
    }
}

/// A client that is connected to a listener of ours, and the other end.
fn connected(folder: &tempfile::TempDir) -> (Client, Agent) {
    let path = folder.path().to_owned();
    let places = Places {
        state: path.clone(),
        config: path.join("config.toml"),
        runtime: path,
        own_profile: true,
        user: String::new(),
    };
    let listener = UnixListener::bind(places.control_socket()).expect("a free place");
    let client = Client::connect(&places, Door::Control).expect("a listener");
    let (stream, _) = listener.accept().expect("a client");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    (client, Agent { stream, reader: frame::Reader::default() })
}

#[test]
fn events_and_answers_are_told_apart_while_another_thread_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (client, mut agent) = connected(&folder);
    let agent = thread::spawn(move || {
        let ControlAsk::Watch { notices: true, questions: true, ledger: true } = agent.hears() else {
            panic!("a window watches everything");
        };
        agent.says(Reply::Event(Event::Watching));
        // The window listens already when it asks.
        assert!(matches!(agent.hears(), ControlAsk::Lock));
        agent.says(Reply::Event(Event::Changed { entries: vec!["token.aspect".to_owned()] }));
        agent.says(Reply::Done { say: "locked".to_owned() });
        assert!(matches!(agent.hears(), ControlAsk::Answer { .. }));
        agent.says(Reply::Refused(Refusal::new(Code::BadRequest, "that question is over")));
    });
    let (mut listening, mut speaking) = client.window(PATIENCE).unwrap();
    let (heard, news) = std::sync::mpsc::channel();
    let listener = thread::spawn(move || {
        loop {
            let next = listening.hear();
            let is_over = next.is_err();
            heard.send(next).unwrap();
            if is_over {
                return;
            }
        }
    });
    speaking.send(ControlAsk::Lock, PATIENCE).unwrap();
    let next = || news.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(next(), Ok(Heard::Event(Event::Changed { entries })) if entries == ["token.aspect"]));
    assert!(matches!(next(), Ok(Heard::Answer(Ok(Reply::Done { say }))) if say == "locked"));
    let approval = keyfob_ipc::reply::Approval::Once;
    speaking.send(ControlAsk::Answer { id: "1".to_owned(), approval, typed: None }, PATIENCE).unwrap();
    // A refusal is an answer, and ends nothing.
    assert!(matches!(next(), Ok(Heard::Answer(Err(refusal))) if refusal.code == Code::BadRequest));
    agent.join().unwrap();
    assert!(matches!(next(), Err(refusal) if refusal.code == Code::AgentUnreachable));
    listener.join().unwrap();
}

#[test]
fn what_is_no_frame_ends_the_window() {
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\x02\0\0\0{}", b"\x05\0\0\0{"] {
        let folder = tempfile::tempdir().unwrap();
        let (client, mut agent) = connected(&folder);
        let agent = thread::spawn(move || {
            agent.hears();
            agent.says(Reply::Event(Event::Watching));
            agent.stream.write_all(garbage).unwrap();
        });
        let (mut listening, _speaking) = client.window(PATIENCE).unwrap();
        let refusal = listening.hear().unwrap_err();
        let codes = [Code::TooLarge, Code::VersionMismatch, Code::AgentUnreachable];
        assert!(codes.contains(&refusal.code), "{garbage:?}: {refusal:?}");
        agent.join().unwrap();
    }
}

#[test]
fn where_too_many_watch_there_is_no_window() {
    let folder = tempfile::tempdir().unwrap();
    let (client, mut agent) = connected(&folder);
    let agent = thread::spawn(move || {
        agent.hears();
        agent.says(Reply::Refused(Refusal::new(Code::Busy, "16 programs watch the agent already")));
    });
    assert_eq!(client.window(PATIENCE).unwrap_err().code, Code::Busy);
    agent.join().unwrap();
}
