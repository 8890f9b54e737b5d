//! Making a key: intent, make, store, prove, swap.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal};

use super::kit::{Kit, Made, Making, Pair};
use super::{At, Failure, Held};
use crate::agent::Agent;
use crate::clock::{after, before};
use crate::config::Entry;
use crate::fault::{Point, point};
use crate::footing::Footing;
use crate::kind::Outscale;
use crate::lease::{Freshness, Lease};
use crate::upstream::outscale::{Created, OutscaleError};

/// A new key is not known everywhere at once: it is tried again after these, in milliseconds.
const PAUSES: &[u64] = &[100, 200, 400, 800, 1500, 2000, 2000];
/// What the account allows is kept under by this much: its clock is another one.
const UNDER: Duration = Duration::from_secs(60);
/// The API may round an end.
const ROUNDED: Duration = Duration::from_secs(24 * 3600);

/// The lease of an entry: of the key that is held where that is good for a while, else of a new one.
pub(crate) async fn renew(
    agent: &Arc<Agent>,
    entry: &Arc<Entry>,
    source: &Outscale,
    footing: &Footing,
) -> Result<Lease, Refusal> {
    let turn = agent.rotations.turn(&entry.name);
    let _turn = turn.lock().await;
    let holding = agent.usable_holding(footing, entry).await?;
    let held = Held::of(&holding, &entry.name)?;
    let now = agent.clock.now();
    let current = held.kit.current_of(&source.user).map(Made::lease);
    let current = match current.map(|lease| (lease.freshness(now), lease)) {
        Some((Freshness::Fresh, lease)) if held.kit.next.is_none() => return Ok(lease),
        Some((Freshness::Ended, _)) | None => None,
        Some((_, lease)) => Some(lease),
    };
    if let Some(rest) = agent.outscales.rest(&entry.name, now) {
        return or_current(current, rest.until, rest.why);
    }
    let _spending = agent.begin_spending().ok_or_else(|| agent.not_spending())?;
    let at = At::new(agent, footing, entry, source)?;
    match made(&at, held).await {
        Ok(lease) => {
            agent.outscales.worked(&entry.name);
            agent.outscales.stir();
            Ok(lease)
        }
        Err(failure) => {
            let now = agent.clock.now();
            agent.outscales.failed(&entry.name, now, &failure);
            agent.outscales.stir();
            let until = agent.outscales.rest(&entry.name, now).map_or(now, |rest| rest.until);
            or_current(current, until, failure.refusal)
        }
    }
}

/// Whoever cannot have a new key gets the one that is there, to its end; nobody is asked before `until`.
fn or_current(current: Option<Lease>, until: Timestamp, refusal: Refusal) -> Result<Lease, Refusal> {
    let mut current = current.ok_or(refusal)?;
    current.renew_from = current.renew_from.max(until);
    current.prefer_until = current.prefer_until.max(until);
    Ok(current)
}

async fn made(at: &At<'_>, held: Held) -> Result<Lease, Failure> {
    let held = without_others(at, held).await?;
    let held = if held.kit.next.is_some() { held } else { make(at, held).await? };
    let held = take_over(at, held).await?;
    let current = held.kit.current_of(&at.source.user).map(Made::lease);
    current.ok_or_else(|| Refusal::new(Code::Internal, "a key was lost on its way").into())
}

/// Makes a key and stores it.
async fn make(at: &At<'_>, held: Held) -> Result<Held, Failure> {
    let signer = look(at, &held.kit).await?;
    let mut kit = held.kit.clone();
    // One that does not go now is found again, and is no reason to let the key lapse that serves.
    if let Ok(left) = at.sweep(&kit, &signer).await {
        kit.makings = left;
    }
    let ends = end(at, &signer).await?;
    let began = at.now();
    let making = Making::new(&at.source.user, began)?;
    kit.begin(making.clone());
    let held = at.store(&held, kit).await?;
    point(Point::OutscaleNoted);
    let (held, created) = create(at, held, &signer, &making, ends).await?;
    point(Point::OutscaleAnswered);
    // An end that is not there, or that is not what was asked for, is no end that anybody can be told.
    let said = created.ends.filter(|said| *said > began && *said <= after(ends, ROUNDED));
    let Some(said) = said else {
        at.remove(&signer, &making.user, &created.id, ends).await?;
        let say = format!("OUTSCALE made a key for `{}` that does not end as it was asked to", at.name);
        let refusal = Refusal::new(Code::ServiceRefused, say).hint("check `endpoint_url` of this entry");
        return Err(Failure { refusal, pause: Duration::from_secs(300) });
    };
    let pair = Pair { id: created.id, secret: created.secret };
    let next = Made { pair, since: began, ends: said.min(ends), user: making.user.clone() };
    let id = next.pair.id.clone();
    let mut kit = Kit { next: Some(next), ..held.kit.clone() };
    kit.end(&making);
    match at.store(&held, kit).await {
        Ok(held) => {
            point(Point::OutscaleStored);
            Ok(held)
        }
        Err(refusal) => {
            // A key that cannot be kept should not be there. If it stays, it is found by its tag.
            let _ = at.remove(&signer, &making.user, &id, ends).await;
            Err(refusal.into())
        }
    }
}

