//! Who may have what: the rules of `[policy."kind.name"]`, and the decision over them.
//!
//! The decision ([`decide`]) is a pure function of who asks, the rules, the person's answers and the time. It knows no files
//! and no sockets: what it compares was read before ([`crate::asker`], [`Rules::read`]). What it is worth stands in
//! `docs/decisions/2026-11-21-consent.md`: it stops mistakes and stray tools, not hostile code of the same user.

mod chain;
mod decide;
mod grant;
mod refusal;
mod rules;

use std::fmt;
use std::path::PathBuf;

pub use chain::{Chain, Link, Role};
pub use decide::{Reason, Verdict, decide, grant_for};
pub use grant::{AT_ONCE, Given, Grant, SET_BACK, Span, UNUSED};
pub(crate) use refusal::named;
pub use rules::{Admitted, Allow, Rules};

/// `[policy."kind.name"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may ask at all; empty: everybody.
    pub allow: Vec<Allowed>,
    /// Whether the person is asked in addition.
    pub confirm: Confirm,
}

impl Policy {
    /// Whether it asks nothing of anybody.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.confirm == Confirm::Never
    }

    /// For people.
    pub fn facts(&self) -> impl Iterator<Item = (String, String)> {
        let allow: Vec<_> = self.allow.iter().map(ToString::to_string).collect();
        let allow = (!allow.is_empty()).then(|| ("allow".to_owned(), allow.join(", ")));
        allow.into_iter().chain([("confirm".to_owned(), self.confirm.to_string())])
    }
}

/// One of `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The program whose file is at this path now, by device and inode.
    Program(PathBuf),
    /// A Bazel server, as it says itself.
    BazelServer,
}

/// The word for [`Allowed::BazelServer`].
pub const BAZEL_SERVER: &str = "bazel-server";

impl fmt::Display for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) => {
                formatter.write_str(&keyfob_ipc::text::escape(&path.display().to_string()))
            }
            Self::BazelServer => formatter.write_str(BAZEL_SERVER),
        }
    }
}

/// `confirm`, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Nobody is asked.
    #[default]
    Never,
    /// Once for a program and an entry.
    First,
    /// For each use.
    Always,
}

impl fmt::Display for Confirm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Never => "never",
            Self::First => "first",
            Self::Always => "always",
        })
    }
}

/// Leave to give a credential. Nothing but a decision makes one, and no kind gives anything without it.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// For a look whether an entry would answer: what comes of it stays in the agent.
    pub(crate) fn to_look() -> Self {
        Self(())
    }

    /// For tests of what comes after the decision.
    #[cfg(feature = "testing")]
    pub fn of_a_test() -> Self {
        Self(())
    }
}
