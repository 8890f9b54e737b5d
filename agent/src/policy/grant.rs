//! An answer of the person's: who may have what, or may not, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::peer::FileId;
use serde::{Deserialize, Serialize};

use crate::clock::after;
use crate::config::EntryName;

/// What comes so soon after the first use of a `once` belongs to it: Bazel starts 150 helpers for one build.
pub const AT_ONCE: Duration = Duration::from_secs(10);

/// A `once` that nobody uses lapses after this.
pub const UNUSED: Duration = Duration::from_secs(10 * 60);

/// A clock is put right by this much without a word. Set back by more, it says nothing about what was given before.
pub const SET_BACK: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Names it for people.
    pub id: String,
    /// What it is about.
    pub entry: EntryName,
    /// Who it is about: the path of the program
    pub program: PathBuf,
    /// and its file: a program that is replaced is another one.
    pub file: FileId,
    /// `false` for a `never`.
    pub is_allowed: bool,
    /// For how long.
    pub span: Span,
    /// When it was given.
    pub given: Timestamp,
    /// Where it was given.
    pub by: Given,
}

/// For how long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// For the next use within [`UNUSED`], and what comes within [`AT_ONCE`] after it.
    Once {
        /// When it was used first.
        used: Option<Timestamp>,
    },
    /// Up to a moment.
    Until(Timestamp),
    /// Until it is revoked.
    Always,
}

/// Where an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Given {
    /// Typed on a terminal.
    Terminal,
    /// In a window.
    Window,
}

impl Given {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Window => "window",
        }
    }
}

impl Grant {
    /// Whether it counts now. A `never` does until it is revoked, whatever the clock shows.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        let has_begun = |began: Timestamp| began <= after(now, SET_BACK);
        match self.span {
            Span::Always => true,
            Span::Until(until) => has_begun(self.given) && now < until,
            Span::Once { used: None } => has_begun(self.given) && now < after(self.given, UNUSED),
            Span::Once { used: Some(used) } => has_begun(used) && now < after(used, AT_ONCE),
        }
    }

    /// Whether it ends by itself.
    pub fn is_timed(&self) -> bool {
        self.span != Span::Always
    }
}
