//! Putting keys away: those that have ended for whoever held them, and those whose secret nobody has. And going on, at the next
//! start, with what a crash left.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Refusal;

use super::kit::{Kit, Making, Pair, Waiting};
use super::{At, Failure, Held, life};
use crate::agent::Agent;
use crate::clock::after;
use crate::config::Entry;
use crate::fault::{Point, point};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::Outscale;
use crate::upstream::outscale::OutscaleError;

/// How soon a keychain that is shut is looked at again, if nothing tells before.
const SHUT: Duration = Duration::from_secs(600);
/// A clock that is set back would keep the background waiting.
const LOOK: Duration = Duration::from_secs(3600);
/// A key of ours that has no end gets one.
const HOUR: Duration = Duration::from_secs(3600);

impl At<'_> {
    /// Removes the keys that were made without an answer that is in the item. Returns what is to be looked for again: a key may
    /// take a while to show.
    pub(super) async fn sweep(&self, kit: &Kit, signer: &Pair) -> Result<Vec<Making>, Failure> {
        let now = self.now();
        for orphan in self.orphans(kit, signer).await? {
            self.remove(signer, &orphan.user, &orphan.id, orphan.ends).await?;
        }
        Ok(kit.makings.iter().filter(|making| making.settles(now).is_some()).cloned().collect())
    }

    /// Keys whose secret nobody has.
    async fn orphans(&self, kit: &Kit, signer: &Pair) -> Result<Vec<Waiting>, Failure> {
        let mut orphans = Vec::new();
        for making in &kit.makings {
            let keys = match self.api.of(&making.user).read(&signer.keys()).await {
                Ok(keys) => keys,
                // No user any more, no key.
                Err(OutscaleError::NotThere) => continue,
                Err(error) => return Err(self.failure(&error)),
            };
            let is_ours = |tag: &String| making.is_of(tag);
            for key in keys.into_iter().filter(|key| key.tag.as_ref().is_some_and(is_ours)) {
                if !kit.knows(&key.id) {
                    let ends = key.ends.unwrap_or_else(|| after(self.now(), HOUR));
                    orphans.push(Waiting { id: key.id, ends, user: making.user.clone() });
                }
            }
        }
        Ok(orphans)
    }

    /// Removes the keys before the current one whose end has come. What is removed is noted one by one.
    pub(super) async fn put_away(&self, mut held: Held, signer: &Pair) -> Result<Held, Failure> {
        loop {
            let now = self.now();
            let due = held.kit.waiting.iter().find(|key| key.ends <= now && key.id != signer.id).cloned();
            let Some(due) = due else { return Ok(held) };
            self.remove(signer, &due.user, &due.id, due.ends).await?;
            let mut kit = held.kit.clone();
            kit.waiting.retain(|key| key.id != due.id);
            held = self.store(&held, kit).await?;
        }
    }

    /// Switches a key off and deletes it. The end is said again, because a key whose end is not said has none.
    pub(super) async fn remove(
        &self,
        signer: &Pair,
        user: &str,
        id: &str,
        ends: Timestamp,
    ) -> Result<(), Failure> {
        // Asked about another user the API knows no such key, which would count as deleted.
        let (by, api) = (signer.keys(), self.api.of(user));
        api.switch_off(&by, id, ends).await.map_err(|error| self.failure(&error))?;
        point(Point::OutscaleInactive);
        api.delete(&by, id).await.map_err(|error| self.failure(&error))?;
        point(Point::OutscaleDeleted);
        Ok(())
    }
}

