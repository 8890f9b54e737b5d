//! What an entry may do, and what became of a token.

use keyfob_ipc::reply::{EntryPermissions, Teller, TokenReport, ToldFact, ToldRights};
use keyfob_ipc::{Code, Refusal};

use super::{remark, safe, trouble, word};
use crate::page::{ClusterRow, FactRow, Permissions, TokenOutcome};

/// What one entry may do.
pub fn permissions(entry: &EntryPermissions) -> Permissions {
    Permissions {
        name: entry.name.clone(),
        kind: safe::text(&entry.kind),
        clusters: entry.clusters.iter().map(cluster).collect(),
        facts: entry.facts.iter().map(fact).collect(),
        troubles: entry.refusals.iter().filter(|refusal| is_its_own(refusal, entry)).map(trouble).collect(),
    }
}

/// Where no job runs, the job's identity says so for all that is obtained with it.
fn is_its_own(refusal: &Refusal, entry: &EntryPermissions) -> bool {
    refusal.code != Code::MachineIdentityMissing || entry.kind == "machine"
}

/// What became of a token; `before` is what the one before it could do.
pub fn token_outcome(report: &TokenReport, before: Option<&EntryPermissions>) -> TokenOutcome {
    TokenOutcome {
        say: report.say.clone(),
        owner: report.owner.as_deref().map(safe::text),
        until: report.until.clone(),
        until_assumed: report.until_by == Some(Teller::Configuration),
        lost: safe::texts(&report.lost),
        gained: safe::texts(&report.gained),
        notes: report.notes.iter().map(remark).collect(),
        before: before.map(permissions),
        after: report.permissions.as_ref().map(permissions),
    }
}

fn cluster(told: &ToldRights) -> ClusterRow {
    let rights = &told.at.rights;
    ClusterRow {
        cluster: safe::text(&told.at.cluster),
        read: word(rights.read),
        write: word(rights.write),
        execute: word(rights.execute),
        by: told.by.words().to_owned(),
        when: told.when.clone(),
        note: told.note.as_deref().map(safe::text),
    }
}

fn fact(told: &ToldFact) -> FactRow {
    FactRow {
        name: safe::text(&told.name),
        values: safe::texts(&told.values),
        by: told.by.words().to_owned(),
        when: told.when.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob_ipc::reply::{ClusterRights, Note, Right, Rights, Teller, Weight};

    fn of_cluster(name: &str, write: Right) -> EntryPermissions {
        EntryPermissions {
            name: "token.aspect".to_owned(),
            kind: "token".to_owned(),
            clusters: vec![ToldRights {
                at: ClusterRights {
                    cluster: name.to_owned(),
                    rights: Rights { read: Right::Yes, write, execute: Right::WithoutEffect },
                },
                by: Teller::Cluster,
                when: Some("2026-11-21T08:00:00Z".to_owned()),
                note: Some("it does\u{7} not tell".to_owned()),
            }],
            facts: vec![ToldFact {
                name: "groups".to_owned(),
                values: vec!["dev".to_owned(), "o\u{202e}ps".to_owned()],
                by: Teller::IdentityProvider,
                when: None,
            }],
            refusals: vec![Refusal::new(Code::ServiceRefused, "no").hint("try again")],
        }
    }

    #[test]
    fn rights_are_words_and_every_text_is_escaped() {
        let shown = permissions(&of_cluster("remote\u{1b}", Right::Unknown));
        let cluster = &shown.clusters[0];
        assert_eq!(cluster.cluster, "remote\\u{1b}");
        assert_eq!(
            [&*cluster.read, &*cluster.write, &*cluster.execute],
            ["yes", "unknown", "without-effect"]
        );
        assert_eq!((&*cluster.by, cluster.note.as_deref()), ("the cluster", Some("it does\\u{7} not tell")));
        assert_eq!(shown.facts[0].values, ["dev", "o\\u{202e}ps"]);
        assert_eq!((&*shown.troubles[0].code, &*shown.troubles[0].hint), ("service_refused", "try again"));
    }

    #[test]
    fn that_no_job_runs_is_said_by_the_machine_alone() {
        let mut entry = of_cluster("remote", Right::Yes);
        entry.refusals = vec![Refusal::new(Code::MachineIdentityMissing, "no job")];
        for (kind, troubles) in [("aws", 0), ("machine", 1)] {
            entry.kind = kind.to_owned();
            assert_eq!(permissions(&entry).troubles.len(), troubles, "{kind}");
        }
    }

    #[test]
    fn a_token_is_shown_before_and_after() {
        let report = TokenReport {
            say: "the token is kept".to_owned(),
            owner: Some("anna\n".to_owned()),
            until: Some("2027-11-21T00:00:00Z".to_owned()),
            until_by: Some(Teller::TokenService),
            lost: vec!["write at \u{1b}remote".to_owned()],
            gained: vec![],
            notes: vec![Note { weight: Weight::Due, say: "look".to_owned(), hint: String::new() }],
            permissions: Some(of_cluster("remote", Right::No)),
        };
        let outcome = token_outcome(&report, Some(&of_cluster("remote", Right::Yes)));
        assert_eq!(outcome.owner.as_deref(), Some("anna\\u{a}"));
        assert_eq!(outcome.lost, ["write at \\u{1b}remote"]);
        assert_eq!(outcome.before.unwrap().clusters[0].write, "yes");
        assert_eq!(outcome.after.unwrap().clusters[0].write, "no");
        assert_eq!(outcome.notes[0].weight, "due");
        assert_eq!(token_outcome(&report, None).before, None);
    }
}
