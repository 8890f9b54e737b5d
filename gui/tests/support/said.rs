//! What an agent says in these stories.

use std::path::Path;

use keyfob_ipc::reply::{
    About, Approval, Asking, ClusterRights, ConfigReport, EntryPermissions, EntryReport, EntryState, Event,
    KeychainReport, KeychainState, Notice, Question, Right, Rights, Settings, Status, Teller, ToldRights,
    Weight,
};

/// One session and one token, all well.
pub fn status(config: &Path) -> Status {
    let mut token = entry("token.aspect", EntryState::Live);
    token.until = Some("2027-11-21T08:00:00Z".to_owned());
    token.facts.insert("portal".to_owned(), "https://workflows.acme.dev/token".to_owned());
    Status {
        agent: About {
            version: "1.0.0".to_owned(),
            protocol: 1,
            pid: 7,
            started: "2026-11-21T06:00:00Z".to_owned(),
            memory_kib: None,
            socket: "/run/user/1000/keyfob/agent.sock".to_owned(),
            own_profile: true,
        },
        keychain: KeychainReport { kind: "file".to_owned(), state: KeychainState::Present, refusal: None },
        config: ConfigReport {
            path: config.display().to_string(),
            exists: true,
            errors: Vec::new(),
            in_force: true,
        },
        entries: vec![entry("sso.okta", EntryState::Live), token],
        lock: None,
        questions: 0,
        settings: Settings::default(),
    }
}

/// An entry of the kind that its name begins with.
pub fn entry(name: &str, state: EntryState) -> EntryReport {
    EntryReport {
        name: name.to_owned(),
        kind: name.split('.').next().unwrap().to_owned(),
        state,
        until: None,
        until_assumed: false,
        until_by: None,
        owner: Some("ada@example.com".to_owned()),
        hosts: Vec::new(),
        through: None,
        facts: [].into(),
        refusal: None,
        notes: Vec::new(),
        since: None,
        plan: Vec::new(),
        quiet_until: None,
    }
}

/// Something about the token is not as it was.
pub fn changed() -> Event {
    Event::Changed { entries: vec!["token.aspect".to_owned()] }
}

/// `terraform` asks for an entry.
pub fn question(id: &str) -> Question {
    Question {
        id: id.to_owned(),
        entry: "aws.dev".to_owned(),
        asking: Asking { program: "/usr/bin/terraform".to_owned(), pid: Some(4242), ..Asking::default() },
        act: "credential-process".to_owned(),
        target: None,
        count: 1,
        opened: "2026-11-21T08:00:00Z".to_owned(),
        closes: "2026-11-21T08:01:00Z".to_owned(),
        offers: vec![Approval::Once, Approval::For { seconds: 28_800 }],
    }
}

/// A reminder.
pub fn notice(id: u64) -> Notice {
    Notice {
        id,
        entry: "token.aspect".to_owned(),
        weight: Weight::Due,
        title: "A token ends".to_owned(),
        body: format!("aspect ends in {id} days"),
        is_question: false,
    }
}

/// What the token may do at its one cluster.
pub fn permissions(write: Right) -> EntryPermissions {
    EntryPermissions {
        name: "token.aspect".to_owned(),
        kind: "token".to_owned(),
        clusters: vec![ToldRights {
            at: ClusterRights {
                cluster: "aw-remote-ext".to_owned(),
                rights: Rights { read: Right::Yes, write, execute: Right::No },
            },
            by: Teller::Cluster,
            when: None,
            note: None,
        }],
        facts: Vec::new(),
        refusals: Vec::new(),
    }
}
