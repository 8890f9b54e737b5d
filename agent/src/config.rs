//! The configuration: what a person wrote, read into a form that has only valid states.
//!
//! A text becomes a [`Config`] in one pass ([`load`]) that reports *every* error with its line. Entries come from the list
//! of kinds ([`crate::kind::KINDS`]); this module knows none of them. [`Store`] keeps the last good one while a person
//! edits.

mod fields;
mod host;
mod load;
mod policy;
mod roles;
mod store;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::Settings;
use keyfob_ipc::{Code, Refusal};

pub use fields::{nearest, of as fields_of};
pub use host::{Host, HostError, HostPattern};
pub use load::{Limits, Problem, Reading, load};
pub(crate) use load::{duration_text, read_table};
pub use store::{Store, Version};

use crate::kind::Source;
use crate::policy::Policy;

/// A configuration in force. Cheap to share, never changed.
#[derive(Debug, Default)]
pub struct Config {
    /// `[agent]`.
    pub agent: AgentSettings,
    /// `[network]`.
    pub network: Network,
    /// Every entry, in the order of kinds and then by name.
    pub entries: Vec<Arc<Entry>>,
    /// The file that it was read from, for sentences.
    pub file: Option<PathBuf>,
    policies: HashMap<EntryName, Policy>,
    names: HashMap<EntryName, usize>,
    routes: HashMap<HostPattern, usize>,
    /// Addresses that get the identity of an entry, by that entry.
    readers: HashMap<EntryName, BTreeSet<String>>,
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSettings {
    /// Where secrets are kept.
    pub keychain: KeychainKind,
    /// What Bazel gets for a host that no entry has.
    pub unknown_host: UnknownHost,
    /// Whether answers to Bazel carry `expires` (versions 7.1 to 7.3 mistook it).
    pub bazel_expires: bool,
    /// How long before its end a person is reminded of a token: the longest first, each once. Empty: never.
    pub reminders: Vec<Duration>,
    /// What locks it, beside the person.
    pub lock_on: LockOn,
}

/// `[agent] lock_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LockOn {
    /// The screen is locked.
    pub screen: bool,
    /// The machine goes to sleep.
    pub sleep: bool,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            keychain: KeychainKind::System,
            unknown_host: UnknownHost::Empty,
            bazel_expires: true,
            reminders: [30, 14, 7, 3, 1].map(|days| Duration::from_secs(days * 24 * 3600)).to_vec(),
            lock_on: LockOn::default(),
        }
    }
}

impl AgentSettings {
    /// As they cross the wire: what a person chooses in a window. `1w` is told as `7d`.
    pub fn report(&self) -> Settings {
        let LockOn { screen, sleep } = self.lock_on;
        let lock_on = [("screen", screen), ("sleep", sleep)];
        Settings {
            reminders: self.reminders.iter().copied().map(duration_text).collect(),
            lock_on: lock_on.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| (*name).to_owned()).collect(),
        }
    }
}

/// `[agent] keychain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeychainKind {
    /// The platform's own.
    System,
    /// Files, encrypted by a passphrase.
    File,
    /// Nothing at rest.
    Memory,
}

/// `[agent] unknown_host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownHost {
    /// `{"headers":{}}`.
    Empty,
    /// A refusal.
    Error,
}

/// `[network]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Proxy for everything but loopback and `no_proxy`; else the system's, else `HTTPS_PROXY`.
    pub proxy: Option<url::Url>,
    /// Hosts reached without the proxy.
    pub no_proxy: Vec<String>,
    /// A PEM file of certificates trusted beside the platform's own.
    pub ca_file: Option<PathBuf>,
}

/// `kind.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName {
    /// `sso`, `token`, `aws`.
    pub kind: &'static str,
    /// The name of the table.
    pub name: String,
}

impl EntryName {
    /// The name that `kind.name` in full says of that kind, whether or not the configuration has it.
    pub fn of(kind: &'static str, text: &str) -> Option<Self> {
        let name = text.strip_prefix(kind)?.strip_prefix('.')?;
        load::is_entry_name(name).then(|| Self { kind, name: name.to_owned() })
    }

    /// The name of a role that has no entry, reached through the entry of this name. No configured name has a slash.
    pub fn of_role(&self, role_arn: &str) -> Self {
        Self { kind: self.kind, name: format!("{}/{role_arn}", self.name) }
    }

    /// The entry and the role of such a name.
    pub fn role_behind(&self) -> Option<(Self, &str)> {
        let (name, role_arn) = self.name.split_once('/')?;
        Some((Self { kind: self.kind, name: name.to_owned() }, role_arn))
    }

    /// The entry of such a name; any other name itself.
    pub fn without_role(&self) -> Self {
        self.role_behind().map_or_else(|| self.clone(), |(entry, _)| entry)
    }

