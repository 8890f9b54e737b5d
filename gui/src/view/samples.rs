//! Replies of an agent, for tests.

use jiff::Timestamp;
use keyfob_ipc::reply::{
    About, Approval, Asking, ConfigReport, EntryReport, EntryState, KeychainReport, KeychainState, Note,
    Question, Status, Weight,
};
use keyfob_ipc::{Code, Refusal};

/// The moment at which all tests play.
pub fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

pub fn status(entries: impl IntoIterator<Item = EntryReport>) -> Status {
    Status {
        agent: About {
            version: "1.0.0".to_owned(),
            protocol: 1,
            pid: 7,
            started: "2026-11-21T06:00:00Z".to_owned(),
            memory_kib: None,
            socket: "/run/user/1000/keyfob/agent.sock".to_owned(),
            own_profile: false,
        },
        keychain: KeychainReport { kind: "system".to_owned(), state: KeychainState::Present, refusal: None },
        config: ConfigReport {
            path: "/home/anna/.config/keyfob/config.toml".to_owned(),
            exists: true,
            errors: vec![],
            in_force: true,
        },
        entries: entries.into_iter().collect(),
        lock: None,
        questions: 0,
        settings: keyfob_ipc::reply::Settings::default(),
    }
}

/// An entry of the kind that its name begins with.
pub fn entry(name: &str, state: EntryState) -> EntryReport {
    EntryReport {
        name: name.to_owned(),
        kind: name.split('.').next().unwrap_or_default().to_owned(),
        state,
        until: None,
        until_assumed: false,
        until_by: None,
        owner: None,
        hosts: vec![],
        through: None,
        facts: [].into(),
        refusal: None,
        notes: vec![],
        since: None,
        plan: vec![],
        quiet_until: None,
    }
}

/// What a test adds to an entry.
pub trait Sample: Sized {
    fn until(self, until: Option<&str>) -> Self;
    fn assumed(self) -> Self;
    fn quiet(self, until: Option<&str>) -> Self;
    fn through(self, name: &str) -> Self;
    fn fact(self, name: &str, fact: &str) -> Self;
    fn refused(self, code: Code) -> Self;
    fn note(self, weight: Weight, hint: &str) -> Self;
}

impl Sample for EntryReport {
    fn until(self, until: Option<&str>) -> Self {
        Self { until: until.map(ToOwned::to_owned), ..self }
    }

    fn assumed(self) -> Self {
        Self { until_assumed: true, ..self }
    }

    fn quiet(self, until: Option<&str>) -> Self {
        Self { quiet_until: until.map(ToOwned::to_owned), ..self }
    }

    fn through(self, name: &str) -> Self {
        Self { through: Some(name.to_owned()), ..self }
    }

    fn fact(mut self, name: &str, fact: &str) -> Self {
        self.facts.insert(name.to_owned(), fact.to_owned());
        self
    }

    fn refused(self, code: Code) -> Self {
        Self { refusal: Some(Refusal::new(code, "it says no")), ..self }
    }

    fn note(mut self, weight: Weight, hint: &str) -> Self {
        self.notes.push(Note { weight, say: "note this".to_owned(), hint: hint.to_owned() });
        self
    }
}

/// Terraform asks.
pub fn question(entry: &str) -> Question {
    Question {
        id: "0f".repeat(16),
        entry: entry.to_owned(),
        asking: Asking {
            program: "/usr/bin/terraform".to_owned(),
            pid: Some(4242),
            behind: vec!["/usr/bin/make".to_owned()],
            ..Asking::default()
        },
        act: "credential-process".to_owned(),
        target: None,
        count: 1,
        opened: "2026-11-21T07:59:50Z".to_owned(),
        closes: "2026-11-21T08:00:50Z".to_owned(),
        offers: vec![Approval::Always, Approval::For { seconds: 8 * 3600 }, Approval::Once],
    }
}
