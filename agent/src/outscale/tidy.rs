//! Putting keys away: those that have ended for whoever held them, and those whose secret nobody has. And going on, at the next
//! start, with what a crash left.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Refusal;

use super::kit::{Kit, Pair};
use super::{At, Failure, Held, life};
use crate::agent::Agent;
use crate::clock::after;
use crate::config::Entry;
use crate::fault::{Point, point};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::upstream::outscale::Listed;

/// How soon a keychain that is shut is looked at again, if nothing tells before.
const SHUT: Duration = Duration::from_secs(600);
/// A clock that is set back would keep the background waiting.
const LOOK: Duration = Duration::from_secs(3600);
/// A key of ours that has no end gets one.
const HOUR: Duration = Duration::from_secs(3600);

impl At<'_> {
    /// Removes every key with our tag that is not in the item.
    pub(super) async fn sweep(&self, kit: &Kit, signer: &Pair, ours: &[Listed]) -> Result<(), Failure> {
        for orphan in ours.iter().filter(|key| !kit.knows(&key.id)) {
            let ends = orphan.ends.unwrap_or_else(|| after(self.now(), HOUR));
            self.remove(signer, &orphan.id, ends).await?;
        }
        Ok(())
    }

    /// Removes the keys before the current one whose end has come. What is removed is noted one by one.
    pub(super) async fn put_away(&self, mut held: Held, signer: &Pair) -> Result<Held, Failure> {
        loop {
            let now = self.now();
            let due = held.kit.waiting.iter().find(|key| key.ends <= now && key.id != signer.id).cloned();
            let Some(due) = due else { return Ok(held) };
            self.remove(signer, &due.id, due.ends).await?;
            let mut kit = held.kit.clone();
            kit.waiting.retain(|key| key.id != due.id);
            held = self.store(&held, kit).await?;
        }
    }

    /// Switches a key off and deletes it. The end is said again, because a key whose end is not said has none.
    pub(super) async fn remove(&self, signer: &Pair, id: &str, ends: Timestamp) -> Result<(), Failure> {
        let by = signer.keys();
        self.api.switch_off(&by, id, ends).await.map_err(|error| self.failure(&error))?;
        point(Point::OutscaleInactive);
        self.api.delete(&by, id).await.map_err(|error| self.failure(&error))?;
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
            next.extend(held.and_then(|held| Kit::of(&held, &entry.name).ok()?.next_end()));
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
                || kit.making.is_some()
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
        let held = life::take_over(&at, held).await?;
        let (signer, ours) = life::look(&at, &held.kit).await?;
        at.sweep(&held.kit, &signer, &ours).await?;
        let held = match held.kit.making {
            Some(_) => at.store(&held, Kit { making: None, ..held.kit.clone() }).await?,
            None => held,
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
        footing.holdings.prove().await?;
        footing.holdings.note(name, &holding.value, |_| {}).await?;
        let there = self.remove_outscale_keys(footing, entry, keep_bootstrap).await;
        footing.holdings.remove(name).await?;
        self.outscales.worked(name);
        self.drop_bought_with(name);
        Ok(match there {
            Ok(None) if keep_bootstrap => {
                format!("`{name}` is removed here; the key that you gave is still good at OUTSCALE")
            }
            Ok(None) => format!("`{name}` is removed here and at OUTSCALE"),
            Ok(Some(id)) => {
                format!("`{name}` is removed here and at OUTSCALE, where the key {id} is left, switched off")
            }
            Err(refusal) => format!(
                "`{name}` is removed here, but not at OUTSCALE ({}); what the agent made ends by itself",
                refusal.say
            ),
        })
    }

    /// Removes at OUTSCALE what the agent made for an entry, and the bootstrap key unless that is kept. Says what is left there.
    async fn remove_outscale_keys(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        keep_bootstrap: bool,
    ) -> Result<Option<String>, Refusal> {
        let Some(source) = entry.source.as_outscale() else { return Ok(None) };
        let holding = self.usable_holding(footing, entry).await?;
        let held = Held::of(&holding, &entry.name)?;
        let at = At::new(self, footing, entry, source)?;
        let kit = &held.kit;
        let (signer, ours) = life::look(&at, kit).await.map_err(|failure| failure.refusal)?;
        let bootstrap = &kit.bootstrap;
        // With the bootstrap key everything else can go; without it, one key is needed to the last.
        let signer = if keep_bootstrap { bootstrap.clone() } else { signer };
        let mut all: Vec<(String, Timestamp)> = Vec::new();
        let made = kit.current.iter().chain(&kit.next).map(|made| (made.pair.id.clone(), made.ends));
        let waiting = kit.waiting.iter().map(|waiting| (waiting.id.clone(), waiting.ends));
        let found =
            ours.iter().map(|key| (key.id.clone(), key.ends.unwrap_or_else(|| after(at.now(), HOUR))));
        for (id, ends) in made.chain(waiting).chain(found) {
            if id != signer.id && id != bootstrap.id && !all.iter().any(|(known, _)| *known == id) {
                all.push((id, ends));
            }
        }
        let bootstrap_ends = holding.facts.ends.unwrap_or_else(|| after(at.now(), HOUR));
        if !keep_bootstrap && bootstrap.id != signer.id {
            all.push((bootstrap.id.clone(), bootstrap_ends));
        }
        for (id, ends) in all {
            at.remove(&signer, &id, ends).await.map_err(|failure| failure.refusal)?;
        }
        if keep_bootstrap {
            return Ok(None);
        }
        // A key cannot delete itself once it is off; off it is no use to anybody, and it ends.
        let ends = kit.current.as_ref().filter(|current| current.pair.id == signer.id);
        let ends = ends.map_or(bootstrap_ends, |current| current.ends);
        let off = at.api.switch_off(&signer.keys(), &signer.id, ends).await;
        off.map_err(|error| at.failure(&error).refusal)?;
        Ok(Some(signer.id))
    }
}
