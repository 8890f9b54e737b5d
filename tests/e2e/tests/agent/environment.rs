//! Whatever the environment of a caller: the same agent, and nothing of it in the agent.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyfob_e2e::process::{self, Signal};
use keyfob_e2e::{Company, Foreigner, Profile, Stage, folder, run, start, token, wait_for};

use crate::{ELSEWHERE, config};

/// The default profile: no `KEYFOB_*` variable. The agent and its folders are gone when this is dropped.
struct DefaultProfile {
    home: PathBuf,
}

impl DefaultProfile {
    /// Of the user of the tests, whose home nobody else needs. Where the tests run as a person, that person's own agent
    /// stays untouched: then the home is a fresh one, given by `HOME` in every call.
    fn make(fresh: &Path) -> (Self, bool) {
        let is_ours = std::env::var("USER").is_ok_and(|user| user == "keyfob-test");
        let profile = Self { home: if is_ours { passwd_home() } else { fresh.to_owned() } };
        profile.clear();
        let folder = profile.config();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .expect("a folder for the configuration");
        let mut file = fs::OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600).open(folder.join("config.toml"));
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, config().as_bytes()));
        written.expect("the configuration can be written");
        (profile, is_ours)
    }

    fn config(&self) -> PathBuf {
        self.home.join(".config/keyfob")
    }

    fn state(&self) -> PathBuf {
        self.home.join(".local/state/keyfob")
    }

    fn clear(&self) {
        let agents = || process::lock_holders(&self.state().join("agent.lock"));
        agents().into_iter().for_each(|agent| process::signal_if_alive(agent, Signal::KILL));
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while agents().into_iter().any(process::is_alive) && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        for folder in [self.config(), self.state()] {
            // The first time there is none.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Drop for DefaultProfile {
    fn drop(&mut self) {
        self.clear();
    }
}

fn passwd_home() -> PathBuf {
    let passwd = fs::read_to_string("/etc/passwd").expect("a user database");
    let line = passwd.lines().find(|line| line.starts_with("keyfob-test:"));
    line.and_then(|line| line.split(':').nth(5)).expect("the user of the tests has a home").into()
}

#[test]
fn callers_with_any_environment_reach_the_same_agent() {
    let fresh = folder();
    let (profile, by_passwd) = DefaultProfile::make(fresh.path());
    let rooms = folder();
    let room = |name: &str| {
        let room = rooms.path().join(name);
        fs::DirBuilder::new().mode(0o700).create(&room).unwrap();
        room
    };
    let (login, cron) = (room("login"), room("cron"));
    let call = |environment: &[(&str, &Path)], arguments: &[&str], input: &str| {
        let mut command = Command::new(Stage::get().bin("keyfob"));
        command.env_clear().envs(environment.iter().copied()).args(arguments);
        if !by_passwd {
            command.env("HOME", &profile.home);
        }
        run(command, input)
    };
    let pid = |environment: &[(&str, &Path)]| {
        call(environment, &["agent", "status", "--json"], "").ok().json()["pid"].clone()
    };
    let first: &[(&str, &Path)] = &[("XDG_RUNTIME_DIR", &login), ("HOME", &profile.home)];
    let answer = call(first, &["get"], &format!("{{\"uri\":\"{ELSEWHERE}\"}}")).ok();
    assert_eq!(answer.stdout, "{\"headers\":{}}\n");
    let agent = pid(first);
    assert_eq!(login.join("keyfob/agent.sock").exists(), by_passwd, "a login shell's folder has the sockets");
    call(first, &["token", "add", "aspect"], "aw_1234567890").ok();
    let nowhere = rooms.path().join("nowhere");
    let others: [&[(&str, &Path)]; 7] = [
        &[],
        &[("XDG_RUNTIME_DIR", &cron)],
        &[("XDG_RUNTIME_DIR", &nowhere)],
        &[("XDG_RUNTIME_DIR", Path::new("relative"))],
        &[("XDG_RUNTIME_DIR", Path::new(""))],
        &[("HOME", &profile.home)],
        &[("XDG_RUNTIME_DIR", &cron), ("XDG_CONFIG_HOME", &cron), ("XDG_STATE_HOME", &cron)],
    ];
    for environment in others {
        assert_eq!(pid(environment), agent, "{environment:?}");
        let answer = call(environment, &["get"], "{\"uri\":\"https://aw.acme.dev/\"}").ok();
        assert_eq!(answer.json()["headers"]["X-Aspect"][0], "aw_1234567890", "{environment:?}");
    }
    assert!(!cron.join("keyfob/agent.sock").exists(), "one agent, one place");

    // Another HOME is another profile: whoever sets it does not get at the person's tokens.
    let borrowed = room("borrowed");
    let answer = call(&[("HOME", &borrowed)], &["agent", "status"], "");
    if by_passwd {
        assert_eq!(answer.exits(4).stdout, "");
    }
}

/// Everything that a hostile first caller could try, but for its `HOME` and `KEYFOB_*`.
fn hostile(profile: &mut Profile, folder: &Path) {
    // The dynamic linker writes there about each program that it starts with these variables.
    profile.set("LD_DEBUG", "libs");
    profile.set("LD_DEBUG_OUTPUT", folder.join("linker"));
    profile.set("LD_PRELOAD", folder.join("evil.so"));
    profile.set("LD_LIBRARY_PATH", folder);
    profile.set("SSL_CERT_FILE", folder.join("evil.pem"));
    profile.set("SSL_CERT_DIR", folder);
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "ALL_PROXY", "HTTP_PROXY", "http_proxy"] {
        profile.set(name, "http://127.0.0.1:1");
    }
    profile.set("AWS_PROFILE", "evil");
    profile.set("AWS_CONFIG_FILE", folder.join("evil.aws"));
    profile.set("AWS_REGION", "evil-region-1");
    profile.set("RUST_LOG", "trace");
    profile.set("PATH", folder);
}

