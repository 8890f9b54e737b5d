//! The agent between its doubles, and what must hold at every moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use keyfob_agent::agent::{Agent, Parts};
use keyfob_agent::clock::{Clock as _, FakeClock, after};
use keyfob_agent::config::{Entry, Network};
use keyfob_agent::keychain::Pending;
use keyfob_agent::lease::{Body, Lease};
use keyfob_agent::notices::{NotShown, Notifier};
use keyfob_agent::upstream::http::Http;
use keyfob_agent::upstream::oidc::{Grant, Person};
use keyfob_agent::work;
use keyfob_ipc::reply::Notice;
use keyfob_ipc::{Places, Refusal, Secret};
use shuttle::future::{spawn, yield_now};
use shuttle::rand::{Rng as _, thread_rng};
use tempfile::TempDir;

use crate::provider::{ISSUER, Provider, parse, refresh_token};
use crate::vault::Vault;

/// Lets others take up to so many steps.
pub async fn pause(at_most: u32) {
    for _ in 0..thread_rng().gen_range(0..=at_most) {
        yield_now().await;
    }
}

/// Once in so many times.
pub fn strikes(one_in: u32) -> bool {
    thread_rng().gen_ratio(1, one_in)
}

/// What every schedule has in common: a folder with the configuration, and a client that is made once.
pub struct Stage {
    folder: TempDir,
    http: Http,
}

impl Stage {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let config = format!(
            "[sso.okta]\nissuer = \"{ISSUER}\"\nclient_id = \"keyfob\"\nhosts = [\"*.cache.acme.test\"]\n"
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        work::schedule_by(|work| drop(spawn(work)));
        Self { folder, http: Http::new(&Network::default(), false).unwrap() }
    }

    /// A world in which nothing has happened yet.
    pub fn open(&self) -> Arc<World> {
        let eye = Arc::new(Eye::default());
        let (provider, vault) = (Arc::new(Provider::seen_by(&eye)), Arc::new(Vault::seen_by(&eye)));
        let clock = FakeClock::at("2026-11-21T08:00:00Z".parse().unwrap());
        let state = self.folder.path().to_owned();
        let keychain = vault.clone();
        let agent = Agent::new(Parts {
            places: Places {
                config: state.join("config.toml"),
                runtime: state.join("run"),
                state: state.clone(),
                own_profile: true,
                user: "ada".to_owned(),
            },
            socket: state.join("agent.sock"),
            clock: clock.clone(),
            notifier: Arc::new(Nobody),
            hardening: Vec::new(),
            ambient: keyfob_agent::ambient::Ambient::default(),
            person: keyfob_agent::person::Person::default(),
            host: "ada-laptop".to_owned(),
            keychains: Box::new(move |_| keychain.clone()),
        });
        agent.go_through(self.http.without_network(provider.as_stand_in()));
        let entry = agent.config().unwrap().entries[0].clone();
        let world =
            World { agent, entry, provider, vault, clock, oldest: AtomicU32::new(1), held: Mutex::default() };
        let world = Arc::new(world);
        eye.0.set(Arc::downgrade(&world)).unwrap();
        world
    }
}

/// Looks at the world at every step of a double.
#[derive(Default)]
pub struct Eye(OnceLock<Weak<World>>);

impl Eye {
    pub fn look(&self) {
        if let Some(world) = self.0.get().and_then(Weak::upgrade) {
            world.look();
        }
    }
}

pub struct World {
    pub agent: Arc<Agent>,
    pub entry: Arc<Entry>,
    pub provider: Arc<Provider>,
    pub vault: Arc<Vault>,
    pub clock: Arc<FakeClock>,
    /// No lease of an older session may be had any more.
    oldest: AtomicU32,
    /// Whose session it is by what the person did last.
    held: Mutex<Option<u32>>,
}

impl World {
    pub fn fail_sometimes(&self, fails: bool) {
        self.provider.fail_sometimes(fails);
        self.vault.fail_sometimes(fails);
    }

    pub fn oldest_session(&self) -> u32 {
        self.oldest.load(Ordering::SeqCst)
    }

    pub fn held(&self) -> Option<u32> {
        *self.held.lock().unwrap()
    }

    /// What a sign-in does when the person is back.
    pub async fn sign_in(&self) -> Result<String, Refusal> {
        let session = self.provider.begin_session();
        let footing = self.agent.footing()?;
        let kept = self.agent.keep(&self.entry, &footing, grant(session, &self.clock)).await;
        // Where the keychain fails, the session is kept in memory: the old one is gone all the same.
        *self.held.lock().unwrap() = Some(session);
        if kept.is_ok() {
            self.oldest.store(session, Ordering::SeqCst);
        }
        kept
    }

    pub async fn sign_out(&self) -> Result<String, Refusal> {
        let say = self.agent.sign_out(None).await?;
        if let Some(session) = self.held.lock().unwrap().take() {
            self.oldest.store(session + 1, Ordering::SeqCst);
        }
        Ok(say)
    }

    /// What must hold at every moment.
    pub fn look(&self) {
        let Some(lease) = self.agent.leases.get(&self.entry.name) else { return };
        self.check_stored(&lease);
        let (session, _) = number(&lease);
        let oldest = self.oldest_session();
        assert!(session >= oldest, "a lease of session {session} is there, and {oldest} is the oldest");
    }

    /// The refresh token that came with a lease is in the keychain, or was.
    pub fn check_stored(&self, lease: &Lease) {
        let (session, number) = number(lease);
        let token = refresh_token(session, number);
        assert!(self.vault.ever_had(&token), "{token} is not stored, and what it came with can be had");
    }
}

/// Of which session a lease is, and which of its tokens came with it.
pub fn number(lease: &Lease) -> (u32, u32) {
    let Body::Session(tokens) = &lease.body else { panic!("not of a session") };
    parse(tokens.access_token.expose())
}

fn grant(session: u32, clock: &FakeClock) -> Grant {
    let person = Person { subject: "ada".to_owned(), name: "ada".to_owned(), groups: None };
    Grant {
        access_token: Secret::new(format!("a{session}.1")),
        access_until: after(clock.now(), Duration::from_secs(3600)),
        id_token: None,
        refresh_token: Some(Secret::new(refresh_token(session, 1))),
        person: Some(person),
        scopes: None,
    }
}

struct Nobody;

impl Notifier for Nobody {
    fn show<'a>(&'a self, _notice: &'a Notice) -> Pending<'a, Result<(), NotShown>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
