//! From text to [`Config`]: every error at once, each with its line.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{
    AgentSettings, Config, Entry, EntryName, HostPattern, KeychainKind, LockOn, Network, UnknownHost,
    fields_of, nearest,
};
use crate::kind::KINDS;

/// Largest configuration that is read, in bytes.
pub const SIZE: usize = 4 * 1024 * 1024;

/// Most reminders of one end.
const REMINDERS: usize = 32;

/// What the agent's own circumstances allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Plain `http` to loopback addresses (an agent with a profile of its own).
    pub plain_loopback: bool,
}

/// One error of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the text, in bytes.
    pub span: Option<Range<usize>>,
    /// What is wrong; lower case start.
    pub say: String,
}

impl Problem {
    /// An error at a value.
    pub fn at<T>(value: &Spanned<T>, say: impl Into<String>) -> Self {
        Self { span: Some(value.span()), say: say.into() }
    }

    fn of(error: &toml::de::Error) -> Self {
        let said = error.message().lines().collect::<Vec<_>>().join(" ");
        Self { span: error.span(), say: in_plain_words(&said).unwrap_or(said) }
    }
}

/// What the parser says, for people who do not know its language.
fn in_plain_words(said: &str) -> Option<String> {
    if let Some(name) = said.strip_prefix("missing field ") {
        return Some(format!("{name} is missing"));
    }
    let (_, expected) = said.split_once(", expected ")?;
    let wanted = match expected {
        "a sequence" => "a list, such as [\"one\", \"two\"]",
        "a string" => "a text in quotation marks",
        "a boolean" => "true or false",
        "u16" => "a port from 1 to 65535",
        "a map" => "a table, such as { name = \"value\" }",
        _ => {
            return said
                .strip_prefix("unknown variant ")
                .map(|rest| rest.replace(", expected one of", " is not known here; known:"));
        }
    };
    Some(format!("here stands {wanted}"))
}

/// Reading a table: collects problems, so that one does not hide the next.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What is allowed.
    pub limits: Limits,
    /// The table's own name, for sentences: `sso.okta`.
    pub place: &'a str,
    /// Errors so far.
    pub problems: Vec<Problem>,
    /// Where the entry behind this one is named; else an error about it is at the table's name.
    pub through: Option<Range<usize>>,
}

impl<'a> Reading<'a> {
    /// Nothing found yet.
    pub fn new(limits: Limits, place: &'a str) -> Self {
        Self { limits, place, problems: Vec::new(), through: None }
    }
}

impl Reading<'_> {
    /// The value, or its error noted.
    pub fn check<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// An address that Keyfob itself will call: `https`, or plain `http` to loopback where that is allowed.
    pub fn address(&mut self, text: &Spanned<String>) -> Option<url::Url> {
        let place = self.place;
        let limits = self.limits;
        self.check(url::Url::parse(text.get_ref()).map_err(|_| Problem::at(text, format!("{place}: this is not an address"))).and_then(
            |address| {
                let host = address.host_str().and_then(|host| super::Host::parse(host).ok());
                let Some(host) = host else { return Err(Problem::at(text, format!("{place}: this address has no host"))) };
                if !address.username().is_empty() || address.password().is_some() {
                    return Err(Problem::at(text, format!("{place}: an address here carries no user information; a configuration never holds a secret")));
                }
                match address.scheme() {
                    "https" => Ok(address),
                    "http" if host.is_loopback() && limits.plain_loopback => Ok(address),
                    "http" if host.is_loopback() => Err(Problem::at(
                        text,
                        format!("{place}: plain http to this machine is for tests and the demo only (set KEYFOB_STATE_DIR)"),
                    )),
                    _ => Err(Problem::at(text, format!("{place}: this address must begin with https://"))),
                }
            },
        ))
    }

    /// Host patterns.
    pub fn hosts(&mut self, texts: &[Spanned<String>]) -> Vec<HostPattern> {
        texts
            .iter()
            .filter_map(|text| {
                let pattern = HostPattern::parse(text.get_ref()).map_err(|error| {
                    Problem::at(
                        text,
                        format!(
                            "{}: the host `{}` {error}",
                            self.place,
                            keyfob_ipc::text::escape(text.get_ref())
                        ),
                    )
                });
                self.check(pattern)
            })
            .collect()
    }

    /// A duration in words: `1h`, `90m`, `12h`, `1y`, in seconds.
    pub fn duration(&mut self, text: &Spanned<String>) -> Option<Duration> {
        let place = self.place;
        self.check(duration(text.get_ref()).ok_or_else(|| {
            let shown = keyfob_ipc::text::escape(text.get_ref());
            Problem::at(text, format!("{place}: `{shown}` is not a duration; write 90s, 15m, 12h, 30d or 1y"))
        }))
    }

    /// Text that ends up in a header, a request or on a screen: printable ASCII without spaces around.
    pub fn plain(&mut self, text: &Spanned<String>) -> Option<String> {
        let place = self.place;
        let value = text.get_ref();
        let is_plain =
            !value.is_empty() && value.len() <= 512 && value.bytes().all(|byte| byte.is_ascii_graphic());
        self.check(if is_plain {
            Ok(value.clone())
        } else {
            Err(Problem::at(text, format!("{place}: this must be visible ASCII without spaces")))
        })
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.char_indices().next_back()?.0;
    let count: u64 = text[..unit].parse().ok()?;
    let seconds = match &text[unit..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        "y" => 365 * 24 * 3600,
        _ => return None,
    };
    let seconds = count.checked_mul(seconds)?;
    (1..=100 * 365 * 24 * 3600).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// The shortest text for a duration that is read back as the same: `30d`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, name) = match seconds {
        _ if seconds.is_multiple_of(24 * 3600) => (24 * 3600, "d"),
        _ if seconds.is_multiple_of(3600) => (3600, "h"),
        _ if seconds.is_multiple_of(60) => (60, "m"),
        _ => (1, "s"),
    };
    format!("{}{name}", seconds / unit)
}

