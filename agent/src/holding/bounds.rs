//! What a service says is bounded before it is kept: an item that the keychain cannot hold would be found out about exactly
//! when the value before it is dead.

use super::{Facts, Holding, Rotation, RotationStep, TokenFacts};
use crate::service::Introspection;

/// Longest name of anything, in bytes. What is longer was not said.
const NAME: usize = 256;
const SCOPES: usize = 256;
const CLUSTERS: usize = 512;
/// Of each list as it is written, in bytes; several of them and two tokens fit into an item.
const LIST: usize = 40 * 1024;
/// What a row costs beside its name, in bytes.
const ROW: usize = 64;
/// Permissions that are told as lost; each is in words.
const LOST: usize = 64;

/// What of a service's words is taken in. Lists are cut in the order of their names, so that the same list is cut to the same
/// rows.
pub(crate) fn bounded(mut told: Introspection) -> Introspection {
    told.id = told.id.filter(|id| id.len() <= NAME);
    told.owner = told.owner.filter(|owner| owner.len() <= NAME);
    if let Some(scopes) = &mut told.scopes {
        scopes.retain(|scope| scope.len() <= NAME);
        if room(scopes.iter(), SCOPES) < scopes.len() {
            scopes.sort();
            scopes.truncate(room(scopes.iter(), SCOPES));
        }
    }
    if let Some(clusters) = &mut told.clusters {
        clusters.retain(|name, _| name.len() <= NAME);
        let first_left_out = clusters.keys().nth(room(clusters.keys(), CLUSTERS)).cloned();
        if let Some(name) = first_left_out {
            clusters.split_off(&name);
        }
    }
    told
}

/// How many of these rows are taken.
fn room<'a>(names: impl Iterator<Item = &'a String>, most: usize) -> usize {
    let mut left = LIST;
    let fits = |name: &&String| {
        let written = serde_json::to_vec(name).map_or(LIST, |text| text.len());
        left.checked_sub(written + ROW).map(|rest| left = rest).is_some()
    };
    names.take(most).take_while(fits).count()
}

impl TokenFacts {
    /// Notes what the value before this one could do more.
    pub fn lose(&mut self, lost: &[String]) {
        let is_short = |words: &&String| words.len() <= 2 * NAME;
        self.lost = lost.iter().filter(is_short).take(LOST).cloned().collect();
    }
}

impl Facts {
    /// What another token is compared with.
    pub(crate) fn to_compare(&self) -> Self {
        let told = self.token.told.as_ref().map(|(told, at)| {
            let Introspection { scopes, clusters, .. } = told.clone();
            (Introspection { scopes, clusters, ..Introspection::default() }, *at)
        });
        let clusters = self.token.clusters.iter().filter(|(_, answer)| answer.tells);
        let clusters = clusters.map(|(name, answer)| (name.clone(), answer.clone())).collect();
        let token = TokenFacts { told, clusters, ..TokenFacts::default() };
        Self { owner: self.owner.clone(), token, ..Self::default() }
    }

    /// What must not be lost even where nothing else can be kept.
    fn bare(&self) -> Self {
        let told = self.token.told.as_ref().map(|(told, at)| {
            let Introspection { id, cluster_cache, .. } = told.clone();
            (Introspection { id, cluster_cache, ..Introspection::default() }, *at)
        });
        let TokenFacts { ends_by, replaced, .. } = self.token;
        Self {
            owner: self.owner.clone(),
            ends: self.ends,
            ends_assumed: self.ends_assumed,
            added: self.added,
            token: TokenFacts { told, ends_by, replaced, ..TokenFacts::default() },
            ..Self::default()
        }
    }
}

