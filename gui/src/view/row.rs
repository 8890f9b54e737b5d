//! One entry as a row.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Code;
use keyfob_ipc::reply::{EntryReport, EntryState, Note, Planned, PlannedDeed as Wire, Status, Weight};

use super::deed::{self, Situation};
use super::{life, remark, safe, trouble};
use crate::page::{self, Row, RowState};

/// All entries, because one may be obtained through another.
#[derive(Debug)]
pub(super) struct Among<'a> {
    entries: &'a [EntryReport],
    by_name: HashMap<&'a str, &'a EntryReport>,
    is_file_keychain: bool,
    first_reminder: Option<Duration>,
}

impl<'a> Among<'a> {
    pub(super) fn new(status: &'a Status) -> Self {
        let reminders = status.settings.reminders.iter();
        Self {
            entries: &status.entries,
            by_name: status.entries.iter().map(|entry| (entry.name.as_str(), entry)).collect(),
            is_file_keychain: status.keychain.kind == "file",
            first_reminder: reminders.filter_map(|step| length(step)).max(),
        }
    }

    pub(super) fn rows(&self, now: Timestamp) -> impl Iterator<Item = Row> {
        self.entries.iter().map(move |entry| self.row(entry, now))
    }

    fn row(&self, entry: &'a EntryReport, now: Timestamp) -> Row {
        let root = self.root(entry);
        let situation = Situation {
            entry,
            root,
            is_file_keychain: self.is_file_keychain,
            first_reminder: self.first_reminder,
            now,
        };
        let due = deed::due(&situation);
        let can = deed::possible(&situation).into_iter().filter(|deed| Some(deed) != due.as_ref()).collect();
        let fact = |name: &str| entry.facts.get(name).map(String::as_str);
        Row {
            name: entry.name.clone(),
            short: short(&entry.name).to_owned(),
            kind: safe::text(&entry.kind),
            what: what(entry),
            targets: targets(entry),
            through: entry.through.clone(),
            owner: entry.owner.as_deref().map(safe::text),
            state: state(entry),
            since: entry.since.clone(),
            until: entry.until.clone(),
            until_assumed: entry.until_assumed,
            until_by: entry.until_by.map(|teller| teller.words().to_owned()),
            trouble: entry.refusal.as_ref().map(trouble),
            notes: entry.notes.iter().filter(|note| !says_the_end(note, entry)).map(remark).collect(),
            due,
            can,
            plan: entry.plan.iter().filter_map(planned).collect(),
            quiet_until: deed::quiet_until(entry, now).map(|until| until.to_string()),
            prefix: fact("prefix").map(safe::text),
            has_portal: fact("portal").is_some_and(safe::is_web_address),
            rotates_by_service: fact("rotation").is_some_and(|shape| shape != BY_HAND),
            policy: policy(entry),
        }
    }

    /// What holds the value that an entry is obtained with: itself, or the last one behind it.
    fn root(&self, entry: &'a EntryReport) -> &'a str {
        let mut last = entry;
        // The agent refuses circles; whoever it is that we hear, this ends.
        for _ in 0..HOPS {
            let Some(through) = last.through.as_deref() else { break };
            let Some(next) = self.by_name.get(through) else { return through };
            last = next;
        }
        &last.name
    }
}

/// Entries behind an entry that are followed: more than anybody writes.
const HOPS: usize = 8;

/// The shape of a rotation that only a person can make (`agent/src/service.rs`).
const BY_HAND: &str = "by-hand";

/// An entry's name without its kind.
pub(crate) fn short(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, short)| short)
}

/// More precisely than its kind.
fn what(entry: &EntryReport) -> String {
    let kind = safe::text(&entry.kind);
    match kind.as_str() {
        "aws" if entry.facts.contains_key("command") => "aws-command".to_owned(),
        "aws" if is_through(entry, "outerbounds.") => "aws-outerbounds".to_owned(),
        "sso" if entry.through.is_some() => "sso-machine".to_owned(),
        "secret" if entry.through.is_some() => "secret-aws".to_owned(),
        _ => kind,
    }
}

fn is_through(entry: &EntryReport, kind: &str) -> bool {
    entry.through.as_deref().is_some_and(|through| through.starts_with(kind))
}

/// What tells it from others of its kind, the first of what there is.
const NAMED_BY: [&str; 8] = ["role_arn", "issuer", "user", "command", "identity", "domain", "id", "keys"];

