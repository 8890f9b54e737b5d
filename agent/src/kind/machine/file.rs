//! A token in a file that somebody else renews: a projected token of Kubernetes, for one.
//!
//! Those are symbolic links, which Kubernetes turns over as a whole, so links are followed. What they lead to must be a plain
//! file: a pipe would be waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use keyfob_ipc::{Refusal, Secret, text};

use super::identity::missing;
use super::jwt::LONGEST;

/// Reads the file, as it is now.
///
/// # Errors
/// [`keyfob_ipc::Code::MachineIdentityMissing`], with the path.
pub(super) async fn read(path: &Path) -> Result<Secret<String>, Refusal> {
    let owned = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_now(&owned)).await;
    let outcome = reading.unwrap_or_else(|_| Err(io::Error::other("it was not read")));
    outcome.map_err(|error| {
        let shown = text::escape(&path.display().to_string());
        missing(
            format!("the token file `{shown}` cannot be read ({error})"),
            "check `token_file`, or AWS_WEB_IDENTITY_TOKEN_FILE",
        )
    })
}

fn read_now(path: &Path) -> io::Result<Secret<String>> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut content = String::new();
    // A line end more than a token may have.
    let most = LONGEST + 2;
    let length = file.take(most as u64 + 1).read_to_string(&mut content)?;
    let content = Secret::new(content);
    if length > most {
        return Err(io::Error::other("it is too large for an ID token"));
    }
    Ok(Secret::from(content.expose().trim_ascii_end()))
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
