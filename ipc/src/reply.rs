//! What comes back.
//!
//! A request gets exactly one final reply. [`ControlAsk::Login`](crate::ControlAsk::Login) gets any number of
//! [`Reply::Step`]s before it. Times are RFC 3339 in UTC with whole seconds (`2026-11-21T08:00:00Z`), durations are seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::PROTOCOL;
pub use crate::machine::{BootstrapStep, Claim, ClaimsReport, is_eim_action};
pub use crate::metaflow::{MetaflowConfig, SecretValues, is_variable, steers_programs};
use crate::refusal::Refusal;
use crate::secret::{Secret, exposed, exposed_option};
pub use crate::token::{
    ClusterRights, EntryPermissions, Event, Issued, IssuedToken, Note, Notice, Right, Rights, Teller,
    TokenReport, ToldFact, ToldRights, Weight,
};
pub use crate::trust::{
    Approval, Asking, Check, GrantReport, Health, LedgerLine, LockReport, LockedBy, Outcome, Question,
};

/// One answer: `{"v":1,"reply":…}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Protocol version of the sender.
    pub v: u16,
    /// What is answered.
    pub reply: Reply,
}

impl Answer {
    /// An answer in this build's version.
    pub fn new(reply: Reply) -> Self {
        Self { v: PROTOCOL, reply }
    }
}

/// Every kind of reply.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// For `get`.
    Headers(Headers),
    /// For `credential-process`.
    AwsCredentials(AwsCredentials),
    /// For `exec`.
    Exec(Box<ExecKeys>),
    /// For `secret`, and for `exec` with a `secret` entry.
    Secret(Box<SecretValues>),
    /// For `metaflow`, and for `exec` with an `outerbounds` entry.
    Metaflow(Box<MetaflowConfig>),
    /// For `why`.
    Why(Box<Why>),
    /// For `about`.
    About(About),
    /// For `status`.
    Status(Box<Status>),
    /// For `entry`.
    Entry(Box<EntryReport>),
    /// For `config-check`.
    Config(ConfigReport),
    /// For `config-confirm`.
    Changes(Vec<Change>),
    /// For `token-add`, `token-rotate` and `token-ends`.
    Token(Box<TokenReport>),
    /// For `token-rescue`.
    Value {
        /// The value itself.
        #[serde(serialize_with = "exposed")]
        value: Secret<String>,
    },
    /// For `permissions`.
    Permissions(Vec<EntryPermissions>),
    /// For `admin` with `list` and `set-permissions`.
    Tokens(Vec<IssuedToken>),
    /// For `admin` with `rotate` and `create-machine`.
    Issued(Box<Issued>),
    /// For `machine-claims`.
    Claims(Box<ClaimsReport>),
    /// For `outscale-bootstrap`: what there is to do, or what was done.
    Bootstrap(Vec<BootstrapStep>),
    /// For `questions`.
    Questions(Vec<Question>),
    /// For `grants`.
    Grants(Vec<GrantReport>),
    /// For `log`, the oldest first.
    Ledger(Vec<LedgerLine>),
    /// For `doctor`.
    Checks(Vec<Check>),
    /// For `watch`, any number of times.
    Event(Event),
    /// Something that the client has to do or show while the request goes on.
    Step(Step),
    /// Done; one sentence about it.
    Done {
        /// Lower case start, without the leading `keyfob: `.
        say: String,
    },
    /// Not done.
    Refused(Refusal),
}

/// `GetCredentialsResponse` of the credential helper protocol, to the letter.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Headers {
    /// Header name to values; always present, empty where no credential is needed.
    #[serde(serialize_with = "exposed_headers")]
    pub headers: BTreeMap<String, Vec<Secret<String>>>,
    /// Until when the tool may cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

fn exposed_headers<S: Serializer>(
    headers: &BTreeMap<String, Vec<Secret<String>>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        headers.iter().map(|(name, values)| (name, values.iter().map(Secret::expose).collect::<Vec<_>>())),
    )
}

/// The JSON of `credential_process`, to the letter: absent members are left out, never empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AwsCredentials {
    /// Always the number 1.
    pub version: u8,
    /// `ASIA…` or `AKIA…`.
    pub access_key_id: String,
    /// The secret half.
    #[serde(serialize_with = "exposed")]
    pub secret_access_key: Secret<String>,
    /// Present for temporary keys.
    #[serde(default, serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret<String>>,
    /// `YYYY-MM-DDTHH:MM:SSZ`, the one form that all SDKs read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Twelve digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// Keys for the environment of one program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecKeys {
    /// `kind.name`: its kind says which variables they go into.
    pub entry: String,
    /// The region of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The keys themselves.
    pub credentials: AwsCredentials,
}

/// Which entry answers, and how far it gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Why {
    /// What was asked about, reduced to host and port or an entry's name.
    pub subject: String,
    /// The entry that answers, if one does.
    pub entry: Option<EntryReport>,
    /// What stands between the caller and an answer, with the one next step.
    pub refusal: Option<Refusal>,
    /// One sentence.
    pub say: String,
}

