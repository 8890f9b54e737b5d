//! Who may have what: the rules of `[policy."kind.name"]`, and the decision over them.
//!
//! The decision is a pure function of who asks, the rules, the person's answers and the time. It knows no files and no
//! sockets: what it compares was read before ([`crate::asker`]).

use std::path::PathBuf;

/// `[policy."kind.name"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may ask at all; empty: everybody.
    pub allow: Vec<Allowed>,
    /// Whether the person is asked in addition.
    pub confirm: Confirm,
}

/// One of `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The program whose file is at this path now, by device and inode.
    Program(PathBuf),
    /// A Bazel server, as it says itself.
    BazelServer,
}

/// `confirm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
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
