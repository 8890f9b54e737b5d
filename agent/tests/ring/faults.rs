//! Clocks that are wrong by a year, a laptop that sleeps for a day, and a certificate that has run out. Everything that the agent
//! does by itself is under way meanwhile.

#[path = "faults/certificate.rs"]
mod certificate;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, Secret};
use keyfob_sandbox::Permissions;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::company::{CACHE, CLUSTER, CONFIG, Company, HOUR, MINUTE, YEAR, eventually, okta};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A session, a role, a token by hand, and a token that the agent rotates by itself; each of them in use.
struct Desk {
    company: Company,
    /// The token that the service made.
    issued: String,
    /// What the agent does by itself.
    _tasks: JoinSet<()>,
}

impl Desk {
    async fn new() -> Self {
        let rotated = "[token.rotated]\nhosts = [\"rotated.acme.dev\"]\nservice = \"keyfob\"\napi = \"TOKENS\"\n\
            rotate = \"auto\"\nlifetime = \"2y\"\n";
        let company = Company::with(&[CONFIG, rotated].concat(), |_| {}).await;
        company.sign_in().await.unwrap();
        company.add_token("aspect", "aw_1").await.unwrap();
        let ends = company.world_now() + SignedDuration::from_hours(24 * 700);
        let issued = company.sandbox.portal().issue_token("ada", Permissions::ALL, ends);
        company.add_token("rotated", &issued).await.unwrap();
        let agent = &company.agent;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(agent).renew_ahead());
        tasks.spawn(Arc::clone(agent).remind());
        tasks.spawn(Arc::clone(agent).mend_rotations());
        tasks.spawn(Arc::clone(agent).rotate_ahead());
        let desk = Self { company, issued, _tasks: tasks };
        desk.serves().await;
        desk
    }

    /// Everything is served, and is what it was.
    async fn serves(&self) {
        let company = &self.company;
        company.bearer().await.unwrap();
        company.keys("dev").await.unwrap();
        assert_eq!(self.token(CLUSTER, "X-Aspect").await, "aw_1");
        assert_eq!(self.token(ROTATED, "Authorization").await, format!("Bearer {}", self.issued));
        for (name, state) in [("okta", EntryState::Live), ("aspect", EntryState::Live)] {
            assert_eq!(company.report(name).await.state, state, "{name}");
        }
        assert!(company.sandbox.portal().is_live(&self.issued));
        assert_eq!(company.counts().grant("authorization_code"), 1, "nobody has signed in again");
        assert_eq!(company.counts().rotations, 0, "and no token was spent");
    }

    async fn token(&self, uri: &str, header: &str) -> String {
        self.company.get(uri).await.unwrap().headers[header][0].expose().clone()
    }

    /// What the keychain has of every holding that lasts.
    async fn kept(&self) -> Vec<Value> {
        let mut kept = Vec::new();
        for item in ["token.aspect", "token.rotated"] {
            kept.push(self.company.vault.item(item).await.unwrap()["value"].clone());
        }
        kept
    }

    /// Returns when the agent does nothing by itself any more.
    async fn quiet(&self) {
        eventually("the agent is at rest", async || {
            let before = (self.company.counts(), self.company.vault.stores());
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            self.company.agent.flights.quiet().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            before == (self.company.counts(), self.company.vault.stores())
        })
        .await;
    }
}

const ROTATED: &str = "https://rotated.acme.dev/";

#[tokio::test]
async fn a_clock_that_is_a_year_ahead_and_put_right_costs_nothing() {
    let desk = Desk::new().await;
    let (company, kept) = (&desk.company, desk.kept().await);
    company.clock.advance(YEAR);
    desk.quiet().await;
    // What is bought now seems to have ended long ago.
    let refusal = company.bearer().await.unwrap_err();
    assert_eq!(refusal.code, Code::ProviderUntrusted);
    assert!(refusal.say.contains("clock") && !refusal.hint.is_empty(), "{refusal:?}");
    assert!(company.keys("dev").await.unwrap_err().say.contains("clock"));
    // An end that is only assumed ends nothing.
    assert_eq!(desk.token(CLUSTER, "X-Aspect").await, "aw_1");
    assert_ne!(company.report("okta").await.state, EntryState::SignedOut);
    desk.quiet().await;

    company.clock.set(company.world_now());
    desk.quiet().await;
    assert_eq!(desk.kept().await, kept);
    company.pass(MINUTE);
    desk.serves().await;
    // And goes on: the next renewals come when they are due.
    company.pass(2 * HOUR);
    desk.serves().await;
}

