//! Where things are: state folder, configuration, sockets.
//!
//! There is one agent per user. Its places follow from the person's own folders alone (`base`); `XDG_RUNTIME_DIR` may
//! differ between a login shell, a cron job and `sudo`, so the record that the agent leaves ([`Record`]) has the last
//! word on where the live sockets are. `KEYFOB_RUNTIME_DIR`, `KEYFOB_STATE_DIR` and `KEYFOB_CONFIG` make a profile of
//! its own, and so does an environment that names other folders than the system does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::refusal::{Code, Refusal};

mod base;
pub(crate) use base::is_own_runtime;
use base::{Base, System, is_one_folder};

/// What of the environment decides about places. Filled by `main` alone.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Home folder by the environment (`HOME`, on Windows `USERPROFILE`).
    pub home: Option<PathBuf>,
    /// Home folder by the system ([`crate::peer::Folders::home`]): the user database, on Windows the known folder.
    pub passwd_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR` where that folder is this user's own; `su` keeps the variable of whoever called it.
    pub runtime: Option<PathBuf>,
    /// `LOCALAPPDATA` (Windows).
    pub local_app_data: Option<PathBuf>,
    /// `APPDATA` (Windows).
    pub app_data: Option<PathBuf>,
    /// What `LOCALAPPDATA` should be by the system (Windows).
    pub known_local_app_data: Option<PathBuf>,
    /// What `APPDATA` should be by the system (Windows).
    pub known_app_data: Option<PathBuf>,
    /// `KEYFOB_RUNTIME_DIR`.
    pub own_runtime: Option<PathBuf>,
    /// `KEYFOB_STATE_DIR`.
    pub own_state: Option<PathBuf>,
    /// `KEYFOB_CONFIG`.
    pub own_config: Option<PathBuf>,
    /// The user: a number on Unix, a SID on Windows.
    pub user: String,
}

impl Surroundings {
    /// Reads them from this process. For `main` only.
    pub fn of_this_process() -> Self {
        let variable = |name: &str| {
            std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
        };
        let system = crate::peer::folders();
        Self {
            home: variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" }),
            passwd_home: system.home,
            runtime: variable("XDG_RUNTIME_DIR").filter(|folder| is_own_runtime(folder)),
            local_app_data: variable("LOCALAPPDATA"),
            app_data: variable("APPDATA"),
            known_local_app_data: system.local_app_data,
            known_app_data: system.app_data,
            own_runtime: variable("KEYFOB_RUNTIME_DIR"),
            own_state: variable("KEYFOB_STATE_DIR"),
            own_config: variable("KEYFOB_CONFIG"),
            user: crate::peer::this_user(),
        }
    }
}

/// The places of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Lock file, encrypted keychain, logs.
    pub state: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// The folder of the sockets (Unix).
    pub runtime: PathBuf,
    /// Whether this is a profile of its own, apart from the person's real one: another keychain namespace, and plain
    /// `http` to loopback addresses is accepted.
    pub own_profile: bool,
    /// The user, part of pipe names on Windows.
    pub user: String,
}

impl Places {
    /// The places that follow from the surroundings.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where no home folder is known or a path is not absolute.
    pub fn of(surroundings: &Surroundings) -> Result<Self, Refusal> {
        let given = [&surroundings.own_runtime, &surroundings.own_state, &surroundings.own_config];
        if let Some(path) = given.into_iter().flatten().find(|path| !path.is_absolute()) {
            return Err(Refusal::new(
                Code::PlaceUnsafe,
                format!("`{}` is not an absolute path", path.display()),
            )
            .hint("set the KEYFOB_ variables to absolute paths"));
        }
        let profile = given.into_iter().any(Option::is_some);
        let base = Base::of(System::THIS, surroundings);
        let state = match &surroundings.own_state {
            Some(state) => apart_from_the_ordinary(state, surroundings)?,
            None => {
                let state = base.state()?;
                if profile { state.join("profiles").join(name_of(&given)) } else { state }
            }
        };
        let config = match &surroundings.own_config {
            Some(config) => config.clone(),
            // A second profile never falls back to the first one's configuration.
            None if surroundings.own_state.is_some() => state.join("config.toml"),
            None => base.config()?,
        };
        let runtime = match &surroundings.own_runtime {
            Some(runtime) => runtime.clone(),
            None if profile || base.borrowed => state.join("run"),
            None => default_runtime(surroundings, &state),
        };
        Ok(Self {
            state,
            config,
            runtime,
            own_profile: profile || base.borrowed,
            user: surroundings.user.clone(),
        })
    }

    /// The lock file: empty, and locked as long as the agent lives.
    pub fn lock(&self) -> PathBuf {
        self.state.join("agent.lock")
    }

    /// Where the agent leaves its [`Record`]. Not in the lock file: on Windows nobody else can read what is locked.
    pub fn record_file(&self) -> PathBuf {
        self.state.join("agent.json")
    }

    /// Taken by the caller that starts the agent, so that a burst of first calls starts one.
    pub fn start_lock(&self) -> PathBuf {
        self.state.join("start.lock")
    }

    /// The agent's own log.
    pub fn log(&self) -> PathBuf {
        self.state.join("keyfobd.log")
    }

    /// The address of the tool door.
    pub fn agent_socket(&self) -> PathBuf {
        self.socket("agent")
    }

    /// The address of the control door.
    pub fn control_socket(&self) -> PathBuf {
        self.socket("control")
    }

    fn socket(&self, door: &str) -> PathBuf {
        if cfg!(windows) {
            let profile =
                if self.own_profile { format!("-{:016x}", fingerprint(&self.state)) } else { String::new() };
            PathBuf::from(format!(r"\\.\pipe\keyfob-{}{profile}-{door}", self.user))
        } else {
            self.runtime.join(format!("{door}.sock"))
        }
    }

    /// Where the live agent's sockets are, by its own word; `None` where none has left one.
    pub fn record(&self) -> Option<Record> {
        let bytes = std::fs::read(self.record_file()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// What a running agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its process.
    pub pid: u32,
    /// Version of its binary.
    pub version: String,
    /// The tool door.
    pub agent: PathBuf,
    /// The control door.
    pub control: PathBuf,
}

/// A second profile in the ordinary one's folder would hold the person's lock with another configuration, and whoever
/// came later would be led to it.
fn apart_from_the_ordinary(state: &Path, surroundings: &Surroundings) -> Result<PathBuf, Refusal> {
    let mut system_alone = surroundings.clone();
    if surroundings.passwd_home.is_some() {
        (system_alone.home, system_alone.local_app_data, system_alone.app_data) = (None, None, None);
    }
    match Base::of(System::THIS, &system_alone).state() {
        Ok(ordinary) if is_one_folder(state, &ordinary) => Err(Refusal::new(
            Code::PlaceUnsafe,
            format!("`{}` is the ordinary state folder, and a second profile needs its own", state.display()),
        )
        .hint("set KEYFOB_STATE_DIR to another folder, or unset it")),
        _ => Ok(state.to_owned()),
    }
}

/// A stable 64-bit name of a path (FNV-1a). It keeps profiles apart and protects nothing.
pub fn fingerprint(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The name of a profile that these paths make, each of them at its place.
fn name_of(given: &[&Option<PathBuf>]) -> String {
    let all: OsString = given.iter().map(|path| path.as_deref().unwrap_or(Path::new("-")).as_os_str()).fold(
        OsString::new(),
        |mut all, path| {
            all.push(path);
            all.push("\n");
            all
        },
    );
    format!("{:016x}", fingerprint(Path::new(&all)))
}

fn default_runtime(surroundings: &Surroundings, state: &Path) -> PathBuf {
    if cfg!(not(target_os = "linux")) {
        return state.join("run");
    }
    let given = surroundings.runtime.clone().filter(|path| path.is_absolute());
    let usual = PathBuf::from(format!("/run/user/{}", surroundings.user));
    match given {
        Some(given) => given.join("keyfob"),
        None if crate::peer::is_ours(&usual) => usual.join("keyfob"),
        None => state.join("run"),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn ada() -> Surroundings {
        Surroundings {
            home: Some("/home/ada".into()),
            passwd_home: Some("/home/ada".into()),
            runtime: Some("/run/user/77".into()),
            user: "77".to_owned(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn the_ordinary_places() {
        let places = Places::of(&ada()).unwrap();
        assert_eq!(places.state, Path::new("/home/ada/.local/state/keyfob"));
        assert_eq!(places.config, Path::new("/home/ada/.config/keyfob/config.toml"));
        assert_eq!(places.agent_socket(), Path::new("/run/user/77/keyfob/agent.sock"));
        assert!(!places.own_profile);
    }

    #[test]
    fn an_empty_environment_finds_the_same_agent() {
        let empty = Surroundings {
            passwd_home: Some("/home/ada".into()),
            user: "77".to_owned(),
            ..Surroundings::default()
        };
        let places = Places::of(&empty).unwrap();
        assert_eq!(places.lock(), Places::of(&ada()).unwrap().lock());
        assert!(!places.own_profile);
    }

    #[test]
    fn without_any_home_it_refuses_and_says_what_to_set() {
        let refusal = Places::of(&Surroundings::default()).unwrap_err();
        assert_eq!(refusal.code, Code::PlaceUnsafe);
        assert!(refusal.hint.contains("HOME"));
    }

    #[test]
    fn each_variable_makes_a_profile_of_its_own_with_its_own_lock() {
        let ordinary = Places::of(&ada()).unwrap();
        for change in [
            Surroundings { own_config: Some("/tmp/evil.toml".into()), ..ada() },
            Surroundings { own_runtime: Some("/tmp/run".into()), ..ada() },
            Surroundings { own_state: Some("/tmp/state".into()), ..ada() },
            Surroundings { home: Some("/tmp/home".into()), ..ada() },
        ] {
            let places = Places::of(&change).unwrap();
            assert!(places.own_profile, "{change:?}");
            assert_ne!(places.lock(), ordinary.lock(), "{change:?}");
            assert_ne!(places.agent_socket(), ordinary.agent_socket(), "{change:?}");
        }
    }

    #[test]
    fn a_second_profile_does_not_sit_in_the_ordinary_ones_folder() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("ada");
        let state = home.join(".local/state/keyfob");
        std::fs::create_dir_all(&state).unwrap();
        let alias = folder.path().join("alias");
        std::os::unix::fs::symlink(&state, &alias).unwrap();
        let ada = Surroundings { home: Some(home.clone()), passwd_home: Some(home.clone()), ..ada() };
        for own in [state, alias, home.join("../ada/.local/state/keyfob")] {
            for home in [Some(home.clone()), Some("/tmp".into()), None] {
                let own = Surroundings { own_state: Some(own.clone()), home, ..ada.clone() };
                assert_eq!(Places::of(&own).unwrap_err().code, Code::PlaceUnsafe, "{own:?}");
            }
        }
        let apart = Surroundings { own_state: Some(folder.path().join("other")), ..ada };
        assert!(Places::of(&apart).unwrap().own_profile);
    }

    #[test]
    fn another_way_to_write_home_is_the_same_home() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("ada");
        std::fs::create_dir(&home).unwrap();
        let written =
            Surroundings { home: Some(home.join("../ada")), passwd_home: Some(home.clone()), ..ada() };
        let places = Places::of(&written).unwrap();
        assert!(!places.own_profile);
        assert_eq!(places.state, home.join(".local/state/keyfob"));
    }

    #[test]
    fn relative_variables_are_refused() {
        let relative = Surroundings { own_state: Some("state".into()), ..ada() };
        assert_eq!(Places::of(&relative).unwrap_err().code, Code::PlaceUnsafe);
    }
}