fn targets(entry: &EntryReport) -> Vec<String> {
    let fact = |name: &str| entry.facts.get(name).map(|fact| safe::text(fact));
    let mut targets = safe::texts(&entry.hosts);
    // A role is worth naming beside its hosts; the rest stands for what has none.
    let named = NAMED_BY.iter().filter(|name| targets.is_empty() || **name == "role_arn");
    targets.extend(named.filter_map(|name| fact(name)).take(1).collect::<Vec<_>>());
    if entry.kind == "outscale" {
        targets.extend(fact("region"));
    }
    targets
}

fn policy(entry: &EntryReport) -> Vec<String> {
    let lines = ["allow", "confirm"].into_iter().filter_map(|name| entry.facts.get_key_value(name));
    // Not cut like other texts: whom a policy allows is shown whole. The agent has escaped the paths.
    lines.map(|(name, value)| format!("{name} = {value}")).collect()
}

/// Whether a note says the end, or how long no reminders come, and nothing else: a row says both already, beside its bar.
fn says_the_end(note: &Note, entry: &EntryReport) -> bool {
    let day = entry.until.as_deref().and_then(|until| until.get(..10)).unwrap_or_default();
    let end = note.say.trim_start_matches("probably ").strip_prefix("ends on ");
    let end = end.map(|end| end.split_once("; no reminders until ").map_or(end, |(end, _quiet)| end));
    note.weight != Weight::Urgent && !day.is_empty() && end == Some(day)
}

fn state(entry: &EntryReport) -> RowState {
    match entry.state {
        // No job runs on a desktop: that is as it should be.
        _ if is_without_job(entry) => RowState::Idle,
        EntryState::SignedOut => RowState::SignedOut,
        EntryState::Live => RowState::Live,
        EntryState::Ending => RowState::Ending,
        EntryState::Waiting => RowState::Waiting,
        EntryState::Refused => RowState::Refused,
    }
}

/// Whether it waits for the identity of a job where none runs.
pub(super) fn is_without_job(entry: &EntryReport) -> bool {
    entry.refusal.as_ref().is_some_and(|refusal| refusal.code == Code::MachineIdentityMissing)
}

/// Nothing where only a newer version knows what will happen.
fn planned(planned: &Planned) -> Option<page::Planned> {
    let what = match planned.what {
        Wire::Remind => page::PlannedDeed::Remind,
        Wire::Renew => page::PlannedDeed::Renew,
        Wire::End => page::PlannedDeed::End,
        Wire::Unknown => return None,
    };
    life::moment(&planned.at)?;
    Some(page::Planned { at: planned.at.clone(), what })
}

