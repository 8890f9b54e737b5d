//! Renewals: one flight per entry.
//!
//! Whoever needs a new lease joins the flight that is under way, or starts one. A flight is a task of its own: callers that
//! leave or are killed do not end it. Its result is applied only if nobody signed in, signed out or removed the
//! value meanwhile. A failure is remembered for a moment, because a build asks again at once, and hundreds at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal};
use tokio::sync::{Notify, watch};

use crate::agent::{Agent, words};
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::lease::{Body, Freshness, Lease, NAMED_ROLES};

/// How long a failure answers for itself. Bazel tries a failing helper about six times for each call.
const FAILURE_ANSWERS: Duration = Duration::from_secs(2);

/// How long a tool that could do with what there is waits for something better: well within its own time limit.
const BETTER: Duration = Duration::from_millis(1200);

/// Pause after a failed renewal in the background.
const RETRY: Duration = Duration::from_secs(60);

type Outcome = Result<Arc<Lease>, Refusal>;
type Landing = watch::Receiver<Option<Outcome>>;

/// Renewals under way, and failures just past.
#[derive(Debug, Default)]
pub struct Flights {
    air: Mutex<Air>,
    /// Something changed that the background renewal must look at.
    pub changed: Notify,
}

#[derive(Debug, Default)]
struct Air {
    flying: HashMap<EntryName, Landing>,
    failed: HashMap<EntryName, (Timestamp, Refusal)>,
}

impl Flights {
    fn air(&self) -> std::sync::MutexGuard<'_, Air> {
        self.air.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when no flight is under way.
    #[cfg(any(test, feature = "testing"))]
    pub async fn quiet(&self) {
        loop {
            let Some(mut landing) = self.air().flying.values().next().cloned() else { return };
            // A flight that is gone has landed.
            let _ = landing.wait_for(Option::is_some).await;
            tokio::task::yield_now().await;
        }
    }

    /// How many failures are remembered.
    #[cfg(any(test, feature = "testing"))]
    pub fn remembered(&self) -> usize {
        self.air().failed.len()
    }

    /// Forgets past failures: somebody acted.
    pub fn forget_failures(&self) {
        self.air().failed.clear();
        self.changed.notify_one();
    }
}

/// How far a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A tool asks: a lease that is about to end is still better than none.
    Tool,
    /// Another renewal asks.
    Renewal,
    /// A role is assumed with it: a lease that is about to be renewed is renewed first, where that can be done.
    Chain,
    /// The last lease was refused upstream: a new one, whatever the clock says.
    New,
}