impl Holding {
    /// The same value, with as little beside it as can be.
    pub(crate) fn bare(&self) -> Self {
        let mut bare = self.clone();
        bare.facts = self.facts.bare();
        if let Some(Rotation { step: RotationStep::Proving { before }, .. }) = &mut bare.rotation {
            **before = Facts { owner: before.owner.clone(), ..Facts::default() };
        }
        bare
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use keyfob_ipc::Secret;
    use keyfob_ipc::reply::{Right, Rights};

    use super::super::{ClusterAnswer, Destination};
    use super::*;
    use crate::keychain::MAX_VALUE;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const ALL: Rights = Rights { read: Right::Yes, write: Right::Yes, execute: Right::WithoutEffect };

    /// Says as much as it can.
    fn chatter(letter: &str, length: usize, rows: usize) -> Introspection {
        let name = |row: usize| format!("{row:05}{}", letter.repeat(length));
        Introspection {
            id: Some(name(0)),
            owner: Some(name(1)),
            scopes: Some((0..rows).rev().map(name).collect()),
            clusters: Some((0..rows).map(|row| (name(row), ALL)).collect()),
            ..Introspection::default()
        }
    }

    #[test]
    fn what_everybody_says_is_taken_whole() {
        let told = chatter("x", 20, 200);
        assert_eq!(bounded(told.clone()), told);
        let many = bounded(chatter("x", 8, 3000));
        assert_eq!((many.scopes.unwrap().len(), many.clusters.unwrap().len()), (SCOPES, CLUSTERS));
    }

    #[test]
    fn what_is_too_long_was_not_said_and_a_list_is_cut_the_same_in_any_order() {
        let mut facts = Facts { owner: Some("ada".to_owned()), ..Facts::default() };
        facts.learn(chatter("x", 300, 3), NOW);
        let (told, _) = facts.token.told.clone().unwrap();
        assert_eq!((told.id, told.scopes, told.clusters.unwrap().len()), (None, Some(vec![]), 0));
        assert_eq!(facts.owner.as_deref(), Some("ada"));
        let mut turned = chatter("x", 8, 3000);
        turned.scopes.as_mut().unwrap().reverse();
        assert_eq!(bounded(turned), bounded(chatter("x", 8, 3000)));
    }

    #[test]
    fn an_item_holds_the_most_that_is_ever_known_of_two_tokens() {
        for letter in ["x", "\u{1}", "é"] {
            let mut facts = Facts::default();
            facts.learn(chatter(letter, 120, 5000), NOW);
            let lost: Vec<_> = (0..5000).map(|row| format!("{row}{}", letter.repeat(200))).collect();
            facts.token.lose(&lost);
            let before = Box::new(facts.to_compare());
            let value = Secret::new("v".repeat(8 * 1024));
            let mut holding = Holding::new(value.clone(), facts, Destination::default());
            holding.companion = Some(value);
            holding.rotation = Some(Rotation::at(NOW, RotationStep::Proving { before }));
            let size = holding.to_item().expose().len();
            assert!(size < MAX_VALUE, "{size} bytes of {letter:?}");
        }
    }

    #[test]
    fn what_is_compared_and_what_is_bare_keep_no_more_than_they_need() {
        let mut facts = Facts { owner: Some("ada".to_owned()), ends: Some(NOW), ..Facts::default() };
        facts.more.insert("subject".to_owned(), "much".repeat(1000));
        facts.learn(chatter("x", 20, 100), NOW);
        let answer = |tells| ClusterAnswer { rights: ALL, tells, at: NOW, address: String::new() };
        facts.token.clusters = [("one".to_owned(), answer(true)), ("two".to_owned(), answer(false))].into();
        let before = facts.to_compare();
        assert_eq!(before.token.clusters.keys().collect::<Vec<_>>(), ["one"]);
        assert_eq!((before.more.len(), before.owner.as_deref()), (0, Some("00001xxxxxxxxxxxxxxxxxxxx")));
        assert_eq!(crate::permissions::compare(&before.token, &facts.token), Default::default());

        let mut holding = Holding::new(Secret::from("aw_1"), facts, Destination::default());
        holding.companion = Some(Secret::from("re_1"));
        holding.rotation = Some(Rotation::at(NOW, RotationStep::Proving { before: Box::new(before) }));
        let bare = holding.bare();
        assert_eq!((&bare.value, &bare.companion), (&holding.value, &holding.companion));
        assert_eq!(bare.facts.ends, Some(NOW));
        let told = bare.facts.token.told.as_ref().unwrap();
        assert_eq!(told.0.id, holding.facts.token.told.as_ref().unwrap().0.id);
        assert!(bare.to_item().expose().len() < 1024);
    }
}