/// A length of time as the configuration has it: `30d`.
fn length(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        'y' => 365 * 24 * 3600,
        _ => return None,
    };
    let count: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    count.checked_mul(unit).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::Teller;

    use super::super::samples::{Sample, entry, now, status};
    use super::*;

    fn row_of(entry: EntryReport) -> Row {
        rows_of([entry]).remove(0)
    }

    fn rows_of(entries: impl IntoIterator<Item = EntryReport>) -> Vec<Row> {
        let status = status(entries);
        Among::new(&status).rows(now()).collect()
    }

    #[test]
    fn a_row_says_what_the_entry_is_for() {
        let hosts = |entry: EntryReport| EntryReport { hosts: vec!["*.acme.dev".to_owned()], ..entry };
        let live = |name| entry(name, EntryState::Live);
        let role = "arn:aws:iam::123456789012:role/Dev";
        for (entry, targets) in [
            (hosts(live("token.aspect")), vec!["*.acme.dev"]),
            (live("aws.dev").fact("role_arn", role).fact("issuer", "https://okta"), vec![role]),
            (live("sso.okta").fact("issuer", "https://okta"), vec!["https://okta"]),
            (hosts(live("sso.okta")).fact("issuer", "https://okta"), vec!["*.acme.dev"]),
            (
                live("outscale.monitoring").fact("user", "monitoring").fact("region", "eu-west-2"),
                vec!["monitoring", "eu-west-2"],
            ),
            (
                live("machine.ci").fact("identity", "github-actions").fact("region", "x"),
                vec!["github-actions"],
            ),
            (
                live("aws.legacy").fact("command", "/usr/bin/vault").fact("region", "x"),
                vec!["/usr/bin/vault"],
            ),
            (
                live("secret.db").fact("id", "some/name").fact("keys", "A, B").fact("region", "x"),
                vec!["some/name"],
            ),
            (live("secret.build").fact("keys", "A, B"), vec!["A, B"]),
            (
                live("outerbounds.prod").fact("domain", "foo.obp.outerbounds.com"),
                vec!["foo.obp.outerbounds.com"],
            ),
            (hosts(live("outerbounds.prod")).fact("domain", "foo.obp.outerbounds.com"), vec!["*.acme.dev"]),
            (live("future.thing"), vec![]),
        ] {
            assert_eq!(row_of(entry).targets, targets);
        }
    }

    #[test]
    fn what_an_entry_is_follows_from_what_is_behind_it() {
        for (entry, what) in [
            (entry("aws.dev", EntryState::Live).fact("role_arn", "arn:…"), "aws"),
            (entry("aws.prod", EntryState::Live).through("aws.dev"), "aws"),
            (entry("aws.legacy", EntryState::Live).fact("command", "/usr/bin/vault"), "aws-command"),
            (entry("sso.okta", EntryState::Live), "sso"),
            (entry("sso.bazel", EntryState::Live).through("machine.ci"), "sso-machine"),
            (entry("outscale.monitoring", EntryState::Live), "outscale"),
            (entry("machine.ci", EntryState::Live), "machine"),
            (entry("secret.build", EntryState::Live), "secret"),
            (entry("secret.db", EntryState::Live).through("aws.dev"), "secret-aws"),
            (entry("outerbounds.prod", EntryState::Live), "outerbounds"),
            (entry("aws.prod", EntryState::Live).through("outerbounds.prod"), "aws-outerbounds"),
            (entry("future.thing", EntryState::Live), "future"),
        ] {
            assert_eq!(row_of(entry).what, what);
        }
    }

    #[test]
    fn no_job_on_a_desktop_is_no_trouble_for_the_machine_and_what_is_obtained_with_it() {
        let missing = |entry: EntryReport| entry.refused(Code::MachineIdentityMissing);
        let rows = rows_of([
            missing(entry("machine.ci", EntryState::Refused)),
            missing(entry("aws.deploy", EntryState::Refused)).through("machine.ci"),
            missing(entry("sso.bazel", EntryState::Refused)).through("machine.ci"),
            entry("aws.refused", EntryState::Refused).refused(Code::RoleRefused),
        ]);
        for row in &rows[..3] {
            assert_eq!(
                (row.state, &row.due, row.can.is_empty()),
                (RowState::Idle, &None, true),
                "{}",
                row.name
            );
            assert_eq!(row.trouble.as_ref().unwrap().code, "machine_identity_missing");
        }
        // The control.
        assert_eq!(rows[3].state, RowState::Refused);
    }

    #[test]
    fn what_comes_from_outside_is_escaped_and_cut() {
        let mut odd = entry("token.aspect", EntryState::Live).fact("prefix", "a\u{200b}b");
        odd.owner = Some(format!("anna\u{202e}\u{1b}[1m{}", "x".repeat(5000)));
        odd.hosts = vec!["a\nb".to_owned()];
        let row = row_of(odd);
        let owner = row.owner.unwrap();
        assert!(owner.starts_with("anna\\u{202e}\\u{1b}[1mx") && owner.len() < 400, "{owner}");
        assert_eq!(row.targets, ["a\\u{a}b"]);
        assert_eq!(row.prefix.unwrap(), "a\\u{200b}b");
    }

    #[test]
    fn a_note_that_only_says_the_end_is_left_to_the_bar() {
        let note = |say: &str, weight| Note { weight, say: say.to_owned(), hint: String::new() };
        let mut ending = entry("token.aspect", EntryState::Ending);
        ending.until = Some("2026-12-03T08:00:00Z".to_owned());
        ending.notes = vec![
            note("ends on 2026-12-03", Weight::Due),
            note("probably ends on 2026-12-03", Weight::Known),
            note("ends on 2026-12-03", Weight::Urgent),
            note("ends on 2026-12-04", Weight::Due),
            note("ends on 2026-12-03; no reminders until 2026-12-01", Weight::Known),
        ];
        let left: Vec<String> =
            row_of(ending).notes.into_iter().map(|note| note.weight + " " + &note.say).collect();
        assert_eq!(left, ["urgent ends on 2026-12-03", "due ends on 2026-12-04"]);
    }

    #[test]
    fn a_page_is_opened_only_where_it_has_a_web_address() {
        for (portal, expected) in [
            ("https://acme.dev/tokens", true),
            ("http://127.0.0.1:8080/", true),
            ("javascript:alert(1)", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            let row = row_of(entry("token.a", EntryState::Live).fact("portal", portal));
            assert_eq!(row.has_portal, expected, "{portal}");
        }
        assert!(!row_of(entry("token.a", EntryState::Live)).has_portal);
    }

    #[test]
    fn a_service_rotates_in_every_shape_but_by_hand() {
        for (shape, expected) in
            [("native", true), ("refresh-grant", true), ("create-then-delete", true), ("by-hand", false)]
        {
            let row = row_of(entry("token.a", EntryState::Live).fact("rotation", shape));
            assert_eq!(row.rotates_by_service, expected, "{shape}");
        }
        assert!(!row_of(entry("token.a", EntryState::Live)).rotates_by_service);
    }

    #[test]
    fn the_policy_is_as_it_is_written() {
        let row = row_of(
            entry("aws.dev", EntryState::Live).fact("confirm", "first").fact("allow", "/usr/bin/terraform"),
        );
        assert_eq!(row.policy, ["allow = /usr/bin/terraform", "confirm = first"]);
        assert!(row_of(entry("aws.dev", EntryState::Live)).policy.is_empty());
    }

    #[test]
    fn the_plan_leaves_out_what_is_not_understood() {
        let mut token = entry("token.a", EntryState::Live);
        let at = |at: &str, what| Planned { at: at.to_owned(), what };
        token.plan = vec![
            at("2026-12-01T08:00:00Z", Wire::Remind),
            at("2026-12-02T08:00:00Z", Wire::Unknown),
            at("soon", Wire::End),
            at("2027-01-01T08:00:00Z", Wire::End),
        ];
        let plan: Vec<_> = row_of(token).plan.into_iter().map(|planned| planned.what).collect();
        assert_eq!(plan, [page::PlannedDeed::Remind, page::PlannedDeed::End]);
    }

    #[test]
    fn a_snooze_that_is_over_is_not_shown() {
        let quiet = |until| row_of(entry("token.a", EntryState::Live).quiet(Some(until))).quiet_until;
        assert_eq!(quiet("2026-11-21T08:00:00Z"), None);
        assert_eq!(quiet("2026-11-22T08:00:00Z").unwrap(), "2026-11-22T08:00:00Z");
    }

    #[test]
    fn names_states_and_tellers_are_in_the_words_of_the_page() {
        let mut token = entry("token.aspect", EntryState::Ending).until(Some("2026-12-01T08:00:00Z"));
        token.until_by = Some(Teller::TokenService);
        let row = row_of(token);
        assert_eq!((row.short.as_str(), row.state), ("aspect", RowState::Ending));
        assert_eq!(row.until_by.unwrap(), "the token service");
    }

    #[test]
    fn the_root_is_found_behind_several_and_a_circle_ends() {
        let aws = |name: &str, through: &str| entry(name, EntryState::SignedOut).through(through);
        let rows = rows_of([
            aws("aws.a", "aws.b"),
            aws("aws.b", "sso.okta"),
            entry("sso.okta", EntryState::SignedOut),
        ]);
        let sign_in = Some(page::Deed::SignIn { entry: "sso.okta".to_owned() });
        assert!(rows.iter().all(|row| row.due == sign_in));
        let circle = rows_of([aws("aws.a", "aws.b"), aws("aws.b", "aws.a")]);
        assert!(circle.iter().all(|row| row.due.is_none()));
    }

    #[test]
    fn thousands_of_entries_one_behind_the_other_are_rows_at_once() {
        let name = |number: usize| format!("aws.a{number}");
        let all = 4000;
        // A circle of all of them.
        let entries = (0..all)
            .map(|number| entry(&name(number), EntryState::SignedOut).through(&name((number + 1) % all)));
        let entries: Vec<_> = entries.collect();
        let begun = std::time::Instant::now();
        let rows = rows_of(entries);
        assert_eq!(rows.len(), all);
        assert!(rows.iter().all(|row| row.due.is_none()));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
