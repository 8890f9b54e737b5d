//! A file in the place of another.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// New names that are tried: others are taken only by what was left behind.
const NAMES: usize = 64;

/// Puts a file in the place of what was there, or of nothing; this user's alone, unless other permissions are given. It is on
/// the disk when this returns. `check` has the last word before the old one goes.
///
/// # Errors
/// The system's own, and that of `check`; then everything is as it was.
pub(super) fn replace(
    path: &Path,
    bytes: &[u8],
    permissions: Option<Permissions>,
    check: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    if permissions.as_ref().is_some_and(is_read_only) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let (fresh, file) = make(path)?;
    write(file, bytes, permissions)
        .and_then(|()| check())
        .and_then(|()| fs::rename(&fresh, path))
        .inspect_err(|_| {
            // The error is told; what is left lying is in nobody's way.
            let _ = fs::remove_file(&fresh);
        })?;
    // A name is on the disk once its folder is. Windows knows no such call, and needs none.
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Whether its owner has said that it stays as it is. A rename does not ask for that.
fn is_read_only(permissions: &Permissions) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(permissions) & 0o200 == 0;
    #[cfg(not(unix))]
    permissions.readonly()
}

/// A file beside it that nobody else writes, this user's alone.
fn make(path: &Path) -> io::Result<(PathBuf, File)> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..NAMES {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".keyfob-new-{}-{number}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        match options.open(&fresh) {
            Ok(file) => return Ok((fresh, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

fn write(mut file: File, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_once_do_not_take_each_others_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("config.toml"), folder.path().join("else"));
        fs::write(&path, "0").unwrap();
        // In the middle of the first, the second begins and ends.
        let second = || replace(&path, b"2", None, || fs::copy(&path, &other).map(drop));
        replace(&path, b"1", None, second).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1", "whoever ends last");
        assert_eq!(fs::read_to_string(&other).unwrap(), "0");
        fs::remove_file(&other).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying");
    }

    #[test]
    fn what_its_owner_has_made_read_only_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "0").unwrap();
        let writable = fs::metadata(&path).unwrap().permissions();
        let mut permissions = writable.clone();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions.clone()).unwrap();
        let refused = replace(&path, b"1", Some(permissions), || Ok(())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fs::read_to_string(&path).unwrap(), "0");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying");
        // The control: one that may be written is.
        fs::set_permissions(&path, writable.clone()).unwrap();
        replace(&path, b"1", Some(writable), || Ok(())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    }
}
