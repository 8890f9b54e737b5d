//! A value that must not be seen.

use std::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::{Zeroize, Zeroizing};

/// Holds a secret: wiped when dropped, and without `Display`, a telling `Debug`, or `Serialize`.
///
/// Taking the value out is [`Secret::expose`], so every place that does is one search away. A secret crosses the
/// wire only through a field marked `serialize_with = "secret::exposed"`.
///
/// ```compile_fail
/// let secret = keyfob_ipc::Secret::new(String::from("aw_1"));
/// println!("{secret}");
/// ```
/// ```compile_fail
/// let secret = keyfob_ipc::Secret::new(String::from("aw_1"));
/// serde_json::to_string(&secret).unwrap();
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
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
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret::from("aw_1"))), "Some((secret))");
    }
}