/// Reads a whole configuration.
///
/// # Errors
/// Every error found, as `line 4: …`.
pub fn load(text: &str, limits: Limits) -> Result<Config, Vec<String>> {
    let lines = |mut problems: Vec<Problem>| {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        problems
            .into_iter()
            .map(|problem| match problem.span {
                Some(span) => format!("line {}: {}", line_of(text, span.start), problem.say),
                None => problem.say,
            })
            .collect::<Vec<_>>()
    };
    if text.len() > SIZE {
        return Err(vec![format!("the file is over {SIZE} bytes")]);
    }
    let root = DeTable::parse(text).map_err(|error| lines(vec![Problem::of(&error)]))?;
    let mut problems = Vec::new();
    let mut agent = AgentSettings::default();
    let mut network = Network::default();
    let (mut entries, mut tried, mut policies) = (Vec::new(), Vec::new(), None);
    let mut references = HashMap::new();
    for (key, value) in root.into_inner() {
        match key.get_ref().as_ref() {
            "agent" => agent = read_agent(value, limits, &mut problems).unwrap_or_default(),
            "network" => network = read_network(value, limits, &mut problems).unwrap_or_default(),
            "policy" => policies = Some(value),
            kind => match KINDS.iter().find(|known| known.name == kind) {
                Some(known) => read_entries(
                    known,
                    value,
                    limits,
                    &mut entries,
                    &mut tried,
                    &mut references,
                    &mut problems,
                ),
                None => problems.push(unknown_table(&key)),
            },
        }
    }
    entries.sort_by_key(|(entry, _): &(Arc<Entry>, Range<usize>)| {
        (KINDS.iter().position(|kind| kind.name == entry.name.kind), entry.name.name.clone())
    });
    check_references(&entries, &tried, &references, &mut problems);
    complete(&mut entries, &mut problems);
    check_hosts(&entries, &mut problems);
    let policies = super::policy::read(policies, &tried, &mut problems);
    if !problems.is_empty() {
        return Err(lines(problems));
    }
    Ok(Config::new(agent, network, entries.into_iter().map(|(entry, _)| entry).collect(), policies))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn unknown_table(key: &Spanned<toml::de::DeString<'_>>) -> Problem {
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).chain(["agent", "network", "policy"]).collect();
    unknown("", key, &known, "table")
}

fn unknown(place: &str, key: &Spanned<toml::de::DeString<'_>>, known: &[&str], what: &str) -> Problem {
    let name = keyfob_ipc::text::escape(key.get_ref());
    let near = match nearest(key.get_ref(), known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; known here: {}", known.join(", ")),
    };
    Problem::at(key, format!("unknown {what} `{place}{name}`{near}"))
}

