//! Small files of the state folder that are this user's alone: never somebody else's, and never through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Opens a file of ours for reading.
///
/// # Errors
/// The system's own, and where this is no file of ours.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file of ours for reading and for writing at its end; makes it where there is none.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true).append(true).create(true), path)
}

#[cfg(unix)]
fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
    // A pipe in its place would be waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() || metadata.nlink() > 1 {
        return Err(io::Error::other("this is no file of ours"));
    }
    if metadata.mode() & 0o177 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

#[cfg(windows)]
fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // The profile folder's own access list keeps others out.
    options.open(path)
}

/// Puts a file in the place of what was there. It is on the disk when this returns; a crash leaves one of the two.
///
/// # Errors
/// The system's own.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    // One that was left behind may be anything.
    remove_if_there(&fresh)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_folder(path)
}

/// Removes a file; an absent one is as good as removed.
///
/// # Errors
/// The system's own.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    sync_folder(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A name is on the disk once its folder is. Windows knows no such call, and needs none.
///
/// # Errors
/// The system's own.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
