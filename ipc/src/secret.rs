//! A value that must not be seen.

use std::fmt;
use std::hint::black_box;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::{Zeroize, Zeroizing};

#[cfg(doctest)]
mod cannot;

/// Holds a secret: wiped when dropped, and without `Display`, a telling `Debug`, `Serialize`, or any other way out than one.
///
/// Taking the value out is [`Secret::expose`], so every place that does is one search away. A secret crosses the
/// wire only through a field marked `serialize_with = "secret::exposed"`. `secret/cannot.rs` has what does not compile.
///
/// ```
/// let secret = keyfob_ipc::Secret::from("aw_1");
/// assert_eq!(format!("{secret:?}"), "(secret)");
/// assert_eq!(secret.expose(), "aw_1");
/// ```
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Every call is a place where a leak could start.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

/// The time that a comparison takes tells the length and nothing else: pasted values are compared with held ones, and a
/// caller could try beginnings.
impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.expose().as_ref(), other.expose().as_ref());
        let differing = ours.iter().zip(theirs).fold(0, |seen, (one, other)| black_box(seen | (one ^ other)));
        ours.len() == theirs.len() && differing == 0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

/// For `#[serde(serialize_with)]`: writes the value of a secret into a frame, a keychain item or a tool's answer.
pub fn exposed<T: Zeroize + serde::Serialize, S: Serializer>(
    secret: &Secret<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.expose().serialize(serializer)
}

/// The same for an optional secret.
pub fn exposed_option<T: Zeroize + serde::Serialize, S: Serializer>(
    secret: &Option<Secret<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_some(secret.expose()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
