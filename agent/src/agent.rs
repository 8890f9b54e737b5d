//! The agent: its parts put together, and the questions that go through them.
//!
//! The way of a question: a door accepts it and knows the caller, [`Agent::tool`] or [`Agent::control`] finds the entry,
//! the entry's kind answers from a holding or a lease, a lease that is missing is bought in a flight
//! ([`crate::renew`]), and only the flight talks to the network ([`crate::upstream`]).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use keyfob_ipc::reply::About;
use keyfob_ipc::{Code, Places, Refusal};
use tokio::sync::{Notify, watch};

use crate::ambient::Ambient;
use crate::clock::{SharedClock, rfc3339};
use crate::config::{Config, Entry, EntryName, KeychainKind, Limits, Network, Store, Version};
use crate::consent::Consent;
use crate::ends::Ends;
use crate::footing::{Footing, Spending};
use crate::harden::Measure;
use crate::holding::Holding;
use crate::holdings::Holdings;
use crate::job::Masks;
use crate::keychain::Keychain;
use crate::kind::Commands;
use crate::lease::{Body, Lease, Leases};
use crate::ledger::Ledger;
use crate::lock::Latch;
use crate::notices::{Notices, Notifier};
use crate::outscale::Outscales;
use crate::permissions::Asked;
use crate::person::Person;
use crate::renew::Flights;
use crate::rotation::Rotations;
use crate::state::States;
use crate::upstream::http::Http;
use crate::upstream::oidc::{OidcError, Provider, Registration};
use crate::watch::Watchers;

/// Makes the keychain that the configuration names.
pub type Keychains = Box<dyn Fn(KeychainKind) -> Arc<dyn Keychain> + Send + Sync>;

/// What an agent is made of.
pub struct Parts {
    /// Where things are.
    pub places: Places,
    /// The doors' real addresses (socket activation may have chosen them).
    pub socket: PathBuf,
    /// Time.
    pub clock: SharedClock,
    /// Keychains.
    pub keychains: Keychains,
    /// What shows a notice where nobody watches.
    pub notifier: Arc<dyn Notifier>,
    /// What closes this process to others, and whether it took hold.
    pub hardening: Vec<Measure>,
    /// The job that this agent runs in, where it runs in one.
    pub ambient: Ambient,
    /// Who it runs for, as programs are told that it starts.
    pub person: Person,
    /// This machine's name.
    pub host: String,
}

/// The agent.
pub struct Agent {
    /// Time.
    pub clock: SharedClock,
    /// Every entry's newest lease.
    pub leases: Leases,
    /// Leases that wait until the keychain has taken the value that came with them.
    pub withheld: Leases,
    /// Renewals under way.
    pub flights: Flights,
    /// Rotations under way.
    pub rotations: Rotations,
    /// OUTSCALE keys that are being made, and when to leave that alone.
    pub(crate) outscales: Outscales,
    /// What happened to entries since the start.
    pub states: States,
    /// Who was asked what tokens may do, and gave no answer.
    pub asked: Asked,
    /// Who watches the control door.
    pub watchers: Watchers,
    /// What the person is to be told.
    pub notices: Notices,
    /// Who got what.
    pub ledger: Ledger,
    /// How the doors stand.
    pub doors: crate::door::guard::Standing,
    /// What the surroundings of this agent say about the job that it runs in.
    pub ambient: Ambient,
    /// Programs that give keys, as they run.
    pub commands: Arc<Commands>,
    /// Set where this is the agent of a job, by `main`, before anybody is served: what the job's log is told to hide.
    pub job: std::sync::OnceLock<Masks>,
    /// What the person allows.
    pub consent: Arc<Consent>,
    /// When what is held ends, and what was told of it.
    pub ends: Ends,
    /// Whether it is locked.
    pub(crate) latch: Latch,
    /// Asked to end.
    pub stop: Notify,
    pub(crate) hardening: Vec<Measure>,
    places: Places,
    socket: PathBuf,
    started: Timestamp,
    store: Store,
    keychains: Keychains,
    applied: Mutex<Applied>,
    /// Whether it is about to end.
    pub(crate) ending: watch::Sender<bool>,
    pub(crate) spending: watch::Sender<usize>,
    /// One lock for each issuer: a burst fetches its metadata once, and nobody waits for another provider.
    providers: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Provider>>>>>,
}

/// What follows from the configuration, and from which one.
struct Applied {
    version: Version,
    config: Arc<Config>,
    keychain: KeychainKind,
    /// One for each keychain that was ever named: an edit that is taken back finds everything as it was.
    holdings: HashMap<KeychainKind, Holdings>,
    http: Option<(Network, Http)>,
}