impl Agent {
    /// A lease of an entry, new or as it is. Waits for a flight as long as that takes, the door has the time limit; but for
    /// a tool that can have the last lease instead, not for long.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn lease(self: &Arc<Self>, entry: &Arc<Entry>, need: Need) -> Outcome {
        let now = self.clock.now();
        let current = self.leases.get(&entry.name);
        if let Some(lease) = &current
            && need == Need::Tool
        {
            self.use_lease(&entry.name, lease);
        }
        match current.as_ref().map(|lease| lease.freshness(now)) {
            Some(Freshness::Fresh) if need != Need::New => {
                if let Some(lease) = &current {
                    self.serves_again(&entry.name, lease);
                }
                return current.ok_or_else(lost);
            }
            Some(Freshness::Renewing) if !matches!(need, Need::New | Need::Chain) => {
                // Nobody waits for this one.
                drop(self.fly(entry, need));
                return current.ok_or_else(lost);
            }
            _ => {}
        }
        let outcome = match self.recent_failure(&entry.name, now) {
            Some(refusal) if need != Need::New => Err(refusal),
            _ => {
                let landing = land(self.fly(entry, need));
                let last = current.as_ref().is_some_and(|lease| lease.freshness(now) == Freshness::Last);
                if last && need == Need::Tool {
                    tokio::time::timeout(BETTER, landing).await.unwrap_or_else(|_| Err(under_way()))
                } else {
                    landing.await
                }
            }
        };
        let refusal = match outcome {
            Ok(lease) => {
                if need == Need::Tool {
                    self.use_lease(&entry.name, &lease);
                }
                return Ok(lease);
            }
            Err(refusal) => refusal,
        };
        // Upstream is out of reach, and the last one still has some life: better than nothing.
        match self.last(&entry.name) {
            Some(lease) if need != Need::New && lease.serves_after(&refusal, self.clock.now()) => Ok(lease),
            _ => Err(refusal),
        }
    }

    /// What there is now: somebody may have edited the entry, signed out or locked while a flight was awaited.
    fn last(&self, name: &EntryName) -> Option<Arc<Lease>> {
        // An edit drops what was bought by other words once it is seen.
        self.config().ok()?;
        self.leases.get(name)
    }

    /// A renewal that failed while the clock was wrong says nothing any more once it is right, and the last lease is good.
    fn serves_again(&self, name: &EntryName, lease: &Lease) {
        if self.states.get(name).is_some_and(|state| state.refusal().is_some()) {
            self.states.held(name, self.shown_end(name, lease));
        }
    }

    /// Notes that a tool got a lease; from the first time on it is renewed ahead of its end.
    fn use_lease(&self, name: &EntryName, lease: &Lease) {
        if lease.mark_used() {
            self.flights.changed.notify_one();
            let shown = name.role_behind().map(|(base, _)| base);
            self.watchers.changed([shown.as_ref().unwrap_or(name)]);
        }
    }

    /// Renews used leases ahead of their end, for as long as the agent lives. Sleeps until the next one is due.
    pub async fn renew_ahead(self: Arc<Self>) {
        let mut not_before: HashMap<EntryName, Timestamp> = HashMap::new();
        loop {
            let changed = self.flights.changed.notified();
            // A pause of one entry is nothing to the others.
            let Some((due, name)) = self.leases.next_renewal(&not_before) else {
                changed.await;
                continue;
            };
            tokio::select! {
                () = self.clock.wait_until(due) => {}
                () = changed => continue,
            }
            if self.forgets_values(&name) {
                continue;
            }
            let Ok(config) = self.config() else {
                not_before.insert(name, after(self.clock.now(), RETRY));
                continue;
            };
            let Some(entry) = config.entry(&name) else {
                self.leases.drop_where(|gone| *gone == name);
                continue;
            };
            match land(self.fly(&entry, Need::Renewal)).await {
                Ok(_) => not_before.remove(&name),
                Err(_) => not_before.insert(name.clone(), after(self.clock.now(), RETRY)),
            };
            // What has ended waits for a tool to ask again.
            let ended = self.leases.get(&name).is_some_and(|lease| lease.until <= self.clock.now());
            if ended {
                self.leases.drop_where(|gone| *gone == name);
                self.watchers.changed([&name]);
                not_before.remove(&name);
            }
        }
    }

    /// Whether this is a secret, which is not read ahead. One whose time is over is in nobody's way, and in no memory.
    fn forgets_values(&self, name: &EntryName) -> bool {
        let Some(lease) = self.leases.get(name).filter(|lease| !lease.is_renewed_ahead()) else {
            return false;
        };
        if lease.until <= self.clock.now() {
            self.leases.drop_where(|gone| gone == name);
            self.watchers.changed([name]);
        }
        true
    }

    fn recent_failure(&self, name: &EntryName, now: Timestamp) -> Option<Refusal> {
        let air = self.flights.air();
        let (at, refusal) = air.failed.get(name)?;
        answers(*at, now).then(|| refusal.clone())
    }

    /// Joins the flight of an entry, or starts it.
    fn fly(self: &Arc<Self>, entry: &Arc<Entry>, need: Need) -> Landing {
        if let Err(locked) = self.check_lock() {
            return watch::channel(Some(Err(locked))).1;
        }
        let mut air = self.flights.air();
        if let Some(landing) = air.flying.get(&entry.name) {
            return landing.clone();
        }
        if let Some((base, _)) = entry.name.role_behind()
            && air.flying.keys().filter(|name| name.is_role_behind(&base)).count() >= NAMED_ROLES
        {
            return watch::channel(Some(Err(too_many_roles(&base)))).1;
        }
        // A flight may have landed since the caller looked.
        let landed = self
            .leases
            .get(&entry.name)
            .filter(|lease| lease.freshness(self.clock.now()) == Freshness::Fresh);
        if let Some(lease) = landed
            && need != Need::New
        {
            return watch::channel(Some(Ok(lease))).1;
        }
        let (sender, landing) = watch::channel(None);
        air.flying.insert(entry.name.clone(), landing.clone());
        drop(air);
        let (agent, entry) = (self.clone(), entry.clone());
        crate::work::start(async move {
            let mut flight = Flight { agent: &agent, name: &entry.name, sender, outcome: None, counts: true };
            (flight.outcome, flight.counts) = agent.renew(&entry.name).await;
        });
        landing
    }

    /// Buys a lease; and whether that still counts: who signs in, signs out or edits the entry meanwhile has the last word,
    /// and neither the lease nor the failure says anything about what there is now.
    async fn renew(self: &Arc<Self>, name: &EntryName) -> (Option<Outcome>, bool) {
        let (footing, entry, root) = match self.stand(name) {
            Ok(standing) => standing,
            Err(refusal) => return (Some(Err(refusal)), true),
        };
        let epoch = footing.holdings.epoch(&root);
        // What it spends is stored, whoever locks meanwhile.
        let _pin = footing.holdings.pin(&root);
        let outcome = entry.source.renew(self, &entry, &footing).await.map(Arc::new);
        let now = self.config().ok();
        let is_same = now.is_some_and(|now| words(&now, name) == words(&footing.config, name));
        if footing.holdings.epoch(&root) != epoch || !is_same {
            self.withheld.drop_where(|withheld| withheld == name);
            let refusal = Refusal::new(Code::Pending, format!("`{name}` was changed meanwhile"));
            return (Some(Err(refusal.hint("try again"))), false);
        }
        if let Err(locked) = self.check_lock() {
            return (Some(Err(locked)), false);
        }
        if let Ok(lease) = &outcome {
            self.leases.put(name.clone(), lease.clone());
        }
        (Some(outcome), true)
    }

    /// What a flight stands on: the entry as it is configured at its start, and the one whose holding pays for it.
    fn stand(&self, name: &EntryName) -> Result<(Footing, Arc<Entry>, EntryName), Refusal> {
        let footing = self.footing()?;
        let Some(entry) = footing.config.entry(name) else {
            return Err(Refusal::new(Code::UnknownEntry, format!("there is no entry `{name}` any more"))
                .hint("keyfob status"));
        };
        let root = Self::root_of(&footing.config, &entry)?;
        Ok((footing, entry, root))
    }
}

