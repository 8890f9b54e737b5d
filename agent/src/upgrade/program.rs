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
    let metadata = std::fs::metadata(program).map_err(|error| format!("cannot be looked at ({error})"))?;
    judge(metadata.is_file(), metadata.uid(), metadata.mode(), rustix::process::geteuid().as_raw())?;
    let path = program.to_owned();
    tokio::task::spawn_blocking(move || try_out(&path))
        .await
        .unwrap_or_else(|_| Err("cannot be tried out".to_owned()))
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
}