impl Agent {
    /// Puts the parts together and reads the configuration.
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = Limits { plain_loopback: parts.places.own_profile };
        let store = Store::open(parts.places.config.clone(), limits);
        let (config, version) = store.config().unwrap_or_default();
        let keychain = config.agent.keychain;
        let latch = Latch::open(parts.places.state.join("lock.json"), parts.clock.now());
        latch.want(config.agent.lock_on);
        let gate = latch.gate();
        let holdings = Holdings::behind(gate.clone(), (parts.keychains)(keychain));
        let applied = Applied {
            version,
            keychain,
            holdings: HashMap::from([(keychain, holdings)]),
            http: None,
            config,
        };
        let watchers = Watchers::default();
        Arc::new(Self {
            started: parts.clock.now(),
            states: States::watched_by(watchers.clone()),
            notices: Notices::new(watchers.clone(), parts.notifier, parts.clock.clone()),
            ledger: Ledger::open(
                parts.places.state.join("ledger.jsonl"),
                parts.clock.clone(),
                watchers.clone(),
            ),
            watchers,
            ends: Ends::open(parts.places.state.join("reminders.json")),
            consent: Arc::new(Consent::open(parts.places.state.join("grants.json"))),
            clock: parts.clock,
            leases: Leases::behind(gate.clone()),
            withheld: Leases::behind(gate),
            latch,
            flights: Flights::default(),
            asked: Asked::default(),
            doors: crate::door::guard::Standing::default(),
            rotations: Rotations::default(),
            outscales: Outscales::on(&parts.host),
            stop: Notify::new(),
            hardening: parts.hardening,
            ambient: parts.ambient,
            commands: Commands::of(parts.person),
            job: std::sync::OnceLock::new(),
            places: parts.places,
            socket: parts.socket,
            store,
            keychains: parts.keychains,
            applied: Mutex::new(applied),
            ending: watch::Sender::new(false),
            spending: watch::Sender::new(0),
            providers: Mutex::default(),
        })
    }

    /// The configuration in force; an edit since the last question takes effect here.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where none is good.
    pub fn config(&self) -> Result<Arc<Config>, Refusal> {
        let (config, version) = self.store.config()?;
        let mut applied = self.applied();
        if applied.version != version {
            self.apply(&mut applied, config.clone(), version);
        }
        Ok(config)
    }

    fn apply(&self, applied: &mut Applied, config: Arc<Config>, version: Version) {
        if applied.keychain != config.agent.keychain {
            applied.keychain = config.agent.keychain;
            let make = || self.make_holdings(config.agent.keychain);
            applied.holdings.entry(config.agent.keychain).or_insert_with(make);
            self.leases.drop_where(|_| true);
            self.withheld.drop_where(|_| true);
            self.states.forget_where(|_| true);
        }
        // A lease was bought by the words of its entry and of those behind it: other words, no lease.
        let before = applied.config.clone();
        let is_other =
            |name: &EntryName| words(&before, name) != words(&config, name) || config.entry(name).is_none();
        self.leases.drop_where(is_other);
        self.withheld.drop_where(is_other);
        self.states.forget_where(is_other);
        self.flights.forget_failures();
        self.rotations.stir();
        let shows_other =
            |name: &EntryName| is_other(name) || !before.policy_facts(name).eq(config.policy_facts(name));
        let names = before.entries.iter().chain(&config.entries).map(|entry| &entry.name);
        if before.agent == config.agent {
            self.watchers.changed(names.filter(|name| shows_other(name)));
        } else {
            self.watchers.changed_all(names);
        }
        self.ends.changed.notify_one();
        self.latch.want(config.agent.lock_on);
        applied.config = config;
        applied.version = version;
    }

    /// The file and its errors.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where things are.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Every entry's holding.
    pub fn holdings(&self) -> Holdings {
        let kind = self.applied().keychain;
        self.holdings_in(kind)
    }

    /// The holdings of every keychain that was ever named.
    pub(crate) fn all_holdings(&self) -> Vec<Holdings> {
        self.applied().holdings.values().cloned().collect()
    }

    fn make_holdings(&self, kind: KeychainKind) -> Holdings {
        Holdings::behind(self.latch.gate(), (self.keychains)(kind))
    }

    pub(crate) fn holdings_in(&self, kind: KeychainKind) -> Holdings {
        let mut applied = self.applied();
        let make = || self.make_holdings(kind);
        applied.holdings.entry(kind).or_insert_with(make).clone()
    }

    /// What a piece of work stands on from here to its end.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where no configuration is good.
    pub fn footing(&self) -> Result<Footing, Refusal> {
        let config = self.config()?;
        let holdings = self.holdings_in(config.agent.keychain);
        Ok(Footing { config, holdings })
    }

    /// The client for the network settings of a footing; made when it is first needed, which `get` for a token never does.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where the certificate file or the proxy cannot be used.
    pub fn http(&self, footing: &Footing) -> Result<Http, Refusal> {
        let network = &footing.config.network;
        let mut applied = self.applied();
        match &applied.http {
            Some((made_for, http)) if made_for == network => Ok(http.clone()),
            _ => {
                let http = Http::new(network, self.places.own_profile)?;
                applied.http = Some((network.clone(), http.clone()));
                Ok(http)
            }
        }
    }

    /// From here on this client is the one for the network settings in force.
    #[cfg(any(test, feature = "testing"))]
    pub fn go_through(&self, http: Http) {
        let mut applied = self.applied();
        let network = applied.config.network.clone();
        applied.http = Some((network, http));
    }

    /// The client, and with it every connection that was kept for the next call, is forgotten; who uses it goes on.
    pub(crate) fn drop_http(&self) {
        self.applied().http = None;
    }

    /// Leave to spend a token; `None` once the agent is about to end, and while it is locked.
    pub fn begin_spending(&self) -> Option<Spending<'_>> {
        (!*self.ending.borrow() && !self.is_locked()).then(|| Spending::begin(self))
    }

    /// Why there is no leave to spend a token.
    pub(crate) fn not_spending(&self) -> Refusal {
        let ending = || Refusal::new(Code::Busy, "the agent is about to end").hint("try again in a moment");
        self.check_lock().err().unwrap_or_else(ending)
    }

    /// From here on no token is spent any more; returns when those that are being spent are kept.
    pub async fn wind_up(&self) {
        self.ending.send_replace(true);
        // The sender is ours, so this ends by the count alone.
        let _ = self.spending.subscribe().wait_for(|count| *count == 0).await;
        self.ledger.flush().await;
    }

    /// A provider, from memory where its metadata is fresh.
    ///
    /// # Errors
    /// Why its metadata cannot be had.
    pub async fn provider(
        &self,
        registration: &Registration,
        http: Http,
        sign_in: &str,
    ) -> Result<Provider, Refusal> {
        let now = self.clock.now();
        let known = self.known_provider(&registration.issuer);
        let mut known = known.lock().await;
        if let Some(provider) = known.as_ref().filter(|provider| provider.serves(registration, now)) {
            // What is remembered is what the provider said, not through whom it was asked.
            return Ok(provider.through(http));
        }
        let provider = Provider::discover(registration.clone(), http, now)
            .await
            .map_err(|error: OidcError| error.refusal(sign_in))?;
        *known = Some(provider.clone());
        Ok(provider)
    }

    /// Remembers what a provider's answer taught us (new signing keys).
    pub async fn learn(&self, provider: Provider) {
        let known = self.known_provider(provider.issuer());
        *known.lock().await = Some(provider);
    }

    fn known_provider(&self, issuer: &str) -> Arc<tokio::sync::Mutex<Option<Provider>>> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        providers.entry(issuer.to_owned()).or_default().clone()
    }

    /// What is held for an entry, if it may go where the configuration points it now.
    ///
    /// # Errors
    /// [`Code::SignInNeeded`] or [`Code::TokenNeeded`] where nothing is held, [`Code::DestinationChanged`] where an edit
    /// widened its destination, and the keychain's.
    pub async fn usable_holding(&self, footing: &Footing, entry: &Entry) -> Result<Arc<Holding>, Refusal> {
        let holding = self.confirmed_holding(footing, entry).await?;
        if holding.dead_but_remembered_until().is_some_and(|until| until <= self.clock.now()) {
            return Err(crate::rotation::lost(&entry.name));
        }
        footing.holdings.settle(&entry.name).await?;
        Ok(holding)
    }

    /// What is held, alive or dead, if it may go where the configuration points it now.
    pub(crate) async fn confirmed_holding(
        &self,
        footing: &Footing,
        entry: &Entry,
    ) -> Result<Arc<Holding>, Refusal> {
        let held = footing.holdings.get(&entry.name).await.map_err(|refusal| with_way_out(refusal, entry))?;
        let Some(holding) = held else { return Err(nothing_held(entry)) };
        let widened = holding.destination.widened_by(&entry.source.destination(&entry.name, &footing.config));
        if !widened.is_empty() {
            return Err(destination_changed(&entry.name, &widened));
        }
        Ok(holding)
    }

    /// Lets a new value go where the one before it was allowed to go, and no further: giving a value again says nothing about
    /// a host that an edit has added meanwhile. Returns what to add to the sentence about it: what waits for a word.
    pub async fn inherit_destination(
        &self,
        footing: &Footing,
        entry: &Entry,
        holding: &mut Holding,
    ) -> String {
        let now = entry.source.destination(&entry.name, &footing.config);
        // An unreadable item says nothing about what was allowed.
        let Ok(Some(before)) = footing.holdings.get(&entry.name).await else {
            holding.destination = now;
            return String::new();
        };
        holding.destination = before.destination.clone();
        holding.destination.allow(&entry.source.given_with_value(&entry.name, &footing.config));
        if holding.destination.widened_by(&now).is_empty() {
            String::new()
        } else {
            format!(
                "; the configuration names new places for it, so run: keyfob config confirm {}",
                entry.name
            )
        }
    }

    /// The entry at the bottom: the one with the holding that everything is bought with.
    ///
    /// # Errors
    /// [`Code::UnknownEntry`] where this configuration has no such chain.
    pub fn root_of(config: &Config, entry: &Entry) -> Result<EntryName, Refusal> {
        match chain(config, &entry.name).last() {
            Some(root) if root.source.through().is_none() => Ok(root.name.clone()),
            _ => {
                Err(Refusal::new(Code::UnknownEntry, format!("`{}` is no longer as configured", entry.name))
                    .hint("keyfob config check"))
            }
        }
    }

    /// Drops what was bought with an entry's holding, its own lease included.
    pub fn drop_bought_with(&self, root: &EntryName) {
        let config = self.applied().config.clone();
        let bought = |name: &EntryName| chain(&config, name).any(|entry| entry.name == *root);
        self.leases.drop_where(bought);
        self.withheld.drop_where(bought);
        self.states.forget_where(bought);
        self.flights.forget_failures();
        self.watchers.changed(config.entries.iter().map(|entry| &entry.name).filter(|name| bought(name)));
        self.ends.changed.notify_one();
    }

    /// The end that `status` shows for an entry with this lease.
    pub fn shown_end(&self, name: &EntryName, lease: &Lease) -> Option<Timestamp> {
        match lease.body {
            Body::Aws(_) => (!lease.about.is_endless).then_some(lease.until),
            Body::Secret(_) | Body::Config(_) => None,
            Body::Key(_) => Some(lease.until),
            // An access token's end is nobody's business: what ends for a person is the session.
            Body::Session(_) => self.holdings().at_hand(name).and_then(|holding| holding.facts.ends),
        }
    }

    /// Itself, for people.
    pub fn about(&self) -> About {
        About {
            version: keyfob_ipc::VERSION.to_owned(),
            protocol: keyfob_ipc::PROTOCOL,
            pid: std::process::id(),
            started: rfc3339(self.started),
            memory_kib: memory(),
            socket: self.socket.display().to_string(),
            own_profile: self.places.own_profile,
        }
    }

    fn applied(&self) -> std::sync::MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A damaged item is replaced by signing in, or adding the value, again.
