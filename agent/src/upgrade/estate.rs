//! What lives in memory alone and cannot be got again without a person: the identity that opens the encrypted files, and
//! the items of a keychain in memory; and what the job said at the start, which is in no environment any more.
//!
//! It passes from one program to the next through a socket and no other way ([`crate::harden::handover::Keeper`]). The form is
//! versioned: a program of another version that does not know it goes on without.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyfob_ipc::Secret;
use rustix::process::{WaitOptions, wait};
use zeroize::Zeroizing;

use crate::harden::handover::READY;
use crate::keychain::{FileKeychain, KeychainError, MAX_VALUE, MemoryKeychain};

/// The first line. What follows is entries: a letter, the lengths of a name and of a value (`u32`, little-endian), both; and
/// the letter [`END`].
const TITLE: &[u8] = b"keyfob estate 1\n";
const IDENTITY: u8 = b'i';
const ITEM: u8 = b'm';
const AMBIENT: u8 = b'a';
const END: u8 = b'.';

/// The most that is handed over, in bytes.
pub const MOST: usize = 16 * 1024 * 1024;

/// How long the next program waits for it: callers wait for the program.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at whether its keeper has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Names of items are short.
const MAX_NAME: usize = 256;

/// What is handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// What the encrypted files are open to.
    pub identity: Option<Secret<String>>,
    /// What is in the keychain in memory.
    pub items: HashMap<String, Secret<Vec<u8>>>,
    /// What the surroundings said ([`crate::ambient`]), by the names of the variables.
    pub ambient: HashMap<String, Secret<Vec<u8>>>,
}

impl Estate {
    /// Of these variables alone. What no value of ours would be so long as is left out.
    pub fn of_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ambient = variables.into_iter().filter_map(|(name, value)| {
            let value = Secret::new(value.into_vec());
            Some((name.into_string().ok()?, value)).filter(|(_, value)| value.expose().len() <= MAX_VALUE)
        });
        Self { ambient: ambient.collect(), ..Self::default() }
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.identity.is_none() && self.items.is_empty() && self.ambient.is_empty()
    }

    /// As bytes; `None` where there are too many.
    pub fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let identity = self.identity.iter().map(|identity| (IDENTITY, "", identity.expose().as_bytes()));
        let items = self.items.iter().map(|(name, value)| (ITEM, name.as_str(), value.expose().as_slice()));
        let ambient =
            self.ambient.iter().map(|(name, value)| (AMBIENT, name.as_str(), value.expose().as_slice()));
        let entries: Vec<_> = identity.chain(items).chain(ambient).collect();
        let size = entries.iter().map(|(_, name, value)| 9 + name.len() + value.len()).sum::<usize>();
        // Room for all of it from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(TITLE.len() + size + 1));
        bytes.extend_from_slice(TITLE);
        for (kind, name, value) in entries {
            bytes.push(kind);
            for length in [name.len(), value.len()] {
                bytes.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
            }
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.push(END);
        (bytes.len() <= MOST).then_some(bytes)
    }

    /// From bytes; `None` where they are not whole, or of another form.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(TITLE)?;
        let mut estate = Self::default();
        loop {
            let (kind, entry) = rest.split_first()?;
            if *kind == END {
                return entry.is_empty().then_some(estate);
            }
            let (name, entry) = length(entry, MAX_NAME)?;
            let (value, entry) = length(entry, MAX_VALUE)?;
            let (name, entry) = entry.split_at_checked(name)?;
            let (value, entry) = entry.split_at_checked(value)?;
            let name = std::str::from_utf8(name).ok()?;
            match *kind {
                IDENTITY => estate.identity = Some(Secret::from(std::str::from_utf8(value).ok()?)),
                ITEM => drop(estate.items.insert(name.to_owned(), Secret::new(value.to_vec()))),
                AMBIENT => drop(estate.ambient.insert(name.to_owned(), Secret::new(value.to_vec()))),
                _ => return None,
            }
            rest = entry;
        }
    }

    /// Asks the keeper for it, and waits for its end. Only for a process that is closed to others already.
    ///
    /// # Errors
    /// Why there is nothing, for the log: the keychain is then as after a restart.
    pub fn receive(socket: OwnedFd) -> Result<Self, String> {
        let mut socket = UnixStream::from(socket);
        let deadline = Instant::now() + PATIENCE;
        socket.set_write_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        socket.write_all(&[READY]).map_err(|error| error.to_string())?;
        let mut bytes = Zeroizing::new(Vec::new());
        let mut chunk = Zeroizing::new(vec![0; 64 * 1024]);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("it did not come in time".to_owned());
            }
            socket.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
            match socket.read(&mut chunk).map_err(|error| error.to_string())? {
                0 => break,
                read if bytes.len() + read > MOST => return Err("it is too large".to_owned()),
                read => {
                    if bytes.capacity() - bytes.len() < read {
                        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.len() * 2 + chunk.len()));
                        larger.extend_from_slice(&bytes);
                        bytes = larger;
                    }
                    bytes.extend_from_slice(&chunk[..read]);
                }
            }
        }
        // It has closed its end as the last thing that it did. Where somebody else is a child of this process, nobody
        // waits for their end.
        while let Ok(None) = wait(WaitOptions::NOHANG) {
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(LOOK);
        }
        Self::of_bytes(&bytes)
            .ok_or_else(|| "it is not whole, or in a form that this version does not know".to_owned())
    }
}

