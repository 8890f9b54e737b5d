//! What Linux and macOS share: folders and their owners.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};

use crate::refusal::{Code, Refusal};

/// Whether the path is a folder of this user that nobody else can enter.
pub fn is_ours(path: &Path) -> bool {
    check_folder(path).is_ok()
}

/// Checks a private folder on the *opened* folder, so that what was checked is what is used: a folder, no link, owned by
/// this user, entered by nobody else.
///
/// # Errors
/// [`Code::PlaceUnsafe`], naming the folder and what is wrong with it.
pub fn check_folder(path: &Path) -> Result<(), Refusal> {
    let opened = rustix::fs::open(
        path,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY,
        Mode::empty(),
    )
    .map_err(|error| unsafe_place(path, &format!("cannot be opened as a folder ({error})"), ""))?;
    let stat = rustix::fs::fstat(opened.as_fd())
        .map_err(|error| unsafe_place(path, &format!("cannot be examined ({error})"), ""))?;
    judge(path, &stat)
}

fn judge(path: &Path, stat: &Stat) -> Result<(), Refusal> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(unsafe_place(path, "is not a folder", ""));
    }
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        return Err(unsafe_place(path, &format!("belongs to user {}, not to {me}", stat.st_uid), ""));
    }
    #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "st_mode is u16 on macOS"))]
    let mode = u32::from(stat.st_mode) & 0o777;
    if mode & 0o077 != 0 {
        return Err(unsafe_place(
            path,
            &format!("can be entered by others (mode {mode:o})"),
            &format!("chmod 700 '{}'", path.display()),
        ));
    }
    Ok(())
}

fn unsafe_place(path: &Path, problem: &str, hint: &str) -> Refusal {
    Refusal::new(Code::PlaceUnsafe, format!("the folder `{}` {problem}", path.display())).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_folder_is_ours_and_an_open_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_ours(folder.path()));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        let refusal = check_folder(folder.path()).unwrap_err();
        assert!(refusal.say.contains(&folder.path().display().to_string()), "{refusal}");
        assert!(refusal.say.contains("750"), "{refusal}");
        assert!(refusal.hint.starts_with("chmod 700"), "{refusal}");
    }

    #[test]
    fn a_link_to_a_private_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("private");
        std::fs::create_dir(&private).unwrap();
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&private, &link).unwrap();
        assert!(is_ours(&private));
        assert!(!is_ours(&link));
    }
}
