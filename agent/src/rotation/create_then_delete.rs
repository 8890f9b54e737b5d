//! Create then delete: a second token is made with the first one, proven, put in its place, and deletes the first one.
//!
//! The first one serves until the second one takes its place in one write. Every step is noted before the next begins, and
//! whatever is created carries a mark that is made of the entry's name and the time at which the rotation began: what a
//! crash or a lost answer left at the service is found by it and deleted, because nobody has its value.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use super::replace::{compared, readable, served_from_here, successor};
use super::standing::Standing;
use super::{Outcome, Rotated};
use crate::config::EntryName;
use crate::fault::{Point, point};
use crate::holding::{Holding, Rotation, RotationStep, bounded};
use crate::service::{CreateThenDelete, Introspection, Minted, ServiceError, Shape};

/// How often a second token is asked for while the answers are lost.
const ATTEMPTS: usize = 2;

pub(super) async fn rotate(at: &Standing<'_>, pair: &dyn CreateThenDelete, held: &Arc<Holding>) -> Outcome {
    if let Some(Rotation { began, step: RotationStep::Created { value, told }, .. }) = &held.rotation {
        let second = Second { value: value.clone(), told: told.clone() };
        let outcome = take_over(at, pair, held, *began, &second).await;
        return unless_overtaken(at, held, &second, outcome).await;
    }
    let told = match at.introspect(&held.value).await {
        Ok(told) => told,
        Err(error) => {
            if matches!(error, ServiceError::Dead) {
                at.call_off(held).await;
            }
            return Err(at.not_begun(&error));
        }
    };
    if told.id.is_none() {
        return Err(at.by_hand("its service does not say which of its tokens this is"));
    }
    let left = held.rotation.as_ref().filter(|rotation| rotation.step == RotationStep::Asking);
    let began = match left {
        // The same mark, so that what was left is found, now or when it turns up late.
        Some(rotation) => {
            let mark = mark(at.name(), rotation.began);
            let gone = delete_marked(at, pair, &held.value, &told, &mark, None).await;
            gone.map_err(|error| not_finished(at, &error))?;
            rotation.began
        }
        None => at.note_intent(held).await?,
    };
    point(Point::CreateNoted);
    let minted = create(at, pair, held, &told, began).await?;
    point(Point::CreateAnswered);
    let second = Second { value: minted.value, told: bounded(minted.told) };
    let outcome = async {
        store(at, held, began, &second).await?;
        point(Point::CreateStored);
        take_over(at, pair, held, began, &second).await
    };
    let outcome = outcome.await;
    unless_overtaken(at, held, &second, outcome).await
}

/// The second token.
struct Second {
    value: Secret<String>,
    told: Introspection,
}

/// What marks the tokens of one rotation at the service.
pub(super) fn mark(name: &EntryName, began: Timestamp) -> String {
    format!("keyfob {name} {began}")
}

/// Makes the second token. An answer that is lost leaves one behind, whose value nobody has: it is deleted first.
async fn create(
    at: &Standing<'_>,
    pair: &dyn CreateThenDelete,
    held: &Holding,
    told: &Introspection,
    began: Timestamp,
) -> Result<Minted, Refusal> {
    let mark = mark(at.name(), began);
    let mut attempt = 1;
    loop {
        let (now, ends) = (at.now(), at.token.end_from(at.now()));
        let error = match readable(pair.create(&at.api, &held.value, told, &mark, now, ends).await) {
            Ok(minted) => return Ok(minted),
            Err(error) => error,
        };
        if !error.is_unsure() {
            at.call_off(held).await;
            return Err(at.not_begun(&error));
        }
        let gone = delete_marked(at, pair, &held.value, told, &mark, None).await;
        if gone.is_err() || attempt == ATTEMPTS {
            return Err(not_finished(at, &error));
        }
        attempt += 1;
    }
}

async fn store(at: &Standing<'_>, held: &Holding, began: Timestamp, second: &Second) -> Result<(), Refusal> {
    let step = RotationStep::Created { value: second.value.clone(), told: second.told.clone() };
    let Err(refusal) = at.note_step(held, began, step).await else { return Ok(()) };
    // A token that cannot be kept should not be there. If it stays, it is found by its mark.
    if at.token.service.delete(&at.api, &second.value, &second.told).await.is_ok() {
        at.call_off(held).await;
    }
    Err(refusal)
}

