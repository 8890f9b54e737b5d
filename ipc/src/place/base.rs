//! The folders that the places are below, and whether they are the person's own.
//!
//! Whoever sets the environment of the first caller must not get an agent over the person's keychain with a
//! configuration of their choice. So the system is asked as well; where the environment names another folder, that is
//! taken, as a profile of its own.

use std::path::{Component, Path, PathBuf};

use super::{Surroundings, name_of};
use crate::refusal::{Code, Refusal};

/// Whose customs decide. A value and not a `cfg`, so that each rule is tested everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Linux,
    Macos,
    Windows,
}

impl System {
    /// The one that this build is for.
    pub(super) const THIS: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::Macos
    } else {
        Self::Linux
    };

    /// Whether the environment gives another folder than the system knows.
    fn differs(self, given: Option<&Path>, real: Option<&Path>) -> bool {
        match (given, real) {
            (Some(given), Some(real)) => !self.is_one(given, real),
            // On Linux a user may be in no `/etc/passwd`. The other systems know every user: who can make them silent
            // must not win by it.
            (Some(_), None) => self != Self::Linux,
            (None, _) => false,
        }
    }

    /// Whether both are one path. On Windows upper and lower case are the same, which harms nothing: what is
    /// used is the system's.
    fn is_one(self, one: &Path, other: &Path) -> bool {
        match self {
            Self::Windows => {
                let (one, other) = (one.components(), other.components());
                let folded = |part: Component<'_>| part.as_os_str().to_ascii_lowercase();
                one.map(folded).eq(other.map(folded))
            }
            Self::Linux | Self::Macos => is_one_folder(one, other),
        }
    }
}

/// Whether two paths lead to one folder, by whatever links and dots.
pub(super) fn is_one_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

/// Whether a folder may be our `XDG_RUNTIME_DIR`: no link, owned by this user, and nobody else can put anything there.
/// Below another user's, the sockets and the session bus would be theirs.
#[cfg(unix)]
pub(crate) fn is_own_runtime(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    let is_own = |found: std::fs::Metadata| found.is_dir() && found.uid() == me && found.mode() & 0o022 == 0;
    folder.is_absolute() && std::fs::symlink_metadata(folder).is_ok_and(is_own)
}

/// Windows knows no such folder.
#[cfg(windows)]
pub(crate) fn is_own_runtime(_folder: &Path) -> bool {
    false
}

/// The folders that the places are below.
#[derive(Debug)]
pub(super) struct Base {
    system: System,
    home: Option<PathBuf>,
    /// For the state, instead of what is usual in `home` (Windows).
    local_app_data: Option<PathBuf>,
    /// For the configuration, likewise.
    app_data: Option<PathBuf>,
    /// The name of the profile that the variables of Windows make.
    apart: Option<String>,
    /// Whether the environment names other folders than the system.
    pub(super) borrowed: bool,
}

impl Base {
    pub(super) fn of(system: System, surroundings: &Surroundings) -> Self {
        if system == System::Windows {
            return Self::on_windows(surroundings);
        }
        let (home, real_home) = (absolute(&surroundings.home), surroundings.passwd_home.clone());
        let borrowed = system.differs(home.as_deref(), real_home.as_deref());
        Self {
            system,
            borrowed,
            // Where both lead to one folder, the system's way of writing it is the one.
            home: if borrowed { home } else { real_home.or(home) },
            local_app_data: None,
            app_data: None,
            apart: None,
        }
    }

    fn on_windows(surroundings: &Surroundings) -> Self {
        let system = System::Windows;
        let (home, real_home) = (absolute(&surroundings.home), surroundings.passwd_home.clone());
        let (local, roaming) = (absolute(&surroundings.local_app_data), absolute(&surroundings.app_data));
        let real_local =
            surroundings.known_local_app_data.clone().or_else(|| real_home.as_deref().map(usual_local));
        let real_roaming =
            surroundings.known_app_data.clone().or_else(|| real_home.as_deref().map(usual_roaming));
        let borrowed = system.differs(home.as_deref(), real_home.as_deref())
            || system.differs(local.as_deref(), real_local.as_deref())
            || system.differs(roaming.as_deref(), real_roaming.as_deref());
        if !borrowed {
            return Self {
                system,
                home: real_home.or(home),
                local_app_data: real_local,
                app_data: real_roaming,
                apart: None,
                borrowed,
            };
        }
        Self {
            system,
            // The variable for the state may be the true one, or another name of the true folder: this profile must not
            // meet the person's lock and record there.
            apart: Some(name_of(&[&home, &local, &roaming])),
            local_app_data: local.or_else(|| home.as_deref().map(usual_local)).or(real_local),
            app_data: roaming.or_else(|| home.as_deref().map(usual_roaming)).or(real_roaming),
            home: home.or(real_home),
            borrowed,
        }
    }

