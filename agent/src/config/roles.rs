//! Roles that a caller names beside an entry.

use std::sync::Arc;

use keyfob_ipc::{Code, Refusal};

use super::{Config, Entry, EntryName};
use crate::kind::{is_plain_arn, is_role};

impl Config {
    /// The entry of that very name, or the role that a caller has named behind it ([`EntryName::of_role`]). A role that has an
    /// entry of its own is reached by that one alone: its policy would not count here.
    pub fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        if let Some(index) = self.names.get(name) {
            return self.entries.get(*index).cloned();
        }
        let (base, role_arn) = name.role_behind()?;
        let source = self.entry(&base)?.source.derive(&base, role_arn)?;
        self.owner_of(role_arn).is_none().then(|| Arc::new(Entry { name: name.clone(), source }))
    }

    /// The entry for a role that a caller names beside `entry`: the entry itself or one that is obtained through it, where the role
    /// is its own; else the role behind it, where the configuration allows that ([`crate::kind::Source::derive`]).
    ///
    /// # Errors
    /// [`Code::BadRequest`] for what is no role, of which nothing is repeated that a shell would read; [`Code::NotAllowed`] with
    /// the lines to add, or with the entry that has this role.
    pub fn role_through(&self, entry: &Arc<Entry>, role_arn: &str) -> Result<Arc<Entry>, Refusal> {
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

    /// The entry with this role as its own. IAM keeps no two names that differ in case alone, so neither do we.
    fn owner_of(&self, role_arn: &str) -> Option<&Arc<Entry>> {
        let is_own = |entry: &Entry| {
            entry.source.facts().get("role_arn").is_some_and(|own| own.eq_ignore_ascii_case(role_arn))
        };
        self.entries.iter().find(|entry| entry.source.gives_aws_credentials() && is_own(entry))
    }
}
