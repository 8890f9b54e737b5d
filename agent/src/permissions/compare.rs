//! What one token may do and another may not.

use std::collections::{BTreeMap, BTreeSet};

use keyfob_ipc::reply::{Right, Rights};
use keyfob_ipc::text::escape;

use crate::holding::TokenFacts;

/// What one token may do and the other may not, in words: `write at aw-remote-ext`, `scope read_api`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The one before had it.
    pub lost: Vec<String>,
    /// The one after has it.
    pub gained: Vec<String>,
}

/// Compares what is known of two tokens: by the clusters that tell, and by the service. What is unknown on either side is no
/// difference.
pub fn compare(before: &TokenFacts, after: &TokenFacts) -> Difference {
    let mut found = Found::default();
    found.clusters(before, after);
    found.service(before, after);
    // A loss that one of them sees is not made good by what the other says.
    let gained = found.gained.difference(&found.lost).cloned().collect();
    Difference { lost: found.lost.into_iter().collect(), gained }
}

#[derive(Default)]
struct Found {
    lost: BTreeSet<String>,
    gained: BTreeSet<String>,
}

impl Found {
    fn clusters(&mut self, before: &TokenFacts, after: &TokenFacts) {
        for (cluster, before) in before.clusters.iter().filter(|(_, answer)| answer.tells) {
            let Some(after) = after.clusters.get(cluster).filter(|answer| answer.tells) else { continue };
            if before.address == after.address {
                self.rights(cluster, &before.rights, &after.rights);
            }
        }
    }

    fn service(&mut self, before: &TokenFacts, after: &TokenFacts) {
        let (Some((before, _)), Some((after, _))) = (&before.told, &after.told) else { return };
        if let (Some(before), Some(after)) = (&before.clusters, &after.clusters) {
            // A service lists what is permitted: a cluster that is not listed permits nothing.
            let listed = |of: &BTreeMap<String, Rights>, cluster: &str| {
                let nothing = Rights { read: Right::No, write: Right::No, execute: Right::No };
                of.get(cluster).copied().unwrap_or(nothing)
            };
            for cluster in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                self.rights(cluster, &listed(before, cluster), &listed(after, cluster));
            }
        }
        if let (Some(before), Some(after)) = (&before.scopes, &after.scopes) {
            let words = |scope: &String| format!("scope {}", escape(scope));
            self.lost.extend(before.iter().filter(|scope| !after.contains(scope)).map(words));
            self.gained.extend(after.iter().filter(|scope| !before.contains(scope)).map(words));
        }
    }

    fn rights(&mut self, cluster: &str, before: &Rights, after: &Rights) {
        for ((name, before), (_, after)) in named(before).into_iter().zip(named(after)) {
            let words = || format!("{name} at {}", escape(cluster));
            match (before, after) {
                (Right::Yes, Right::No) => self.lost.insert(words()),
                (Right::No, Right::Yes) => self.gained.insert(words()),
                // Unknown is no difference, and what a cluster cannot do says nothing about a token.
                _ => false,
            };
        }
    }
}

/// Each right with its name.
pub(super) fn named(rights: &Rights) -> [(&'static str, Right); 3] {
    [("read", rights.read), ("write", rights.write), ("execute", rights.execute)]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::holding::ClusterAnswer;
    use crate::service::Introspection;

    const READ: Rights = Rights { read: Right::Yes, write: Right::No, execute: Right::No };
    const WRITE: Rights = Rights { read: Right::Yes, write: Right::Yes, execute: Right::No };

    fn answered(rights: Rights, tells: bool) -> TokenFacts {
        let answer = ClusterAnswer { rights, tells, at: Timestamp::UNIX_EPOCH, address: String::new() };
        TokenFacts { clusters: BTreeMap::from([("ext".to_owned(), answer)]), ..TokenFacts::default() }
    }

    fn told(clusters: &[(&str, Rights)], scopes: Option<&[&str]>) -> TokenFacts {
        let told = Introspection {
            clusters: Some(clusters.iter().map(|&(name, rights)| (name.to_owned(), rights)).collect()),
            scopes: scopes.map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect()),
            ..Introspection::default()
        };
        TokenFacts { told: Some((told, Timestamp::UNIX_EPOCH)), ..TokenFacts::default() }
    }

    fn both(before: &TokenFacts, after: &TokenFacts) -> (Vec<String>, Vec<String>) {
        let Difference { lost, gained } = compare(before, after);
        (lost, gained)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn clusters_that_tell_are_compared() {
        let (writes, reads) = (answered(WRITE, true), answered(READ, true));
        assert_eq!(both(&writes, &reads), (words(&["write at ext"]), vec![]));
        assert_eq!(both(&reads, &writes), (vec![], words(&["write at ext"])));
        assert_eq!(both(&reads, &reads), (vec![], vec![]));
    }

    #[test]
    fn what_is_unknown_is_no_difference() {
        let writes = answered(WRITE, true);
        for unknown in [TokenFacts::default(), answered(READ, false), answered(Rights::default(), true)] {
            assert_eq!(both(&writes, &unknown), (vec![], vec![]), "{unknown:?}");
            assert_eq!(both(&unknown, &writes), (vec![], vec![]), "{unknown:?}");
        }
        let elsewhere = |mut facts: TokenFacts| {
            facts.clusters.values_mut().for_each(|answer| answer.address = "grpcs://other".to_owned());
            facts
        };
        assert_eq!(both(&writes, &elsewhere(answered(READ, true))), (vec![], vec![]));
        let scoped = told(&[], Some(&["api"]));
        assert_eq!(both(&scoped, &told(&[], None)), (vec![], vec![]));
    }

    #[test]
    fn a_cluster_that_cannot_execute_takes_nothing_from_a_token() {
        let executes = Rights { execute: Right::Yes, ..READ };
        let idle = Rights { execute: Right::WithoutEffect, ..READ };
        assert_eq!(both(&answered(executes, true), &answered(idle, true)), (vec![], vec![]));
    }

    #[test]
    fn what_the_service_no_longer_lists_is_lost() {
        let before = told(&[("ext", WRITE), ("two", READ)], Some(&["api", "read_api"]));
        let after = told(&[("ext", READ), ("three", READ)], Some(&["read_api", "read_user"]));
        assert_eq!(
            both(&before, &after),
            (
                words(&["read at two", "scope api", "write at ext"]),
                words(&["read at three", "scope read_user"])
            )
        );
    }

    #[test]
    fn a_loss_that_either_of_them_sees_is_a_loss() {
        let mut before = answered(WRITE, true);
        before.told = told(&[("ext", READ)], None).told;
        let mut after = answered(READ, true);
        after.told = told(&[("ext", WRITE)], None).told;
        assert_eq!(both(&before, &after), (words(&["write at ext"]), vec![]));
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let before = told(&[("e\u{1b}xt", WRITE)], Some(&["a\u{202e}b"]));
        let (lost, _) = both(&before, &told(&[], Some(&[])));
        assert!(lost.iter().all(|words| words.is_ascii() && !words.contains('\u{1b}')), "{lost:?}");
    }
}
