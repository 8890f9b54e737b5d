//! The agent killed a thousand times, at any moment, while tools ask.
//!
//! The issuer replaces every refresh token and ends the session where a used one comes again, but for a grace of half a
//! minute, as the large providers give it: an answer that the killed agent had not stored yet can be asked for again.
//! Without the grace the issuer would end the session, and no client could do anything about that.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::real::{SessionBus, alone};
use keyfob_e2e::{Company, Output, PATIENCE, Profile, token, wait_for, wait_for_some};
use keyfob_sandbox::{Endpoint, Fault, IssuerOptions, Options};
use serde_json::Value;

use crate::{ASPECT, FIRST_CALL, HOST, SESSION, VALUE, header, random, tell};

/// All kills, and the machines that they happen on, side by side.
const KILLS: usize = 1000;
const MACHINES: usize = 3;
/// Where the random moments begin.
const SEED: u64 = 20_261_121;
/// How long the issuer takes for a renewal; a real one takes longer.
const RENEWAL: Duration = Duration::from_millis(20);
/// For how long the issuer takes a used refresh token again.
const GRACE: u32 = 30;

/// A tool asks so often.
const PACE: Duration = Duration::from_millis(25);

const HUB: &str = "https://hub.acme.dev/";
const ENTRIES: [&str; 3] = ["sso.okta", "token.aspect", "token.hub"];

#[test]
fn a_thousand_kills_lose_nothing_and_every_next_call_is_answered() {
    let _turn = alone();
    let begun = Instant::now();
    let figures: Vec<_> = thread::scope(|scope| {
        let run = |number| scope.spawn(move || Machine::new(GRACE).run(KILLS / MACHINES, SEED + number));
        let machines: Vec<_> = (0..MACHINES as u64).map(run).collect();
        machines.into_iter().map(|machine| machine.join().expect("each machine says why")).collect()
    });
    let sum = |of: fn(&Figures) -> u64| figures.iter().map(of).sum::<u64>();
    let worst = figures.iter().map(|figures| figures.worst).max().unwrap_or_default();
    tell(&format!(
        "{} kills in {} s (seeds {SEED} to {}): {} before the issuer's answer to a renewal, {} between that and the \
         keychain, {} calls of tools meanwhile, {} of them caught by kills one after the other; {} rotations asked of the hub; the next call was \
         answered after {} ms at worst, {} were told to ask again",
        sum(|figures| figures.kills),
        begun.elapsed().as_secs(),
        SEED + MACHINES as u64 - 1,
        sum(|figures| figures.before_answer),
        sum(|figures| figures.before_store),
        sum(|figures| figures.calls),
        sum(|figures| figures.caught_twice),
        sum(|figures| figures.rotations),
        worst.as_millis(),
        sum(|figures| figures.asked_again),
    ));
    let strays = figures.iter().map(|figures| programs_of(figures.reaper)).collect::<Vec<_>>().concat();
    assert_eq!(strays, Vec::<String>::new(), "what still runs of keyfob");
    assert!(sum(|figures| figures.before_answer) > 0, "no kill hit a renewal");
    assert!(sum(|figures| figures.before_store) > 30, "too few kills hit what is not stored yet");
}

/// A machine with a real keychain, and a company.
struct Machine {
    profile: Profile,
    company: Company,
    bus: SessionBus,
    stop: AtomicBool,
    kills: AtomicUsize,
}

#[derive(Default)]
struct Figures {
    kills: u64,
    before_answer: u64,
    before_store: u64,
    asked_again: u64,
    calls: u64,
    caught_twice: u64,
    rotations: u64,
    worst: Duration,
    /// Whose child an agent is once its starter has ended.
    reaper: u32,
}

impl Machine {
    /// Signed in, with a token that nobody replaces and one that is replaced all the time.
    fn new(grace: u32) -> Self {
        let issuer = IssuerOptions {
            access_token_seconds: 2,
            refresh_reuse_seconds: grace,
            ..IssuerOptions::default()
        };
        let company = Company::with(Options { issuer, ..Options::default() });
        let bus = SessionBus::start();
        let hub = format!(
            "[token.hub]\nhosts = [\"hub.acme.dev\"]\nheader = \"X-Hub\"\nservice = \"jupyterhub\"\napi = \"{}\"\n",
            company.addresses().jupyterhub_api_url
        );
        let role = company.aws("dev", "okta", &company.addresses().roles[0]);
        let mut profile = Profile::new(
            &[company.sso("okta", "*.cache.acme.dev"), token("aspect", HOST), role, hub].concat(),
        );
        profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
        company.sign_in(&profile, "okta");
        profile.add_token("aspect", VALUE);
        profile
            .add_token("hub", &company.jupyterhub().issue_token("ada", Some(SignedDuration::from_hours(24))));
        company.faults().set(Endpoint::Token, Fault::Slow(RENEWAL));
        Self { profile, company, bus, stop: AtomicBool::new(false), kills: AtomicUsize::new(0) }
    }

