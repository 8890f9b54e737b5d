//! The configuration file while it is being edited.
//!
//! There is no watcher: a question costs one `stat`, and a file that changed is read before it is answered. A broken edit
//! keeps the last good configuration in force.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use keyfob_ipc::reply::ConfigReport;
use keyfob_ipc::{Code, Refusal};

use super::load::SIZE;
use super::{Config, Limits, load};

/// Counts configurations put in force since the start.
pub type Version = u64;

/// The file, and the last good configuration read from it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    limits: Limits,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    good: Option<Arc<Config>>,
    version: Version,
    errors: Vec<String>,
    stamp: Option<Stamp>,
}

/// What tells one saved state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
    /// Owner and mode of the folder: they are checked too, and mending them changes nothing of the file.
    #[cfg(unix)]
    folder: Option<(u32, u32)>,
}

impl Stamp {
    fn of(path: &Path, metadata: &std::fs::Metadata) -> Self {
        #[cfg(windows)]
        let _ = path;
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            modified: metadata.modified().ok(),
            size: metadata.len(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
            #[cfg(unix)]
            folder: path
                .parent()
                .map(std::fs::metadata)
                .and_then(Result::ok)
                .map(|folder| (folder.uid(), folder.mode())),
        }
    }
}

impl Store {
    /// The store over a file, read at once.
    pub fn open(path: PathBuf, limits: Limits) -> Self {
        let current = Current { good: None, version: 0, errors: Vec::new(), stamp: None };
        let store = Self { path, limits, current: Mutex::new(current) };
        store.refresh(true);
        store
    }

    /// The configuration in force, after a look at the file.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where the file is broken and none was good since the start.
    pub fn config(&self) -> Result<(Arc<Config>, Version), Refusal> {
        self.refresh(false);
        let current = self.lock();
        match &current.good {
            Some(config) => Ok((config.clone(), current.version)),
            None => Err(Refusal::new(
                Code::ConfigBroken,
                format!(
                    "the configuration `{}` does not load: {}",
                    self.path.display(),
                    current.errors.first().map_or("", String::as_str)
                ),
            )
            .hint("keyfob config check")),
        }
    }

    /// The file and its errors, read again.
    pub fn check(&self) -> ConfigReport {
        self.refresh(true);
        self.report()
    }

    /// The file and its errors, as last read.
    pub fn report(&self) -> ConfigReport {
        self.refresh(false);
        let current = self.lock();
        ConfigReport {
            path: self.path.display().to_string(),
            exists: current.stamp.is_some(),
            errors: current.errors.clone(),
            in_force: current.good.is_some(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, always: bool) {
        let stamp = std::fs::metadata(&self.path).map(|metadata| Stamp::of(&self.path, &metadata)).ok();
        let mut current = self.lock();
        let first = current.version == 0 && current.errors.is_empty();
        if !always && !first && current.stamp == stamp {
            return;
        }
        current.stamp = stamp;
        let text = read(&self.path).and_then(|text| match &current.good {
            // Some editors empty or remove the file before they write it: the words of a moment are no edit.
            Some(good) if text.trim().is_empty() && !good.entries.is_empty() => {
                Err("the file is gone or empty (`keyfob agent restart`, if that is what you want)".to_owned())
            }
            _ => Ok(text),
        });
        match text.map_err(|error| vec![error]).and_then(|text| load(&text, self.limits)) {
            Ok(mut config) => {
                config.file = Some(self.path.clone());
                current.good = Some(Arc::new(config));
                current.version += 1;
                current.errors.clear();
            }
            Err(errors) => {
                tracing::warn!(
                    errors = errors.len(),
                    "the configuration does not load; the last good one stays in force"
                );
                current.errors = errors;
            }
        }
    }
}

/// The text of the file; an absent file is an empty configuration.
fn read(path: &Path) -> Result<String, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(format!("the file cannot be read ({error})")),
    };
    check_owner(&file, path)?;
    let mut text = String::new();
    let limit = u64::try_from(SIZE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|error| format!("the file cannot be read ({error})"))?;
    Ok(text)
}

/// Whoever can write the file decides where tokens go: it must be ours alone to write, and so must its folder.
#[cfg(unix)]
fn check_owner(file: &File, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let metadata = file.metadata().map_err(|error| format!("the file cannot be examined ({error})"))?;
    if !metadata.is_file() {
        return Err("this is not a regular file".to_owned());
    }
    let folder = path.parent().map(std::fs::metadata).and_then(Result::ok);
    for (what, metadata) in std::iter::once(("file", metadata)).chain(folder.map(|folder| ("folder", folder)))
    {
        // Root owns files that an administrator deploys; root can read our memory anyway.
        if metadata.uid() != me && metadata.uid() != 0 {
            return Err(format!("the {what} belongs to user {}, not to {me}", metadata.uid()));
        }
        // A folder with the sticky bit lets nobody replace another's file. On a file that bit means nothing.
        let is_sticky_folder = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        if metadata.mode() & 0o022 != 0 && !is_sticky_folder {
            return Err(format!(
                "the {what} can be written by others (mode {:o}); run: chmod go-w '{}'",
                metadata.mode() & 0o777,
                if what == "file" { path } else { path.parent().unwrap_or(path) }.display()
            ));
        }
    }
    Ok(())
}

#[cfg(windows)]
fn check_owner(_file: &File, _path: &Path) -> Result<(), String> {
    // The profile folder's own access list keeps others out.
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_sticky_bit_excuses_the_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        let modes = |of_folder, of_file| {
            for (path, mode) in [(folder.path(), of_folder), (path.as_path(), of_file)] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            read(&path)
        };
        assert_eq!(modes(0o700, 0o600), Ok(String::new()));
        assert_eq!(modes(0o1777, 0o600), Ok(String::new()));
        for (of_folder, of_file, what) in
            [(0o777, 0o600, "the folder"), (0o700, 0o666, "the file"), (0o1777, 0o1666, "the file")]
        {
            let refused = modes(of_folder, of_file).unwrap_err();
            assert!(refused.starts_with(what), "{of_folder:o} {of_file:o}: {refused}");
        }
    }
}
