//! A folder in memory for programs that read their configuration from files alone: private, and gone with the program.
//!
//! The process that made one holds a lock on it. What has no lock was left by one that was killed, and the next
//! `keyfob exec` removes it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use keyfob_ipc::{Code, Refusal, Secret};

/// How a folder's name begins; sixteen hexadecimal digits follow.
const PREFIX: &str = "keyfob-exec-";
const DIGITS: usize = 16;

/// How often another name is tried where a sweep took the folder that was being made.
const TRIES: usize = 5;

/// How many files of a place a sweep looks at: anybody may fill the shared ones.
const LOOKED_AT: usize = 20_000;

/// Where such folders may be, the best first: in memory, as far as the system has such a place, else where temporary files go.
/// `runtime` is known to be this user's own.
pub fn places(runtime: Option<&Path>, temporary: &Path) -> Vec<PathBuf> {
    let in_memory = runtime.into_iter().chain(platform::MEMORY.map(Path::new)).filter(|place| {
        // What is not in memory is no better than the last one.
        platform::is_in_memory(place)
    });
    in_memory
        .chain([temporary])
        .filter(|place| place.is_absolute() && place.to_str().is_some() && platform::keeps_others_out(place))
        .map(Path::to_owned)
        .collect()
}

/// What is said where there is no good place.
pub const ELSEWHERE: &str =
    if cfg!(windows) { "set TEMP to a folder of your own" } else { "set TMPDIR to a folder of your own" };

/// A folder of this process.
pub struct Folder {
    path: PathBuf,
    /// Says that its maker lives.
    _lock: File,
}

impl Folder {
    /// Makes one in the first place that takes it.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where there is no such place.
    pub fn make(places: &[PathBuf]) -> Result<Self, Refusal> {
        let refuse = |say: String| Refusal::new(Code::PlaceUnsafe, say).hint(ELSEWHERE);
        let mut refusal = refuse("there is no folder for files of this run".to_owned());
        for place in places {
            match Self::make_in(place) {
                Ok(folder) => return Ok(folder),
                Err(error) => {
                    let place = keyfob_ipc::text::escape(&place.display().to_string());
                    refusal = refuse(format!("no folder can be made below `{place}` ({error})"));
                }
            }
        }
        Err(refusal)
    }

    fn make_in(place: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let number = getrandom::u64().map_err(io::Error::other)?;
            let path = place.join(format!("{PREFIX}{number:016x}"));
            #[cfg_attr(
                windows,
                expect(unused_mut, reason = "a folder is as private there as the one it is in")
            )]
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&path)?;
            match platform::hold(&path) {
                Ok(Some(lock)) => return Ok(Self { path, _lock: lock }),
                Ok(None) => {}
                Err(error) => {
                    // It is empty, and the next sweep finds it otherwise.
                    let _ = std::fs::remove_dir(&path);
                    return Err(error);
                }
            }
        }
        Err(io::Error::from(io::ErrorKind::WouldBlock))
    }

    /// Where it is; the places are text.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    /// Writes a file that only this user can read.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] where it cannot be written: memory may be full.
    pub fn write(&self, name: &str, content: &Secret<String>) -> Result<(), Refusal> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(self.path.join(name))
            .and_then(|mut file| file.write_all(content.expose().as_bytes()));
        written.map_err(|error| {
            let path = keyfob_ipc::text::escape(self.path());
            Refusal::new(Code::PlaceUnsafe, format!("`{name}` cannot be written to `{path}` ({error})"))
                .hint(format!("make room there, or {ELSEWHERE}"))
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What the program started and left behind may still write there.
        for _ in 0..TRIES {
            match std::fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => return,
            }
        }
    }
}

