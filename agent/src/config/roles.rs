//! Roles that a caller names beside an entry.

use std::sync::Arc;

use keyfob_ipc::{Code, Refusal};

use super::{Config, Entry, EntryName};
use crate::kind::{TASK_ROLE, is_plain_arn, is_role};

impl Config {
    /// The entry of that very name, or the role that a caller has named behind it ([`EntryName::of_role`]). A role that has an
    /// entry of its own is reached by that one alone: its policy would not count here.
    pub fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        if let Some(index) = self.names.get(name) {
            return self.entries.get(*index).cloned();
        }
        let (base, role_arn) = name.role_behind()?;
        let named = self.entry(&base)?;
        if let Some(secret) = named.source.as_secret() {
            // The role's own rules have been asked, and its policy is behind this one.
            let reader = self.entry(named.source.through()?)?;
            let source = secret.read_by(self.role_through(&reader, role_arn).ok()?.name.clone())?;
            return Some(Arc::new(Entry { name: name.clone(), source }));
        }
        let source = named.source.derive(&base, role_arn)?;
        self.owner_of(role_arn).is_none().then(|| Arc::new(Entry { name: name.clone(), source }))
    }

    /// The entry for a role that a caller names beside `entry`: the entry itself or one that is obtained through it, where the role
    /// is its own; else the role behind it, where the configuration allows that ([`crate::kind::Source::derive`]).
    ///
    /// # Errors
    /// [`Code::BadRequest`] for what is no role, of which nothing is repeated that a shell would read; [`Code::NotAllowed`] with
    /// the lines to add, or with the entry that has this role.
    pub fn role_through(&self, entry: &Arc<Entry>, role_arn: &str) -> Result<Arc<Entry>, Refusal> {
        if role_arn == TASK_ROLE {
            return self.entry(&entry.name.of_role(TASK_ROLE)).ok_or_else(|| no_task_role(&entry.name));
        }
        if !is_role(role_arn) {
            let shown = if is_plain_arn(role_arn) { format!("`{role_arn}`") } else { "this".to_owned() };
            return Err(Refusal::new(Code::BadRequest, format!("{shown} is not the ARN of a role"))
                .hint("write it arn:aws:iam::123456789012:role/Name"));
        }
        let own =
            |entry: &&Arc<Entry>| entry.source.facts().get("role_arn").is_some_and(|own| own == role_arn);
        let behind = |other: &&Arc<Entry>| {
            let mut through = std::iter::successors(other.source.through().cloned(), |name| {
                self.entry(name)?.source.through().cloned()
            });
            through.any(|name| name == entry.name)
        };
        if let Some(own) = std::iter::once(entry).chain(self.entries.iter().filter(behind)).find(own) {
            return Ok(own.clone());
        }
        if let Some(owner) = self.owner_of(role_arn) {
            let say = format!(
                "the role `{role_arn}` is that of `{}`, and not reached by another entry",
                owner.name
            );
            return Err(Refusal::new(Code::NotAllowed, say).hint(format!("ask for {}", owner.name)));
        }
        self.entry(&entry.name.of_role(role_arn)).ok_or_else(|| entry.source.no_role(&entry.name, role_arn))
    }

    /// A secret as it is read with a role that a caller names, by the rules of the entry that reads it ([`Config::role_through`]).
    /// One in the keychain has no role.
    ///
    /// # Errors
    /// As for [`Config::role_through`].
    pub fn secret_through(&self, entry: &Arc<Entry>, role_arn: &str) -> Result<Arc<Entry>, Refusal> {
        let Some(reader) = entry.source.through().and_then(|name| self.entry(name)) else {
            return Ok(entry.clone());
        };
        if self.role_through(&reader, role_arn)?.name == reader.name {
            return Ok(entry.clone());
        }
        self.entry(&entry.name.of_role(role_arn)).ok_or_else(|| reader.source.no_role(&reader.name, role_arn))
    }

    /// The entry with this role as its own. IAM keeps no two names that differ in case alone, so neither do we.
    fn owner_of(&self, role_arn: &str) -> Option<&Arc<Entry>> {
        let is_own = |entry: &Entry| {
            entry.source.facts().get("role_arn").is_some_and(|own| own.eq_ignore_ascii_case(role_arn))
        };
        self.entries.iter().find(|entry| entry.source.gives_aws_credentials() && is_own(entry))
    }
}

fn no_task_role(name: &EntryName) -> Refusal {
    Refusal::new(
        Code::BadRequest,
        format!("`{name}` is not obtained through Outerbounds, so there is no task role"),
    )
    .hint("leave --task-role out")
}
