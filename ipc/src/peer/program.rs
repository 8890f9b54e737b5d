//! Which file a process runs, apart from what it calls itself.

use std::path::{Path, PathBuf};

/// The program of a process, as the system tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The path of the executable as the system names it, without any mark of the system's. It is a text: another mount
    /// namespace can have another file there.
    pub path: PathBuf,
    /// The file that runs; `None` where the system does not tell it from the one that is at `path` now.
    pub file: Option<FileId>,
    /// The file at `path` is not, or may not be, the one that runs: it was replaced or removed meanwhile.
    pub is_replaced: bool,
}

/// A file, whatever it is called: comparing two of these asks whether they are one file, comparing paths does not.
///
/// Unix: device and inode. Windows: serial number of the volume and file index; ReFS may number two files alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The file system it is in.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl FileId {
    /// The file at this path in this process' view of the folders. Links are followed.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be examined.
    #[cfg(unix)]
    pub fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// The file at this path. Links are followed.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be examined.
    #[cfg(windows)]
    pub fn of(path: &Path) -> std::io::Result<Self> {
        super::platform::file_at(path).map(|(file, _)| file)
    }
}

/// What the kernel puts behind the path of a file that was removed, or replaced by renaming another one over it.
#[cfg(target_os = "linux")]
const DELETED: &[u8] = b" (deleted)";

impl Program {
    /// The program of a process that runs `file`, which the kernel names `named`. `at` tells the file at a path.
    ///
    /// A file may be *called* `… (deleted)`, so the mark counts only where that name does not lead to the file.
    #[cfg(target_os = "linux")]
    pub(super) fn running(file: FileId, named: PathBuf, at: impl Fn(&Path) -> Option<FileId>) -> Self {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let there = at(&named);
        let (path, is_replaced) = match named.as_os_str().as_bytes().strip_suffix(DELETED) {
            Some(path) if there != Some(file) => (PathBuf::from(OsStr::from_bytes(path)), true),
            // Out of sight is not replaced: it may be a path of another namespace.
            _ => (named, there.is_some_and(|there| there != file)),
        };
        Self { path, file: Some(file), is_replaced }
    }

    /// The program of a process that began at `began`, where the system names a path only. `there` is the file at that
    /// path and when anything about it was changed last: its content, its name, its links.
    ///
    /// It is the file that runs if it was there, as it is, when the process began.
    #[cfg(any(test, not(target_os = "linux")))]
    pub(super) fn unchanged_since<T: PartialOrd>(
        began: &T,
        path: PathBuf,
        there: Option<(FileId, T)>,
    ) -> Self {
        let file = there.filter(|(_, changed)| changed <= began).map(|(file, _)| file);
        Self { path, file, is_replaced: file.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: FileId = FileId { device: 1, inode: 7 };

    #[test]
    #[cfg(target_os = "linux")]
    fn the_mark_of_the_kernel_is_taken_off_and_a_name_that_looks_like_it_is_kept() {
        const OTHER: FileId = FileId { device: 1, inode: 8 };
        for (named, path, there, is_replaced) in [
            ("/bin/tool", "/bin/tool", Some(RUNS), false),
            ("/bin/tool", "/bin/tool", Some(OTHER), true),
            ("/bin/tool", "/bin/tool", None, false),
            ("/bin/tool (deleted)", "/bin/tool", None, true),
            ("/bin/tool (deleted)", "/bin/tool", Some(OTHER), true),
            ("/bin/tool (deleted)", "/bin/tool (deleted)", Some(RUNS), false),
            ("/bin/tool (deleted) (deleted)", "/bin/tool (deleted)", None, true),
        ] {
            let program = Program::running(RUNS, named.into(), |asked| {
                assert_eq!(asked, Path::new(named));
                there
            });
            assert_eq!(program, Program { path: path.into(), file: Some(RUNS), is_replaced }, "{named}");
        }
    }

    #[test]
    fn a_file_that_changed_after_the_process_began_is_not_taken_for_the_one_that_runs() {
        let at = |there| Program::unchanged_since(&50, "tool".into(), there);
        assert_eq!((at(Some((RUNS, 50))).file, at(Some((RUNS, 50))).is_replaced), (Some(RUNS), false));
        assert_eq!((at(Some((RUNS, 51))).file, at(Some((RUNS, 51))).is_replaced), (None, true));
        assert_eq!((at(None).file, at(None).is_replaced), (None, true));
    }

    #[test]
    fn a_file_is_one_under_two_names_and_a_copy_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (file, linked, copy) =
            (folder.path().join("file"), folder.path().join("linked"), folder.path().join("copy"));
        std::fs::write(&file, "text").unwrap();
        std::fs::hard_link(&file, &linked).unwrap();
        std::fs::copy(&file, &copy).unwrap();
        assert_eq!(FileId::of(&file).unwrap(), FileId::of(&linked).unwrap());
        assert_ne!(FileId::of(&file).unwrap(), FileId::of(&copy).unwrap());
        assert!(FileId::of(&folder.path().join("absent")).is_err());
    }
}
