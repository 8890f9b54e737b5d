//! The installer, and what it leaves in the person's own folders and registry.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use windows_registry::{CURRENT_USER, Key};

use crate::Profile;
use crate::run::{Output, run};

/// An installer of one version.
#[derive(Debug)]
pub struct Installer(PathBuf);

impl Installer {
    /// The one of the version that comes first.
    ///
    /// # Panics
    /// Where nobody has made one.
    #[track_caller]
    pub fn first() -> Self {
        Self::named("KEYFOB_TEST_INSTALLER")
    }

    /// The one of the version after it.
    ///
    /// # Panics
    /// Where nobody has made one.
    #[track_caller]
    pub fn next() -> Self {
        Self::named("KEYFOB_TEST_NEXT_INSTALLER")
    }

    #[track_caller]
    fn named(variable: &str) -> Self {
        let Some(file) = env::var_os(variable).map(PathBuf::from) else {
            panic!("{variable} names no installer; these tests are run by: cargo xtask cross windows");
        };
        assert!(file.is_file(), "{variable} names {}, which is no file", file.display());
        Self(file)
    }

    /// Installs without a word, with the variables of a profile: its agent is the one that is found.
    #[track_caller]
    pub fn run_with(&self, profile: &Profile) -> Output {
        silently(profile, &self.0)
    }

    /// Installs without a word, as where this person's own folder has a space in its name.
    #[track_caller]
    pub fn run_plain(&self) -> Output {
        let mut command = Command::new(&self.0);
        command.args(["/S", "/PLAIN"]);
        run(command, "")
    }

    /// Installs without a word; into another folder than the usual one where one is given.
    #[track_caller]
    pub fn run(&self, folder: Option<&Path>) -> Output {
        let mut command = Command::new(&self.0);
        command.arg("/S");
        if let Some(folder) = folder {
            add_folder(&mut command, folder);
        }
        run(command, "")
    }
}

/// The last argument, and never in quotation marks, whatever is in it: so NSIS wants it.
fn add_folder(command: &mut Command, folder: &Path) {
    std::os::windows::process::CommandExt::raw_arg(command, format!("/D={}", folder.display()));
}

/// Runs an installer or uninstaller with the variables of a profile, but for those that say where this person's folders are.
#[track_caller]
pub fn silently(profile: &Profile, program: &Path) -> Output {
    let mut command = profile.command(program);
    command.arg("/S").envs(["USERPROFILE", "LOCALAPPDATA", "APPDATA"].map(|name| (name, folder(name))));
    run(command, "")
}

/// Places of this person that an installer writes to.
#[derive(Debug)]
pub struct Folders;

impl Folders {
    /// Where the programs are installed.
    pub fn programs() -> PathBuf {
        folder("LOCALAPPDATA").join(r"Programs\Keyfob")
    }

    /// The entry of the start menu.
    pub fn start_menu() -> PathBuf {
        folder("APPDATA").join(r"Microsoft\Windows\Start Menu\Programs\Keyfob.lnk")
    }

    /// The key of the list of installed programs.
    pub fn apps_key() -> Option<Key> {
        CURRENT_USER.open(r"Software\Microsoft\Windows\CurrentVersion\Uninstall\Keyfob").ok()
    }

    /// What starts at sign-in under the name of Keyfob.
    pub fn run_line() -> Option<String> {
        Self::run_key().get_string("Keyfob").ok()
    }

    /// The key of what starts at sign-in.
    ///
    /// # Panics
    /// Where the registry takes none.
    pub fn run_key() -> Key {
        CURRENT_USER.create(r"Software\Microsoft\Windows\CurrentVersion\Run").expect("this person's own key")
    }

    /// The key with this person's own PATH.
    ///
    /// # Panics
    /// Where the registry takes none.
    pub fn environment_key() -> Key {
        CURRENT_USER.create("Environment").expect("this person's own key")
    }
}

fn folder(variable: &str) -> PathBuf {
    PathBuf::from(env::var_os(variable).unwrap_or_else(|| panic!("Windows sets {variable}")))
}