#[tokio::test]
async fn a_clock_that_is_a_year_behind_and_put_right_costs_nothing() {
    let desk = Desk::new().await;
    let (company, kept) = (&desk.company, desk.kept().await);
    company.clock.set(company.world_now() - YEAR);
    desk.quiet().await;
    let refusal = company.bearer().await.unwrap_err();
    assert!(refusal.say.contains("clock") && !refusal.hint.is_empty(), "{refusal:?}");
    assert!(company.keys("dev").await.unwrap_err().say.contains("clock"));
    assert_eq!(desk.token(CLUSTER, "X-Aspect").await, "aw_1");
    assert_eq!(desk.token(ROTATED, "Authorization").await, format!("Bearer {}", desk.issued));
    assert_ne!(company.report("okta").await.state, EntryState::SignedOut);

    company.clock.set(company.world_now());
    desk.quiet().await;
    assert_eq!(desk.kept().await, kept);
    company.pass(MINUTE);
    desk.serves().await;
    company.pass(2 * HOUR);
    desk.serves().await;
}

#[tokio::test]
async fn a_token_is_not_ended_by_a_clock_that_was_ahead() {
    let desk = Desk::new().await;
    let company = &desk.company;
    let ends = (company.world_now() + SignedDuration::from_hours(24 * 100)).to_string();
    let (name, value) = ("aspect".to_owned(), Secret::from("aw_2"));
    let add = keyfob_ipc::ControlAsk::TokenAdd { name, value, ends: Some(ends) };
    company.control(add).await.unwrap();
    company.clock.advance(YEAR);
    desk.quiet().await;
    let refusal = company.get(CLUSTER).await.map(drop);
    assert_eq!(company.report("aspect").await.state, EntryState::SignedOut, "{refusal:?}");
    company.clock.set(company.world_now());
    desk.quiet().await;
    assert_eq!(desk.token(CLUSTER, "X-Aspect").await, "aw_2");
    assert_eq!(company.report("aspect").await.state, EntryState::Live);
}

/// The runtime's own timers stand still in a suspend: what waits for a moment is woken by the wall clock.
#[tokio::test]
async fn after_a_day_asleep_everything_is_renewed_once_and_nothing_that_has_ended_is_served() {
    let desk = Desk::new().await;
    let company = &desk.company;
    let bearer = company.bearer().await.unwrap();
    let refreshes = company.counts().refreshes();
    company.pass(DAY);
    let asks: Vec<_> = (0..50)
        .map(|_| {
            let agent = Arc::clone(&company.agent);
            tokio::spawn(async move { agent.tool(keyfob_ipc::ToolAsk::Get { uri: CACHE.to_owned() }).await })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_ne!(company.bearer().await.unwrap(), bearer);
    desk.quiet().await;
    assert_eq!(company.counts().refreshes(), refreshes + 1, "once, however many asked");
    desk.serves().await;
}

#[tokio::test]
async fn a_renewal_that_sleeps_through_a_day_is_no_fresh_one() {
    let desk = Desk::new().await;
    let company = &desk.company;
    company.pass(2 * HOUR);
    company.vault.hold_stores();
    let agent = Arc::clone(&company.agent);
    let asking =
        tokio::spawn(async move { agent.tool(keyfob_ipc::ToolAsk::Get { uri: CACHE.to_owned() }).await });
    let (refreshes, stores) = (company.counts().refreshes(), company.vault.stores());
    eventually("the answer of the provider", async || {
        company.counts().refreshes() > refreshes || company.vault.stores() > stores
    })
    .await;
    // The lid closes between the answer and the keychain.
    company.pass(DAY);
    company.vault.release_stores();
    let _ = asking.await.unwrap();
    desk.quiet().await;
    company.pass(MINUTE);
    company.bearer().await.unwrap();
    let lease = company.agent.leases.get(&okta()).unwrap();
    assert!(lease.until > company.agent.clock.now(), "what has ended meanwhile is not served");
    desk.serves().await;
}