/// A flight under way. It lands when dropped, so that a renewal that panics leaves nobody waiting.
struct Flight<'a> {
    agent: &'a Agent,
    name: &'a EntryName,
    sender: watch::Sender<Option<Outcome>>,
    outcome: Option<Outcome>,
    counts: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(lost()));
        match &outcome {
            // A role that a caller has named is no entry: there is nobody to whom its state is shown.
            _ if !self.counts || self.name.role_behind().is_some() => {}
            Ok(lease) => self.agent.states.held(self.name, self.agent.shown_end(self.name, lease)),
            Err(refusal) => self.agent.states.failed(self.name, refusal),
        }
        let mut air = self.agent.flights.air();
        air.flying.remove(self.name);
        match &outcome {
            _ if !self.counts => None,
            Ok(_) => air.failed.remove(self.name),
            Err(refusal) => {
                let now = self.agent.clock.now();
                air.failed.retain(|_, (at, _)| answers(*at, now));
                air.failed.insert(self.name.clone(), (now, refusal.clone()))
            }
        };
        drop(air);
        self.sender.send_replace(Some(outcome));
        self.agent.flights.changed.notify_one();
    }
}

/// Whether a failure still answers for itself.
fn answers(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < after(at, FAILURE_ANSWERS)
}

async fn land(mut landing: Landing) -> Outcome {
    match landing.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
        Err(_) => Err(lost()),
    }
}

impl Lease {
    /// Whether it is given where a new one could not be had for this reason.
    fn serves_after(&self, refusal: &Refusal, now: Timestamp) -> bool {
        match self.freshness(now) {
            Freshness::Fresh | Freshness::Renewing => true,
            Freshness::Last => passes(refusal, &self.body),
            Freshness::Ended => false,
        }
    }
}

/// Whether trying again may help without anybody acting. What has no end of its own is old, and not about to end: it stands in
/// for a network that fails, and for nothing else.
fn passes(refusal: &Refusal, body: &Body) -> bool {
    match refusal.code {
        Code::Offline | Code::Pending => true,
        Code::KeychainLocked | Code::KeychainFailed | Code::Busy | Code::Internal => {
            !matches!(body, Body::Secret(_) | Body::Config(_))
        }
        _ => false,
    }
}

fn under_way() -> Refusal {
    Refusal::new(Code::Pending, "the credential is being renewed").hint("try again in a moment")
}

fn too_many_roles(base: &EntryName) -> Refusal {
    let say = format!("{NAMED_ROLES} other roles are being assumed with `{base}` already");
    Refusal::new(Code::Busy, say).hint("try again in a moment")
}

fn lost() -> Refusal {
    Refusal::new(Code::Internal, "a renewal ended without a result").hint("keyfob agent restart")
}
