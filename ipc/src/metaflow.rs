//! What Metaflow gets, and programs that need values in their environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::secret::{Secret, exposed};

/// The values of a `secret` entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretValues {
    /// `kind.name`.
    pub entry: String,
    /// Name to value. Each name can be that of a variable (`[A-Za-z_][A-Za-z0-9_]*`), no value has a NUL.
    #[serde(serialize_with = "exposed_values")]
    pub values: BTreeMap<String, Secret<String>>,
}

/// The configuration of Metaflow for one deployment of Outerbounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetaflowConfig {
    /// `kind.name`.
    pub entry: String,
    /// A JSON object, what Metaflow reads from `config.json`: `METAFLOW_SERVICE_AUTH_KEY` and all the others.
    #[serde(serialize_with = "exposed")]
    pub config: Secret<String>,
    /// The perimeter that it is of.
    pub perimeter: String,
    /// Where the service gives it (`OBP_METAFLOW_CONFIG_URL`); absent where the whole of it was pasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// For `#[serde(serialize_with)]`: values by their names.
pub(crate) fn exposed_values<S: Serializer>(
    values: &BTreeMap<String, Secret<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, value.expose())))
}

/// Whether it can be the name of a variable in every environment (POSIX.1-2017, section 8.1).
pub fn is_variable(name: &str) -> bool {
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts_well && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_are_told_from_others() {
        for name in ["SECRET_KEY1", "_x", "a"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["", "1A", "A-B", "A=B", "A B", "\u{c4}", &"A".repeat(129)] {
            assert!(!is_variable(name), "{name}");
        }
    }

    #[test]
    fn values_cross_the_wire_and_are_not_shown() {
        let values = SecretValues {
            entry: "secret.x".to_owned(),
            values: BTreeMap::from([("KEY".to_owned(), Secret::from("marked"))]),
        };
        assert!(!format!("{values:?}").contains("marked"));
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(text, r#"{"entry":"secret.x","values":{"KEY":"marked"}}"#);
    }
}
