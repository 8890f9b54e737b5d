//! Reading and replacing a person's configuration files.
//!
//! Dotfiles are often links into a repository: the link stays, the file behind it is replaced. The new content is written
//! beside it and renamed over it, so that a crash leaves the old or the new file, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroize as _;

/// Largest file that is edited, in bytes: what is larger is no configuration.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Links followed before it is a circle (Linux stops at 40 too).
const LINKS: usize = 40;

/// A file, links followed; it may be absent.
#[derive(Debug)]
pub struct Dotfile {
    /// The file itself.
    pub path: PathBuf,
    /// What it holds; `None` where it is not there.
    pub content: Option<Vec<u8>>,
}

impl Dotfile {
    /// Follows links, also to a file that is not there yet, and reads.
    pub fn read(path: &Path) -> io::Result<Self> {
        let path = follow(path)?;
        let content = match File::open(&path) {
            Ok(file) => {
                // At once: growing would leave copies of a secret in freed memory.
                let mut bytes = Vec::with_capacity(
                    usize::try_from(file.metadata()?.len().min(LARGEST)).unwrap_or_default() + 1,
                );
                file.take(LARGEST + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > LARGEST {
                    return Err(io::Error::from(io::ErrorKind::FileTooLarge));
                }
                Some(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, content })
    }

    /// Replaces the content and keeps the mode. A new file can be read by nobody else.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        self.put(content, false)
    }

    /// The same; nobody else can read it from here on, whatever its mode was.
    pub fn replace_private(&self, content: &[u8]) -> io::Result<()> {
        self.put(content, true)
    }

    /// Removes the file.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn put(&self, content: &[u8], private: bool) -> io::Result<()> {
        if let Some(folder) = self.path.parent()
            && !folder.exists()
        {
            make_private(folder)?;
        }
        let beside = self.beside();
        let written = self.write(&beside, content, private).and_then(|()| {
            let folder = self.folder()?;
            fs::rename(&beside, &self.path)?;
            Ok(folder)
        });
        match written {
            // From the rename on it is done, and nothing else may be said. That the new name outlives a loss of power is the
            // system's matter in any case; this only hurries it.
            Ok(folder) => drop(folder.map(|folder| folder.sync_all())),
            Err(error) => {
                // The error that matters is the one before.
                let _ = fs::remove_file(&beside);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Opened before the rename: a folder that cannot be is no reason to fail behind it. Windows has nothing to sync there.
    fn folder(&self) -> io::Result<Option<File>> {
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            return File::open(folder).map(Some);
        }
        Ok(None)
    }

    fn write(&self, beside: &Path, content: &[u8], private: bool) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(beside)?;
        file.write_all(content)?;
        if self.content.is_some() {
            let permissions = fs::metadata(&self.path)?.permissions();
            // Elsewhere the folder of the person decides.
            #[cfg(windows)]
            let _ = private;
            #[cfg(unix)]
            let permissions = if private { without_others(&permissions) } else { permissions };
            file.set_permissions(permissions)?;
        }
        file.sync_all()
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!("{BESIDE}{}", std::process::id()));
        self.path.with_file_name(name)
    }

    /// Whether other names lead to the same content, and would keep it when this one gets another. Windows does not tell.
    pub fn has_other_names(&self) -> bool {
        #[cfg(unix)]
        return fs::metadata(&self.path)
            .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) > 1);
        #[cfg(windows)]
        return false;
    }
}

/// Between the name of a file and the number of the process that writes it anew.
const BESIDE: &str = ".keyfob-";

/// What commands left beside a file, links followed, that were killed while they wrote it.
pub fn left_over(path: &Path) -> Vec<PathBuf> {
    let Ok(path) = follow(path) else { return Vec::new() };
    let (Some(folder), Some(own)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|other| {
            let name = other.file_name().unwrap_or_default().as_encoded_bytes();
            let end = name.strip_prefix(own.as_encoded_bytes());
            let process = end.and_then(|end| end.strip_prefix(BESIDE.as_bytes()));
            process.is_some_and(|process| !process.is_empty() && process.iter().all(u8::is_ascii_digit))
        })
        .collect()
}

/// Some files hold a secret.
impl Drop for Dotfile {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

#[cfg(unix)]
fn without_others(permissions: &fs::Permissions) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(permissions.mode() & 0o600)
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("/")).join(target);
            }
            Ok(metadata) if metadata.is_file() => return Ok(path),
            Ok(_) => return Err(io::Error::other("it is no file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its links go in a circle"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_link_stays_and_the_mode_too() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join(".bazelrc"));
        fs::write(&real, "a\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        let file = Dotfile::read(&link).unwrap();
        assert_eq!(file.content.as_deref(), Some(&b"a\n"[..]));
        file.replace(b"b\n").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"b\n");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_made_private_is_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for (before, after) in [(0o644, 0o600), (0o660, 0o600), (0o400, 0o400)] {
            fs::write(&path, "a").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
            Dotfile::read(&path).unwrap().replace_private(b"b").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, after);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_link_to_nothing_makes_the_file_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path().join("new/config"), &link).unwrap();
        let file = Dotfile::read(&link).unwrap();
        assert!(file.content.is_none());
        file.replace(b"x").unwrap();
        let made = folder.path().join("new/config");
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_is_left_over_lies_beside_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("repository")).unwrap();
        let real = folder.path().join("repository/metaflow.json");
        let link = folder.path().join("config.json");
        for name in ["", ".keyfob-4000000", ".keyfob-", ".keyfob-1a", ".keyfob-mine", "x.keyfob-1"] {
            fs::write(format!("{}{name}", real.display()), "a").unwrap();
        }
        symlink("repository/metaflow.json", &link).unwrap();
        let left = folder.path().join("repository/metaflow.json.keyfob-4000000");
        assert_eq!((left_over(&link), left_over(&real)), (vec![left.clone()], vec![left]));
        assert_eq!(left_over(&folder.path().join("nowhere/config.json")), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_cannot_be_opened_stops_it_before_anything_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let path = inner.join("config.json");
        fs::create_dir(&inner).unwrap();
        fs::write(&path, "old").unwrap();
        let file = Dotfile::read(&path).unwrap();
        // Names can be made and found there, and not listed: whoever may do everything may list it, too.
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o300)).unwrap();
        let can_list = fs::read_dir(&inner).is_ok();
        let written = file.replace(b"new");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(written.is_ok(), can_list);
        assert_eq!(fs::read(&path).unwrap(), if can_list { "new" } else { "old" }.as_bytes());
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn a_hard_link_is_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "a").unwrap();
        assert!(!Dotfile::read(&path).unwrap().has_other_names());
        fs::hard_link(&path, folder.path().join("other")).unwrap();
        assert!(Dotfile::read(&path).unwrap().has_other_names());
    }

    #[test]
    fn folders_and_circles_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Dotfile::read(folder.path()).is_err());
        let link = folder.path().join("circle");
        symlink(&link, &link).unwrap();
        assert!(Dotfile::read(&link).is_err());
    }
}