fn length(bytes: &[u8], most: usize) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (length <= most).then_some((length, rest))
}

/// The keychains whose contents are handed over, and what was handed to us for one that nobody has named yet. Clones are
/// the same.
#[derive(Clone, Default)]
pub struct Heirs(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    estate: Estate,
    file: Option<Arc<FileKeychain>>,
    memory: Option<Arc<MemoryKeychain>>,
}

impl Heirs {
    /// Of this estate.
    pub fn of(estate: Estate) -> Self {
        Self(Arc::new(Mutex::new(Kept { estate, ..Kept::default() })))
    }

    /// An encrypted file, opened where it was open.
    pub fn file(&self, keychain: FileKeychain) -> Arc<FileKeychain> {
        let mut kept = self.kept();
        let keychain = Arc::new(match kept.estate.identity.take() {
            Some(identity) => keychain.opened_to(&identity),
            None => keychain,
        });
        kept.file = Some(keychain.clone());
        keychain
    }

    /// A keychain in memory, with what was in it.
    pub fn memory(&self) -> Arc<MemoryKeychain> {
        let mut kept = self.kept();
        let keychain = Arc::new(MemoryKeychain::of(std::mem::take(&mut kept.estate.items)));
        kept.memory = Some(keychain.clone());
        keychain
    }

    /// What is to be handed over now.
    ///
    /// # Errors
    /// [`KeychainError::Slow`] while a keychain is being used.
    pub fn estate(&self) -> Result<Estate, KeychainError> {
        let kept = self.kept();
        let identity = match &kept.file {
            Some(file) => file.identity()?,
            None => kept.estate.identity.clone(),
        };
        let items = match &kept.memory {
            Some(memory) => memory.items(),
            None => kept.estate.items.clone(),
        };
        Ok(Estate { identity, items, ambient: kept.estate.ambient.clone() })
    }

    /// Takes what the surroundings of this process said, where nothing of that was handed on.
    pub fn add_ambient(&self, ambient: HashMap<String, Secret<Vec<u8>>>) {
        let mut kept = self.kept();
        if kept.estate.ambient.is_empty() {
            kept.estate.ambient = ambient;
        }
    }

    /// A variable of the surroundings.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        self.kept().estate.ambient.get(name).map(|value| OsString::from_vec(value.expose().clone()))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::KeychainState;

    use super::*;
    use crate::harden::handover::Keeper;
    use crate::keychain::{Keychain as _, Passphrase};

    fn estate() -> Estate {
        let items = [("token.a", vec![7; MAX_VALUE]), ("sso.b", Vec::new())];
        Estate {
            identity: Some(Secret::from("AGE-SECRET-KEY-1")),
            items: items.map(|(name, value)| (name.to_owned(), Secret::new(value))).into(),
            ambient: [("CIRCLE_OIDC_TOKEN".to_owned(), Secret::new(b"ey.J".to_vec()))].into(),
        }
    }