    fn run(self, kills: usize, seed: u64) -> Figures {
        let tools: [&(dyn Fn() -> Output + Sync); 3] =
            [&|| self.profile.get(SESSION), &|| self.profile.credential_process("dev"), &|| {
                self.profile.get(ASPECT)
            }];
        let mut figures = thread::scope(|scope| {
            let load: Vec<_> = tools.iter().map(|tool| scope.spawn(|| self.ask_on(tool))).collect();
            let rotating = scope.spawn(|| self.rotate_on());
            // Also where this panics the others must end.
            let stop = Stop(&self.stop);
            let mut figures = self.kill_on(kills, seed);
            drop(stop);
            for load in load {
                let (calls, caught_twice) = load.join().expect("it says why");
                figures.calls += calls;
                figures.caught_twice += caught_twice;
            }
            rotating.join().expect("it says why");
            figures
        });
        let counts = self.company.counts();
        (figures.before_answer, figures.before_store) = (counts.abandoned(Endpoint::Token), counts.reused);
        figures.rotations = counts.arrived(Endpoint::HubCreate);
        self.has_lost_nothing();
        let agent = self.profile.agent_pid();
        figures.reaper =
            process::field(agent, 1).and_then(|parent| parent.parse().ok()).expect("an agent runs");
        self.leaves_nothing_behind();
        figures
    }

    /// Kills, and has each kill followed by a call that must be answered.
    fn kill_on(&self, kills: usize, seed: u64) -> Figures {
        let (mut figures, mut state) = (Figures::default(), seed);
        while self.kills.load(Ordering::SeqCst) < kills {
            match random(&mut state, 3) {
                // While it serves, or renews what tools use.
                0 => until(Instant::now() + Duration::from_micros(random(&mut state, 200_000))),
                // While it starts, and the next one.
                1 => {
                    for _ in 0..=random(&mut state, 4) {
                        self.kill();
                        until(Instant::now() + Duration::from_micros(random(&mut state, 150_000)));
                    }
                }
                // While it makes its first renewal.
                _ => {
                    self.kill();
                    let renewals = self.company.counts().arrived(Endpoint::Token);
                    let is_asked = || self.company.counts().arrived(Endpoint::Token) > renewals;
                    wait_for("a renewal", PATIENCE, is_asked);
                    until(Instant::now() + Duration::from_micros(random(&mut state, 30_000)));
                }
            }
            self.kill();
            let call: &dyn Fn() -> Output = match random(&mut state, 4) {
                0 => &|| self.profile.get(ASPECT),
                1 => &|| self.profile.get(HUB),
                2 => &|| self.profile.credential_process("dev"),
                _ => &|| self.profile.get(SESSION),
            };
            self.answers(call, &mut figures);
        }
        figures.kills = self.kills.load(Ordering::SeqCst) as u64;
        figures
    }

    /// An answer comes in time. On a machine that is too busy a tool is told in time to ask again, and then gets it.
    fn answers(&self, call: &dyn Fn() -> Output, figures: &mut Figures) {
        let (kills, begun) = (self.kills.load(Ordering::SeqCst), Instant::now());
        let mut output = call();
        while output.code == 1 && output.stderr.contains("is being renewed") {
            assert!(output.took < FIRST_CALL, "after kill {kills}: {output:?}");
            figures.asked_again += 1;
            output = call();
        }
        assert_eq!(output.code, 0, "after kill {kills}: {output:?}");
        assert!(output.took < FIRST_CALL, "after kill {kills}: {output:?}");
        figures.worst = figures.worst.max(begun.elapsed());
    }