/// Removes what killed processes of this user have left.
pub fn sweep(places: &[PathBuf]) {
    for place in places {
        let Ok(found) = std::fs::read_dir(place) else { continue };
        for path in found.take(LOOKED_AT).flatten().map(|found| found.path()).filter(|path| is_ours(path)) {
            // Held until it is gone. Nothing behind a link in it is touched (`remove_dir_all`).
            if let Some(_lock) = platform::abandoned(&path) {
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }
}

fn is_ours(path: &Path) -> bool {
    let digits = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(unix)]
mod platform {
    use std::fs::{File, TryLockError};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::process::geteuid;

    /// A place in memory that every program has.
    pub(super) const MEMORY: Option<&str> = if cfg!(target_os = "linux") { Some("/dev/shm") } else { None };

    /// `tmpfs` and `ramfs` (statfs(2)).
    #[cfg(target_os = "linux")]
    pub(super) fn is_in_memory(place: &Path) -> bool {
        const KINDS: [u64; 2] = [0x0102_1994, 0x8584_58f6];
        rustix::fs::statfs(place)
            .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| KINDS.contains(&kind)))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_in_memory(_: &Path) -> bool {
        false
    }

    /// Whether nobody else can put another folder into the place of ours.
    pub(super) fn keeps_others_out(place: &Path) -> bool {
        let is_safe = |stat: std::fs::Metadata| {
            let of_whom = stat.uid() == 0 || stat.uid() == geteuid().as_raw();
            stat.is_dir() && of_whom && (stat.mode() & 0o022 == 0 || stat.mode() & 0o1000 != 0)
        };
        std::fs::metadata(place).is_ok_and(is_safe)
    }

    /// Locks a folder that was made this moment; `None` where a sweep was faster.
    pub(super) fn hold(path: &Path) -> io::Result<Option<File>> {
        let folder = match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let (held, there) = (folder.metadata()?, std::fs::symlink_metadata(path));
        let is_there = there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
        Ok(is_there.then_some(folder))
    }

    /// The lock of a folder that nobody holds any more, of this user.
    pub(super) fn abandoned(path: &Path) -> Option<File> {
        let folder = open(path).ok()?;
        let stat = folder.metadata().ok()?;
        let is_ours = stat.uid() == geteuid().as_raw() && stat.mode() & 0o7777 == 0o700;
        (is_ours && folder.try_lock().is_ok()).then_some(folder)
    }

    /// The folder itself: neither what a link leads to, nor a pipe that would make us wait.
    fn open(path: &Path) -> io::Result<File> {
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
        File::options().read(true).custom_flags(flags.cast_signed()).open(path)
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) const MEMORY: Option<&str> = None;

    /// Folders cannot be locked here.
    const LOCK: &str = "keyfob.lock";

    pub(super) fn is_in_memory(_: &Path) -> bool {
        false
    }

    /// The folder for temporary files is in the profile, which keeps other users out.
    pub(super) fn keeps_others_out(place: &Path) -> bool {
        place.is_dir()
    }

    pub(super) fn hold(path: &Path) -> io::Result<Option<File>> {
        let lock = File::options().write(true).create_new(true).open(path.join(LOCK))?;
        Ok(lock.try_lock().is_ok().then_some(lock))
    }

    pub(super) fn abandoned(path: &Path) -> Option<File> {
        if !std::fs::symlink_metadata(path).is_ok_and(|stat| stat.is_dir()) {
            return None;
        }
        let lock = File::options().write(true).open(path.join(LOCK)).ok()?;
        lock.try_lock().is_ok().then_some(lock)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// As a killed process leaves it.
    fn left_behind(place: &Path, number: u64) -> PathBuf {
        let path = place.join(format!("{PREFIX}{number:016x}"));
        DirBuilder::new().create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(path.join("config.json"), "s3cret").unwrap();
        path
    }

    #[test]
    fn a_folder_is_private_and_gone_with_its_holder() {
        let place = tempfile::tempdir().unwrap();
        let places = [place.path().to_owned()];
        let folder = Folder::make(&places).unwrap();
        folder.write("config.json", &Secret::from("s3cret")).unwrap();
        let path = PathBuf::from(folder.path());
        assert_eq!((mode(&path), mode(&path.join("config.json"))), (0o700, 0o600));
        assert!(is_ours(&path) && path.parent() == Some(place.path()));
        // What its maker holds, another process's sweep leaves alone.
        sweep(&places);
        assert_eq!(std::fs::read_to_string(path.join("config.json")).unwrap(), "s3cret");
        // What the program has put there goes, too, but nothing behind a link.
        let outside = place.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("mine"), "").unwrap();
        std::fs::create_dir(path.join("cache")).unwrap();
        symlink(&outside, path.join("cache/link")).unwrap();
        drop(folder);
        assert!(!path.exists() && outside.join("mine").exists());
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let left = left_behind(place.path(), 1);
        let others =
            ["keyfob-exec-1", "keyfob-exec-000000000000000g", "other"].map(|name| place.path().join(name));
        others.iter().for_each(|path| std::fs::create_dir(path).unwrap());
        let open_to_all = left_behind(place.path(), 2);
        std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o755)).unwrap();
        sweep(&[place.path().join("missing"), place.path().to_owned()]);
        assert!(!left.exists());
        assert!(others.iter().all(|path| path.exists()), "names that no folder of ours has");
        assert!(open_to_all.exists(), "none of ours is open to others");
    }

    /// A link with the name of a folder: a sweep that follows it would empty another folder.
    #[test]
    fn a_sweep_follows_no_link() {
        let place = tempfile::tempdir().unwrap();
        let lay = || {
            let victim = left_behind(place.path(), 7);
            let moved = place.path().join("victim");
            std::fs::rename(&victim, &moved).unwrap();
            symlink(&moved, &victim).unwrap();
            (moved.join("config.json"), victim)
        };
        let (kept, link) = lay();
        sweep(&[place.path().to_owned()]);
        assert!(kept.exists() && link.is_symlink());

        // The twin that goes by the path alone.
        for inside in std::fs::read_dir(&link).unwrap().flatten() {
            std::fs::remove_file(inside.path()).unwrap();
        }
        assert!(!kept.exists(), "the attack works where nothing is checked");
    }

    #[test]
    fn a_place_that_others_may_change_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |mode: u32| {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            places(None, folder.path()).contains(&folder.path().to_owned())
        };
        assert!(at(0o700) && at(0o755) && at(0o1777));
        assert!(!at(0o777) && !at(0o770));
        assert!(places(None, Path::new("relative")).iter().all(|place| place.is_absolute()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_comes_first() {
        let (memory, disk) = (tempfile::tempdir_in("/dev/shm").unwrap(), Path::new("/proc"));
        let found = places(Some(memory.path()), Path::new("/tmp"));
        assert_eq!(found.first().map(PathBuf::as_path), Some(memory.path()));
        assert_eq!(places(Some(disk), Path::new("/tmp")).first().unwrap(), Path::new("/dev/shm"));
    }
}
