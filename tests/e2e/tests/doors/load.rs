//! More callers than there is room for, and callers who do not say what they want.
//!
//! The honest caller is the real `keyfob get`, started anew for every call: what it waits for is what a build waits for. Its
//! worst answer under load is printed beside its median on the same agent without load.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_e2e::Profile;
use keyfob_e2e::raw::Raw;
use keyfob_ipc::limits;
use serde_json::json;

use crate::{ANSWER, ASPECT, Ends, VALUE, allow_open_files, config, header, tell};

/// Peers at once, at each door.
const PEERS: usize = 1200;
/// Calls of the honest caller.
const CALLS: usize = 40;
/// What an idle connection may cost the agent, in KiB. It holds no buffer.
const EACH_KIB: u64 = 16;
/// What many requests at once may cost beyond that, in KiB: the limit of both doors, twice, as buffers grow by doubling.
const BUFFERS_KIB: u64 = 4 * limits::BUFFERED as u64 / 1024;

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the agent lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// An agent under load, alone: what another test does to this machine is not what is measured.
fn agent() -> (Profile, u32, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    allow_open_files();
    let profile = Profile::new(&config());
    let agent = profile.start_agent();
    profile.add_token("aspect", VALUE);
    (profile, agent, turn)
}

/// The times of some calls, the shortest first; each is answered.
#[track_caller]
fn calls(profile: &Profile, count: usize) -> Vec<Duration> {
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let output = profile.get(ASPECT);
            let took = output.took;
            assert_eq!(header(output, "X-Aspect"), VALUE);
            took
        })
        .collect();
    times.sort();
    times
}

#[track_caller]
fn compare(what: &str, calm: &[Duration], loaded: &[Duration]) {
    let (median, worst) = (calm[calm.len() / 2], loaded[loaded.len() - 1]);
    tell(&format!(
        "{what}: an honest caller's worst answer {:.1} ms, median {:.1} ms; without load {:.1} ms (worst {:.1} times that)",
        worst.as_secs_f64() * 1e3,
        loaded[loaded.len() / 2].as_secs_f64() * 1e3,
        median.as_secs_f64() * 1e3,
        worst.as_secs_f64() / median.as_secs_f64(),
    ));
    assert!(worst < ANSWER, "{worst:?}");
}

/// Connects and says something that is no whole request.
fn begin(socket: &Path, bytes: &[u8]) -> Raw {
    let mut peer = Raw::connect(socket);
    // It may be let go at once.
    let _ = peer.send_bytes(bytes);
    peer
}

fn announced(length: usize) -> Vec<u8> {
    u32::try_from(length).expect("a short frame").to_le_bytes().to_vec()
}

/// Each kind of silence, by more peers than there are places, at both doors.
#[test]
fn peers_who_hold_places_and_say_nothing_whole_starve_nobody() {
    let (profile, agent, _turn) = agent();
    let calm = calls(&profile, CALLS);
    let before = resident_kib(agent);
    let kinds: [(&str, Vec<u8>); 4] = [
        ("silent", Vec::new()),
        ("half a length", vec![9, 0]),
        ("half a frame", [announced(100), b"{\"v\":1,".to_vec()].concat()),
        ("the largest frame announced", [announced(limits::TOOL_FRAME), vec![b' '; 100]].concat()),
    ];
    for (kind, bytes) in &kinds {
        for socket in [profile.agent_socket(), profile.control_socket()] {
            let peers: Vec<_> = (0..PEERS).map(|_| begin(&socket, bytes)).collect();
            let loaded = calls(&profile, CALLS);
            profile.run(&["agent", "status"], "").ok();
            let during = resident_kib(agent);
            let name = socket.file_name().unwrap_or_default().display().to_string();
            compare(&format!("{PEERS} peers at {name}, {kind}"), &calm, &loaded);
            assert!(during < before + EACH_KIB * PEERS as u64, "{kind}: {before} KiB, then {during} KiB");
            drop(peers);
        }
    }
    let after = resident_kib(agent);
    tell(&format!("resident memory of the agent: {before} KiB before, {after} KiB after"));
    assert!(after < before + EACH_KIB * PEERS as u64);
    assert_eq!(profile.agent_pid(), agent);
}

/// Who has waited longest goes, and who has just come stays.
#[test]
fn the_one_that_has_waited_longest_is_let_go() {
    let (profile, agent, _turn) = agent();
    let mut peers: Vec<_> =
        (0..limits::CONNECTIONS + 50).map(|_| Raw::connect(&profile.agent_socket())).collect();
    // One more, who is served: all before it have been taken in.
    assert_eq!(profile.tool_door().ask(&json!("about"))["about"]["pid"], agent);
    assert!(peers[0].is_closed() && peers[49].is_closed());
    for peer in peers.iter_mut().skip(60).step_by(100) {
        assert_eq!(peer.ask(&json!("about"))["about"]["pid"], agent);
    }
}

