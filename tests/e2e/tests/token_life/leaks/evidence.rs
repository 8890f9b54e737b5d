//! What is seen while a token's life goes by, kept to be searched once all values are known.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyfob_e2e::raw::Raw;
use keyfob_e2e::{Output, PATIENCE, Profile, start};
use serde_json::Value;

use super::needles::{self, Search, Secret};
use super::watch::Watch;

/// So long does every call of the service take: time enough to see who runs meanwhile.
pub const A_WHILE: Duration = Duration::from_millis(60);

/// Everything that was seen.
pub struct Evidence {
    pub watch: Watch,
    /// What was said, by whom.
    said: Mutex<Vec<(String, String)>>,
    /// Processes whose arguments hold what a person typed there.
    typed: Mutex<Vec<u32>>,
    /// Of each command that took a while, whether its process was seen.
    slow: Mutex<Vec<bool>>,
}

/// Where a value may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Nowhere.
    Nothing,
    /// On standard output: the command exists for that.
    Value,
}

impl Evidence {
    pub fn begin() -> Self {
        Self {
            watch: Watch::start(),
            said: Mutex::default(),
            typed: Mutex::default(),
            slow: Mutex::default(),
        }
    }

    pub fn note(&self, who: impl Into<String>, what: impl Into<String>) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push((who.into(), what.into()));
    }

    /// Runs `keyfob`, and keeps what it says.
    #[track_caller]
    pub fn run(&self, profile: &Profile, words: &[&str], stdin: &str, shows: Shows) -> Output {
        let running = start(profile.keyfob(words), stdin);
        let process = running.pid();
        let output = running.output(PATIENCE);
        let command =
            words.iter().take(3).filter(|word| word.len() < 40).copied().collect::<Vec<_>>().join(" ");
        if words[0] == "why" {
            self.forgive(process);
        }
        if shows == Shows::Nothing {
            self.note(format!("standard output of `keyfob {command}`"), &*output.stdout);
        }
        self.note(format!("standard error of `keyfob {command}`"), &*output.stderr);
        if output.took > A_WHILE {
            let is_seen = self.watch.has_seen(process, "keyfob");
            self.slow.lock().unwrap_or_else(PoisonError::into_inner).push(is_seen);
        }
        output
    }

    /// A person has typed a value where it can be seen.
    pub fn forgive(&self, process: u32) {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    /// How many of the commands that took a while were seen to run, and how many there were.
    pub fn sighted(&self) -> (usize, usize) {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        (slow.iter().filter(|is_seen| **is_seen).count(), slow.len())
    }

    /// Asks at the control door, and keeps the answer.
    #[track_caller]
    pub fn ask(&self, door: &mut Raw, ask: &Value, about: &str) -> Value {
        let reply = door.ask(ask);
        self.note(format!("answer at the control door about {about}"), reply.to_string());
        reply
    }

    /// Every place where one of the secrets is: outputs, processes, files.
    pub fn search(&self, secrets: &[Secret], places: &[PathBuf]) -> Vec<String> {
        let search = Search::new(secrets);
        let mut found = Vec::new();
        let mut find = |place: &str, text: &[u8]| {
            found.extend(search.find(text).iter().map(|known| format!("{known} in the {place}")));
        };
        for (who, what) in &*self.said.lock().unwrap_or_else(PoisonError::into_inner) {
            find(who, what.as_bytes());
        }
        let typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        for sight in &*self.watch.sights() {
            if sight.file != "cmdline" || !typed.contains(&sight.process) {
                find(&format!("{} of a process", sight.file), &sight.bytes);
            }
        }
        for place in places {
            needles::search(place, &search, &mut found);
        }
        found
    }
}
