//! What the tests tell the foreigner: the program `keyfob-foreigner`, which runs as another user.
//!
//! One line of words in, one line of JSON out, over TCP on loopback. What a session made is gone when it ends.
//!
//! | line | answer |
//! |---|---|
//! | `connect PATH [HEX]` | `{"connected":true,"sent":N,"read":N,"errno":null}`: connects, writes the bytes, reads to the end |
//! | `listen NAME` | `{"path":PATH}`: squats at a socket that everybody may connect to, and says nothing to who comes |
//! | `write NAME HEX` | `{"path":PATH}`: a file of its own that everybody may read |
//! | `report` | `{"connections":N,"bytes":N}`: who came, and what they said |
//! | `read PATH` | `{"read":N,"errno":null}` |

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::Stage;

/// A session with the foreigner.
#[derive(Debug)]
pub struct Foreigner(BufReader<TcpStream>);

impl Foreigner {
    /// A new session.
    ///
    /// # Panics
    /// Where the foreigner does not answer.
    pub fn meet() -> Self {
        let address = &Stage::get().foreigner;
        let stream = TcpStream::connect(address).expect("the foreigner answers");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has a deadline");
        Self(BufReader::new(stream))
    }

    /// Lets it connect to a Unix socket, write these bytes and read until the other side closes.
    pub fn connect(&mut self, socket: &Path, bytes: &[u8]) -> Value {
        self.tell(&format!("connect {} {}", socket.display(), hex(bytes)))
    }

    /// Lets it squat at a socket of this name, in a folder of its own; returns the path of the socket.
    pub fn listen(&mut self, name: &str) -> PathBuf {
        path(&self.tell(&format!("listen {name}")))
    }

    /// Lets it write a file in that folder, which everybody may read; returns its path.
    pub fn write(&mut self, name: &str, content: &str) -> PathBuf {
        path(&self.tell(&format!("write {name} {}", hex(content.as_bytes()))))
    }

    /// Who came to its sockets, and how many bytes they wrote.
    pub fn report(&mut self) -> Value {
        self.tell("report")
    }

    /// Lets it read a file.
    pub fn read(&mut self, file: &Path) -> Value {
        self.tell(&format!("read {}", file.display()))
    }

    fn tell(&mut self, line: &str) -> Value {
        let sent = writeln!(self.0.get_mut(), "{line}");
        sent.expect("the foreigner listens");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("the foreigner answers in time");
        serde_json::from_str(&answer)
            .unwrap_or_else(|_| panic!("the foreigner answers {answer:?} to {line:?}"))
    }
}

fn path(answer: &Value) -> PathBuf {
    answer["path"].as_str().unwrap_or_else(|| panic!("the foreigner cannot do that: {answer}")).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
