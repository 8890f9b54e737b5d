//! A profile of its own: folders, a configuration and the agent over them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyfob_ipc::place::{Record, fingerprint};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::{Output, run};
use crate::{credentials, wait_for};

/// The first lines of a configuration with nothing at rest.
pub const MEMORY: &str = "[agent]\nkeychain = \"memory\"\n";

/// Where a test's programs are, in place of the folder above its own.
const PROGRAMS: &str = "KEYFOB_TEST_PROGRAMS";

/// Without these Windows starts no program, finds no folder, or none by its name; Wine has some of its own.
const KEPT: [&str; 5] = ["SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "WINE"];

/// A second profile, apart from the person's real one. Its agent is stopped, and what it left in the Credential Manager is looked
/// at, when this is dropped.
#[derive(Debug)]
pub struct Profile {
    folder: TempDir,
    variables: BTreeMap<OsString, OsString>,
    programs: PathBuf,
    state: PathBuf,
    config: PathBuf,
}

impl Profile {
    /// A profile with this text as its configuration.
    pub fn new(config: &str) -> Self {
        Self::named("ada", config)
    }

    /// A profile whose folders are below one of this name.
    pub fn named(name: &str, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kf").tempdir().expect("a temporary folder can be made");
        let home = folder.path().join(name);
        fs::create_dir(&home).expect("a home can be made");
        let is_kept = |name: &OsString| {
            let name = name.to_string_lossy().to_uppercase();
            KEPT.iter().any(|kept| name == *kept || (*kept == "WINE" && name.starts_with("WINE")))
        };
        let variables = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
        let programs = std::env::var_os(PROGRAMS).map_or_else(beside_the_test, PathBuf::from);
        let (state, config_file) = (home.join("state"), home.join("config.toml"));
        let mut profile = Self { variables, programs, state, config: config_file, folder };
        let places = [
            ("KEYFOB_STATE_DIR", profile.state.clone()),
            ("KEYFOB_CONFIG", profile.config.clone()),
            ("USERPROFILE", home),
        ];
        for (name, path) in places {
            profile.set(name, path);
        }
        profile.set("PATH", system_folder());
        profile.configure(config);
        profile
    }

    /// `%USERPROFILE%` of its programs.
    pub fn home(&self) -> PathBuf {
        self.config.parent().expect("it is in a folder").to_owned()
    }

    /// A place for other files, gone with the profile.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable of every program started from here on.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.insert(name.into(), value.as_ref().to_owned());
    }

    /// Runs the programs of another folder from here on.
    pub fn use_programs(&mut self, folder: &Path) {
        folder.clone_into(&mut self.programs);
    }

    /// Where its programs are.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Replaces the configuration.
    pub fn configure(&self, text: &str) {
        fs::write(&self.config, text).expect("the configuration can be written");
    }

    /// Any program, with the variables of this profile and few others.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(&self.variables).current_dir(self.path());
        command
    }

    /// A call of `keyfob`.
    pub fn keyfob(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.programs.join("keyfob.exe"));
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

    /// `keyfob status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"], "").ok().json()
    }

    /// `keyfob agent status --json` of an agent that runs.
    #[track_caller]
    pub fn agent(&self) -> Value {
        self.run(&["agent", "status", "--json"], "").ok().json()
    }

    /// What the running agent wrote beside its lock file.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.state.join("agent.json")).ok()?).ok()
    }

    /// Ends the agent at once.
    ///
    /// # Panics
    /// When it stays.
    #[track_caller]
    pub fn kill_agent(&self) {
        let Some(record) = self.record() else { return };
        let mut kill = self.command(system_folder().join("taskkill.exe"));
        kill.args(["/F", "/PID", &record.pid.to_string()]);
        run(kill, "");
        let is_gone = || {
            // Whoever was just being served may have started the next one.
            if self.record().is_some_and(|now| now.pid != record.pid) {
                return true;
            }
            let lock = fs::OpenOptions::new().write(true).open(self.state.join("agent.lock"));
            lock.is_ok_and(|lock| lock.try_lock().is_ok())
        };
        wait_for("the end of the killed agent", Duration::from_secs(10), is_gone);
    }

    /// What lies in the Credential Manager for this profile: each entry's name, and the bytes in it.
    pub fn credentials(&self) -> Vec<(String, usize)> {
        let service = format!("@keyfob/{:016x}", fingerprint(&self.state));
        credentials().into_iter().filter(|(name, _)| name.ends_with(&service)).collect()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(&fs::read_to_string(self.state.join("keyfobd.log")).unwrap_or_default());
        }
        let mut stop = self.keyfob(&["agent", "stop"]);
        let stopped = stop.stdin(std::process::Stdio::null()).output();
        let is_stopped = stopped.is_ok_and(|stopped| stopped.status.success());
        if !std::thread::panicking() {
            assert!(is_stopped, "the agent does not stop");
            assert_eq!(self.credentials(), [], "a test takes away what it has stored");
        } else if !is_stopped {
            self.kill_agent();
        }
    }
}

/// What a failed test's agent said; the test runner shows it with the failure.
#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
fn show(log: &str) {
    eprintln!("--- the agent's log ---\n{log}-----------------------");
}

/// `[token.NAME]` for one host pattern: header `X-Aspect`, prefix `aw_`.
pub fn token(name: &str, host: &str) -> String {
    format!("[token.{name}]\nhosts = [\"{host}\"]\nheader = \"X-Aspect\"\nprefix = \"aw_\"\n")
}

/// cargo puts tests into `deps` of the folder with the programs.
fn beside_the_test() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own file");
    own.ancestors().nth(2).expect("it is two folders down").to_owned()
}

/// The programs of Windows itself.
fn system_folder() -> PathBuf {
    PathBuf::from(std::env::var_os("SystemRoot").expect("Windows says where it is")).join("System32")
}