/// Reads a table into a form whose fields serde knows; unknown keys are errors that name the nearest known one.
pub(crate) fn read_table<'de, T: Deserialize<'de>>(
    place: &str,
    value: Spanned<DeValue<'de>>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let known = fields_of::<T>();
    let Some(table) = value.get_ref().as_table() else {
        problems.push(Problem::at(&value, format!("`{place}` is a table; write [{place}]")));
        return None;
    };
    let before = problems.len();
    for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
        problems.push(unknown(&format!("{place}."), key, known, "key"));
    }
    if problems.len() > before {
        return None;
    }
    let span = value.span();
    T::deserialize(ValueDeserializer::from(value))
        .map_err(|error| {
            let mut problem = Problem::of(&error);
            problem.span = problem.span.filter(|span| span.start > 0).or(Some(span));
            problem.say = format!("{place}: {}", problem.say);
            problems.push(problem);
        })
        .ok()
}

fn read_agent(
    value: Spanned<DeValue<'_>>,
    limits: Limits,
    problems: &mut Vec<Problem>,
) -> Option<AgentSettings> {
    #[derive(Deserialize)]
    struct Table {
        keychain: Option<KeychainKind>,
        unknown_host: Option<UnknownHost>,
        bazel_expires: Option<bool>,
        reminders: Option<Spanned<Vec<Spanned<String>>>>,
        lock_on: Option<Vec<Spanned<String>>>,
    }
    let table: Table = read_table("agent", value, problems)?;
    let usual = AgentSettings::default();
    let mut reading = Reading::new(limits, "agent");
    let reminders = table.reminders.and_then(|texts| read_reminders(&mut reading, &texts));
    let lock_on = read_lock_on(&mut reading, &table.lock_on.unwrap_or_default());
    problems.append(&mut reading.problems);
    Some(AgentSettings {
        keychain: table.keychain.unwrap_or(usual.keychain),
        unknown_host: table.unknown_host.unwrap_or(usual.unknown_host),
        bazel_expires: table.bazel_expires.unwrap_or(usual.bazel_expires),
        reminders: reminders.unwrap_or(usual.reminders),
        lock_on,
    })
}

fn read_lock_on(reading: &mut Reading<'_>, texts: &[Spanned<String>]) -> LockOn {
    let mut lock_on = LockOn::default();
    for text in texts {
        match text.get_ref().as_str() {
            "screen" => lock_on.screen = true,
            "sleep" => lock_on.sleep = true,
            other => {
                let shown = keyfob_ipc::text::escape(other);
                let say = format!("agent: `lock_on` does not know `{shown}`; it knows `screen` and `sleep`");
                reading.problems.push(Problem::at(text, say));
            }
        }
    }
    lock_on
}

/// The longest first, each once.
fn read_reminders(reading: &mut Reading<'_>, texts: &Spanned<Vec<Spanned<String>>>) -> Option<Vec<Duration>> {
    if texts.get_ref().len() > REMINDERS {
        let say = format!("agent: `reminders` has {} of them; at most {REMINDERS}", texts.get_ref().len());
        return reading.check(Err(Problem::at(texts, say)));
    }
    let mut all: Vec<Duration> = texts.get_ref().iter().filter_map(|text| reading.duration(text)).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.dedup();
    Some(all)
}

fn read_network(value: Spanned<DeValue<'_>>, limits: Limits, problems: &mut Vec<Problem>) -> Option<Network> {
    #[derive(Deserialize)]
    struct Table {
        proxy: Option<Spanned<String>>,
        no_proxy: Option<Vec<String>>,
        ca_file: Option<Spanned<PathBuf>>,
    }
    let table: Table = read_table("network", value, problems)?;
    let mut reading = Reading::new(limits, "network");
    let proxy = table.proxy.and_then(|text| {
        let parsed = url::Url::parse(text.get_ref())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let fitting =
            parsed.ok_or_else(|| Problem::at(&text, "network: a proxy is written http://host:port"));
        let without_secret = fitting.and_then(|url| match url.password() {
            None => Ok(url),
            Some(_) => Err(Problem::at(
                &text,
                "network: a configuration never holds a secret, so no password of a proxy",
            )),
        });
        reading.check(without_secret)
    });
    let ca_file = table.ca_file.and_then(|path| {
        let absolute = path.get_ref().is_absolute();
        reading.check(if absolute {
            Ok(path.get_ref().clone())
        } else {
            Err(Problem::at(&path, "network: ca_file is an absolute path"))
        })
    });
    problems.append(&mut reading.problems);
    Some(Network { proxy, no_proxy: table.no_proxy.unwrap_or_default(), ca_file })
}

