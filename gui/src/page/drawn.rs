//! What is drawn: one value with all that the window shows.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[cfg(doc)]
use super::PageAsk;

/// The five views of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Every entry as a row.
    #[default]
    Overview,
    /// What each entry may do.
    Permissions,
    /// The next twelve months.
    Timeline,
    /// The ledger.
    Activity,
    /// Entries, reminders, start at sign-in, keychain, tools.
    Settings,
}

/// All that the window draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Page {
    /// Whether the agent is there.
    pub agent: AgentState,
    /// The lock, where it is on.
    pub lock: Option<Lock>,
    /// Where secrets are kept; absent until the agent has said it.
    pub keychain: Option<Keychain>,
    /// The configuration; absent until the agent has said it.
    pub configuration: Option<Configuration>,
    /// Every entry, by kind and then by name.
    pub rows: Vec<Row>,
    /// What the person is asked, the oldest first.
    pub questions: Vec<Question>,
    /// A sign-in under way, or how the last one ended, until it is put away ([`PageAsk::PutSignInAway`]).
    pub sign_in: Option<SignIn>,
    /// How many things need the person.
    pub needs: u32,
    /// What belongs to this program, not to the agent.
    pub own: Own,
}

/// Whether the agent is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum AgentState {
    /// We have not heard from it yet.
    Awaited,
    /// It answers.
    Running {
        /// Its version.
        version: String,
        /// Since when (RFC 3339).
        since: String,
        /// The file of its tool door.
        socket: String,
        /// Whether it runs apart from the person's own profile.
        own_profile: bool,
    },
    /// It does not run, or cannot be used: what stands in the way, and what to do.
    Absent {
        /// One sentence.
        say: String,
        /// What to do besides the button; may be empty.
        hint: String,
        /// Whether starting it may help: not where another user holds its place.
        can_start: bool,
    },
}

/// Keyfob is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Lock {
    /// Since when (RFC 3339).
    pub since: String,
    /// `person`, `screen`, `sleep` or `unknown`.
    pub by: String,
    /// Whether unlocking needs the passphrase of the file keychain.
    pub needs_passphrase: bool,
}

/// Where secrets are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Keychain {
    /// `system`, `file` or `memory`.
    pub kind: String,
    /// `present`, `missing`, `locked`, `denied` or `failing`.
    pub state: String,
    /// What stands in the way.
    pub trouble: Option<Trouble>,
    /// Whether unlocking needs the passphrase of the file keychain.
    pub needs_passphrase: bool,
    /// Whether that passphrase is still to be chosen.
    pub is_new: bool,
}

/// What stands in the way, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Trouble {
    /// Stable: `token_needed`.
    pub code: String,
    /// One sentence, lower case start.
    pub say: String,
    /// The command that mends it; may be empty.
    pub hint: String,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Configuration {
    /// Its file.
    pub path: String,
    /// Whether the file exists.
    pub exists: bool,
    /// Its errors: `line 4: …`.
    pub errors: Vec<String>,
    /// Whether a configuration is in force in spite of them.
    pub in_force: bool,
    /// When reminders come before an end: `30d`, `14d`, …
    pub reminders: Vec<String>,
    /// What locks Keyfob: `screen`, `sleep`.
    pub lock_on: Vec<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Row {
    /// `token.aspect`.
    pub name: String,
    /// `aspect`.
    pub short: String,
    /// `sso`, `token`, `aws`, `machine`, `outscale`, `outerbounds`, `secret`; a kind of a newer agent is shown as it is.
    pub kind: String,
    /// What it is more precisely: the kind, but `aws-command` for keys that another program gives, `aws-outerbounds` for those of a
    /// deployment of Outerbounds, `sso-machine` for a session of a job, `secret-aws` for values in AWS.
    pub what: String,
    /// What it is for: hosts, a role, an issuer where there is nothing else.
    pub targets: Vec<String>,
    /// The entry that it is obtained through.
    pub through: Option<String>,
    /// The person or account.
    pub owner: Option<String>,
    /// How it is.
    pub state: RowState,
    /// Since when what is held is held (RFC 3339), where that is known: the left end of the bar.
    pub since: Option<String>,
    /// Its end (RFC 3339).
    pub until: Option<String>,
    /// Whether the end is assumed.
    pub until_assumed: bool,
    /// Who told the end, in words: `the token service`.
    pub until_by: Option<String>,
    /// What stands in the way.
    pub trouble: Option<Trouble>,
    /// What else a person should know, the most urgent first.
    pub notes: Vec<Remark>,
    /// The one thing to do now.
    pub due: Option<Deed>,
    /// What else can be done with it.
    pub can: Vec<Deed>,
    /// What will happen to it within twelve months, in order of time.
    pub plan: Vec<Planned>,
    /// No reminders until then (RFC 3339).
    pub quiet_until: Option<String>,
    /// What a pasted token must begin with.
    pub prefix: Option<String>,
    /// Whether there is a page on which a person makes the token.
    pub has_portal: bool,
    /// Whether its service replaces it by itself, so that nothing has to be pasted.
    pub rotates_by_service: bool,
    /// What the policy says, as the configuration has it: `confirm` and the like; empty without one.
    pub policy: Vec<String>,
}

/// How an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum RowState {
    /// Nothing is held.
    SignedOut,
    /// It serves.
    Live,
    /// It serves, and its end is near.
    Ending,
    /// It would serve, but for something that passes.
    Waiting,
    /// It does not serve until somebody acts.
    Refused,
    /// It has nothing to do here, and nobody has anything to do about it: the identity of a job, where no job runs.
    Idle,
}