fn with_way_out(refusal: Refusal, entry: &Entry) -> Refusal {
    match entry.source.sign_in(&entry.name) {
        Some(command) if refusal.hint.is_empty() => refusal.hint(command),
        _ => refusal,
    }
}

fn nothing_held(entry: &Entry) -> Refusal {
    let hint = entry.source.sign_in(&entry.name).unwrap_or_default();
    if entry.source.as_sso().is_some() {
        Refusal::new(Code::SignInNeeded, format!("you are not signed in to `{}`", entry.name)).hint(hint)
    } else {
        none_held(entry).hint(hint)
    }
}

/// Where a person has given nothing yet.
pub(crate) fn none_held(entry: &Entry) -> Refusal {
    let what = match (entry.source.as_outscale(), entry.source.as_secret()) {
        (Some(_), _) => "access key",
        (_, Some(_)) => "value",
        _ if entry.source.as_outerbounds().is_some() => "service key",
        _ => "token",
    };
    Refusal::new(Code::TokenNeeded, format!("no {what} is held for `{}`", entry.name))
}

/// An edit would send a holding to a new place.
pub fn destination_changed(name: &EntryName, widened: &[String]) -> Refusal {
    let say = format!(
        "the configuration points `{name}` at a new place: {}",
        keyfob_ipc::text::escape(&widened.join(", "))
    );
    Refusal::new(Code::DestinationChanged, say).hint(format!("keyfob config confirm {name}"))
}

/// An entry and those that it is obtained through. Circles are errors at load.
fn chain<'a>(config: &'a Config, name: &EntryName) -> impl Iterator<Item = Arc<Entry>> + use<'a> {
    std::iter::successors(config.entry(name), |entry| config.entry(entry.source.through()?))
}

/// The words of such a chain: what its leases are bought by. A configuration holds no secret, so `Debug` is its text.
pub(crate) fn words(config: &Config, name: &EntryName) -> Vec<String> {
    chain(config, name).map(|entry| format!("{:?}", entry.source)).collect()
}

/// Proportional set size of this process in KiB (Linux).
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