    #[test]
    fn an_estate_survives_the_trip_and_half_of_one_is_none() {
        let bytes = estate().to_bytes().unwrap();
        assert_eq!(Estate::of_bytes(&bytes), Some(estate()));
        for end in [0, TITLE.len() - 1, TITLE.len(), TITLE.len() + 3, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(Estate::of_bytes(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Estate::of_bytes(&[&bytes[..], b"."].concat()), None);
        let empty = Estate::default().to_bytes().unwrap();
        assert_eq!(Estate::of_bytes(&empty), Some(Estate::default()));
        for strange in [
            &b"keyfob estate 2\n."[..],
            b"keyfob estate 1\nz\0\0\0\0\0\0\0\0.",
            b"keyfob estate 1\nm\xff\xff\xff\xff\0\0\0\0.",
        ] {
            assert_eq!(Estate::of_bytes(strange), None);
        }
    }

    #[test]
    fn what_is_too_large_is_not_handed_over() {
        let items =
            (0..=MOST / MAX_VALUE).map(|number| (number.to_string(), Secret::new(vec![0; MAX_VALUE])));
        assert!(Estate { items: items.collect(), ..Estate::default() }.to_bytes().is_none());
        let variables = [("LONG", vec![b'x'; MAX_VALUE + 1]), ("SHORT", b"x".to_vec())];
        let variables = variables.map(|(name, value)| (name.into(), OsString::from_vec(value)));
        assert_eq!(Estate::of_variables(variables).ambient.into_keys().collect::<Vec<_>>(), ["SHORT"]);
    }

    #[test]
    fn what_the_job_said_is_handed_on_from_version_to_version() {
        let first = Heirs::default();
        first.add_ambient(estate().ambient);
        let second = Heirs::of(Estate::of_bytes(&first.estate().unwrap().to_bytes().unwrap()).unwrap());
        assert_eq!(second.variable("CIRCLE_OIDC_TOKEN"), Some("ey.J".into()));
        assert_eq!(second.variable("CIRCLE_OIDC_TOKEN_V2"), None);
        assert_eq!(second.estate().unwrap().ambient, estate().ambient);
        second.add_ambient([("CIRCLE_OIDC_TOKEN".to_owned(), Secret::new(b"other".to_vec()))].into());
        assert_eq!(
            second.variable("CIRCLE_OIDC_TOKEN"),
            Some("ey.J".into()),
            "what an agent handed on counts"
        );
    }

    #[test]
    fn a_keeper_gives_what_it_has_to_who_asks_and_nothing_to_who_goes() {
        let mut bytes = estate().to_bytes().unwrap();
        let keeper = Keeper::start(&mut bytes).unwrap();
        let socket = keeper.socket().try_clone_to_owned().unwrap();
        // The test runner may have other children, so nobody waits for any of them here.
        let mut stream = UnixStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&[READY]).unwrap();
        let mut given = Vec::new();
        stream.read_to_end(&mut given).unwrap();
        assert_eq!(given, *bytes);
        keeper.dismiss();

        let keeper = Keeper::start(&mut bytes).unwrap();
        let mut stream = UnixStream::from(keeper.socket().try_clone_to_owned().unwrap());
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"?").unwrap();
        let mut given = Vec::new();
        stream.read_to_end(&mut given).unwrap();
        assert!(given.is_empty(), "only the right word opens it");
        keeper.dismiss();
        Keeper::start(&mut bytes).unwrap().dismiss();
    }

    #[tokio::test]
    async fn an_open_file_stays_open_and_what_nobody_has_named_is_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = || FileKeychain::new(folder.path().join("keychain"), Passphrase::Prompt, 1);
        let first = Heirs::default();
        let keychain = first.file(file());
        assert_eq!(first.estate().unwrap(), Estate::default(), "it is not open yet");
        keychain.unlock(&Secret::from("correct horse")).await.unwrap();
        let value = Secret::new(b"value".to_vec());
        keychain.store("token.a", &value).await.unwrap();
        first.memory().store("token.m", &value).await.unwrap();

        let second = Heirs::of(Estate::of_bytes(&first.estate().unwrap().to_bytes().unwrap()).unwrap());
        let third = Heirs::of(second.estate().unwrap());
        let keychain = third.file(file());
        assert_eq!(keychain.state().await, KeychainState::Present);
        assert_eq!(keychain.load("token.a").await, Ok(Some(value.clone())));
        assert_eq!(third.memory().load("token.m").await, Ok(Some(value)));
        // Without it, the same file asks for its passphrase.
        assert_eq!(Heirs::default().file(file()).state().await, KeychainState::Locked);
    }
}
