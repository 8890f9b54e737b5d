//! The agent at rest, after each of its parts was used once: what it keeps of the memory, and how often it wakes up.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::desktop::Desktop;
use super::is_answer;
use crate::failure::{Doing as _, Failure};
use crate::processes::check_interrupted;
use crate::say;
use crate::scene::{LONG, Programs, ROLE, SESSION_URI, Scene, Setting, TOKEN_URI};

/// How long an agent is watched.
const WATCH: Duration = Duration::from_secs(30);
/// Before that: connections to providers are closed half a minute after the last use, and spare threads end earlier.
const SETTLE: Duration = Duration::from_secs(45);

/// What was measured of one agent.
pub struct Idle {
    /// Where it keeps secrets.
    pub keychain: &'static str,
    /// Proportional set size right after the start, in KiB.
    pub started_kib: u64,
    /// Proportional set size after each part was used once, in KiB.
    pub used_kib: u64,
    /// How often it woke up while nobody asked anything; nothing where it was not watched.
    pub wakeups: Option<Wakeups>,
}

/// Voluntary context switches of an agent at rest.
pub struct Wakeups {
    /// How many; nothing where the system hides them.
    pub count: Option<u64>,
    /// In what time.
    pub watched: Duration,
}

/// Measures with every keychain that this machine can give. One agent at a time: what two of them share would count half.
pub fn measure(programs: &Programs) -> Result<Vec<Idle>, Failure> {
    let desktop = Desktop::start()?;
    if desktop.is_none() {
        say("no dbus-daemon and gnome-keyring-daemon here: the Secret Service is left out");
    }
    let mut all = vec![one(programs, "memory", None, false)?];
    all.push(one(programs, "file", None, desktop.is_none())?);
    if desktop.is_some() {
        all.push(one(programs, "system", desktop.as_ref(), true)?);
    }
    Ok(all)
}

fn one(
    programs: &Programs,
    keychain: &'static str,
    desktop: Option<&Desktop>,
    watch: bool,
) -> Result<Idle, Failure> {
    let mut setting = Setting { keychain, ..Setting::default() };
    setting.environment.extend(desktop.map(Desktop::variable));
    let mut scene = Scene::start(programs, &setting)?;
    scene.ask(&["agent", "start"], "")?;
    let (started_kib, process) = about(&scene)?;
    use_everything(&mut scene)?;
    let used_kib = about(&scene)?.0;
    let wakeups = watch.then(|| wakeups(process)).transpose()?;
    Ok(Idle { keychain, started_kib, used_kib, wakeups })
}

fn wakeups(process: u32) -> Result<Wakeups, Failure> {
    thread::sleep(SETTLE);
    check_interrupted()?;
    let before = switches(process);
    thread::sleep(WATCH);
    check_interrupted()?;
    let count = before.zip(switches(process)).map(|(before, after)| after.saturating_sub(before));
    Ok(Wakeups { count, watched: WATCH })
}

fn use_everything(scene: &mut Scene) -> Result<(), Failure> {
    scene.sign_in("okta")?;
    scene.add_token(LONG)?;
    let (token, session) = (scene.get(TOKEN_URI)?, scene.get(SESSION_URI)?);
    if !is_answer(&token, "X-Aspect", "aw_") || !is_answer(&session, "Authorization", "Bearer at_") {
        return Err(Failure::new("keyfob get gave a wrong answer"));
    }
    scene.ask(&["credential-process", ROLE], "")?;
    scene.ask(&["why", TOKEN_URI], "")?;
    scene.ask(&["status", "--json"], "")?;
    // The company has no TLS. A handshake that it breaks off still makes the agent load what TLS needs: its code and the
    // platform's certificates.
    let over_tls = scene.company().addresses().issuer.replacen("http:", "https:", 1);
    let table = format!("\n[sso.over-tls]\nissuer = \"{over_tls}\"\nclient_id = \"bench\"\n");
    scene.configure(&table)?;
    let host = over_tls.trim_start_matches("https://");
    match scene.sign_in("over-tls") {
        Ok(_) => Err(Failure::new("keyfob login spoke TLS with a company that has none")),
        // A refusal that names the host comes from a handshake, any other from before it.
        Err(failure) if failure.say.contains(host) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Memory in KiB and process number, as the agent tells.
fn about(scene: &Scene) -> Result<(u64, u32), Failure> {
    let about = scene.ask(&["agent", "status", "--json"], "")?;
    let about: Value = serde_json::from_str(&about).doing("read the agent's status")?;
    let process = about["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    about["memory_kib"]
        .as_u64()
        .zip(process)
        .ok_or_else(|| Failure::new("the agent does not tell its memory"))
}

/// Voluntary context switches of all threads so far (proc(5)).
fn switches(process: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let counts = threads.map(|thread| {
        let status = fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        voluntary_switches(&status)
    });
    counts.sum()
}

fn voluntary_switches(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_voluntary_switches_count() {
        let status = "Name:\tkeyfobd\nvoluntary_ctxt_switches:\t82\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(voluntary_switches(status), Some(82));
        assert_eq!(voluntary_switches("Name:\tkeyfobd\n"), None);
    }
}