fn read_entries(
    kind: &crate::kind::Kind,
    value: Spanned<DeValue<'_>>,
    limits: Limits,
    entries: &mut Vec<(Arc<Entry>, Range<usize>)>,
    tried: &mut Vec<EntryName>,
    references: &mut HashMap<EntryName, Range<usize>>,
    problems: &mut Vec<Problem>,
) {
    let span = value.span();
    let DeValue::Table(tables) = value.into_inner() else {
        problems.push(Problem {
            span: Some(span),
            say: format!("`{}` holds named tables; write [{}.name]", kind.name, kind.name),
        });
        return;
    };
    if !tables.is_empty() && tables.values().all(|value| value.get_ref().as_table().is_none()) {
        let say = format!("[{}] needs a name of its own; write [{}.NAME]", kind.name, kind.name);
        problems.push(Problem { span: Some(span), say });
        return;
    }
    for (key, value) in tables {
        let name = key.get_ref().to_string();
        if !is_entry_name(&name) {
            problems.push(Problem::at(
                &key,
                format!(
                    "`{}.{}`: a name has letters, digits, `-` and `_`, at most 64",
                    kind.name,
                    keyfob_ipc::text::escape(&name)
                ),
            ));
            continue;
        }
        let name = EntryName { kind: kind.name, name };
        tried.push(name.clone());
        let place = name.to_string();
        let mut reading = Reading::new(limits, &place);
        let source = (kind.read)(value, &mut reading);
        problems.append(&mut reading.problems);
        if let Some(source) = source {
            if let Some(span) = reading.through {
                references.insert(name.clone(), span);
            }
            entries.push((Arc::new(Entry { name, source }), key.span()));
        }
    }
}

/// Names go into command lines, keychain items and file names.
pub(super) fn is_entry_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !name.starts_with('-')
}

/// Dangling names and circles.
fn check_references(
    entries: &[(Arc<Entry>, Range<usize>)],
    tried: &[EntryName],
    references: &HashMap<EntryName, Range<usize>>,
    problems: &mut Vec<Problem>,
) {
    let find = |name: &EntryName| entries.iter().find(|(entry, _)| entry.name == *name);
    for (entry, span) in entries {
        let mut seen = vec![&entry.name];
        let mut next = entry.source.through();
        while let Some(name) = next {
            let Some((target, _)) = find(name) else {
                // One that is there with errors of its own has been spoken of.
                if seen.len() == 1 && !tried.contains(name) {
                    let known: Vec<&str> = tried
                        .iter()
                        .filter(|known| known.kind == name.kind)
                        .map(|known| known.name.as_str())
                        .collect();
                    let near = nearest(&name.name, &known);
                    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    problems.push(Problem {
                        span: Some(references.get(&entry.name).unwrap_or(span).clone()),
                        say: format!("{}: there is no entry [{name}]{near}", entry.name),
                    });
                }
                break;
            };
            if seen.contains(&name) {
                problems.push(Problem {
                    span: Some(span.clone()),
                    say: format!("{}: goes in a circle through {name}", entry.name),
                });
                break;
            }
            seen.push(&target.name);
            next = target.source.through();
        }
    }
}

/// What entries take over from those behind them.
fn complete(entries: &mut [(Arc<Entry>, Range<usize>)], problems: &mut Vec<Problem>) {
    for index in 0..entries.len() {
        let find =
            |name: &EntryName| entries.iter().map(|(entry, _)| entry).find(|entry| entry.name == *name);
        let next = |entry: &&Arc<Entry>| find(entry.source.through()?);
        let (entry, span) = &entries[index];
        // A circle has been spoken of.
        let behind: Vec<&Entry> =
            std::iter::successors(Some(entry), next).skip(1).take(entries.len()).map(AsRef::as_ref).collect();
        match entry.source.complete(&behind) {
            Ok(None) => {}
            Ok(Some(source)) => entries[index].0 = Arc::new(Entry { name: entry.name.clone(), source }),
            Err(say) => {
                problems.push(Problem { span: Some(span.clone()), say: format!("{}: {say}", entry.name) });
            }
        }
    }
}

/// One pattern in two entries: nobody could say which one answers.
fn check_hosts(entries: &[(Arc<Entry>, Range<usize>)], problems: &mut Vec<Problem>) {
    let mut owners: HashMap<&HostPattern, &EntryName> = HashMap::new();
    for (entry, span) in entries {
        for pattern in entry.source.hosts() {
            match owners.insert(pattern, &entry.name) {
                Some(owner) if *owner == entry.name => problems.push(Problem {
                    span: Some(span.clone()),
                    say: format!("{}: the host `{pattern}` stands twice", entry.name),
                }),
                Some(owner) => problems.push(Problem {
                    span: Some(span.clone()),
                    say: format!("{}: the host `{pattern}` is already in {owner}", entry.name),
                }),
                None => {}
            }
        }
    }
}