/// The agent itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// Version of the binary.
    pub version: String,
    /// Newest protocol version it speaks.
    pub protocol: u16,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: String,
    /// Proportional set size in KiB, where the system tells (Linux).
    pub memory_kib: Option<u64>,
    /// The file of the tool door.
    pub socket: String,
    /// Whether it runs apart from the person's own profile (`KEYFOB_*` variables).
    pub own_profile: bool,
}

/// For `status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The agent itself.
    pub agent: About,
    /// Where secrets are kept.
    pub keychain: KeychainReport,
    /// The configuration in force.
    pub config: ConfigReport,
    /// Every entry, by kind and then by name.
    pub entries: Vec<EntryReport>,
    /// The lock, where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockReport>,
    /// How many questions wait for the person (`keyfob approve`).
    #[serde(default)]
    pub questions: usize,
    /// What the configuration says about the agent itself, as far as a person chooses it in the window.
    #[serde(default)]
    pub settings: Settings,
}

/// Some of `[agent]` in the configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// When reminders come before an end: `30d`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<String>,
    /// What locks Keyfob: `screen`, `sleep`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_on: Vec<String>,
}

/// Something that will happen to an entry, as far as the agent knows now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// When (RFC 3339).
    pub at: String,
    /// What.
    pub what: PlannedDeed,
}

/// What will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedDeed {
    /// The agent reminds the person.
    Remind,
    /// The agent replaces it by itself.
    Renew,
    /// It ends.
    End,
    /// Something that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// Where secrets are kept, and whether it can be reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeychainReport {
    /// `system`, `file` or `memory`.
    pub kind: String,
    /// The state.
    pub state: KeychainState,
    /// One sentence where it is not present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// States of a keychain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeychainState {
    /// It answers.
    Present,
    /// There is none.
    Missing,
    /// It waits for the person.
    Locked,
    /// It refuses this program.
    Denied,
    /// It does not answer, or fails.
    Failing,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Its file.
    pub path: String,
    /// Whether the file exists.
    pub exists: bool,
    /// Every error of the file as it is now: `line 4: …`. With any, the last good one stays in force, if there is one.
    pub errors: Vec<String>,
    /// Whether a configuration is in force: this one, or an earlier one that was good.
    pub in_force: bool,
}

/// One entry: what it is, and its state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryReport {
    /// `kind.name`.
    pub name: String,
    /// `sso`, `token`, `aws`.
    pub kind: String,
    /// The state.
    pub state: EntryState,
    /// The end of what is held: of the session, the token, or the newest lease of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether `until` is assumed from the configuration, not told by the service.
    #[serde(default)]
    pub until_assumed: bool,
    /// Who told `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_by: Option<Teller>,
    /// The person or account, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Bazel hosts that it answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The entry that it is obtained through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// Facts of its kind that a client needs: `issuer`, `role_arn`, `region`, `header`, `prefix`, `portal`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// What stands in the way, with the next command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What else a person should know now: a reminder, an earlier token that clusters may still accept, a rotation that
    /// is not finished. The most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Since when what is held is held: the sign-in, the token's making or adding, the newest lease of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What will happen to it within twelve months, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Planned>,
    /// No reminders until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_until: Option<String>,
}

/// State of an entry (the table is in `docs/architecture.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// Nothing is held.
    SignedOut,
    /// It serves.
    Live,
    /// It serves, and its end is near.
    Ending,
    /// It would serve, but for something that passes: a locked keychain, the network, an approval.
    Waiting,
    /// It does not serve until somebody acts.
    Refused,
}

/// A holding that an edit of the configuration would send to new places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entry.
    pub entry: String,
    /// Each new place in words: `host *.evil.example`.
    pub places: Vec<String>,
}

/// Something that the client has to do or show.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Open this address in the person's browser (`http` and `https` only; the client checks again).
    OpenBrowser {
        /// The address.
        url: String,
    },
    /// Show the code and where to enter it (RFC 8628, section 3.3).
    DeviceCode {
        /// What the person types.
        user_code: String,
        /// Where.
        verification_uri: String,
        /// The same with the code in it, to be opened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verification_uri_complete: Option<String>,
        /// Seconds until the code is worthless.
        expires_in: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helper_answer_is_the_protocols_own_shape() {
        let headers = Headers {
            headers: BTreeMap::from([("X-Aspect".to_owned(), vec![Secret::from("aw_1")])]),
            expires: Some("2026-11-21T08:00:00Z".to_owned()),
        };
        assert_eq!(
            serde_json::to_string(&headers).unwrap(),
            r#"{"headers":{"X-Aspect":["aw_1"]},"expires":"2026-11-21T08:00:00Z"}"#
        );
        assert_eq!(serde_json::to_string(&Headers::default()).unwrap(), r#"{"headers":{}}"#);
    }

    #[test]
    fn aws_answer_leaves_absent_members_out_and_version_is_a_number() {
        let credentials = AwsCredentials {
            version: 1,
            access_key_id: "AKIA".to_owned(),
            secret_access_key: Secret::from("s"),
            session_token: None,
            expiration: None,
            account_id: None,
        };
        assert_eq!(
            serde_json::to_string(&credentials).unwrap(),
            r#"{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s"}"#
        );
    }
}