    /// Whether it is such a name behind that entry.
    pub fn is_role_behind(&self, entry: &Self) -> bool {
        self.kind == entry.kind
            && self.name.strip_prefix(&entry.name).is_some_and(|role| role.starts_with('/'))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.kind, self.name)
    }
}

/// One table of the configuration.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// What it is.
    pub source: Box<dyn Source>,
}

/// What an entry is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To be named.
    Anything,
    /// To sign in to.
    SignIn,
    /// To take a pasted value.
    Value,
    /// To make access keys.
    Keys,
    /// To be the identity of a job.
    Machine,
    /// To give AWS credentials, or keys in their form.
    AwsCredentials,
    /// To give the values of a secret.
    Secret,
    /// To be a deployment of Outerbounds.
    Outerbounds,
    /// To give a program what it needs in its environment.
    Exec,
}

/// Most roles that a refusal names.
const NAMED: usize = 5;

/// The longest refusal that still is one line with its hint, in characters.
const LINE: usize = 199;

/// What `keyfob` puts around a sentence and its hint.
const AROUND: usize = "keyfob: . Next: ".len();

/// Kinds whose entries a person writes before anything can be given to them, with the least that each needs.
const LEAST: [(&str, &str); 2] =
    [("secret", "keys = [\"SECRET_KEY1\"]"), ("outerbounds", "domain = \"foo.obp.outerbounds.com\"")];

impl Ask {
    fn fits(self, entry: &Entry) -> bool {
        match self {
            Self::Anything => true,
            Self::SignIn => entry.source.as_sso().is_some(),
            Self::Value => entry.source.takes_value(),
            Self::Keys => entry.source.as_outscale().is_some(),
            Self::Machine => entry.source.as_machine().is_some(),
            Self::AwsCredentials => entry.source.gives_aws_credentials(),
            Self::Secret => entry.source.as_secret().is_some(),
            Self::Outerbounds => entry.source.as_outerbounds().is_some(),
            Self::Exec => {
                [Self::AwsCredentials, Self::Secret, Self::Outerbounds].iter().any(|ask| ask.fits(entry))
            }
        }
    }

    /// For `exec`: of `outerbounds.prod` and the `aws.prod` that is obtained through it, the first.
    fn platform_of<'a>(self, named: &[&'a Arc<Entry>]) -> Option<&'a Arc<Entry>> {
        let platform = named.iter().find(|entry| entry.source.as_outerbounds().is_some())?;
        let is_its_own = |other: &&Arc<Entry>| {
            other.name == platform.name || other.source.through() == Some(&platform.name)
        };
        (self == Self::Exec && named.iter().all(is_its_own)).then_some(*platform)
    }

    /// The command that shows the entries that fit.
    fn list(self) -> &'static str {
        if self == Self::Secret { "keyfob secret list" } else { "keyfob status" }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Anything => "entries yet",
            Self::SignIn => "entry to sign in to, such as [sso.okta]",
            Self::Value => "entry for a token or an access key, such as [token.aspect]",
            Self::Keys => "entry of OUTSCALE, such as [outscale.monitoring]",
            Self::Machine => "identity of a job, such as [machine.ci]",
            Self::AwsCredentials => "entry for an AWS role or OUTSCALE keys, such as [aws.dev]",
            Self::Secret => "secret, such as [secret.my-secret]",
            Self::Outerbounds => "deployment of Outerbounds, such as [outerbounds.prod]",
            Self::Exec => "entry with keys or values for a program, such as [aws.dev]",
        }
    }
}