/// How many programs this process was, as far as the dynamic linker saw the hostile environment in it.
fn linked(folder: &Path, process: u32) -> usize {
    let log = fs::read_to_string(folder.join(format!("linker.{process}"))).unwrap_or_default();
    log.matches("transferring control").count()
}

#[test]
fn a_hostile_environment_of_the_first_caller_does_not_reach_the_agent() {
    let company = Company::start();
    let mut profile = Profile::new(&company.config());
    let folder = folder();
    let marker = folder.path().join("marker");
    let impostor = folder.path().join("keyfobd");
    fs::write(&impostor, format!("#!/bin/sh\n: > '{}'\n", marker.display())).unwrap();
    fs::set_permissions(&impostor, fs::Permissions::from_mode(0o755)).unwrap();
    hostile(&mut profile, folder.path());
    profile.get(ELSEWHERE).ok();
    let agent = profile.agent_pid();
    assert_eq!(linked(folder.path(), agent), 0, "the agent was started with the caller's linker variables");
    assert!(!marker.exists(), "the agent was looked up in PATH");
    // What the variables would have misled, works.
    company.sign_in(&profile, "okta");
    profile.get("https://x.cache.acme.dev/").ok();
    profile.credential_process("dev").ok();
    assert_eq!(company.counts().role(&company.addresses().roles[0]), 1);
    assert_eq!(profile.agent_pid(), agent);
}

#[test]
fn an_agent_started_by_hand_sheds_a_hostile_environment_first() {
    let mut profile = Profile::new(&config());
    let folder = folder();
    hostile(&mut profile, folder.path());
    let mut by_hand = profile.command(Stage::get().bin("keyfobd"));
    by_hand.arg0("by-hand");
    let agent = start(by_hand, "");
    assert_eq!(profile.agent_pid(), agent.pid());
    // The process became a new program under the program's own name, and the linker saw the variables in the first alone.
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    assert_eq!(arguments, format!("{}\0", Stage::get().bin("keyfobd").display()));
    assert_eq!(linked(folder.path(), agent.pid()), 1);
    profile.get(ELSEWHERE).ok();
}

/// A session bus of somebody else's would be handed the person's secrets as their keychain.
#[test]
fn a_session_bus_of_another_user_is_not_talked_to() {
    let config = ["[agent]\nkeychain = \"system\"\n", &token("aspect", "aw.acme.dev")].concat();
    let address = |bus: &Path| format!("unix:path={}", bus.display());

    let mut profile = Profile::new(&config);
    let own = profile.path().join("bus");
    let bus = UnixListener::bind(&own).unwrap();
    bus.set_nonblocking(true).unwrap();
    profile.set("DBUS_SESSION_BUS_ADDRESS", address(&own));
    let call = start(profile.keyfob(&["status"]), "");
    wait_for("the agent at a bus of our own", Duration::from_secs(10), || bus.accept().is_ok());
    drop(call);

    let mut foreigner = Foreigner::meet();
    let foreign = foreigner.listen("bus");
    for by_hand in [false, true] {
        let mut profile = Profile::new(&config);
        profile.set("DBUS_SESSION_BUS_ADDRESS", address(&foreign));
        let _agent = by_hand.then(|| {
            let agent = start(profile.command(Stage::get().bin("keyfobd")), "");
            profile.agent_pid();
            agent
        });
        let status = profile.status();
        assert_eq!(status["keychain"]["state"], "missing", "{status}");
        assert_eq!(foreigner.report()["connections"], 0, "by hand: {by_hand}");
    }
}
