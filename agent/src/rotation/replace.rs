//! Taking in a new value whose predecessor is dead, and proving it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Teller, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Refusal, Secret};

use super::standing::Standing;
use super::{Rotated, unsaved};
use crate::config::EntryName;
use crate::holding::{Facts, Holding, Rotation, RotationStep};
use crate::kind::check_token;
use crate::permissions::{Difference, compare};
use crate::service::{Introspection, Minted, ServiceError};

/// How long clusters have to say what a new token may do, before it is told without them.
const CLUSTERS: Duration = Duration::from_secs(10);

/// Where a holding remembers whose the token before this one was, if it was somebody else's.
pub(super) const OWNER_BEFORE: &str = "owner_before";

/// A value that no header can carry is an answer that cannot be read.
pub(super) fn readable(answer: Result<Minted, ServiceError>) -> Result<Minted, ServiceError> {
    let minted = answer?;
    // Whatever it begins with: it may be the only value that is good.
    let anything = EntryName { kind: "token", name: String::new() };
    match check_token(&minted.value, "", &anything) {
        Ok(()) => Ok(minted),
        Err(_) => {
            Err(ServiceError::Unsure("the token service answered with something that is no token".to_owned()))
        }
    }
}

/// Stores the answer, before anything else is done with it. Where the keychain does not take it, it serves from memory.
pub(super) async fn keep(
    at: &Standing<'_>,
    held: &Holding,
    began: Timestamp,
    minted: Minted,
) -> Result<Arc<Holding>, Refusal> {
    let Minted { value, companion, told } = minted;
    let (new, said, now, assumed) = (value.clone(), told.clone(), at.now(), at.token.end_from(at.now()));
    let kept = at
        .footing
        .holdings
        .replace(at.name(), &held.value, move |holding| {
            let before = Box::new(holding.facts.to_compare());
            holding.value = value;
            // What was sent is spent, also where nothing comes in its place.
            holding.companion = companion;
            holding.facts = successor(&holding.facts, told, now, assumed);
            holding.rotation = Some(Rotation::at(began, RotationStep::Proving { before }));
        })
        .await;
    let in_memory = at.footing.holdings.at_hand(at.name()).filter(|holding| holding.value == new);
    let Some(holding) = in_memory else { return Err(at.discard(&new, &said).await) };
    served_from_here(at, &holding);
    match kept {
        Ok(()) => Ok(holding),
        Err(refusal) => Err(unsaved::told(at.name(), &refusal)),
    }
}

/// The facts of a value that takes another one's place. It is not proven yet.
pub(super) fn successor(before: &Facts, told: Introspection, now: Timestamp, assumed: Timestamp) -> Facts {
    let mut facts = before.clone();
    facts.added = Some(now);
    // Of the new one, which is not the old one's.
    facts.ends = Some(assumed);
    facts.ends_assumed = true;
    facts.token.ends_by = Some(Teller::Configuration);
    facts.token.clusters.clear();
    facts.token.lost.clear();
    facts.more.remove(OWNER_BEFORE);
    let whose = before.owner.clone();
    facts.learn(told, now);
    if let (Some(before), Some(owner)) = (whose, &facts.owner)
        && !owner.eq_ignore_ascii_case(&before)
    {
        facts.more.insert(OWNER_BEFORE.to_owned(), before);
    }
    facts.proven = None;
    facts.token.replaced = Some(now);
    facts
}

/// Tools get the new value from their next question on.
pub(super) fn served_from_here(at: &Standing<'_>, new: &Holding) {
    at.agent.drop_bought_with(at.name());
    at.agent.states.held(at.name(), at.entry.source.end(&new.facts).0);
}

/// Proves a new value and compares what it may do with the one before. What fails here is told, and tried again later.
pub(super) async fn prove(at: &Standing<'_>, new: &Holding) -> Rotated {
    let Some(Rotation { step: RotationStep::Proving { before }, .. }) = &new.rotation else {
        return Rotated::default();
    };
    let told = match at.introspect(&new.value).await {
        Ok(told) => told,
        Err(error) => {
            let note = unproven(at.name(), &error);
            at.agent.rotations.trouble(at.name(), note.clone());
            return Rotated { difference: Difference::default(), notes: vec![note] };
        }
    };
    let (facts, difference) = compared(at, before, &new.facts, &new.value, told).await;
    let proven = at.footing.holdings.note(at.name(), &new.value, {
        let facts = facts.clone();
        move |holding| {
            holding.facts = facts;
            holding.rotation = None;
        }
    });
    // Where the keychain does not take the facts, they are asked for again.
    let _ = proven.await;
    Rotated { difference, notes: another_owner(at.name(), &facts).into_iter().collect() }
}

/// The facts of a value, now that its service has spoken, and what changed with it.
pub(super) async fn compared(
    at: &Standing<'_>,
    before: &Facts,
    new: &Facts,
    value: &Secret<String>,
    told: Introspection,
) -> (Facts, Difference) {
    let asked = at.agent.ask_clusters(at.footing, at.entry, value);
    let clusters = tokio::time::timeout(CLUSTERS, asked).await.unwrap_or_default();
    let mut facts = new.clone();
    let owner = before.owner.clone();
    facts.learn(told, at.now());
    facts.token.clusters = clusters;
    let difference = compare(&before.token, &facts.token);
    facts.token.lose(&difference.lost);
    if let (Some(before), Some(owner)) = (owner, &facts.owner) {
        if owner.eq_ignore_ascii_case(&before) {
            facts.more.remove(OWNER_BEFORE);
        } else {
            facts.more.insert(OWNER_BEFORE.to_owned(), before);
        }
    }
    (facts, difference)
}

fn unproven(name: &EntryName, error: &ServiceError) -> Note {
    let is_refused = matches!(error, ServiceError::Dead);
    Note {
        weight: if is_refused { Weight::Urgent } else { Weight::Known },
        say: format!("the new token of `{name}` is stored and not proven yet: {error}"),
        hint: if is_refused { format!("keyfob token add {}", name.name) } else { String::new() },
    }
}

/// A token that came back as somebody else's.
pub(super) fn another_owner(name: &EntryName, facts: &Facts) -> Option<Note> {
    let (before, owner) = (facts.more.get(OWNER_BEFORE)?, facts.owner.as_ref()?);
    Some(Note {
        weight: Weight::Urgent,
        say: format!(
            "the token service answered the rotation with a token of {}, not of {}",
            escape(owner),
            escape(before)
        ),
        hint: format!("keyfob token add {}", name.name),
    })
}
