//! What is inside the files, in the age format (<https://age-encryption.org/v1>).

use std::io::Read;
use std::iter;

use age::secrecy::{ExposeSecret, SecretString};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, scrypt};
use keyfob_ipc::Secret;
use zeroize::Zeroizing;

use super::super::{KeychainError, MAX_VALUE};

/// The most that opening an identity may cost (256 MiB, some seconds), whatever its file demands.
pub(super) const MAX_WORK_FACTOR: u8 = 18;

/// An identity as text: `AGE-SECRET-KEY-1` and 58 characters.
const MAX_IDENTITY: usize = 256;

/// Seals `identity` by `passphrase` with scrypt at `work_factor` (base two logarithm of N).
pub(super) fn close_identity(
    identity: &Identity,
    passphrase: &Secret<String>,
    work_factor: u8,
) -> Result<Vec<u8>, KeychainError> {
    let mut recipient = scrypt::Recipient::new(words(passphrase));
    recipient.set_work_factor(work_factor);
    age::encrypt(&recipient, identity.to_string().expose_secret().as_bytes())
        .map_err(|_| KeychainError::Failed("the identity cannot be encrypted".to_owned()))
}

/// Opens what [`close_identity`] made.
///
/// # Errors
/// [`KeychainError::Denied`] for a wrong passphrase, [`KeychainError::Failed`] for a damaged file.
pub(super) fn open_identity(sealed: &[u8], passphrase: &Secret<String>) -> Result<Identity, KeychainError> {
    let mut lock = scrypt::Identity::new(words(passphrase));
    lock.set_max_work_factor(MAX_WORK_FACTOR);
    let text = decrypt(&lock, sealed, MAX_IDENTITY).map_err(|error| match error {
        Damage::WrongKey => KeychainError::Denied,
        Damage::Other(what) => KeychainError::Failed(format!("`identity.age` {what}")),
    })?;
    std::str::from_utf8(text.expose())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| KeychainError::Failed("`identity.age` holds no identity".to_owned()))
}

/// Seals the value of an item to an identity, of which the public half is enough. The name goes in too: one item's file is no good under another's name.
pub(super) fn close_item(
    identity: &Recipient,
    item: &str,
    value: &Secret<Vec<u8>>,
) -> Result<Vec<u8>, KeychainError> {
    let title = title(item);
    let mut plain = Zeroizing::new(Vec::with_capacity(title.len() + value.expose().len()));
    plain.extend_from_slice(title.as_bytes());
    plain.extend_from_slice(value.expose());
    age::encrypt(identity, &plain)
        .map_err(|_| KeychainError::Failed(format!("the item `{item}` cannot be encrypted")))
}

/// Opens what [`close_item`] made.
///
/// # Errors
/// [`KeychainError::Failed`] for whatever is not that item's file, whole.
pub(super) fn open_item(
    identity: &Identity,
    item: &str,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, KeychainError> {
    let title = title(item);
    let plain = decrypt(identity, sealed, title.len() + MAX_VALUE).map_err(|error| {
        let what = match error {
            Damage::WrongKey => "is not for this keychain's identity",
            Damage::Other(what) => what,
        };
        KeychainError::Failed(format!("`{item}.age` {what}"))
    })?;
    let value = plain
        .expose()
        .strip_prefix(title.as_bytes())
        .ok_or_else(|| KeychainError::Failed(format!("`{item}.age` is the file of another item")))?;
    Ok(Secret::new(value.to_vec()))
}

fn title(item: &str) -> String {
    format!("keyfob item 1 {item}\n")
}

/// Why a file does not open. The crate's own texts are for people at its command line.
enum Damage {
    WrongKey,
    Other(&'static str),
}

impl From<DecryptError> for Damage {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => Self::WrongKey,
            DecryptError::ExcessiveWork { .. } => Self::Other("demands more work than keyfob ever asks for"),
            DecryptError::UnknownFormat => Self::Other("is in a format that this version does not know"),
            _ => Self::Other("is damaged; restore it from a backup"),
        }
    }
}

/// Decrypts at most `limit` bytes.
fn decrypt(key: &dyn age::Identity, sealed: &[u8], limit: usize) -> Result<Secret<Vec<u8>>, Damage> {
    let reader = Decryptor::new_buffered(sealed)?.decrypt(iter::once(key))?;
    // Room for all of it from the start: a vector that grows leaves copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len().min(limit + 1)));
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| Damage::Other("is damaged; restore it from a backup"))?;
    if plain.len() > limit {
        return Err(Damage::Other("holds more than an item can"));
    }
    Ok(Secret::new(std::mem::take(&mut *plain)))
}

fn words(passphrase: &Secret<String>) -> SecretString {
    SecretString::from(passphrase.expose().clone())
}
