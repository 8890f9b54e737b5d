//! An agent that says what a test wants, at the real place and in real frames, and fails on demand.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_ipc::place::Record;
use keyfob_ipc::reply::{Answer, Event, Status};
use keyfob_ipc::{Code, Places, Refusal, Reply, frame, limits};
use serde_json::Value;

/// The longest that a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What the agent does about an ask.
#[expect(clippy::large_enum_variant, reason = "a script is short")]
pub enum Act {
    /// Says this.
    Say(Reply),
    /// Closes the connection.
    Close,
}

/// An ask that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The connection that it came on.
    pub connection: u64,
    /// `login`.
    pub name: String,
    /// What is in it.
    pub body: Value,
}

type Script = Box<dyn FnMut(&Value) -> Vec<Act> + Send>;

/// It runs until it is stopped or dropped.
pub struct FakeAgent {
    shared: Arc<Shared>,
    places: Places,
    is_stopped: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    status: Option<Status>,
    scripts: BTreeMap<&'static str, Script>,
    asked: Vec<Asked>,
    open: BTreeMap<u64, UnixStream>,
    windows: Vec<u64>,
    last: u64,
    is_over: bool,
}

impl FakeAgent {
    /// Opens its doors, then leaves word of itself.
    pub fn start(places: &Places, status: Status) -> Self {
        let agent = Self::start_without_word(places, status);
        let (tool, control) = (places.agent_socket(), places.control_socket());
        let record = Record { pid: std::process::id(), version: "1.0.0".to_owned(), agent: tool, control };
        let fresh = places.record_file().with_extension("json.new");
        fs::write(&fresh, serde_json::to_vec(&record).unwrap()).unwrap();
        fs::rename(&fresh, places.record_file()).unwrap();
        agent
    }

    /// Opens its doors; who does not look there does not find it.
    pub fn start_without_word(places: &Places, status: Status) -> Self {
        fs::create_dir_all(&places.state).unwrap();
        fs::create_dir_all(&places.runtime).unwrap();
        let _ = fs::remove_file(places.control_socket());
        let listener = UnixListener::bind(places.control_socket()).unwrap();
        let shared = Arc::new(Shared::default());
        shared.state().status = Some(status);
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Self { shared, places: places.clone(), is_stopped: false }
    }

    /// What it does from now on where it is asked this; the usual for `watch`, `status` and `config-check` is built in.
    pub fn on(&self, name: &'static str, script: impl FnMut(&Value) -> Vec<Act> + Send + 'static) {
        self.shared.state().scripts.insert(name, Box::new(script));
    }

    /// Does what is built in again.
    pub fn as_usual(&self, name: &'static str) {
        self.shared.state().scripts.remove(name);
    }

    /// The same where it always says one sentence.
    pub fn on_done(&self, name: &'static str, say: &'static str) {
        self.on(name, move |_| vec![Act::Say(Reply::Done { say: say.to_owned() })]);
    }

    /// What is true from now on; nobody is told.
    pub fn set_status(&self, change: impl FnOnce(&mut Status)) {
        change(self.shared.state().status.as_mut().unwrap());
    }

    /// Tells every window.
    pub fn tell(&self, event: &Event) {
        let bytes = frame::encode(&Answer::new(Reply::Event(event.clone())), limits::CONTROL_FRAME).unwrap();
        self.tell_bytes(&bytes);
    }

    /// Sends every window these bytes.
    pub fn tell_bytes(&self, bytes: &[u8]) {
        let state = self.shared.state();
        for window in &state.windows {
            let Some(mut stream) = state.open.get(window) else { continue };
            // A window that has left hears nothing.
            let _ = stream.write_all(bytes);
        }
    }

    /// Says something on one connection.
    pub fn say(&self, connection: u64, reply: Reply) {
        let state = self.shared.state();
        frame::write(&mut &state.open[&connection], &Answer::new(reply), limits::CONTROL_FRAME).unwrap();
    }

