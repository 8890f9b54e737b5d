//! What the page asks, and what it gets where it only looks.

use keyfob_ipc::Secret;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Approval, Remark, Trouble};
#[cfg(doc)]
use super::{Page, PageReply, Question};

/// What one entry may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Permissions {
    /// `token.aspect`.
    pub name: String,
    /// `token`.
    pub kind: String,
    /// Clusters, each by everybody who says something about it.
    pub clusters: Vec<ClusterRow>,
    /// Everything else.
    pub facts: Vec<FactRow>,
    /// Who could not be asked, and why.
    pub troubles: Vec<Trouble>,
}

/// What somebody says about a cluster. A right is `yes`, `no`, `without-effect` or `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct ClusterRow {
    /// The cluster.
    pub cluster: String,
    /// Read the cache.
    pub read: String,
    /// Write to the action cache.
    pub write: String,
    /// Run actions remotely.
    pub execute: String,
    /// Who says so, in words.
    pub by: String,
    /// When (RFC 3339).
    pub when: Option<String>,
    /// A sentence where the rights alone would mislead.
    pub note: Option<String>,
}

/// What somebody says about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct FactRow {
    /// `owner`, `scopes`, `groups`, `account`, `role`, …
    pub name: String,
    /// One or several.
    pub values: Vec<String>,
    /// Who says so, in words.
    pub by: String,
    /// When (RFC 3339).
    pub when: Option<String>,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct ActivityLine {
    /// When (RFC 3339, with milliseconds).
    pub at: String,
    /// What was asked: `get`, `credential-process`, `approve`, …
    pub act: String,
    /// `given`, `empty`, `refused`, `done`, `gone`, `unknown`.
    pub outcome: String,
    /// The entry.
    pub entry: Option<String>,
    /// Host and port.
    pub target: Option<String>,
    /// Why it was refused: `not_allowed`.
    pub code: Option<String>,
    /// The program, by its path.
    pub program: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// The programs behind it, the nearest first.
    pub behind: Vec<String>,
    /// Whether the path is the kernel's word: `false` for a program that was replaced or whose path proves nothing.
    pub verified: bool,
    /// What it calls itself; not proved.
    pub claims: Option<String>,
    /// A few words more.
    pub note: Option<String>,
}

/// An answer of the person that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Grant {
    /// Names it in [`PageAsk::Revoke`].
    pub id: String,
    /// The entry.
    pub entry: String,
    /// The program, by its path.
    pub program: String,
    /// `false` for a `never`.
    pub allowed: bool,
    /// Whether the next use takes it up.
    pub once: bool,
    /// When it was given (RFC 3339).
    pub given: String,
    /// Its end (RFC 3339).
    pub until: Option<String>,
    /// Whether the program at that path is another one by now.
    pub stale: bool,
}

/// A tool of the person that can ask Keyfob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Tool {
    /// `bazel`, `aws`.
    pub name: String,
    /// `set-up`, `attention` (something is to be done) or `unused` (the configuration has nothing for it).
    pub state: String,
    /// One sentence.
    pub say: String,
    /// Whether a click on "Set up" helps ([`PageAsk::SetUp`]).
    pub can_set_up: bool,
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct TokenOutcome {
    /// One sentence.
    pub say: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// Its end (RFC 3339).
    pub until: Option<String>,
    /// Whether the end is assumed.
    pub until_assumed: bool,
    /// Permissions that the token before it had and this one has not.
    pub lost: Vec<String>,
    /// Permissions that this one has and the token before it had not.
    pub gained: Vec<String>,
    /// What else a person should know now.
    pub notes: Vec<Remark>,
    /// What the token before it could do; absent where there was none.
    pub before: Option<Permissions>,
    /// What it can do.
    pub after: Option<Permissions>,
}

/// New places to which an edit of the configuration would send what an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Change {
    /// The entry.
    pub entry: String,
    /// Each place in words.
    pub places: Vec<String>,
}

/// What the page asks. Each gets one [`PageReply`] or a [`Trouble`].
#[derive(Debug, Deserialize, TS)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PageAsk {
    /// The page is there: what is it to draw, and which view?
    Begin,
    /// [`PageReply::Permissions`] of every entry.
    Permissions {
        /// Asks clusters and services again.
        again: bool,
    },
    /// [`PageReply::Activity`]: the newest lines, the newest first. Later ones come by themselves.
    Activity,
    /// [`PageReply::Grants`].
    Grants,
    /// Takes an answer back.
    Revoke {
        /// [`Grant::id`].
        id: String,
    },
    /// Begins a sign-in; how it goes on is in [`Page::sign_in`].
    SignIn {
        /// `sso.okta`.
        entry: String,
        /// By a code on any device, in place of the browser here.
        device: bool,
    },
    /// Opens the page of the sign-in under way in the browser (again).
    OpenSignInPage,
    /// Calls the sign-in under way off, or puts away how it ended.
    PutSignInAway,
    /// Forgets a session.
    SignOut {
        /// `sso.okta`.
        entry: String,
    },
    /// Opens the console of AWS in the browser.
    OpenConsole {
        /// `aws.dev`.
        entry: String,
    },
    /// Opens the page on which a person makes the token.
    OpenPortal {
        /// `token.aspect`.
        entry: String,
    },
    /// Keeps a pasted token, or the two halves of a key as JSON: [`PageReply::Token`].
    KeepToken {
        /// `token.aspect`.
        entry: String,
        /// The value.
        #[ts(type = "string")]
        value: Secret<String>,
        /// When it ends, a date (`2027-11-21`), where the person says it.
        ends: Option<String>,
        /// Whether it replaces another one.
        replaces: bool,
    },
    /// Replaces a token through its service: [`PageReply::Token`].
    RotateToken {
        /// `token.aspect`.
        entry: String,
    },
    /// Forgets a token.
    RemoveToken {
        /// `token.aspect`.
        entry: String,
        /// Leaves it alive at its service.
        keep_at_service: bool,
    },
    /// Says when a token ends.
    SayEnd {
        /// `token.aspect`.
        entry: String,
        /// A date.
        ends: String,
    },
    /// No reminders about a token for so many days; 0 ends that.
    Snooze {
        /// `token.aspect`.
        entry: String,
        /// Whole days.
        days: u32,
    },
    /// The same for every token.
    PauseReminders {
        /// Whole days.
        days: u32,
    },
    /// Answers a question.
    Answer {
        /// [`Question::id`].
        id: String,
        /// What the person says.
        approval: Approval,
    },
    /// Locks Keyfob.
    Lock,
    /// Opens the keychain, and lifts the lock.
    Unlock {
        /// The passphrase of the file keychain, where it is needed.
        #[ts(type = "string | null")]
        passphrase: Option<Secret<String>>,
    },
    /// [`PageReply::Changes`]: what waits to be accepted.
    Changes,
    /// Accepts what was shown.
    AcceptChanges {
        /// To the letter what was shown.
        changes: Vec<Change>,
    },
    /// Starts the agent.
    StartAgent,
    /// [`PageReply::Tools`].
    Tools,
    /// Writes a tool's configuration.
    SetUp {
        /// [`Tool::name`].
        tool: String,
    },
    /// Whether this program starts when the person signs in to the computer.
    StartAtSignIn {
        /// Whether.
        on: bool,
    },
    /// When reminders come before an end.
    SetReminders {
        /// `30d`, …; empty for none.
        steps: Vec<String>,
    },
    /// Opens the configuration file in the person's editor.
    OpenConfiguration,
    /// The person has read that no panel shows the icon.
    PutNoTrayAway,
}
