//! Who may know a key that stood in a file.

use std::path::Path;

/// How others may have got it, in words; `None` where only this person could read it, as far as the file tells.
pub fn why(path: &Path) -> Option<String> {
    others_read(path).or_else(|| {
        let is_in_git = path.ancestors().skip(1).any(|folder| folder.join(".git").exists());
        is_in_git.then(|| "it lies in a work tree of Git".to_owned())
    })
}

#[cfg(unix)]
fn others_read(path: &Path) -> Option<String> {
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).ok()?) & 0o777;
    (mode & 0o044 != 0).then(|| format!("its mode was {mode:o}"))
}

/// The folder of the person decides.
#[cfg(windows)]
fn others_read(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_mode_and_a_work_tree_expose() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/config.json");
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(&path, "x").unwrap();
        let with = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        with(0o600);
        assert_eq!(why(&path), None);
        for mode in [0o640, 0o604, 0o644] {
            with(mode);
            assert_eq!(why(&path), Some(format!("its mode was {mode:o}")));
        }
        with(0o600);
        // A work tree of a second kind has a file there.
        fs::write(folder.path().join(".git"), "gitdir: elsewhere").unwrap();
        assert_eq!(why(&path).as_deref(), Some("it lies in a work tree of Git"));
    }
}
