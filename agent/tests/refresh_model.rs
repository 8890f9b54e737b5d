//! The race for a refresh token, by thousands of schedules.
//!
//! The agent here is the real one: flights, holdings, leases, the session's renewal, signing in and out. It runs on one thread
//! (as `keyfobd` does), so other things happen only where it awaits; shuttle decides at each such place who goes on. Keychain,
//! provider and clock are doubles, and fail now and then. A schedule that breaks a rule is printed, and repeated by
//! `shuttle::replay`.

#![expect(clippy::unwrap_used, reason = "a test may, and so may what stages it")]

#[path = "refresh_model/provider.rs"]
mod provider;
#[path = "refresh_model/vault.rs"]
mod vault;
#[path = "refresh_model/world.rs"]
mod world;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use keyfob_agent::lease::Lease;
use keyfob_agent::renew::Need;
use keyfob_ipc::{Code, Refusal};
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use world::{World, pause};

/// Well beyond the life of a lease.
const A_LIFE: Duration = Duration::from_secs(4000);
/// Into the time in which a lease is renewed while it is served; twice that is beyond its life.
const MOST_OF_A_LIFE: Duration = Duration::from_secs(3400);

/// Schedules of each sort; the nightly run has many more.
const SCHEDULES: usize = 200;

/// Who is there.
#[derive(Clone, Copy)]
struct Cast {
    tools: usize,
    /// Whether tools are killed while they wait.
    leaving: bool,
    /// Whether somebody signs in and out meanwhile.
    person: bool,
    /// Whether keychain and provider fail now and then.
    faults: bool,
}

const TOOLS: Cast = Cast { tools: 4, leaving: false, person: false, faults: false };

fn explore(cast: Cast) {
    let wanted = std::env::var("KEYFOB_SCHEDULES").ok();
    let schedules = wanted.map_or(SCHEDULES, |wanted| wanted.parse().unwrap());
    run(RandomScheduler::new(schedules), cast);
    run(PctScheduler::new(5, schedules), cast);
}

fn run(scheduler: impl Scheduler + 'static, cast: Cast) {
    let mut config = Config::new();
    // Reading a provider's metadata takes some.
    config.stack_size = 1024 * 1024;
    let stage = world::Stage::new();
    Runner::new(scheduler, config).run(move || {
        let world = stage.open();
        block_on(play(world, cast));
    });
}

async fn play(world: Arc<World>, cast: Cast) {
    world.sign_in().await.unwrap();
    world.fail_sometimes(cast.faults);
    let mut acts: Vec<_> = (0..cast.tools).map(|_| spawn(tool(world.clone(), cast.leaving))).collect();
    if cast.person {
        acts.push(spawn(person(world.clone())));
    }
    for act in acts {
        act.await.unwrap();
    }
    world.agent.flights.quiet().await;
    world.fail_sometimes(false);
    assert_how_it_ends(&world).await;
}

/// A tool, three times.
async fn tool(world: Arc<World>, is_leaving: bool) {
    for _ in 0..3 {
        pause(3).await;
        match thread_rng().gen_range(0..4) {
            0 => world.clock.advance(A_LIFE),
            1 => world.clock.advance(MOST_OF_A_LIFE),
            _ => {}
        }
        let need = if thread_rng().gen_bool(0.1) { Need::New } else { Need::Tool };
        let floor = world.oldest_session();
        let asking = world.agent.lease(&world.entry, need);
        let patience = if is_leaving { thread_rng().gen_range(0..30) } else { u32::MAX };
        let Some(answer) = within(patience, asking).await else { continue };
        check_answer(&world, floor, answer);
    }
}

fn check_answer(world: &World, floor: u32, answer: Result<Arc<Lease>, Refusal>) {
    world.look();
    match answer {
        Ok(lease) => {
            world.check_stored(&lease);
            let (session, _) = world::number(&lease);
            assert!(session >= floor, "a lease of session {session}, when {floor} is the oldest");
        }
        Err(refusal) => {
            let passing = [Code::Pending, Code::Offline, Code::KeychainLocked, Code::KeychainFailed];
            let is_known = passing.contains(&refusal.code) || refusal.code == Code::SignInNeeded;
            assert!(is_known, "{refusal:?}");
        }
    }
}

/// A person who signs in and out, and does not wait for anything.
async fn person(world: Arc<World>) {
    for _ in 0..3 {
        pause(12).await;
        let _ = if thread_rng().gen_bool(0.6) { world.sign_in().await } else { world.sign_out().await };
        world.look();
    }
}

/// What was done last has come about, and nothing newer is lost.
async fn assert_how_it_ends(world: &World) {
    world.clock.advance(A_LIFE);
    let answer = world.agent.lease(&world.entry, Need::Tool).await;
    match (world.held(), answer) {
        (Some(session), Ok(lease)) => {
            assert_eq!(world::number(&lease).0, session, "the lease of another session");
            world.check_stored(&lease);
            assert_eq!(world.vault.refresh_token(), Some(world.provider.current(session)));
        }
        (None, Err(refusal)) => assert_eq!(refusal.code, Code::SignInNeeded),
        (held, answer) => {
            panic!("held is {held:?}, and a tool gets {:?}", answer.map(|lease| world::number(&lease)))
        }
    }
}

/// What comes within so many steps; whoever waits is gone then.
async fn within<T>(steps: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..steps {
        let polled = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        if steps == u32::MAX {
            return Some(work.await);
        }
        yield_now().await;
    }
    None
}

#[test]
fn one_spends_at_a_time_and_nothing_is_handed_out_before_it_is_stored() {
    explore(TOOLS);
}

#[test]
fn what_the_keychain_does_not_take_is_neither_lost_nor_handed_out() {
    explore(Cast { faults: true, ..TOOLS });
}

#[test]
fn a_caller_that_leaves_cancels_nothing() {
    explore(Cast { leaving: true, ..TOOLS });
}

#[test]
fn whoever_signs_in_or_out_during_a_renewal_has_the_last_word() {
    explore(Cast { tools: 3, person: true, ..TOOLS });
}

#[test]
fn all_of_it_at_once() {
    explore(Cast { tools: 3, leaving: true, person: true, faults: true });
}
