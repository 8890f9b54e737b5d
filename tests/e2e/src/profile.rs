//! A profile of its own: folders, a configuration and the agent over them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyfob_ipc::place::Record;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, Signal};
use crate::raw::Raw;
use crate::{Output, Stage, run, wait_for, wait_for_some};

/// The first lines of nearly every configuration: nothing at rest.
pub const MEMORY: &str = "[agent]\nkeychain = \"memory\"\n";

/// How long an agent may take to be gone after SIGKILL.
const GONE: Duration = Duration::from_secs(10);

/// A second profile, apart from the person's real one. Its agent is killed and waited for when this is dropped, also when
/// the test panics.
#[derive(Debug)]
pub struct Profile {
    folder: TempDir,
    variables: BTreeMap<OsString, OsString>,
    state: PathBuf,
    runtime: PathBuf,
    config: PathBuf,
}

impl Profile {
    /// A profile with this text as its configuration.
    pub fn new(config: &str) -> Self {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let mut profile = Self {
            variables: BTreeMap::new(),
            state: at("state"),
            runtime: at("run"),
            config: at("config.toml"),
            folder,
        };
        fs::DirBuilder::new().mode(0o700).create(profile.home()).expect("a home can be made");
        let places = [
            ("KEYFOB_STATE_DIR", profile.state.clone()),
            ("KEYFOB_RUNTIME_DIR", profile.runtime.clone()),
            ("KEYFOB_CONFIG", profile.config.clone()),
            ("HOME", profile.home()),
        ];
        for (name, path) in places {
            profile.set(name, path);
        }
        profile.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        profile.set("LANG", "C.UTF-8");
        profile.configure(config);
        profile
    }

    /// The folder that everything of this profile is in; nobody else can enter it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `HOME` of its programs.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The folder of the sockets.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The tool door.
    pub fn agent_socket(&self) -> PathBuf {
        self.runtime.join("agent.sock")
    }

    /// The control door.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// Sets a variable of every program started from here on.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.insert(name.into(), value.as_ref().to_owned());
    }

    /// Takes a variable away from every program started from here on.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(OsStr::new(name));
    }

    /// Moves the folder of the sockets.
    pub fn set_runtime(&mut self, folder: &Path) {
        self.runtime = folder.to_owned();
        self.set("KEYFOB_RUNTIME_DIR", folder);
    }

    /// Replaces the configuration, as an editor does: another file under the old name.
    pub fn configure(&self, text: &str) {
        let new = self.path().join("config.new");
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
        let written = opened.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.and_then(|()| fs::rename(new, &self.config)).expect("the configuration can be written");
    }

    /// Any program, with the variables of this profile and no others.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(&self.variables).current_dir("/");
        command
    }

    /// A call of `keyfob`.
    pub fn keyfob(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Stage::get().bin("keyfob"));
        command.args(arguments);
        command
    }

    /// Runs `keyfob` to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], stdin: impl Into<Vec<u8>>) -> Output {
        run(self.keyfob(arguments), stdin)
    }

    /// `keyfob get` for an address.
    #[track_caller]
    pub fn get(&self, uri: &str) -> Output {
        self.run(&["get"], json!({"uri": uri}).to_string())
    }

    /// `keyfob credential-process NAME`.
    #[track_caller]
    pub fn credential_process(&self, name: &str) -> Output {
        self.run(&["credential-process", name], "")
    }

    /// `keyfob token add NAME`, which must succeed.
    #[track_caller]
    pub fn add_token(&self, name: &str, value: &str) {
        self.run(&["token", "add", name], value).ok();
    }

    /// `keyfob status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"], "").ok().json()
    }

    /// The state of one entry as `keyfob status` shows it: `live`, `signed-out`, …
    ///
    /// # Panics
    /// Where there is no such entry.
    #[track_caller]
    pub fn state_of(&self, entry: &str) -> String {
        let status = self.status();
        let entries = status["entries"].as_array().cloned().unwrap_or_default();
        let found = entries.iter().find(|known| known["name"] == entry);
        found
            .and_then(|found| found["state"].as_str())
            .unwrap_or_else(|| panic!("no {entry}: {status}"))
            .to_owned()
    }

    /// Starts the agent, and returns its process.
    #[track_caller]
    pub fn start_agent(&self) -> u32 {
        self.run(&["agent", "start"], "").ok();
        self.agent_pid()
    }

    /// A connection to the tool door of the running agent.
    #[track_caller]
    pub fn tool_door(&self) -> Raw {
        Raw::connect(&self.agent_socket())
    }

    /// A connection to the control door of the running agent.
    #[track_caller]
    pub fn control_door(&self) -> Raw {
        Raw::connect(&self.control_socket())
    }

    /// What the running agent wrote beside its lock file.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.state.join("agent.json")).ok()?).ok()
    }

    /// The process of the running agent.
    ///
    /// # Panics
    /// Where none runs.
    #[track_caller]
    pub fn agent_pid(&self) -> u32 {
        wait_for_some("a running agent", Duration::from_secs(5), || self.running_agent())
    }

    /// The process of the agent that holds this profile's lock and has said where its doors are, if one does.
    pub fn running_agent(&self) -> Option<u32> {
        let record = self.record()?;
        self.lock_holders().contains(&record.pid).then_some(record.pid)
    }

    /// Ends the agent by SIGKILL and waits until it is gone.
    #[track_caller]
    pub fn kill_agent(&self) {
        let process = self.agent_pid();
        process::signal(process, Signal::KILL);
        wait_for("the end of the killed agent", GONE, || !process::is_alive(process));
    }

    fn lock(&self) -> PathBuf {
        self.state.join("agent.lock")
    }

    fn lock_holders(&self) -> Vec<u32> {
        process::lock_holders(&self.lock())
            .into_iter()
            .filter(|process| process::is_alive(*process))
            .collect()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A stopped one (SIGSTOP) ends by SIGKILL too.
        let is_gone = || {
            let holders = self.lock_holders();
            let agents = holders.iter().filter(|process| **process != std::process::id());
            agents.clone().for_each(|process| process::signal_if_alive(*process, Signal::KILL));
            agents.count() == 0
        };
        if std::thread::panicking() {
            let log = fs::read_to_string(self.state.join("keyfobd.log")).unwrap_or_default();
            show(&log);
            let end = std::time::Instant::now() + GONE;
            while !is_gone() && std::time::Instant::now() < end {
                std::thread::yield_now();
            }
        } else {
            wait_for("the end of a profile's agent", GONE, is_gone);
        }
    }
}

/// What a failed test's agent said; the test runner shows it with the failure.
#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
fn show(log: &str) {
    eprintln!("--- the agent's log ---\n{log}-----------------------");
}

/// A fresh folder that only this user can enter, with a path short enough for sockets in it.
pub fn folder() -> TempDir {
    tempfile::Builder::new().prefix("k").rand_bytes(8).tempdir().expect("a temporary folder can be made")
}
