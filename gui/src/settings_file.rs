//! The files that this program writes: its own small state, and `[agent] reminders` in the person's configuration.

mod edit;
mod write;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use keyfob_ipc::Places;
use serde::{Deserialize, Serialize};

pub use edit::{MOST_REMINDERS, NotEdited, is_step, with_reminders};

/// Largest file that is read, in bytes: the agent's own limit.
const SIZE: u64 = 4 * 1024 * 1024;

/// What this program remembers, in `tray.json` of the state folder.
#[derive(Debug)]
pub struct TrayFile {
    path: PathBuf,
    remembered: Remembered,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    /// The person has read that no panel shows the icon.
    #[serde(default)]
    said_no_tray: bool,
}

impl TrayFile {
    /// Reads it; one that is not there, or is no such file, remembers nothing.
    pub fn read(places: &Places) -> Self {
        let path = places.state.join("tray.json");
        let bytes = read(&path).unwrap_or_default();
        Self { path, remembered: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Whether the person has read that no panel shows the icon.
    pub fn said_no_tray(&self) -> bool {
        self.remembered.said_no_tray
    }

    /// Remembers that, in this run in any case.
    ///
    /// # Errors
    /// The system's own, where the file cannot be written.
    pub fn say_no_tray(&mut self) -> io::Result<()> {
        self.remembered.said_no_tray = true;
        let bytes = serde_json::to_vec(&self.remembered).map_err(io::Error::other)?;
        write::replace(&self.path, &bytes, None, || Ok(()))
    }
}

/// A configuration file as it was read.
#[derive(Debug)]
pub struct Configuration {
    /// Links resolved: the file behind a link is what a person edits.
    path: PathBuf,
    text: String,
}

impl Configuration {
    /// Reads it.
    ///
    /// # Errors
    /// [`NotEdited::Absent`], [`NotEdited::Unreadable`].
    pub fn read(path: &Path) -> Result<Self, NotEdited> {
        let read = || {
            let path = fs::canonicalize(path)?;
            let text = String::from_utf8(read(&path)?).map_err(io::Error::other)?;
            Ok(Self { path, text })
        };
        read().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => NotEdited::Absent,
            _ => NotEdited::Unreadable(error),
        })
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts another text in its place, with the same mode. A crash leaves one of the two.
    ///
    /// # Errors
    /// [`NotEdited::Changed`] where somebody has changed it since, [`NotEdited::Unwritable`].
    pub fn replace(&self, text: String) -> Result<Self, NotEdited> {
        let permissions = fs::metadata(&self.path).map_err(NotEdited::Unwritable)?.permissions();
        let mut is_changed = false;
        let check = || {
            is_changed = read(&self.path)? != self.text.as_bytes();
            if is_changed { Err(io::Error::other("the file has changed")) } else { Ok(()) }
        };
        let written = write::replace(&self.path, text.as_bytes(), Some(permissions), check);
        match written {
            Ok(()) => Ok(Self { path: self.path.clone(), text }),
            Err(_) if is_changed => Err(NotEdited::Changed),
            Err(error) => Err(NotEdited::Unwritable(error)),
        }
    }
}

/// An ordinary file, and not more of it than anybody writes.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe in its place would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("this is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE { Err(io::Error::other("this is too large")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Surroundings;

    use super::*;

    fn places(folder: &Path) -> Places {
        let at = |name: &str| Some(folder.join(name));
        let surroundings = Surroundings {
            own_state: at("state"),
            own_runtime: at("run"),
            home: at("home"),
            ..Surroundings::default()
        };
        Places::of(&surroundings).unwrap()
    }

    #[test]
    fn what_was_said_once_is_remembered_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        fs::create_dir_all(&places.state).unwrap();
        let mut file = TrayFile::read(&places);
        assert!(!file.said_no_tray());
        file.say_no_tray().unwrap();
        assert!(TrayFile::read(&places).said_no_tray());
        fs::write(places.state.join("tray.json"), "garbage").unwrap();
        assert!(!TrayFile::read(&places).said_no_tray());
    }

    #[cfg(unix)]
    #[test]
    fn what_it_remembers_is_this_users_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        fs::create_dir_all(&places.state).unwrap();
        TrayFile::read(&places).say_no_tray().unwrap();
        assert_eq!(fs::metadata(places.state.join("tray.json")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "a = 1\n").unwrap();
        let read = Configuration::read(&path).unwrap();
        fs::write(&path, "a = 2\n").unwrap();
        assert!(matches!(read.replace("a = 3\n".to_owned()), Err(NotEdited::Changed)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying");
        Configuration::read(&path).unwrap().replace("a = 3\n".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 3\n");
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_link_stay_as_they_were() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        fs::write(&path, "a = 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        Configuration::read(&link).unwrap().replace("a = 2\n".to_owned()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }
}
