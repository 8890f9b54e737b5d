//! Each entry of the configuration: what is held, and whether it would answer.

use std::sync::Arc;

use keyfob_ipc::reply::{Check, EntryReport, EntryState};
use keyfob_ipc::{Code, Refusal};
use tokio::task::JoinHandle;

use super::{ASKED, asked, attention, bad, good};
use crate::agent::Agent;
use crate::config::{Config, Entry};

impl Agent {
    pub(super) fn begin_entries(self: &Arc<Self>, config: &Config) -> Vec<(String, JoinHandle<Vec<Check>>)> {
        let held = asked(config, |entry| !is_outside(entry));
        let roles = asked(config, is_outside).take(ASKED);
        held.chain(roles)
            .map(|entry| {
                let entry = entry.clone();
                self.begin(&entry.name.to_string(), |agent| async move { vec![agent.look_at(&entry).await] })
            })
            .collect()
    }

    async fn look_at(self: &Arc<Self>, entry: &Arc<Entry>) -> Check {
        let name = entry.name.to_string();
        // A lock has its own line, and what it drops is no news.
        if self.lock_report().is_some() {
            return attention(&name, "not looked at while it is locked".to_owned(), "keyfob unlock");
        }
        if let Some(check) = self.look_for_job(entry) {
            return check;
        }
        if gives_keys(entry)
            && let Err(refusal) = self.try_out(entry).await
        {
            return bad(&name, &refusal);
        }
        // The key that is held says nothing about whether its deployment takes it.
        if let Some(deployment) = entry.source.as_outerbounds()
            && let Err(refusal) = deployment.look(self, entry).await
        {
            return bad(&name, &refusal);
        }
        let report = self.report(entry).await;
        match (&report.state, report.refusal.clone()) {
            (EntryState::Live, _) => good(&name, held(&report)),
            (EntryState::Ending, _) => {
                let note = report.notes.first();
                attention(&name, held(&report), note.map(|note| note.hint.as_str()).unwrap_or_default())
            }
            (_, Some(refusal)) => bad(&name, &refusal),
            (_, None) => bad(
                &name,
                &Refusal::new(Code::TokenNeeded, "it does not serve").hint(format!("keyfob why {name}")),
            ),
        }
    }
}

impl Agent {
    /// What is obtained with the identity of a job, where there is none. On a desktop that is as it should be, and nobody is asked.
    fn look_for_job(&self, entry: &Entry) -> Option<Check> {
        let config = self.config().ok()?;
        let root = Self::root_of(&config, entry).ok()?;
        let holder = config.entry(&root).filter(|holder| !holder.source.holds())?;
        let refusal = holder.source.ready(self, &root).err()?;
        if refusal.code != Code::MachineIdentityMissing {
            return None;
        }
        let name = entry.name.to_string();
        if !self.ambient.is_github && !self.ambient.is_circleci {
            return Some(good(&name, "for jobs; none runs here".to_owned()));
        }
        if entry.name != root {
            return Some(bad(&name, &refusal));
        }
        let is_needed = config.entries.iter().any(|other| other.source.through() == Some(&root));
        Some(if is_needed {
            attention(&name, refusal.say, &refusal.hint)
        } else {
            good(&name, "no identity is here, and nothing is obtained with it".to_owned())
        })
    }
}

/// Whether somebody outside is asked about it.
fn is_outside(entry: &Entry) -> bool {
    gives_keys(entry) || entry.source.as_outerbounds().is_some()
}

/// Whether somebody outside is asked for what it gives.
fn gives_keys(entry: &Entry) -> bool {
    entry.source.gives_aws_credentials() || entry.source.as_secret().is_some_and(|secret| !secret.is_kept())
}

/// What is held, whose it is, and until when.
fn held(report: &EntryReport) -> String {
    let what = match report.kind.as_str() {
        "sso" if report.through.is_some() => "this job has a session",
        "sso" => "signed in",
        "token" => "a token is held",
        "outscale" => "OUTSCALE gives keys",
        "outerbounds" if report.through.is_some() => "this job may have a service key",
        "outerbounds" => "a service key is held",
        "machine" => "this job has an identity",
        "secret" if report.through.is_some() => "AWS Secrets Manager gives its values",
        "secret" => "its values are held",
        "aws" if report.facts.contains_key("command") => "its program gives keys",
        _ => "AWS gives keys",
    };
    let owner = report.owner.as_ref().filter(|_| report.through.is_none());
    let owner = owner.map(|owner| format!(" as {}", keyfob_ipc::text::escape(owner))).unwrap_or_default();
    let assumed = if report.until_assumed { "about " } else { "" };
    let until = report.until.as_ref().map(|until| format!(", until {assumed}{until}")).unwrap_or_default();
    // Nobody comes here without having asked it.
    let taken = if report.kind == "outerbounds" { "; Outerbounds takes it" } else { "" };
    format!("{what}{owner}{until}{taken}")
}

/// A line about the rest, where there is more than a burst should ask for.
pub(super) fn left_out(config: &Config) -> Option<Check> {
    let count = |is_meant: fn(&Entry) -> bool| asked(config, is_meant).count().saturating_sub(ASKED);
    let left_out = count(is_outside) + count(|entry| entry.source.as_sso().is_some());
    (left_out > 0).then(|| {
        let say = format!("{left_out} more were not asked for now, to spare the servers");
        attention("the rest", say, "ask about one: keyfob why NAME")
    })
}
