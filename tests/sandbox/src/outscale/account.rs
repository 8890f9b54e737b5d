//! What an account has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AccessKey, KeyView, random_key};

/// As the console writes account ids.
const NUMBER: &str = "123456789012";

#[derive(Debug)]
pub(super) struct Account {
    pub(super) root: Key,
    pub(super) users: Vec<User>,
    /// Groups, with the ARNs of what is attached.
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) policies: Vec<Policy>,
    pub(super) quota: usize,
    pub(super) longest_life: u64,
    pub(super) propagation: u32,
    pub(super) lets_in: bool,
    pub(super) expiries_lost: u64,
    pub(super) calls: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
    pub(super) keys: Vec<Key>,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    /// Empty for the account's own.
    pub(super) user: String,
    pub(super) tag: Option<String>,
    pub(super) is_active: bool,
    pub(super) ends: Option<Timestamp>,
    pub(super) created: Timestamp,
    /// Calls that do not know it yet.
    pub(super) unknown_to: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Documents; the last one is in force.
    pub(super) versions: Vec<String>,
}

impl Account {
    pub(super) fn new() -> Self {
        Self {
            root: Key::new("", None, None, Timestamp::UNIX_EPOCH),
            users: Vec::new(),
            groups: BTreeMap::new(),
            policies: Vec::new(),
            quota: 20,
            longest_life: 0,
            propagation: 0,
            lets_in: true,
            expiries_lost: 0,
            calls: BTreeMap::new(),
        }
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub(super) fn user_mut(&mut self, name: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.name == name)
    }

    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        let all = self.users.iter().flat_map(|user| &user.keys);
        all.chain([&self.root]).find(|key| key.id == id)
    }

    /// The secret of a key that may sign now.
    pub(super) fn secret(&mut self, id: &str, now: Timestamp) -> Option<String> {
        let all = self.users.iter_mut().flat_map(|user| &mut user.keys);
        let key = all.chain([&mut self.root]).find(|key| key.id == id).filter(|key| key.signs(now))?;
        if key.unknown_to > 0 {
            key.unknown_to -= 1;
            return None;
        }
        Some(key.secret.clone())
    }

    /// Whether the owner of a key may do something: `api:CreateAccessKey`.
    pub(super) fn may(&self, id: &str, action: &str) -> bool {
        let Some(key) = self.key(id) else { return false };
        if key.user.is_empty() {
            return true;
        }
        let groups = self.user(&key.user).map(|user| user.groups.clone()).unwrap_or_default();
        let arns: Vec<&String> = groups.iter().filter_map(|group| self.groups.get(group)).flatten().collect();
        let policies = self.policies.iter().filter(|policy| arns.contains(&&policy.arn()));
        let statements: Vec<Value> = policies.flat_map(Policy::statements).collect();
        let says = |effect: &str| {
            statements.iter().filter(|one| one["Effect"] == effect).any(|one| {
                let actions = one["Action"].as_array().cloned().unwrap_or_default();
                actions.iter().filter_map(Value::as_str).any(|pattern| matches(pattern, action))
            })
        };
        says("Allow") && !says("Deny")
    }
}

/// `*` at the end stands for anything.
fn matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => action.starts_with(start),
        None => pattern == action,
    }
}

impl Key {
    pub(super) fn new(user: &str, tag: Option<String>, ends: Option<Timestamp>, created: Timestamp) -> Self {
        Self {
            id: random_key(20),
            secret: random_key(40),
            user: user.to_owned(),
            tag,
            is_active: true,
            ends,
            created,
            unknown_to: 0,
        }
    }

    pub(super) fn pair(&self) -> AccessKey {
        AccessKey { id: self.id.clone(), secret: self.secret.clone() }
    }

    pub(super) fn view(&self) -> KeyView {
        let (id, tag) = (self.id.clone(), self.tag.clone());
        KeyView { id, tag, is_active: self.is_active, ends: self.ends }
    }

    pub(super) fn signs(&self, now: Timestamp) -> bool {
        self.is_active && self.ends.is_none_or(|ends| now < ends)
    }
}

impl Policy {
    pub(super) fn allowing(name: &str, actions: &[&str]) -> Self {
        let document = json!({"Statement": [{"Effect": "Allow", "Action": actions, "Resource": ["*"]}]});
        Self { name: name.to_owned(), versions: vec![document.to_string()] }
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{NUMBER}:policy/{}", self.name)
    }

    pub(super) fn document(&self) -> &str {
        self.versions.last().map_or("{}", String::as_str)
    }

    fn statements(&self) -> Vec<Value> {
        let document: Value = serde_json::from_str(self.document()).unwrap_or_default();
        document["Statement"].as_array().cloned().unwrap_or_default()
    }
}
