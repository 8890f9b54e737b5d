//! Where the passphrase of the encrypted files comes from.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use keyfob_ipc::Secret;
use zeroize::Zeroizing;

use super::super::KeychainError;

/// The largest passphrase file, in bytes.
const MAX_PASSPHRASE: usize = 4096;

/// The name of the credential in a systemd unit: `LoadCredentialEncrypted=keyfob-passphrase`.
const CREDENTIAL: &str = "keyfob-passphrase";

/// Who knows the passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passphrase {
    /// This file: a regular one, ours, mode 0600 or stricter, at most 4 KiB; a newline at its end does not count.
    File(PathBuf),
    /// The credential `keyfob-passphrase` in this folder (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)); the person, where it
    /// is not among the unit's.
    SystemdCredential(PathBuf),
    /// The person: the keychain is locked until [`unlock`](super::Keychain::unlock).
    Prompt,
}

impl Passphrase {
    /// Whether it lies ready, good or not.
    pub(super) fn lies_ready(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::SystemdCredential(folder) => folder.join(CREDENTIAL).exists(),
            Self::Prompt => false,
        }
    }

    /// The passphrase that lies ready; `None` where a person must be asked.
    pub(super) fn ready(&self) -> Result<Option<Secret<String>>, KeychainError> {
        match self {
            Self::File(path) => read(path, own_file).map(Some),
            // A unit may have other credentials and not this one.
            Self::SystemdCredential(_) if !self.lies_ready() => Ok(None),
            Self::SystemdCredential(folder) => read(&folder.join(CREDENTIAL), credential).map(Some),
            Self::Prompt => Ok(None),
        }
    }
}

/// What speaks against a file, for the end of a sentence.
type Check = fn(&Path, &Metadata) -> Option<String>;

fn read(path: &Path, check: Check) -> Result<Secret<String>, KeychainError> {
    let failed = |why: &str| {
        KeychainError::Failed(format!("the passphrase file `{}` cannot be used: {why}", path.display()))
    };
    let file = open(path).map_err(|error| failed(&error.to_string()))?;
    // Asked of the opened file: the one under this name may be another by now.
    let facts = file.metadata().map_err(|error| failed(&error.to_string()))?;
    if !facts.is_file() {
        return Err(failed("it is not a regular file"));
    }
    if let Some(objection) = check(path, &facts) {
        return Err(failed(&objection));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 1));
    file.take(MAX_PASSPHRASE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error.to_string()))?;
    if bytes.len() > MAX_PASSPHRASE {
        return Err(failed("it is longer than 4 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is not UTF-8 text"))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(failed("it is empty"));
    }
    Ok(Secret::from(text))
}

/// Opens without waiting for the other end of a pipe that was put there.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    options.open(path)
}

#[cfg(unix)]
fn own_file(path: &Path, facts: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Some("it is another user's".to_owned());
    }
    (facts.mode() & 0o177 != 0)
        .then(|| format!("its mode is {:04o}; run `chmod 600 {}`", facts.mode() & 0o7777, path.display()))
}

/// systemd guards the folder, and gives the file to the service by an access list, whose mask is in the group's bits.
#[cfg(unix)]
fn credential(_: &Path, facts: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if ![0, rustix::process::geteuid().as_raw()].contains(&facts.uid()) {
        return Some("it is another user's".to_owned());
    }
    (facts.mode() & 0o027 != 0).then(|| format!("its mode is {:04o}", facts.mode() & 0o7777))
}

/// Windows guards a person's folders by access lists that they inherit.
#[cfg(not(unix))]
fn own_file(_: &Path, _: &Metadata) -> Option<String> {
    None
}

#[cfg(not(unix))]
fn credential(_: &Path, _: &Metadata) -> Option<String> {
    None
}