    /// The state folder.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where no home folder is known.
    pub(super) fn state(&self) -> Result<PathBuf, Refusal> {
        let state = match self.system {
            System::Linux => self.home()?.join(".local/state/keyfob"),
            System::Macos => self.home()?.join("Library/Application Support/Keyfob"),
            System::Windows => match &self.local_app_data {
                Some(folder) => folder.join("Keyfob"),
                None => usual_local(self.home()?).join("Keyfob"),
            },
        };
        Ok(match &self.apart {
            Some(name) => state.join("profiles").join(name),
            None => state,
        })
    }

    /// The configuration file.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where no home folder is known.
    pub(super) fn config(&self) -> Result<PathBuf, Refusal> {
        Ok(match self.system {
            System::Linux => self.home()?.join(".config/keyfob/config.toml"),
            System::Macos => self.home()?.join("Library/Application Support/Keyfob/config.toml"),
            System::Windows => match &self.app_data {
                Some(folder) => folder.join("Keyfob").join("config.toml"),
                None => usual_roaming(self.home()?).join("Keyfob").join("config.toml"),
            },
        })
    }

    fn home(&self) -> Result<&Path, Refusal> {
        let variable = if self.system == System::Windows { "USERPROFILE" } else { "HOME" };
        self.home.as_deref().ok_or_else(|| {
            Refusal::new(Code::PlaceUnsafe, "no home folder is known, so there is no place for the agent")
                .hint(format!("set {variable} to your home folder"))
        })
    }
}

/// A relative path depends on the folder that the caller happens to be in: as good as none.
fn absolute(path: &Option<PathBuf>) -> Option<PathBuf> {
    path.clone().filter(|path| path.is_absolute())
}

fn usual_local(home: &Path) -> PathBuf {
    home.join("AppData").join("Local")
}