impl Config {
    /// Puts entries together, the most specific host first. Callers have checked that no pattern stands twice.
    pub(crate) fn new(
        agent: AgentSettings,
        network: Network,
        entries: Vec<Arc<Entry>>,
        policies: HashMap<EntryName, Policy>,
    ) -> Self {
        let routes = entries
            .iter()
            .enumerate()
            .flat_map(|(index, entry)| {
                entry.source.hosts().iter().map(move |pattern| (pattern.clone(), index))
            })
            .collect();
        let names: HashMap<EntryName, usize> =
            entries.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index)).collect();
        let mut readers: HashMap<EntryName, BTreeSet<String>> = HashMap::new();
        for entry in &entries {
            // What goes out for an entry was bought with all of those behind it.
            let behind = |of: &&EntryName| entries[*names.get(of)?].source.through();
            for of in std::iter::successors(entry.source.through(), behind) {
                let here = readers.entry(of.clone()).or_default();
                here.extend(entry.source.sends_identity_to().into_iter().map(str::to_owned));
            }
        }
        Self { agent, network, entries, file: None, policies, names, routes, readers }
    }

    /// The entry that answers for a host: its exact name first, then the wildcards from the nearest parent up.
    pub fn route(&self, host: &Host) -> Option<&Arc<Entry>> {
        let exact = self.routes.get(&HostPattern::Exact(host.clone()));
        let index = exact.or_else(|| {
            let parents = std::iter::successors(Some(host.as_str()), |name| Some(name.split_once('.')?.1));
            parents
                .filter_map(|name| Host::parse(name).ok())
                .find_map(|name| self.routes.get(&HostPattern::Below(name)))
        })?;
        self.entries.get(*index)
    }

    /// Addresses of the configuration's own choosing that get the identity of an entry, each once.
    pub fn readers_of(&self, name: &EntryName) -> impl Iterator<Item = &str> {
        self.readers.get(name).into_iter().flatten().map(String::as_str)
    }

    /// `[policy."kind.name"]` of that entry, where there is one.
    pub fn policy(&self, name: &EntryName) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// The same for people: `allow` and `confirm`.
    pub fn policy_facts(&self, name: &EntryName) -> impl Iterator<Item = (String, String)> {
        self.policy(name).into_iter().flat_map(Policy::facts)
    }

    /// The entry that a person means: `kind.name`, or a bare name where exactly one entry that fits has it.
    ///
    /// # Errors
    /// [`Code::UnknownEntry`] with the nearest name, [`Code::AmbiguousEntry`] with the candidates.
    pub fn find(&self, text: &str, ask: Ask) -> Result<&Arc<Entry>, Refusal> {
        if let Some(entry) = self.fitting(ask).find(|entry| entry.name.to_string() == text) {
            return Ok(entry);
        }
        let named: Vec<_> = self.fitting(ask).filter(|entry| entry.name.name == text).collect();
        match named.as_slice() {
            [entry] => Ok(entry),
            [] => Err(self.other_kind(text, ask).unwrap_or_else(|| self.unknown(text, ask))),
            // Whoever runs a program of the platform means the platform, and has its keys by that.
            several if let Some(platform) = ask.platform_of(several) => Ok(platform),
            several => {
                let names =
                    several.iter().map(|entry| format!("`{}`", entry.name)).collect::<Vec<_>>().join(", ");
                Err(Refusal::new(Code::AmbiguousEntry, format!("several entries have this name: {names}"))
                    .hint("name one of them in full"))
            }
        }
    }

    /// The entry that a person means by giving no name: the only one that fits.
    ///
    /// # Errors
    /// [`Code::UnknownEntry`] where there is none, [`Code::AmbiguousEntry`] where there are several.
    pub fn only(&self, ask: Ask, command: &str) -> Result<&Arc<Entry>, Refusal> {
        let all: Vec<_> = self.fitting(ask).collect();
        match all.as_slice() {
            [entry] => Ok(entry),
            [] => Err(Refusal::new(Code::UnknownEntry, format!("the configuration has no {}", ask.wanted()))
                .hint(ask.list())),
            _ => {
                let names =
                    all.iter().map(|entry| format!("`{}`", entry.name.name)).collect::<Vec<_>>().join(", ");
                Err(Refusal::new(Code::AmbiguousEntry, format!("there are several: {names}"))
                    .hint(format!("{command} NAME")))
            }
        }
    }

    fn fitting(&self, ask: Ask) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().filter(move |entry| ask.fits(entry))
    }

    /// For an entry that is there, but not of a kind that fits: what it is, and what to do with it.
    fn other_kind(&self, text: &str, ask: Ask) -> Option<Refusal> {
        let is_meant = |entry: &&Arc<Entry>| entry.name.to_string() == text || entry.name.name == text;
        let mut meant = self.entries.iter().filter(is_meant);
        let (Some(entry), None) = (meant.next(), meant.next()) else { return None };
        if ask == Ask::AwsCredentials {
            let say = format!("`{}` is no {}", entry.name, ask.wanted());
            return Some(Refusal::new(Code::UnknownEntry, say).hint(self.roles_behind(&entry.name)));
        }
        if ask == Ask::Secret {
            let say = format!("`{}` is no {}", entry.name, ask.wanted());
            return Some(Refusal::new(Code::UnknownEntry, say).hint(ask.list()));
        }
        if ask == Ask::Outerbounds {
            let (say, hint) = match self.behind(entry).find(|name| name.kind == "outerbounds") {
                Some(platform) => {
                    let say = format!("`{}` is obtained with `{platform}`", entry.name);
                    (say, format!("keyfob metaflow {platform}"))
                }
                None => (format!("`{}` is no {}", entry.name, ask.wanted()), ask.list().to_owned()),
            };
            return Some(Refusal::new(Code::UnknownEntry, say).hint(hint));
        }
        let (say, holder) = match entry.source.through() {
            Some(through) => (format!("`{}` is obtained with `{through}`", entry.name), self.entry(through)?),
            None => (format!("`{}` is no {}", entry.name, ask.wanted()), entry.clone()),
        };
        if matches!(ask, Ask::SignIn | Ask::Machine) && holder.source.as_machine().is_some() {
            let nobody = if ask == Ask::SignIn { ": there is nobody to sign in" } else { "" };
            let say = format!("{say}, the identity of a job{nobody}");
            let hint = format!("keyfob machine claims {}", holder.name.name);
            return Some(Refusal::new(Code::UnknownEntry, say).hint(hint));
        }
        if matches!(ask, Ask::Keys | Ask::Machine) {
            return Some(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"));
        }
        let hint = holder.source.sign_in(&holder.name).unwrap_or_default();
        Some(Refusal::new(Code::UnknownEntry, say).hint(hint))
    }

    /// What to name in place of an entry that gives no keys itself: that somebody is signed in to it already is no help.
    fn roles_behind(&self, name: &EntryName) -> String {
        let behind = |entry: &&Arc<Entry>| self.behind(entry).any(|through| through == name);
        let roles: Vec<String> = self
            .fitting(Ask::AwsCredentials)
            .filter(behind)
            .map(|role| format!("`{}`", role.name))
            .take(NAMED)
            .collect();
        if roles.is_empty() {
            "name an [aws.*] or [outscale.*] entry: `keyfob status` shows them".to_owned()
        } else {
            format!("name a role that is obtained with it: {}", roles.join(", "))
        }
    }

    /// The entries that one is obtained through, from the nearest on. A configuration in force has no circles.
    fn behind<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a EntryName> {
        std::iter::successors(entry.source.through(), |name| {
            self.entries[*self.names.get(name)?].source.through()
        })
    }

    /// For an entry that a person has to write first: the lines that make it, or the name that was meant.
    fn unwritten(&self, text: &str, ask: Ask) -> Option<Refusal> {
        let split = |kind: &str| text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.'));
        let of_kind = match ask {
            Ask::Secret => Some("secret"),
            Ask::Outerbounds => Some("outerbounds"),
            _ => None,
        };
        let (kind, least) = LEAST.into_iter().find(|(kind, _)| match of_kind {
            Some(wanted) => *kind == wanted,
            None => split(kind).is_some(),
        })?;
        let name = split(kind).unwrap_or(text);
        // A name goes into command lines and files: no other text is told to be one.
        if !load::is_entry_name(name) {
            return None;
        }
        let of_kind = || self.entries.iter().filter(|entry| entry.name.kind == kind);
        let known: Vec<&str> = of_kind().map(|entry| entry.name.name.as_str()).collect();
        if let Some(near) = nearest(name, &known) {
            let meant = if name == text { near.to_owned() } else { format!("{kind}.{near}") };
            let say = format!("there is no entry `{text}`; did you mean `{meant}`?");
            return Some(Refusal::new(Code::UnknownEntry, say).hint(format!("keyfob why {kind}.{near}")));
        }
        let say = if known.is_empty() {
            format!("there is no entry `{kind}.{name}`")
        } else {
            let there: Vec<String> = of_kind().map(|entry| entry.name.to_string()).collect();
            format!("there is no entry `{kind}.{name}`; there is {}", there.join(", "))
        };
        // What mends it is a command, as everywhere; before it there is something to write.
        let hint = if kind == "secret" {
            format!("keyfob secret set {name}")
        } else {
            format!("keyfob token add {name}")
        };
        let lines = format!("[{kind}.{name}] {least}");
        let file = self.file.as_ref().map(|file| keyfob_ipc::text::escape(&file.display().to_string()));
        let whole = |file: &str| format!("{say}; first add to {file}: {lines}");
        let say = file
            .map(|file| whole(&file))
            .filter(|whole| AROUND + whole.chars().count() + hint.chars().count() <= LINE)
            .unwrap_or_else(|| whole("the configuration"));
        Some(Refusal::new(Code::UnknownEntry, say).hint(hint))
    }

    fn unknown(&self, text: &str, ask: Ask) -> Refusal {
        if let Some(unwritten) = self.unwritten(text, ask) {
            return unwritten;
        }
        let shown = keyfob_ipc::text::escape(text);
        let names: Vec<String> = self.fitting(ask).map(|entry| entry.name.to_string()).collect();
        let bare = names.iter().filter_map(|name| name.split_once('.').map(|(_, bare)| bare));
        let known: Vec<&str> = names.iter().map(String::as_str).chain(bare).collect();
        let say = match nearest(text, &known) {
            Some(near) => format!("there is no entry `{shown}`; did you mean `{near}`?"),
            None if names.is_empty() => {
                format!("there is no entry `{shown}`, and the configuration has no {}", ask.wanted())
            }
            None => format!("there is no entry `{shown}`; there is {}", names.join(", ")),
        };
        Refusal::new(Code::UnknownEntry, say).hint(ask.list())
    }
}