/// Proves the second token, puts it in the first one's place, and deletes that.
async fn take_over(
    at: &Standing<'_>,
    pair: &dyn CreateThenDelete,
    held: &Holding,
    began: Timestamp,
    second: &Second,
) -> Outcome {
    let told = match at.introspect(&second.value).await {
        Ok(told) => told,
        Err(ServiceError::Dead) => {
            return Err(
                give_up(at, pair, held, second, "the token service does not accept the new token").await
            );
        }
        Err(error) => return Err(not_finished(at, &error)),
    };
    let first = match at.introspect(&held.value).await {
        Ok(first) => Some(first),
        // It is gone already, and needs no deleting.
        Err(ServiceError::Dead) => None,
        Err(error) => return Err(not_finished(at, &error)),
    };
    let first_id = first.as_ref().and_then(|first| first.id.clone());
    if first_id.is_some() && first_id == told.id {
        at.call_off(held).await;
        return Err(at.by_hand("its service answers with the same token again"));
    }
    let owner = held.facts.owner.as_deref().or(first.as_ref().and_then(|first| first.owner.as_deref()));
    if let (Some(owner), Some(new)) = (owner, told.owner.as_deref())
        && !owner.eq_ignore_ascii_case(new)
    {
        let why = format!("the new token belongs to {}, not to {}", escape(new), escape(owner));
        return Err(give_up(at, pair, held, second, &why).await);
    }
    let mut before = held.facts.clone();
    if let Some(first) = &first {
        before.token.told = Some((first.clone(), at.now()));
    }
    let bare = successor(&before, told.clone(), at.now(), at.token.end_from(at.now()));
    let (facts, difference) = compared(at, &before, &bare, &second.value, told.clone()).await;
    point(Point::CreateProven);
    let swapped = at.footing.holdings.note(at.name(), &held.value, {
        let value = second.value.clone();
        let step = first_id.map(|id| Rotation::at(began, RotationStep::Deleting { id }));
        move |holding| {
            holding.value = value;
            holding.facts = facts;
            holding.rotation = step;
        }
    });
    swapped.await?;
    point(Point::CreateSwapped);
    let mut rotated = Rotated { difference, notes: Vec::new() };
    let Some(new) = at.footing.holdings.at_hand(at.name()).filter(|new| new.value == second.value) else {
        // Removed in this very moment; what is removed here is deleted there.
        delete_first(at, held, first.as_ref()).await;
        return Ok(rotated);
    };
    served_from_here(at, &new);
    match finish(at, &new).await {
        Ok(()) => {}
        // The second one is gone, by somebody's wish; the first one can still delete itself.
        Err(refusal) if refusal.code == Code::TokenNeeded => delete_first(at, held, first.as_ref()).await,
        Err(refusal) => {
            rotated.notes.push(Note { weight: Weight::Known, say: refusal.say, hint: refusal.hint });
        }
    }
    Ok(rotated)
}

async fn delete_first(at: &Standing<'_>, held: &Holding, told: Option<&Introspection>) {
    if let Some(told) = told {
        let _ = at.token.service.delete(&at.api, &held.value, told).await;
    }
}

/// Deletes the first token with the second one, which serves already; also what turned up late with the same mark.
pub(super) async fn finish(at: &Standing<'_>, held: &Holding) -> Result<(), Refusal> {
    let Some(Rotation { began, step: RotationStep::Deleting { id }, .. }) = &held.rotation else {
        return Ok(());
    };
    let Shape::CreateThenDelete(pair) = at.token.service.shape() else {
        return Err(at.by_hand("the service that it was made by is not configured any more"));
    };
    let mark = mark(at.name(), *began);
    let deleted = async {
        let told = at.introspect(&held.value).await?;
        // Numbers are given again: never the one that serves.
        if told.id.as_ref().is_some_and(|own| own != id) {
            pair.delete_other(&at.api, &held.value, &told, id).await?;
        }
        delete_marked(at, pair, &held.value, &told, &mark, told.id.as_deref()).await
    };
    deleted.await.map_err(|error| match error {
        ServiceError::Dead => error.refusal(at.name()),
        error => not_deleted(at, &error),
    })?;
    point(Point::CreateDeleted);
    at.call_off(held).await;
    point(Point::CreateDone);
    Ok(())
}

