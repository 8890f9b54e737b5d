//! What the tests ask the examiner: the program `keyfob-examiner`, which runs as root and sees into processes of the
//! user of the tests, and of nobody else.
//!
//! One line of words in, one line of JSON out, over a Unix socket that only that user can connect to.
//!
//! | line | answer |
//! |---|---|
//! | `search PID HEX…` | `{"bytes":N,"unread":[NAME…],"found":[{"piece":N,"mapping":NAME,"count":N}…]}`: stops the process, reads every readable mapping, lets it go on |
//! | `maps PID` | `{"mappings":[{"permissions":"r-xp","file":PATH}…]}` (proc(5)) |
//! | `environment PID` | `{"environment":["NAME=value"…]}`: what the process was started with |
//!
//! Where it cannot: `{"error":TEXT}`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Stage;
use crate::needles::Secret;

/// A conversation with the examiner.
#[derive(Debug)]
pub struct Examiner(BufReader<UnixStream>);

/// A part of a process's memory.
#[derive(Debug, Clone, Deserialize)]
pub struct Mapping {
    /// As in `r-xp`.
    pub permissions: String,
    /// The file, a name in brackets, or nothing.
    pub file: String,
}

#[derive(Deserialize)]
struct Image {
    bytes: u64,
    unread: Vec<String>,
    found: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    piece: usize,
    mapping: String,
    count: u64,
}

impl Examiner {
    /// A new conversation.
    ///
    /// # Panics
    /// Where the examiner does not answer.
    #[must_use]
    pub fn meet() -> Self {
        let stream = UnixStream::connect(&Stage::get().examiner).expect("the examiner answers");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has a deadline");
        Self(BufReader::new(stream))
    }

    /// Which of these are anywhere in the memory of a process, whole or a good part of them, in any form: one line for
    /// each, its form, and the mapping.
    ///
    /// # Panics
    /// Where not everything could be read.
    #[track_caller]
    pub fn search(&mut self, process: u32, secrets: &[Secret]) -> Vec<String> {
        let mut pieces = BTreeMap::new();
        for secret in secrets {
            for (form, piece) in secret.pieces() {
                pieces.entry(piece).or_insert((secret.name, form));
            }
        }
        let mut line = format!("search {process}");
        for piece in pieces.keys() {
            let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            line.push_str(&format!(" {hex}"));
        }
        let image: Image = serde_json::from_value(self.ask(&line)).expect("a picture of the memory");
        assert!(image.bytes > 1 << 20, "{} bytes are no picture of a process", image.bytes);
        // The kernel's own pages, which nobody can write to.
        let readable = image
            .unread
            .iter()
            .find(|name| !matches!(name.as_str(), "[vvar]" | "[vvar_vclock]" | "[vsyscall]"));
        assert_eq!(readable, None, "this could not be read");
        let known: Vec<_> = pieces.values().collect();
        let mut findings = BTreeMap::new();
        for Found { piece, mapping, count } in image.found {
            let (name, form) = known[piece];
            *findings.entry(format!("{name} ({form}) in {mapping}")).or_insert(0) += count;
        }
        findings.into_iter().map(|(finding, pieces)| format!("{finding}, {pieces} pieces")).collect()
    }

    /// The memory of a process, part by part.
    #[track_caller]
    pub fn mappings(&mut self, process: u32) -> Vec<Mapping> {
        let answer = self.ask(&format!("maps {process}"));
        serde_json::from_value(answer["mappings"].clone()).expect("a list of mappings")
    }

    /// The variables that a process was started with, as `NAME=value`.
    #[track_caller]
    pub fn environment(&mut self, process: u32) -> Vec<String> {
        let answer = self.ask(&format!("environment {process}"));
        serde_json::from_value(answer["environment"].clone()).expect("a list of variables")
    }

    /// Asks in its own words; an error is an answer here.
    pub fn try_ask(&mut self, line: &str) -> Value {
        writeln!(self.0.get_mut(), "{line}").expect("the examiner listens");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("the examiner answers in time");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("the examiner answers {answer:?}"))
    }

    #[track_caller]
    fn ask(&mut self, line: &str) -> Value {
        let answer = self.try_ask(line);
        assert!(answer["error"].is_null(), "the examiner cannot: {answer}");
        answer
    }
}
