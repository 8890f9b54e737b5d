//! Many calls at once at an agent that has nothing ready: one trip upstream must serve them all.

use std::process::Stdio;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{is_answer, median};
use crate::failure::{Doing as _, Failure};
use crate::processes::check_interrupted;
use crate::scene::{Programs, ROLE, SESSION_URI, Scene, Setting, request};

/// Calls of Bazel at once.
const GETS: usize = 150;
/// Calls of AWS tools at once.
const CREDENTIAL_PROCESSES: usize = 200;
/// Life of what a sign-in buys, in seconds: when it is over, the agent is cold, and signed in.
const LIFE: u64 = 6;
/// How long the company's endpoints take to answer: what a near provider takes, and enough for every caller to arrive.
const UPSTREAM: Duration = Duration::from_millis(200);

/// What was measured.
pub struct Burst {
    /// How many were started at once.
    pub calls: usize,
    /// How many exited with 0 and gave what they should; the others are failures before this is made.
    pub answered: usize,
    /// Refreshes that the issuer saw.
    pub refreshes: u64,
    /// Roles that the STS gave out.
    pub assumed: u64,
    /// From the first start to the last end.
    pub wall: Duration,
    /// The slowest single call.
    pub slowest: Duration,
    /// The median of the calls, in seconds.
    pub median: f64,
}

/// 150 `get` for the session's token, which has ended.
pub fn gets(programs: &Programs) -> Result<Burst, Failure> {
    let right = |answer: &str| is_answer(answer, "Authorization", "Bearer at_");
    run(programs, GETS, &["get"], &request(SESSION_URI), right)
}

/// 200 `credential-process` for a role that nobody has asked for yet, through a session whose ID token has ended.
pub fn credential_processes(programs: &Programs) -> Result<Burst, Failure> {
    run(programs, CREDENTIAL_PROCESSES, &["credential-process", ROLE], "", are_keys)
}

fn run(
    programs: &Programs,
    calls: usize,
    arguments: &[&str],
    input: &str,
    is_right: impl Fn(&str) -> bool,
) -> Result<Burst, Failure> {
    let life = json!({ "issuer": { "access_token_seconds": LIFE, "id_token_seconds": LIFE } });
    let scene = &mut Scene::start(programs, &Setting { company: life, ..Setting::default() })?;
    scene.sign_in("okta")?;
    let milliseconds = u64::try_from(UPSTREAM.as_millis()).unwrap_or(u64::MAX);
    for endpoint in ["token", "sts"] {
        let slow = json!({ "endpoint": endpoint, "fault": { "slow": milliseconds } });
        scene.company().steer("PUT", "faults", &slow)?;
    }
    thread::sleep(Duration::from_secs(LIFE + 1));
    check_interrupted()?;
    scene.company().steer("DELETE", "counts", &Value::Null)?;

    let all = at_once(scene, calls, arguments, input)?;
    let counts = scene.company().steer("GET", "counts", &Value::Null)?;
    if let Some(wrong) = all.iter().find(|call| !is_right(&call.answer)) {
        let kind = if wrong.answer.is_empty() { "no answer" } else { "a wrong answer" };
        return Err(Failure::new(format!("keyfob {} gave {kind} to one of {calls}", arguments.join(" "))));
    }
    let first = all.iter().map(|call| call.start).min();
    let last = all.iter().map(|call| call.end).max();
    let times: Vec<Duration> = all.iter().map(|call| call.end.duration_since(call.start)).collect();
    Ok(Burst {
        calls,
        answered: all.len(),
        refreshes: counts["grants"]["refresh_token"].as_u64().unwrap_or(0),
        assumed: counts["sts_actions"]["AssumeRoleWithWebIdentity"].as_u64().unwrap_or(0),
        wall: last.zip(first).map(|(last, first)| last.duration_since(first)).unwrap_or_default(),
        slowest: times.iter().max().copied().unwrap_or_default(),
        median: median(times.iter().map(Duration::as_secs_f64).collect()),
    })
}

/// One call.
struct Call {
    start: Instant,
    end: Instant,
    answer: String,
}

/// Starts all calls at once.
fn at_once(scene: &Scene, calls: usize, arguments: &[&str], input: &str) -> Result<Vec<Call>, Failure> {
    let file = scene.folder().join("burst-input");
    std::fs::write(&file, input).doing("write a request")?;
    let ready = Barrier::new(calls);
    let call = || {
        let mut command = scene.keyfob(arguments);
        let stdin = std::fs::File::open(&file);
        ready.wait();
        command.stdin(stdin.doing("open the request")?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let output = command.spawn().and_then(std::process::Child::wait_with_output).doing("run keyfob")?;
        let end = Instant::now();
        if !output.status.success() {
            let (time, said) = (end.duration_since(start), String::from_utf8_lossy(&output.stderr));
            return Err(Failure::new(format!(
                "one of {calls} calls failed after {time:.1?}: {}",
                said.trim()
            )));
        }
        Ok(Call { start, end, answer: String::from_utf8_lossy(&output.stdout).into_owned() })
    };
    let died = || Failure::new("a thread of the bench died");
    thread::scope(|scope| {
        let threads: Vec<_> = (0..calls).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| died())?).collect()
    })
}

fn are_keys(answer: &str) -> bool {
    let Ok(keys) = serde_json::from_str::<Value>(answer) else { return false };
    let is_text = |name: &str| keys[name].as_str().is_some_and(|text| !text.is_empty());
    keys["Version"] == 1
        && ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"].into_iter().all(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_session_token_are_wrong() {
        let right = json!({
            "Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2026",
        });
        assert!(are_keys(&right.to_string()));
        for name in ["Version", "SessionToken"] {
            let mut wrong = right.clone();
            wrong[name] = json!("");
            assert!(!are_keys(&wrong.to_string()), "{name}");
        }
        assert!(!are_keys(""));
    }
}