    fn kill(&self) {
        let lock = self.profile.state().join("agent.lock");
        let agent = wait_for_some("an agent to kill", PATIENCE, || {
            let holders = process::lock_holders(&lock);
            holders.into_iter().find(|process| *process != std::process::id() && process::is_alive(*process))
        });
        process::signal_if_alive(agent, Signal::KILL);
        wait_for("the end of a killed agent", PATIENCE, || !process::is_alive(agent));
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    /// One tool that asks all the time. A connection that breaks is made again once, so only a second kill is seen.
    fn ask_on(&self, tool: &(dyn Fn() -> Output + Sync)) -> (u64, u64) {
        let (mut calls, mut caught_twice) = (0, 0);
        while !self.stop.load(Ordering::SeqCst) {
            let (before, begun) = (self.kills.load(Ordering::SeqCst), Instant::now());
            let output = tool();
            calls += 1;
            until(begun + PACE);
            if output.code == 0 || output.stderr.contains("is being renewed") {
                continue;
            }
            // A kill is counted once the agent is gone.
            let seen = self.kills.load(Ordering::SeqCst) + 1 - before;
            assert!(output.code == 4 && seen >= 2, "after {seen} kills: {output:?}");
            caught_twice += 1;
        }
        (calls, caught_twice)
    }

    /// Replaces the hub's token every few kills, however that ends.
    fn rotate_on(&self) {
        let mut next = 0;
        while !self.stop.load(Ordering::SeqCst) {
            if self.kills.load(Ordering::SeqCst) < next {
                wait_for("some kills more", PATIENCE, || {
                    self.stop.load(Ordering::SeqCst) || self.kills.load(Ordering::SeqCst) >= next
                });
                continue;
            }
            self.profile.run(&["token", "rotate", "hub"], "");
            next = self.kills.load(Ordering::SeqCst) + 5;
        }
    }

    fn has_lost_nothing(&self) {
        let Self { profile, company, bus, .. } = self;
        assert_eq!(profile.state_of("sso.okta"), "live");
        header(profile.get(SESSION), "Authorization");
        profile.credential_process("dev").ok();
        assert_eq!(company.counts().grant("authorization_code"), 1, "nobody had to sign in again");
        assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
        // What a kill interrupted is finished by the next agent: one token at the hub, and it is the one that is held.
        wait_for("an end of every rotation", PATIENCE, || item(bus, "token.hub")["rotation"].is_null());
        wait_for("one token at the hub", PATIENCE, || company.jupyterhub().tokens_of("ada").len() == 1);
        assert_eq!([header(profile.get(HUB), "X-Hub")], *company.jupyterhub().tokens_of("ada"));
        profile.run(&["token", "rotate", "hub"], "").ok();
        assert_eq!([header(profile.get(HUB), "X-Hub")], *company.jupyterhub().tokens_of("ada"));

        let found = bus.secret_tool(&["search", "--all", "application", "keyfob"]);
        assert_eq!(found.matches("label = ").count(), ENTRIES.len(), "one item an entry");
        for entry in ENTRIES {
            assert!(item(bus, entry)["value"].is_string(), "{entry} is whole");
        }
    }

    fn leaves_nothing_behind(&self) {
        self.profile.run(&["agent", "stop"], "").ok();
        for folder in [self.profile.state(), self.profile.runtime()] {
            let files = std::fs::read_dir(folder).expect("a folder of ours").flatten();
            let names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
            let is_left = |name: &String| [".new", ".tmp", ".sock"].iter().any(|end| name.ends_with(end));
            assert!(!names.iter().any(is_left), "{names:?}");
        }
    }
}

/// Says stop when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Programs of ours that came to this parent since this test began. None of another test run meanwhile.
fn programs_of(parent: u32) -> Vec<String> {
    let begun = started(std::process::id()).expect("this process runs");
    let all = std::fs::read_dir("/proc").expect("the processes").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = numbers.filter(|number| {
        process::is_alive(*number)
            && process::field(*number, 1) == Some(parent.to_string())
            && started(*number).is_some_and(|started| started >= begun)
    });
    children.filter_map(process::name).filter(|name| ["keyfob", "keyfobd"].contains(&&**name)).collect()
}

/// When a process was started, in clock ticks since the boot.
fn started(program: u32) -> Option<u64> {
    process::field(program, 19)?.parse().ok()
}

/// A random moment is not a condition: this is the one sleep that is meant.
fn until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

fn item(bus: &SessionBus, name: &str) -> Value {
    serde_json::from_str(&bus.item(name)).unwrap_or_else(|error| panic!("{name} is damaged: {error}"))
}