    /// Closes every connection and takes new ones at once, as an upgrade in place does.
    pub fn close_connections(&self) {
        for stream in self.shared.state().open.values() {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// All asks of this name by now.
    pub fn asked(&self, name: &str) -> Vec<Asked> {
        self.shared.state().asked.iter().filter(|asked| asked.name == name).cloned().collect()
    }

    /// The names of all asks by now, in order.
    pub fn names(&self) -> Vec<String> {
        self.shared.state().asked.iter().map(|asked| asked.name.clone()).collect()
    }

    /// Waits until this was asked so often; the last of them.
    pub fn await_asked(&self, name: &str, count: usize) -> Asked {
        self.await_state(name, |state| {
            state.asked.iter().filter(|asked| asked.name == name).nth(count - 1).cloned()
        })
    }

    /// The connection of the window, once there is one.
    pub fn await_window(&self) -> u64 {
        self.await_state("a window", |state| {
            state.windows.last().copied().filter(|last| state.open.contains_key(last))
        })
    }

    /// Waits until the other side has closed this connection.
    pub fn await_closed(&self, connection: u64) {
        self.await_state("the end of a connection", |state| {
            (!state.open.contains_key(&connection)).then_some(())
        });
    }

    fn await_state<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.shared.state();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let asked: Vec<&str> = state.asked.iter().map(|asked| &*asked.name).collect();
            assert!(!left.is_zero(), "there was never {what}; asked: {asked:?}");
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Ends it as the real one ends: its word first.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.is_stopped, true) {
            return;
        }
        let _ = fs::remove_file(self.places.record_file());
        self.shared.state().is_over = true;
        // Wakes it up; it is the last that it takes.
        let _ = UnixStream::connect(self.places.control_socket());
        let _ = fs::remove_file(self.places.control_socket());
        for stream in self.shared.state().open.values() {
            // The other side may have gone first.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that fails may hold it; its agent is stopped all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        let mut state = shared.state();
        if state.is_over {
            return;
        }
        state.last += 1;
        let connection = state.last;
        state.open.insert(connection, stream.try_clone().unwrap());
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            converse(connection, stream, &shared);
            shared.state().open.remove(&connection);
            shared.changed.notify_all();
        });
    }
}

fn converse(connection: u64, mut stream: UnixStream, shared: &Shared) {
    let mut reader = frame::Reader::default();
    while let Ok(Some(bytes)) = reader.next(&mut stream, limits::CONTROL_FRAME) {
        let request: Value = serde_json::from_slice(&bytes).unwrap();
        let (name, body) = match &request["ask"] {
            Value::String(name) => (name.clone(), Value::Null),
            Value::Object(ask) => ask.iter().next().map(|(name, body)| (name.clone(), body.clone())).unwrap(),
            other => panic!("no ask: {other}"),
        };
        let mut state = shared.state();
        let acts = state.react(connection, &name, &body);
        state.asked.push(Asked { connection, name, body });
        shared.changed.notify_all();
        for act in acts {
            match act {
                Act::Say(reply) => {
                    let answer = Answer::new(reply);
                    // Whoever asked may have gone.
                    let _ = frame::write(&mut stream, &answer, limits::CONTROL_FRAME);
                }
                Act::Close => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}

impl State {
    fn react(&mut self, connection: u64, name: &str, body: &Value) -> Vec<Act> {
        if let Some(script) = self.scripts.get_mut(name) {
            return script(body);
        }
        let reply = match name {
            "watch" => {
                self.windows.push(connection);
                Reply::Event(Event::Watching)
            }
            "status" => Reply::Status(Box::new(self.status.clone().unwrap())),
            "config-check" => Reply::Config(self.status.as_ref().unwrap().config.clone()),
            _ => Reply::Refused(Refusal::new(Code::BadRequest, format!("`{name}` is not in the script"))),
        };
        vec![Act::Say(reply)]
    }
}
