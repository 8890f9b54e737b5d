//! An agent of a few lines: it answers at the two doors as a test tells it to, and remembers what it was asked.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use keyfob_ipc::frame::{self, Reader};
use keyfob_ipc::reply::Answer;
use keyfob_ipc::{Door, Reply};
use serde_json::Value;

/// What happens to one request.
pub enum Act {
    /// These replies, in this order.
    Say(Vec<Reply>),
    /// No byte comes, and the connection is closed or stays open.
    Nothing {
        /// Whether it stays open.
        open: bool,
    },
}

impl From<Reply> for Act {
    fn from(reply: Reply) -> Self {
        Self::Say(vec![reply])
    }
}

/// A profile of its own in a temporary folder, with or without an agent.
pub struct Profile {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Profile {
    /// Without an agent.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run", "state", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, asked: Arc::default(), open: Arc::default() }
    }

    /// With an agent at this door; `answer` gets the number of the request, from 0, and what is asked.
    pub fn with_agent(door: Door, answer: impl Fn(usize, &Value) -> Act + Send + Sync + 'static) -> Self {
        let profile = Self::new();
        profile.answer(door, answer);
        profile
    }

    /// Answers at this door, too; all that is asked is remembered in one order.
    pub fn answer(&self, door: Door, answer: impl Fn(usize, &Value) -> Act + Send + Sync + 'static) {
        let name = match door {
            Door::Tool => "agent.sock",
            Door::Control => "control.sock",
        };
        let listener = UnixListener::bind(self.path("run").join(name)).unwrap();
        let (asked, open) = (Arc::clone(&self.asked), Arc::clone(&self.open));
        std::thread::spawn(move || serve(&listener, door.frame_limit(), &asked, &open, answer));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything that the agent was asked so far.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// Closes every connection, as an agent that ends does; the next one is accepted.
    pub fn close_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // Some are closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// A call of the binary in this profile, with nothing else in its environment.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("KEYFOB_RUNTIME_DIR", self.path("run"))
            .env("KEYFOB_STATE_DIR", self.path("state"))
            .current_dir("/");
        command
    }

    pub fn keyfob(&self, arguments: &[&str], input: &[u8]) -> Output {
        feed(self.command(Path::new(env!("CARGO_BIN_EXE_keyfob")), arguments), input)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.close_all();
    }
}

/// Runs to the end, with this standard input.
pub fn feed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = loop {
        match command.spawn() {
            // A copied binary is still open for writing in a child that another test has just forked.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A call that does not read its input may end first.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn serve(
    listener: &UnixListener,
    limit: usize,
    asked: &Arc<Mutex<Vec<Value>>>,
    open: &Mutex<Vec<UnixStream>>,
    answer: impl Fn(usize, &Value) -> Act + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    for stream in listener.incoming() {
        let (stream, asked, answer) = (stream.unwrap(), Arc::clone(asked), Arc::clone(&answer));
        open.lock().unwrap().push(stream.try_clone().unwrap());
        // Some commands ask on two connections at once.
        std::thread::spawn(move || converse(stream, limit, &asked, &*answer));
    }
}

fn converse(
    mut stream: UnixStream,
    limit: usize,
    asked: &Mutex<Vec<Value>>,
    answer: &impl Fn(usize, &Value) -> Act,
) {
    let mut reader = Reader::default();
    while let Ok(Some(bytes)) = reader.next(&mut stream, limit) {
        let request: Value = frame::decode(&bytes).unwrap();
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(request["ask"].clone());
            asked.len() - 1
        };
        match answer(number, &request["ask"]) {
            Act::Say(replies) => {
                for reply in replies {
                    // Whoever has seen enough may have gone.
                    if frame::write(&mut stream, &Answer::new(reply), limit).is_err() {
                        return;
                    }
                }
            }
            Act::Nothing { open: true } => {}
            Act::Nothing { open: false } => return stream.shutdown(Shutdown::Both).unwrap(),
        }
    }
}

/// Standard output, as text.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error, as text.
pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