/// Deletes what an unfinished rotation has left beside the value that is held.
pub(super) async fn delete_leftovers(at: &Standing<'_>, held: &Holding) -> Result<(), ServiceError> {
    let Some(Rotation { began, step, .. }) = &held.rotation else { return Ok(()) };
    let Shape::CreateThenDelete(pair) = at.token.service.shape() else { return Ok(()) };
    if let RotationStep::Created { value, told } = step {
        at.token.service.delete(&at.api, value, told).await?;
    }
    let told = match at.introspect(&held.value).await {
        Ok(told) => told,
        // What is dead deletes nothing.
        Err(ServiceError::Dead) => return Ok(()),
        Err(error) => return Err(error),
    };
    if let RotationStep::Deleting { id } = step
        && told.id.as_ref().is_some_and(|own| own != id)
    {
        pair.delete_other(&at.api, &held.value, &told, id).await?;
    }
    delete_marked(at, pair, &held.value, &told, &mark(at.name(), *began), told.id.as_deref()).await
}

/// Deletes every token with this mark, but for the one that serves.
async fn delete_marked(
    at: &Standing<'_>,
    pair: &dyn CreateThenDelete,
    value: &Secret<String>,
    told: &Introspection,
    mark: &str,
    kept: Option<&str>,
) -> Result<(), ServiceError> {
    for id in pair.find(&at.api, value, told, mark).await? {
        if kept != Some(id.as_str()) && told.id.as_ref() != Some(&id) {
            pair.delete_other(&at.api, value, told, &id).await?;
        }
    }
    Ok(())
}

/// The second token is not what it should be: it goes, and the first one stays.
async fn give_up(
    at: &Standing<'_>,
    pair: &dyn CreateThenDelete,
    held: &Holding,
    second: &Second,
    why: &str,
) -> Refusal {
    let own = at.token.service.delete(&at.api, &second.value, &second.told).await;
    let gone = match (own, &second.told.id, at.introspect(&held.value).await) {
        (Ok(()), ..) => Ok(()),
        (Err(_), Some(id), Ok(told)) if told.id.as_ref() != Some(id) => {
            pair.delete_other(&at.api, &held.value, &told, id).await
        }
        (Err(error), ..) => Err(error),
    };
    at.call_off(held).await;
    let say = format!("`{}` was not rotated: {why}; the token that is held serves on", at.name());
    match gone {
        Ok(()) => Refusal::new(Code::ServiceRefused, say).hint("keyfob status"),
        Err(error) => {
            let say = format!("{say}, and the new one could not be deleted ({error})");
            Refusal::new(Code::ServiceRefused, say).hint("delete it on its page")
        }
    }
}

/// Where somebody removed or replaced the token that is being rotated, nobody is to have the second one.
async fn unless_overtaken(at: &Standing<'_>, held: &Holding, second: &Second, outcome: Outcome) -> Outcome {
    let now = at.footing.holdings.at_hand(at.name());
    let is_ours = now.is_some_and(|now| now.value == held.value || now.value == second.value);
    if outcome.is_ok() || is_ours { outcome } else { Err(at.discard(&second.value, &second.told).await) }
}

fn not_finished(at: &Standing<'_>, error: &ServiceError) -> Refusal {
    let say = format!(
        "the rotation of `{}` is not finished ({error}); the token that is held serves on, and it is tried again",
        at.name()
    );
    troubled(at, Refusal::new(Code::Offline, say).hint("keyfob status"))
}

fn not_deleted(at: &Standing<'_>, error: &ServiceError) -> Refusal {
    let say = format!(
        "the token before this one of `{}` is still to be deleted at its service ({error}), which is tried again",
        at.name()
    );
    troubled(at, Refusal::new(Code::Offline, say))
}

fn troubled(at: &Standing<'_>, refusal: Refusal) -> Refusal {
    let Refusal { say, hint, .. } = refusal.clone();
    at.agent.rotations.trouble(at.name(), Note { weight: Weight::Known, say, hint });
    refusal
}
