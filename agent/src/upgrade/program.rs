//! The new program: what it must be before this process becomes it.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to say its version.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// What it says begins with this.
const NAME: &str = "keyfobd ";

/// Bytes of what it says that are looked at.
const SAID: usize = 256;

/// Which file is under a name, and since when as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether it is that file, whatever became of its name. A running program cannot be written to, and keeps its number.
    pub(super) fn is_file_of(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

/// Whether this process may become the program: a file that others could have written is not started with our secrets.
///
/// # Errors
/// Why not, as the end of a sentence.
pub(super) async fn check(program: &Path) -> Result<(), String> {
    look(program)?;
    let path = program.to_owned();
    tokio::task::spawn_blocking(move || try_out(&path))
        .await
        .unwrap_or_else(|_| Err("cannot be tried out".to_owned()))
}

/// Whether nobody else could have written the program, or put another one in its place.
///
/// # Errors
/// Why not, as the end of a sentence.
pub(super) fn look(program: &Path) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    let unseen = |error: std::io::Error| format!("cannot be looked at ({error})");
    let metadata = std::fs::metadata(program).map_err(unseen)?;
    judge(metadata.is_file(), metadata.uid(), metadata.mode(), me)?;
    let real = std::fs::canonicalize(program).map_err(unseen)?;
    for folder in program.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        let metadata = std::fs::metadata(folder).map_err(unseen)?;
        judge_folder(folder, metadata.uid(), metadata.mode(), me)?;
    }
    Ok(())
}

/// Between the look at a file and its start, whoever can write to a folder above it puts another one there. Many systems
/// let a group do that in `/usr/local/bin`: there the person decides when it is started.
fn judge_folder(folder: &Path, owner: u32, mode: u32, me: u32) -> Result<(), String> {
    const STICKY: u32 = 0o1000;
    let place = folder.display();
    if owner != me && owner != 0 {
        return Err(format!(
            "lies below `{place}`, which belongs to user {owner}; run: keyfob agent restart"
        ));
    }
    if mode & 0o022 != 0 && mode & STICKY == 0 {
        let mode = mode & 0o7777;
        return Err(format!(
            "lies below `{place}`, which others can write to (mode {mode:o}); run: keyfob agent restart"
        ));
    }
    Ok(())
}

fn judge(is_file: bool, owner: u32, mode: u32, me: u32) -> Result<(), String> {
    if !is_file {
        return Err("is no regular file".to_owned());
    }
    if owner != me && owner != 0 {
        return Err(format!("belongs to user {owner}"));
    }
    if mode & 0o022 != 0 {
        return Err(format!("can be written by others (mode {:o})", mode & 0o7777));
    }
    Ok(())
}

/// Has it say its version: one that is half copied, for another system or broken does not.
fn try_out(program: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be run ({error})"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => {
                // It may have ended this moment.
                let _ = child.kill();
                let _ = child.wait();
                return Err("does not say its version in time".to_owned());
            }
        }
    };
    let mut said = [0; SAID];
    // What it has started may hold the stream open for ever.
    let has_said =
        |stream: &&mut ChildStderr| rustix::io::ioctl_fionread(&**stream).is_ok_and(|waiting| waiting > 0);
    let read = child.stderr.as_mut().filter(has_said).map_or(0, |stream| stream.read(&mut said).unwrap_or(0));
    if !status.success() {
        return Err(format!("does not work ({status})"));
    }
    if !said[..read].starts_with(NAME.as_bytes()) {
        return Err("is another program".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_or_of_roots_that_nobody_else_can_write_is_taken() {
        for (owner, mode) in [(77, 0o755), (0, 0o755), (77, 0o700), (0, 0o555)] {
            assert_eq!(judge(true, owner, mode, 77), Ok(()), "{owner} {mode:o}");
        }
        assert!(judge(false, 77, 0o755, 77).is_err());
        assert!(judge(true, 78, 0o755, 77).unwrap_err().contains("78"));
        for mode in [0o777, 0o775, 0o757, 0o722] {
            assert!(judge(true, 77, mode, 77).unwrap_err().contains("written by others"), "{mode:o}");
        }
    }

    #[test]
    fn nobody_else_can_put_another_file_in_its_place() {
        let judge = |owner, mode| judge_folder(Path::new("/usr/local/bin"), owner, mode, 77);
        for (owner, mode) in [(77, 0o755), (0, 0o755), (77, 0o700), (0, 0o1777), (0, 0o1775)] {
            assert_eq!(judge(owner, mode), Ok(()), "{owner} {mode:o}");
        }
        for mode in [0o2775, 0o775, 0o777, 0o757] {
            let why = judge(0, mode).unwrap_err();
            assert!(why.contains("/usr/local/bin") && why.contains("keyfob agent restart"), "{why}");
        }
        assert!(judge(78, 0o755).unwrap_err().contains("user 78"));
    }
}
