//! The folder of the encrypted files: bounded reads, and writes that a crash cannot tear.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::super::{KeychainError, MAX_VALUE};

/// The largest file that is read: an item with what encryption adds (a header, and 16 bytes for each 64 KiB).
const MAX_FILE: u64 = MAX_VALUE as u64 + 4096;

/// A folder for this user alone.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Makes the folder, or makes sure that the one there is ours alone.
    pub(super) fn prepare(&self) -> Result<(), KeychainError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path).map_err(|error| failed("be made", &self.path, &error))?;
        #[cfg(unix)]
        self.check_ours()?;
        self.clear();
        Ok(())
    }

    /// Takes away what a crash left half-written: sealed, but nobody's.
    fn clear(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with('.') && name.ends_with(".age.new"))
            {
                // It is not looked at, so it may stay.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    #[cfg(unix)]
    fn check_ours(&self) -> Result<(), KeychainError> {
        use std::os::unix::fs::MetadataExt;
        let folder = fs::metadata(&self.path).map_err(|error| failed("be read", &self.path, &error))?;
        if folder.uid() != rustix::process::geteuid().as_raw() {
            return Err(KeychainError::Failed(format!("`{}` is another user's", self.path.display())));
        }
        if folder.mode() & 0o077 != 0 {
            return Err(KeychainError::Failed(format!(
                "`{0}` is open to other users; run `chmod 700 {0}`",
                self.path.display()
            )));
        }
        Ok(())
    }

    /// A file's bytes; `None` where there is none.
    pub(super) fn read(&self, file: &str) -> Result<Option<Vec<u8>>, KeychainError> {
        let path = self.path(file);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > MAX_FILE => {
                Err(KeychainError::Failed(format!("`{file}` is larger than any item of keyfob")))
            }
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("be read", &path, &error)),
        }
    }

    /// Puts `bytes` in place of the file: under another name first, on the disk before it takes the name.
    pub(super) fn write(&self, file: &str, bytes: &[u8]) -> Result<(), KeychainError> {
        let (path, fresh) = (self.path(file), self.path(&format!(".{file}.new")));
        // What a crash left is replaced by a new file, not written into: its mode and links are anyone's guess.
        let written = remove(&fresh)
            .and_then(|()| create(&fresh))
            .and_then(|mut opened| opened.write_all(bytes).and_then(|()| opened.sync_all()))
            .and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            // On a full disk it would keep the room that the next one needs.
            let _ = remove(&fresh);
        }
        written.and_then(|()| self.sync()).map_err(|error| failed("be written", &path, &error))
    }

    /// Removes a file; an absent one is as good as removed.
    pub(super) fn remove(&self, file: &str) -> Result<(), KeychainError> {
        let path = self.path(file);
        remove(&self.path(&format!(".{file}.new")))
            .and_then(|_| remove(&path))
            .and_then(|()| self.sync())
            .map_err(|error| failed("be removed", &path, &error))
    }

    /// Removes every file of ours, the identity last: a run that was ended leaves nothing that cannot be opened.
    pub(super) fn empty(&self) -> Result<(), KeychainError> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| failed("be read", &self.path, &error))?,
        };
        self.clear();
        let identity = format!("{}.age", super::IDENTITY);
        for entry in entries {
            let name = entry.map_err(|error| failed("be read", &self.path, &error))?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.ends_with(".age") && *name != identity) {
                self.remove(name)?;
            }
        }
        self.remove(&identity)
    }

    /// Whether any item is here.
    pub(super) fn holds_items(&self) -> Result<bool, KeychainError> {
        let entries = fs::read_dir(&self.path).map_err(|error| failed("be read", &self.path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("be read", &self.path, &error))?;
            if Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "age") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A rename is on the disk once its folder is. Windows knows no such call, and needs none.
    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> KeychainError {
    KeychainError::Failed(format!("`{}` cannot {what} ({error})", path.display()))
}
