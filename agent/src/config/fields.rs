//! Names of fields, for errors that say which one was meant.

use serde::de::{self, Deserialize, Visitor};

/// The field names that a derived `Deserialize` knows, so that they are written once.
pub fn of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // The probe always ends with an error; what it leaves behind is the answer.
    let _ = T::deserialize(Probe(&mut fields));
    fields
}

/// The known name that is nearest to a mistyped one, if it is near enough to be meant.
pub fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, text), *name))
        .min()
        .filter(|(distance, name)| *distance <= 3 && *distance < name.len().max(2))
        .map(|(_, name)| name)
}

struct Probe<'a>(&'a mut &'static [&'static str]);

#[derive(Debug, thiserror::Error)]
#[error("probed")]
struct Probed;

impl de::Error for Probed {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> de::Deserializer<'de> for Probe<'_> {
    type Error = Probed;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Probed> {
        Err(Probed)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Probed> {
        *self.0 = fields;
        Err(Probed)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}
