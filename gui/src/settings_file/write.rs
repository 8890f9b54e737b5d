//! A file in the place of another.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".keyfob-new");
    let fresh = PathBuf::from(fresh);
    // One that was left behind may be anything.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(&fresh, bytes, permissions)
        .and_then(|()| check())
        .and_then(|()| fs::rename(&fresh, path))
        .inspect_err(|_| {
            // It may not even have been made.
            let _ = fs::remove_file(&fresh);
        })?;
    // A name is on the disk once its folder is. Windows knows no such call, and needs none.
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write(fresh: &Path, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(fresh)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()
}