/// Requests that would fill the memory many times over are never whole.
#[test]
fn large_frames_that_never_end_are_bounded_together() {
    let (profile, agent, _turn) = agent();
    let before = resident_kib(agent);
    let filler = vec![b' '; 64 * 1024];
    let stop = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    let peak = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let mut peers: Vec<_> = (0..25)
                        .map(|_| begin(&profile.control_socket(), &announced(limits::CONTROL_FRAME)))
                        .collect();
                    for _ in 0..limits::CONTROL_FRAME / filler.len() - 1 {
                        for peer in &mut peers {
                            // Those who are let go take nothing more, and those who have to wait little.
                            let pause = Some(Duration::from_millis(20));
                            let is_taken = !stop.load(Ordering::SeqCst)
                                && peer.stream().set_write_timeout(pause).is_ok()
                                && peer.send_bytes(&filler).is_ok();
                            sent.fetch_add(usize::from(is_taken), Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        let _end = Ends(&stop);
        let mut peak = before;
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            peak = peak.max(resident_kib(agent));
            assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
            profile.run(&["agent", "status"], "").ok();
        }
        peak
    });
    let sent = sent.into_inner() * filler.len() / 1024;
    tell(&format!("{sent} KiB of frames without an end: {before} KiB before, at most {peak} KiB"));
    assert!(peak < before + BUFFERS_KIB, "{before} KiB, then {peak} KiB");
    assert!(sent > 2 * limits::BUFFERED / 1024, "this was no load: {sent} KiB");
}

/// A byte now and then, garbage, and whole requests whose answers nobody takes.
#[test]
fn slow_writers_garbage_and_deaf_peers_hold_nobody_up() {
    let (profile, agent, _turn) = agent();
    let calm = calls(&profile, CALLS);
    let stop = AtomicBool::new(false);
    let socket = &profile.agent_socket();
    let loaded = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peers: Vec<_> = (0..PEERS).map(|_| begin(socket, &announced(5000))).collect();
            while !stop.load(Ordering::SeqCst) {
                for peer in &mut peers {
                    if peer.send_bytes(b" ").is_err() {
                        *peer = begin(socket, &announced(5000));
                    }
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        scope.spawn(|| {
            let mut number = 1u64;
            while !stop.load(Ordering::SeqCst) {
                number =
                    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                drop(begin(socket, &number.to_le_bytes().repeat(8)));
                thread::sleep(Duration::from_millis(1));
            }
        });
        scope.spawn(|| {
            // Their answers are more than the kernel keeps for somebody who does not read.
            let request = keyfob_e2e::raw::request(&json!({"why": {"subject": "nobody"}})).to_string();
            let frames = [announced(request.len()), request.into_bytes()].concat().repeat(1500);
            while !stop.load(Ordering::SeqCst) {
                let _deaf: Vec<_> = (0..10).map(|_| begin(socket, &frames)).collect();
                thread::sleep(Duration::from_secs(1));
            }
        });
        let _end = Ends(&stop);
        calls(&profile, CALLS)
    });
    compare("slow writers, garbage and deaf peers", &calm, &loaded);
    assert_eq!(profile.agent_pid(), agent);
}

/// At least the rate of 100,000 requests a minute is asked for, for a while: half on connections that are kept, half on
/// new ones. Where this machine cannot answer that fast, those who ask wait, and all are answered.
#[test]
fn a_hundred_thousand_requests_a_minute_are_all_answered() {
    const RATE: usize = 100_000 / 60;
    const WHILE: Duration = Duration::from_secs(10);
    const THREADS: usize = 4;
    let (profile, agent, _turn) = agent();
    let calm = calls(&profile, CALLS);
    let before = resident_kib(agent);
    let total = RATE * usize::try_from(WHILE.as_secs()).unwrap();
    let (begun, answered, peak) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let loaded = thread::scope(|scope| {
        for thread in 0..THREADS {
            let (profile, answered) = (&profile, &answered);
            scope.spawn(move || {
                let ask = json!({"get": {"uri": ASPECT}});
                let mut kept = profile.tool_door();
                for number in 0..total / THREADS {
                    let due = begun + WHILE.mul_f64((number * THREADS + thread) as f64 / total as f64);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let answer = if number % 2 == 0 { kept.ask(&ask) } else { profile.tool_door().ask(&ask) };
                    assert_eq!(answer["headers"]["headers"]["X-Aspect"][0], VALUE, "{answer}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut loaded = Vec::new();
        while answered.load(Ordering::SeqCst) < total / THREADS * THREADS {
            loaded.extend(calls(&profile, 1));
            peak.fetch_max(usize::try_from(resident_kib(agent)).unwrap(), Ordering::SeqCst);
        }
        loaded.sort();
        loaded
    });
    let (took, peak) = (begun.elapsed(), peak.into_inner() as u64);
    compare(
        &format!(
            "{} requests in {:.1} s ({:.0} a minute)",
            answered.into_inner(),
            took.as_secs_f64(),
            total as f64 / took.as_secs_f64() * 60.0
        ),
        &calm,
        &loaded,
    );
    let after = resident_kib(agent);
    tell(&format!(
        "resident memory of the agent: {before} KiB before, at most {peak} KiB, {after} KiB after"
    ));
    assert!(peak < before + 32 * 1024, "{before} KiB, then {peak} KiB");
    // Still warm: nothing of what it had is gone.
    assert_eq!(profile.agent_pid(), agent);
    assert_eq!(header(profile.get(ASPECT), "X-Aspect"), VALUE);
    let _: UnixStream = UnixStream::connect(profile.agent_socket()).unwrap();
}