impl Agent {
    /// Finishes and puts away for as long as the agent lives. The keychain is only read while it is open.
    pub async fn mend_outscale(self: Arc<Self>) {
        loop {
            let mut stirred = self.outscales.stirred.subscribe();
            let mut keychain = self.holdings().stirred();
            let next = self.mend_outscale_now().await;
            let due = async {
                match next {
                    Some(next) => self.clock.wait_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                _ = stirred.changed() => {}
                _ = keychain.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Says when to look again, if not before something happens.
    async fn mend_outscale_now(self: &Arc<Self>) -> Option<Timestamp> {
        if *self.ending.borrow() || self.is_locked() {
            return None;
        }
        let now = self.clock.now();
        let Ok(footing) = self.footing() else { return Some(after(now, SHUT)) };
        let mut next = Vec::new();
        for entry in footing.config.entries.iter().filter(|entry| entry.source.as_outscale().is_some()) {
            let holdings = &footing.holdings;
            let may_read = holdings.is_read(&entry.name) || holdings.is_open().await;
            if !may_read || holdings.get(&entry.name).await.is_err() {
                next.push(after(now, SHUT));
                continue;
            }
            if let Some(rest) = self.outscales.rest(&entry.name, now) {
                next.push(rest.until);
                continue;
            }
            if let Err(failure) = Box::pin(self.mend_keys(&footing, entry)).await {
                tracing::info!(name = %entry.name, code = ?failure.refusal.code, "keys are not put away yet");
                self.outscales.failed(&entry.name, self.clock.now(), &failure);
                next.extend(self.outscales.rest(&entry.name, self.clock.now()).map(|rest| rest.until));
            }
            let held = holdings.at_hand(&entry.name);
            let kit = held.and_then(|held| Kit::of(&held, &entry.name).ok());
            next.extend(kit.iter().filter_map(Kit::next_end));
            let makings = kit.iter().flat_map(|kit| &kit.makings);
            next.extend(makings.filter_map(|making| making.settles(now)));
        }
        next.into_iter().filter(|next| *next > now).min()
    }

    async fn mend_keys(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) -> Result<(), Failure> {
        let Some(source) = entry.source.as_outscale() else { return Ok(()) };
        let turn = self.rotations.turn(&entry.name);
        let _turn = turn.lock().await;
        let held = footing.holdings.at_hand(&entry.name);
        let is_due = |kit: &Kit| {
            kit.next.is_some()
                || !kit.makings.is_empty()
                || kit.next_end().is_some_and(|end| end <= self.clock.now())
        };
        let has_work = held.is_some_and(|held| Kit::of(&held, &entry.name).is_ok_and(|kit| is_due(&kit)));
        if !has_work {
            return Ok(());
        }
        let Some(_spending) = self.begin_spending() else { return Ok(()) };
        let _pin = footing.holdings.pin(&entry.name);
        let holding = self.usable_holding(footing, entry).await?;
        let at = At::new(self, footing, entry, source)?;
        let held = Held::of(&holding, &entry.name)?;
        let had_next = held.kit.next.is_some();
        let held = life::without_others(&at, held).await?;
        let held = life::take_over(&at, held).await?;
        let signer = life::look(&at, &held.kit).await?;
        let makings = at.sweep(&held.kit, &signer).await?;
        let held = if makings == held.kit.makings {
            held
        } else {
            at.store(&held, Kit { makings, ..held.kit.clone() }).await?
        };
        at.put_away(held, &signer).await?;
        self.outscales.worked(&entry.name);
        if had_next {
            // What is in memory is the lease of the key before it.
            self.leases.drop_where(|name| *name == entry.name);
            self.watchers.changed([&entry.name]);
        }
        point(Point::OutscaleTidied);
        Ok(())
    }

    /// Forgets what is held. The keys that the agent made go at OUTSCALE in any case, the bootstrap key unless it is to stay.
    ///
    /// # Errors
    /// The keychain's; then it is still held.
    pub(crate) async fn forget_outscale(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        holding: &Holding,
        keep_bootstrap: bool,
    ) -> Result<String, Refusal> {
        let name = &entry.name;
        let Some(source) = entry.source.as_outscale() else { return Ok(format!("`{name}` held nothing")) };
        footing.holdings.prove().await?;
        footing.holdings.note(name, &holding.value, |_| {}).await?;
        let there = self.remove_outscale_keys(footing, entry, source, keep_bootstrap).await;
        footing.holdings.remove(name).await?;
        self.outscales.worked(name);
        self.drop_bought_with(name);
        Ok(match there {
            Ok(Left::Bootstrap) if keep_bootstrap => {
                format!("`{name}` is removed here; the key that you gave is still good at OUTSCALE")
            }
            Ok(Left::Bootstrap) => format!(
                "`{name}` is removed here, and at OUTSCALE what the agent made; the key that you gave is of another user and stays good \
                 there"
            ),
            Ok(Left::Off { id, whose }) => {
                let gone = match whose {
                    Last::Given => "what the agent made; the key that you gave",
                    Last::AfterGiven => {
                        "its keys, also the one that you gave (--keep-at-service spares it); the last"
                    }
                    Last::Made => "what the agent made; the last key",
                };
                format!(
                    "`{name}` is removed here, and at OUTSCALE {gone}, {id}, cannot delete itself: it is switched off, \
                     delete it on the console"
                )
            }
            Err(refusal) => format!(
                "`{name}` is removed here, but not at OUTSCALE ({}); what the agent made ends by itself",
                refusal.say
            ),
        })
    }

    /// Removes at OUTSCALE what the agent made for an entry, and the bootstrap key unless that is kept or another user's.
    async fn remove_outscale_keys(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        source: &Outscale,
        keep_bootstrap: bool,
    ) -> Result<Left, Refusal> {
        let holding = self.usable_holding(footing, entry).await?;
        let Held { kit, .. } = Held::of(&holding, &entry.name)?;
        let at = At::new(self, footing, entry, source)?;
        all_removed(&at, &kit, &holding, keep_bootstrap).await.map_err(|failure| failure.refusal)
    }
}

/// What a removal leaves at OUTSCALE.
enum Left {
    /// The bootstrap key, as it is.
    Bootstrap,
    /// A key, which cannot delete itself once it is off; off it is no use to anybody, and it ends.
    Off {
        /// Its id.
        id: String,
        /// Whose it is.
        whose: Last,
    },
}

/// The key that signs to the last.
enum Last {
    /// The bootstrap key.
    Given,
    /// One that the agent made; the bootstrap key is gone.
    AfterGiven,
    /// One that the agent made.
    Made,
}

async fn all_removed(
    at: &At<'_>,
    kit: &Kit,
    holding: &Holding,
    keep_bootstrap: bool,
) -> Result<Left, Failure> {
    let (bootstrap, signer) = (&kit.bootstrap, life::look(at, kit).await?);
    // Nobody else's key is removed: it was only lent.
    let owner =
        if keep_bootstrap { None } else { owner_of_bootstrap(at, &signer, bootstrap, holding).await? };
    // With a bootstrap key that stays everything else can go; without it, one key is needed to the last.
    let signs = owner.is_none() && at.api.read(&bootstrap.keys()).await.is_ok();
    let signer = if signs { bootstrap.clone() } else { signer };
    let made = kit.current.iter().chain(&kit.next);
    let made =
        made.map(|made| Waiting { id: made.pair.id.clone(), ends: made.ends, user: made.user.clone() });
    let mut all: Vec<Waiting> = made.chain(kit.waiting.iter().cloned()).collect();
    all.extend(at.orphans(kit, &signer).await?);
    let whose = match &owner {
        Some(_) if signer.id == bootstrap.id => Last::Given,
        Some(_) => Last::AfterGiven,
        None => Last::Made,
    };
    if let Some(user) = owner {
        let ends = holding.facts.ends.unwrap_or_else(|| after(at.now(), HOUR));
        all.push(Waiting { id: bootstrap.id.clone(), ends, user });
    }
    for key in all.iter().filter(|key| key.id != signer.id) {
        at.remove(&signer, &key.user, &key.id, key.ends).await?;
    }
    let Some(last) = all.iter().find(|key| key.id == signer.id) else { return Ok(Left::Bootstrap) };
    let off = at.api.of(&last.user).switch_off(&signer.keys(), &last.id, last.ends).await;
    off.map_err(|error| at.failure(&error))?;
    Ok(Left::Off { id: signer.id, whose })
}

/// The user whose key a person gave, where it is that of the entry; `None` for anybody else.
async fn owner_of_bootstrap(
    at: &At<'_>,
    signer: &Pair,
    bootstrap: &Pair,
    holding: &Holding,
) -> Result<Option<String>, Failure> {
    // Noted when it was given; the entry's user may be another one since.
    if let Some(owner) = &holding.facts.owner {
        return Ok(Some(owner.clone()));
    }
    let keys = at.api.read(&signer.keys()).await.map_err(|error| at.failure(&error))?;
    Ok(keys.iter().any(|key| key.id == bootstrap.id).then(|| at.source.user.clone()))
}
