//! What crosses the wire about trust: who asks, what the person is asked and has said, what was given, and the lock.

use serde::{Deserialize, Serialize};

use crate::refusal::Code;

/// A program that asks, as the kernel names it. What it says about itself stands in [`Asking::claims`] alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The program for which `keyfob` asks, or the one that asks itself: the path of its executable. Empty where the system
    /// does not tell.
    pub program: String,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The programs behind it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// Whether another file is at that path by now: the program was replaced while it ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_replaced: bool,
    /// Whether its path proves nothing: it runs in another mount namespace, or hides what it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unattested: bool,
    /// What it calls itself, where that decides: `bazel(workspace)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

/// What a person is asked where a policy says `confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Good once, and only on the connection that it was sent to: 128 random bits in hexadecimal digits.
    pub id: String,
    /// The entry that is asked for.
    pub entry: String,
    /// Who asks.
    pub asking: Asking,
    /// `get`, `credential-process`, `why`.
    pub act: String,
    /// Host and port, where there are any; without the port where it is 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How often it has asked since the question was opened.
    pub count: u64,
    /// When it was opened (RFC 3339).
    pub opened: String,
    /// When it closes unanswered (RFC 3339).
    pub closes: String,
    /// The only answers that can be given besides [`Approval::Never`].
    pub offers: Vec<Approval>,
}

/// What the person says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// For the next use, and the calls that come together with it.
    Once,
    /// For a while.
    For {
        /// From now, in seconds; at most a year.
        seconds: u64,
    },
    /// Until it is revoked, or the program is replaced.
    Always,
    /// No, until that is revoked.
    Never,
}

/// An answer that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantReport {
    /// Names it in `keyfob grants revoke`.
    pub id: String,
    /// The entry.
    pub entry: String,
    /// The program, by its path.
    pub program: String,
    /// `false` for a `never`.
    pub is_allowed: bool,
    /// Whether it is used up by the next use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_once: bool,
    /// When it was given (RFC 3339).
    pub given: String,
    /// Its end (RFC 3339); absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Where it was given: `terminal`, `window`.
    pub by: String,
    /// Whether the program at that path is another one by now, so that the next call asks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_stale: bool,
}

/// One line of the ledger: presence only, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// When (RFC 3339, with milliseconds).
    pub at: String,
    /// What was asked: `get`, `credential-process`, `approve`, `revoke`, `lock`, `unlock`, `login`, `token-add` and so on.
    pub act: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The entry, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Host and port, where there are any; without the port where it is 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
    /// A few words more, none of them a value: `for 8 hours, typed on a terminal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A credential left the agent.
    Given,
    /// There was nothing to give: a host that no entry has.
    Empty,
    /// It was refused.
    Refused,
    /// Something was done that gives nothing.
    Done,
    /// The answer was ready, but the asker had gone.
    Gone,
    /// Something that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// Keyfob is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReport {
    /// Since when (RFC 3339).
    pub since: String,
    /// Why.
    pub by: LockedBy,
    /// Whether unlocking it asks for nothing, because the keychain is open: a pause.
    pub is_pause: bool,
}

/// What locked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockedBy {
    /// `keyfob lock`, or the tray.
    Person,
    /// The screen was locked.
    Screen,
    /// The machine went to sleep.
    Sleep,
    /// Something that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// One thing that `keyfob doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, in a few words: `core dumps`, `keychain`, `sso.okta`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// One sentence.
    pub say: String,
    /// The next command; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Attention,
    /// It does not work.
    Bad,
}