/// One sentence about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Remark {
    /// `urgent`, `due` or `known`.
    pub weight: String,
    /// Lower case start.
    pub say: String,
}

/// Something that a person can do with an entry, by a click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Deed {
    /// Sign in with this `sso` entry (it may be the one behind the row's own).
    SignIn {
        /// `sso.okta`.
        entry: String,
    },
    /// Forget the session.
    SignOut {
        /// `sso.okta`.
        entry: String,
    },
    /// Paste a token where none is held.
    AddToken {
        /// `token.aspect`.
        entry: String,
    },
    /// Replace the token.
    RotateToken {
        /// `token.aspect`.
        entry: String,
    },
    /// Forget the token.
    RemoveToken {
        /// `token.aspect`.
        entry: String,
    },
    /// Say when it ends.
    SayEnd {
        /// `token.aspect`.
        entry: String,
    },
    /// No reminders about it for a while, or again (`quiet_until`).
    Snooze {
        /// `token.aspect`.
        entry: String,
    },
    /// Open the console of AWS as this role.
    OpenConsole {
        /// `aws.dev`.
        entry: String,
    },
    /// Look at the new places to which an edit of the configuration would send it, and accept them or not.
    ConfirmPlaces {
        /// The entry that holds something.
        entry: String,
    },
    /// Open the keychain, or lift the lock.
    Unlock,
}

/// Something that will happen to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Planned {
    /// When (RFC 3339).
    pub at: String,
    /// What.
    pub what: PlannedDeed,
}

/// What will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedDeed {
    /// The agent reminds the person.
    Remind,
    /// The agent replaces it by itself: a lease, an access token, a token with `rotate = "auto"`.
    Renew,
    /// It ends.
    End,
}

/// A question of a policy with `confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Question {
    /// Good once, and only through this window.
    pub id: String,
    /// `aws.dev`.
    pub entry: String,
    /// The program, by its path; empty where the system does not tell.
    pub program: String,
    /// Its process.
    pub pid: Option<u32>,
    /// The programs behind it, the nearest first.
    pub behind: Vec<String>,
    /// What it calls itself; not proved.
    pub claims: Option<String>,
    /// Sentences that a person should read before the answer: the program was replaced, its path proves nothing.
    pub warnings: Vec<String>,
    /// `get`, `credential-process`, …
    pub act: String,
    /// Host and port, where there are any.
    pub target: Option<String>,
    /// How often it has asked.
    pub count: u32,
    /// When it closes unanswered (RFC 3339).
    pub closes: String,
    /// What can be answered besides `never`.
    pub offers: Vec<Approval>,
}

/// What the person says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// For the next use.
    Once,
    /// For the rest of the day: eight hours.
    Today,
    /// Until it is revoked.
    Always,
    /// No.
    Never,
}

/// A sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct SignIn {
    /// `sso.okta`.
    pub entry: String,
    /// How far it is.
    pub step: SignInStep,
}

/// How far a sign-in is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum SignInStep {
    /// The agent prepares it.
    Begun,
    /// The person is in the browser ([`PageAsk::OpenSignInPage`] opens the page again).
    Browser {
        /// Whether a browser could be opened.
        opened: bool,
    },
    /// The person types a code on any device.
    Code {
        /// What is typed.
        code: String,
        /// Where, to be read by a person.
        address: String,
        /// When the code is worthless (RFC 3339).
        until: String,
    },
    /// It has worked.
    Done {
        /// One sentence.
        say: String,
    },
    /// It has not.
    Failed {
        /// Why.
        trouble: Trouble,
    },
}

/// What belongs to the tray program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, TS)]
pub struct Own {
    /// Its version.
    pub version: String,
    /// Whether it starts when the person signs in to the computer; absent where the system does not tell.
    pub starts_at_sign_in: Option<bool>,
    /// Whether the panel shows our icon; absent until that is known.
    pub has_tray: Option<bool>,
    /// Whether the page should say that it does not: it does so once.
    pub says_no_tray: bool,
    /// No reminders about any token until then (RFC 3339).
    pub paused_until: Option<String>,
}