fn usual_roaming(home: &Path) -> PathBuf {
    home.join("AppData").join("Roaming")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An absolute path on the system of the test.
    fn at(path: &str) -> Option<PathBuf> {
        let root = if cfg!(windows) { r"C:\" } else { "/" };
        Some(Path::new(root).join(path))
    }

    fn ada() -> Surroundings {
        Surroundings { home: at("home/ada"), passwd_home: at("home/ada"), ..Surroundings::default() }
    }

    fn ada_on_windows() -> Surroundings {
        Surroundings {
            local_app_data: at("disk/ada"),
            app_data: at("data/ada"),
            known_local_app_data: at("disk/ada"),
            known_app_data: at("data/ada"),
            ..ada()
        }
    }

    fn all(base: &Base) -> (PathBuf, PathBuf, bool) {
        (base.state().unwrap(), base.config().unwrap(), base.borrowed)
    }

    #[test]
    fn a_home_that_the_system_does_not_name_is_borrowed() {
        for system in [System::Linux, System::Macos, System::Windows] {
            let (state, _, borrowed) = all(&Base::of(system, &ada()));
            assert!(!borrowed, "{system:?}");
            let other = Surroundings { home: at("tmp/home"), ..ada() };
            let (other, config, borrowed) = all(&Base::of(system, &other));
            assert!(borrowed, "{system:?}");
            assert_ne!(other, state);
            assert!(other.starts_with(at("tmp/home").unwrap()));
            assert!(config.starts_with(at("tmp/home").unwrap()));
        }
    }

    #[test]
    fn only_linux_takes_a_home_on_trust_where_the_system_is_silent() {
        let silent = Surroundings { passwd_home: None, ..ada() };
        assert!(!Base::of(System::Linux, &silent).borrowed);
        assert!(Base::of(System::Macos, &silent).borrowed);
        assert!(Base::of(System::Windows, &silent).borrowed);
    }

    #[test]
    fn an_empty_or_relative_environment_finds_the_person_s_own_places() {
        let ordinary = all(&Base::of(System::Windows, &ada_on_windows()));
        let expected = (at("disk/ada/Keyfob").unwrap(), at("data/ada/Keyfob/config.toml").unwrap(), false);
        assert_eq!(ordinary, expected);
        for given in [None, Some(PathBuf::from("elsewhere"))] {
            let around = Surroundings {
                home: given.clone(),
                local_app_data: given.clone(),
                app_data: given,
                ..ada_on_windows()
            };
            assert_eq!(all(&Base::of(System::Windows, &around)), ordinary);
        }
    }

    #[test]
    fn each_of_the_three_variables_of_windows_makes_a_profile_with_its_own_state() {
        let (ordinary, ..) = all(&Base::of(System::Windows, &ada_on_windows()));
        let mut states = vec![ordinary];
        for change in [
            Surroundings { home: at("tmp/evil"), ..ada_on_windows() },
            Surroundings { local_app_data: at("tmp/evil"), ..ada_on_windows() },
            Surroundings { app_data: at("tmp/evil"), ..ada_on_windows() },
            // Another name of the person's own folder.
            Surroundings { local_app_data: at("disk/eve/../ada"), ..ada_on_windows() },
        ] {
            let base = Base::of(System::Windows, &change);
            let (state, config, borrowed) = all(&base);
            assert!(borrowed, "{change:?}");
            assert!(!states.contains(&state), "{change:?}");
            assert_ne!(state.parent().unwrap().file_name(), Some("Keyfob".as_ref()), "{change:?}");
            assert_eq!(Some(config), change.app_data.map(|folder| folder.join("Keyfob").join("config.toml")));
            states.push(state);
        }
    }

    #[test]
    fn a_known_folder_that_windows_does_not_tell_is_the_usual_one() {
        let usual = Surroundings {
            local_app_data: at("home/ada/AppData/Local"),
            app_data: at("home/ada/AppData/Roaming"),
            known_local_app_data: None,
            known_app_data: None,
            ..ada_on_windows()
        };
        assert!(!Base::of(System::Windows, &usual).borrowed);
        assert!(Base::of(System::Windows, &Surroundings { app_data: at("data/ada"), ..usual }).borrowed);
    }

    #[test]
    fn windows_compares_without_case_and_uses_the_system_s_spelling() {
        let shouted = Surroundings {
            home: at("HOME/Ada"),
            local_app_data: at("Disk/Ada"),
            app_data: at("DATA//ADA/"),
            ..ada_on_windows()
        };
        let ordinary = all(&Base::of(System::Windows, &ada_on_windows()));
        assert_eq!(all(&Base::of(System::Windows, &shouted)), ordinary);
        assert!(Base::of(System::Macos, &shouted).borrowed);
    }

    #[cfg(unix)]
    #[test]
    fn the_runtime_folder_of_somebody_else_is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        std::fs::create_dir(&own).unwrap();
        for (mode, is_own) in [(0o700, true), (0o755, true), (0o770, false), (0o702, false), (0o1777, false)]
        {
            std::fs::set_permissions(&own, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_own_runtime(&own), is_own, "{mode:o}");
        }
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        for other in [link, folder.path().join("file"), folder.path().join("absent"), "".into(), "src".into()]
        {
            assert!(!is_own_runtime(&other), "{other:?}");
        }
        // Root can give the folder away; for everybody else the first folder of all belongs to another.
        let foreign =
            if std::os::unix::fs::chown(&own, Some(77), None).is_ok() { &own } else { Path::new("/") };
        assert!(!is_own_runtime(foreign));
    }

    #[test]
    fn nobody_without_a_folder_gets_a_place() {
        for (system, variable) in [(System::Macos, "HOME"), (System::Windows, "USERPROFILE")] {
            let refusal = Base::of(system, &Surroundings::default()).state().unwrap_err();
            assert_eq!(refusal.code, Code::PlaceUnsafe);
            assert!(refusal.hint.contains(variable), "{refusal}");
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[test]
    fn this_process_sees_what_its_system_says() {
        let around = Surroundings::of_this_process();
        let bare = Surroundings { home: None, local_app_data: None, app_data: None, ..around.clone() };
        assert!(!Base::of(System::THIS, &bare).borrowed);
        assert!(bare.passwd_home.is_some());
        let (mut home, elsewhere) = (around, tempfile::tempdir().unwrap());
        home.home = Some(elsewhere.path().to_owned());
        assert!(Base::of(System::THIS, &home).borrowed);
    }
}
