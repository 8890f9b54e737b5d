//! What crosses the wire about personal access tokens: what they may do, who says so, and what became of them.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::secret::{Secret, exposed_option};
use crate::trust::{LedgerLine, LockReport, Question};

/// Who told a fact. A fact that nobody told is absent, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teller {
    /// A remote cluster, asked with the token.
    Cluster,
    /// The service that made the token.
    TokenService,
    /// The provider of an SSO session.
    IdentityProvider,
    /// AWS.
    Aws,
    /// EIM, the identity management of OUTSCALE.
    Eim,
    /// The token itself, which is readable (a JWT).
    Token,
    /// The person.
    Person,
    /// The configuration: assumed.
    Configuration,
    /// Somebody whom only a newer version knows.
    #[serde(other)]
    Unknown,
}

impl Teller {
    /// As a sentence names it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Cluster => "the cluster",
            Self::TokenService => "the token service",
            Self::IdentityProvider => "the identity provider",
            Self::Aws => "AWS",
            Self::Eim => "OUTSCALE",
            Self::Token => "the token itself",
            Self::Person => "you",
            Self::Configuration => "the configuration",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether something is permitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It is, but the cluster has nothing to do it with.
    WithoutEffect,
    /// Nobody says.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a token may do at a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Read the cache.
    #[serde(default)]
    pub read: Right,
    /// Write to the action cache.
    #[serde(default)]
    pub write: Right,
    /// Run actions remotely.
    #[serde(default)]
    pub execute: Right,
}

/// What a token may do at one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRights {
    /// The cluster, as the configuration or the service names it.
    pub cluster: String,
    /// What it may do there.
    #[serde(flatten)]
    pub rights: Rights,
}

/// What one entry may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryPermissions {
    /// `kind.name`.
    pub name: String,
    /// `sso`, `token`, `aws`.
    pub kind: String,
    /// Clusters, each by everybody who says something about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ToldRights>,
    /// Everything else ([`ToldFact::name`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<ToldFact>,
    /// Who could not be asked and why, or what else stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// What somebody says about a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRights {
    /// Where, and what is permitted there.
    #[serde(flatten)]
    pub at: ClusterRights,
    /// Who says so.
    pub by: Teller,
    /// When they said it (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// One sentence where the rights alone would mislead: a cluster that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What somebody says about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldFact {
    /// `owner`, `machine` (only `yes`), `scopes`, `groups`, `ends`, `account`, `role`, `assumed` (the role as AWS names the
    /// session), `user`, `allows` and `denies` (one value a statement of a policy: `ec2:Describe* on *`).
    pub name: String,
    /// One or several.
    pub values: Vec<String>,
    /// Who says so.
    pub by: Teller,
    /// When they said it (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// What became of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenReport {
    /// One sentence; lower case start, without the leading `keyfob: `.
    pub say: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its end (RFC 3339); absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who told the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_by: Option<Teller>,
    /// Permissions that the token before it had and this one has not: `write at aw-remote-ext`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Permissions that this one has and the token before it had not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<String>,
    /// What else a person should know now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What it may do, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<EntryPermissions>,
}

/// One sentence about an entry, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How loud it is.
    pub weight: Weight,
    /// Lower case start, without the leading `keyfob: `.
    pub say: String,
    /// The exact command; empty where there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// How loud a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Something may be lost unless somebody acts.
    Urgent,
    /// Something is to be done.
    Due,
    /// Good to know.
    #[serde(other)]
    Known,
}

/// A token as its service lists it to an administrator. No value: services keep none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Its id at the service.
    pub id: String,
    /// A person, or `bot-…`.
    pub owner: String,
    /// Whether it is a machine's.
    #[serde(default)]
    pub machine: bool,
    /// Whether it may administer others.
    #[serde(default)]
    pub admin: bool,
    /// Its last characters, where the service keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_four: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Its end (RFC 3339); absent where the service does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was last seen at work (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Vec<ClusterRights>,
}

/// A token with a new value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Issued {
    /// The token.
    pub token: IssuedToken,
    /// The value, unless an entry keeps it. It is shown this once.
    #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret<String>>,
    /// The entry that keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<String>,
    /// One sentence.
    pub say: String,
}

/// What changed, for whoever watches the control door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The watch has begun; nothing from here on is missed.
    Watching,
    /// Something about these entries is not as it was.
    Changed {
        /// Names of entries: all, where something about the agent itself changed (its settings, its keychain, the errors of its
        /// configuration), which may be none.
        entries: Vec<String>,
    },
    /// Something to tell the person. Sent to watchers that show notices; the first to claim it shows it.
    Notice(Notice),
    /// A question is open, or somebody asks it again. Sent to watchers that show questions; its id is this connection's own.
    Question(Question),
    /// A question is answered, or its time is up.
    QuestionClosed {
        /// [`Question::id`], as this connection knows it.
        id: String,
    },
    /// A line was added to the ledger. Sent to watchers of the ledger.
    Ledger(LedgerLine),
    /// It was locked, or unlocked (`null`).
    Lock(Option<LockReport>),
}

/// Something to tell the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Unique in this run of the agent.
    pub id: u64,
    /// The entry that it is about.
    pub entry: String,
    /// How loud it is.
    pub weight: Weight,
    /// A few words.
    pub title: String,
    /// One or two sentences, without markup. Text from outside in it is already escaped.
    pub body: String,
    /// Whether it is word of a question that is open. A window is sent the question itself, and tells of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_question: bool,
}