/// Who signs.
pub(super) async fn look(at: &At<'_>, kit: &Kit) -> Result<Pair, Failure> {
    for signer in kit.signers(at.now(), &at.source.user) {
        match at.api.read(&signer.keys()).await {
            Ok(_) => return Ok(signer.clone()),
            Err(OutscaleError::BadKey) => {}
            Err(error) => return Err(at.failure(&error)),
        }
    }
    Err(at.failure(&OutscaleError::BadKey))
}

/// The end to ask for: no later than the account allows.
async fn end(at: &At<'_>, signer: &Pair) -> Result<Timestamp, Failure> {
    let longest = match at.api.longest_life(&signer.keys()).await {
        Ok(longest) => longest,
        Err(error @ OutscaleError::Unsent(_)) => return Err(at.failure(&error)),
        // Who may not ask finds out by being refused.
        Err(_) => None,
    };
    let life = match longest {
        Some(longest) if longest <= at.source.lifetime => longest.saturating_sub(UNDER.min(longest / 4)),
        _ => at.source.lifetime,
    };
    let ends = after(at.now(), life);
    // Whole seconds are what everybody writes.
    Ok(Timestamp::from_second(ends.as_second()).unwrap_or(ends))
}

/// Asks for a key. Whatever an answer that was lost has left is removed at once, or found later.
async fn create(
    at: &At<'_>,
    held: Held,
    signer: &Pair,
    making: &Making,
    ends: Timestamp,
) -> Result<(Held, Created), Failure> {
    let tag = at.tag(making);
    let mut held = held;
    let mut error = match at.api.create(&signer.keys(), &tag, ends).await {
        Ok(created) => return Ok((held, created)),
        Err(error) => error,
    };
    if matches!(error, OutscaleError::Full(_)) {
        let before = held.kit.waiting.len();
        held = at.put_away(held, signer).await?;
        if held.kit.waiting.len() < before {
            match at.api.create(&signer.keys(), &tag, ends).await {
                Ok(created) => return Ok((held, created)),
                Err(again) => error = again,
            }
        }
    }
    if error.is_unsure() {
        let _ = at.sweep(&held.kit, signer).await;
    } else {
        // Nothing was made.
        let mut kit = held.kit.clone();
        kit.end(making);
        let _ = at.store(&held, kit).await;
    }
    Err(at.failure(&error))
}

/// Proves the key that is stored, and puts it in the place of the one before it.
pub(super) async fn take_over(at: &At<'_>, held: Held) -> Result<Held, Failure> {
    let Some(next) = held.kit.next.clone() else { return Ok(held) };
    let proven = prove(at, &next.pair).await;
    match proven {
        Ok(()) => {}
        Err(OutscaleError::BadKey) if before(at.now(), PATIENCE) > next.since || !next.signs(at.now()) => {
            give_up(at, held, &next).await?;
            return Err(not_proven(at));
        }
        Err(OutscaleError::BadKey) => return Err(not_proven(at)),
        Err(error) => return Err(at.failure(&error)),
    }
    point(Point::OutscaleProven);
    let mut kit = held.kit.clone();
    kit.swap();
    let held = at.store(&held, kit).await?;
    point(Point::OutscaleSwapped);
    Ok(held)
}

/// A key that is not known anywhere after this long never will be.
const PATIENCE: Duration = Duration::from_secs(120);

async fn prove(at: &At<'_>, pair: &Pair) -> Result<(), OutscaleError> {
    let mut pauses = PAUSES.iter();
    loop {
        match at.api.read(&pair.keys()).await {
            Err(OutscaleError::BadKey) => {}
            // It has signed, whatever else it may do.
            Ok(_) | Err(OutscaleError::NotAllowed(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        let Some(pause) = pauses.next() else { return Err(OutscaleError::BadKey) };
        tokio::time::sleep(Duration::from_millis(*pause)).await;
    }
}

fn not_proven(at: &At<'_>) -> Failure {
    let say = format!("OUTSCALE has made a key for `{}` and does not accept it yet", at.name);
    let refusal = Refusal::new(Code::Offline, say).hint("try again in a minute");
    Failure { refusal, pause: Duration::from_secs(20) }
}

/// A key that was made for another user than the one that is configured now never serves.
pub(super) async fn without_others(at: &At<'_>, held: Held) -> Result<Held, Failure> {
    match held.kit.next.clone() {
        Some(next) if next.user != at.source.user => give_up(at, held, &next).await,
        _ => Ok(held),
    }
}

async fn give_up(at: &At<'_>, held: Held, next: &Made) -> Result<Held, Failure> {
    let signer = look(at, &held.kit).await?;
    at.remove(&signer, &next.user, &next.pair.id, next.ends).await?;
    Ok(at.store(&held, Kit { next: None, ..held.kit.clone() }).await?)
}
