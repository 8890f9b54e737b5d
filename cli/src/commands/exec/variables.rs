//! Where programs look for keys.

use std::collections::BTreeMap;
use std::ffi::OsString;

use keyfob_ipc::Secret;
use keyfob_ipc::reply::{EntryReport, ExecKeys};

use crate::endpoint::Endpoint;
use crate::metaflow_file::{AWS as AWS_ENTRY, PROGRAM, REGION};

/// Where there is nothing to read. SDKs take an empty name for none and go to the usual place.
pub(super) const NOWHERE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// What decides about keys and identities of AWS beside the endpoint. SDKs differ in what wins, so none of it stays.
const AWS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// The same of OUTSCALE, by today's names and the old ones.
const OUTSCALE: &[&str] = &[
    "OSC_ACCESS_KEY",
    "OSC_SECRET_KEY",
    "OSC_REGION",
    "OSC_PROFILE",
    "OSC_CONFIG_FILE",
    "OSC_LOGIN",
    "OSC_PASSWORD",
    "OSC_X509_CLIENT_CERT",
    "OSC_X509_CLIENT_KEY",
    "OUTSCALE_ACCESSKEYID",
    "OUTSCALE_SECRETKEYID",
    "OUTSCALE_REGION",
];

/// What decides about the configuration of Metaflow and Outerbounds, or where its key goes. The names with underscores are private
/// to Outerbounds' extension, which keeps what it has read there for its own processes.
const METAFLOW: &[&str] = &[
    "METAFLOW_HOME",
    "METAFLOW_PROFILE",
    "METAFLOW_SERVICE_AUTH_KEY",
    "METAFLOW_SERVICE_HEADERS",
    "METAFLOW_SERVICE_URL",
    "METAFLOW_SERVICE_INTERNAL_URL",
    "METAFLOW_KEYFOB_SERVICE",
    "OBP_CONFIG_DIR",
    "OB_CURRENT_PERIMETER",
    "OB_CURRENT_PERIMETER_MF_CONFIG_URL",
    "__REMOTE_CONFIG_HAS_BEEN_RESOLVED__",
];

/// What a program's environment has that ours has not: a value, or that the variable is not there.
#[derive(Debug, Default)]
pub struct Variables(BTreeMap<OsString, Option<Secret<String>>>);

impl Variables {
    /// Sets one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), Some(Secret::from(value)));
    }

    fn unset(&mut self, names: &[&str]) {
        for name in names {
            self.0.insert(name.into(), None);
        }
    }

    /// The keys of AWS at an endpoint.
    pub fn endpoint(&mut self, endpoint: &Endpoint, region: Option<&str>) {
        self.unset(AWS);
        self.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url());
        self.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", endpoint.token().expose());
        // botocore looks there before it looks for an endpoint, and unset means `/etc/boto.cfg` and `~/.boto` to it.
        self.set("BOTO_CONFIG", NOWHERE);
        self.region(region);
    }

    /// The keys of AWS themselves.
    pub fn plain_aws(&mut self, keys: &ExecKeys) {
        self.unset(AWS);
        self.set("AWS_ACCESS_KEY_ID", &keys.credentials.access_key_id);
        self.set("AWS_SECRET_ACCESS_KEY", keys.credentials.secret_access_key.expose());
        if let Some(token) = &keys.credentials.session_token {
            self.set("AWS_SESSION_TOKEN", token.expose());
        }
        if let Some(end) = &keys.credentials.expiration {
            self.set("AWS_CREDENTIAL_EXPIRATION", end);
        }
        self.region(keys.region.as_deref());
    }

    fn region(&mut self, region: Option<&str>) {
        if let Some(region) = region {
            self.set("AWS_REGION", region);
            self.set("AWS_DEFAULT_REGION", region);
        }
    }

    /// The keys of OUTSCALE.
    pub fn outscale(&mut self, keys: &ExecKeys) {
        self.unset(OUTSCALE);
        self.set("OSC_ACCESS_KEY", &keys.credentials.access_key_id);
        self.set("OSC_SECRET_KEY", keys.credentials.secret_access_key.expose());
        if let Some(region) = &keys.region {
            self.set("OSC_REGION", region);
        }
    }

    /// Nothing of another configuration of Metaflow.
    pub fn no_metaflow(&mut self) {
        self.unset(METAFLOW);
    }

    /// The configuration of Metaflow in this folder.
    pub fn metaflow(&mut self, folder: &str, has_perimeter: bool) {
        self.no_metaflow();
        self.set("METAFLOW_HOME", folder);
        if has_perimeter {
            // Without the file that is then looked for there, this is an error to both readers.
            self.set("OBP_CONFIG_DIR", folder);
        }
    }

    /// How the extension of Metaflow finds this program and its entry: what a person's own configuration says of them is not read
    /// in that folder.
    pub fn extension(&mut self, program: Option<&str>, role: Option<&EntryReport>) {
        if let Some(program) = program {
            self.set(PROGRAM, program);
        }
        let Some(role) = role else { return };
        self.set(AWS_ENTRY, &role.name);
        match role.facts.get("region") {
            Some(region) => self.set(REGION, region),
            None => self.unset(&[REGION]),
        }
    }

    /// Whether something is said about a variable: that it has a value, or that it is not there.
    pub fn decides(&self, name: &str) -> bool {
        let is_same = |known: &OsString| match cfg!(windows) {
            true => known.eq_ignore_ascii_case(name),
            false => known == name,
        };
        self.0.keys().any(is_same)
    }

    /// Changes the environment of a program.
    pub fn apply(&self, command: &mut std::process::Command) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(name, value.expose()),
                None => command.env_remove(name),
            };
        }
    }

    /// What is said about a variable.
    #[cfg(test)]
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .get(std::ffi::OsStr::new(name))
            .map(|value| value.as_ref().map(|value| value.expose().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::AwsCredentials;

    use super::*;

    fn keys() -> ExecKeys {
        ExecKeys {
            entry: "outscale.monitoring".to_owned(),
            region: Some("eu-west-2".to_owned()),
            credentials: AwsCredentials {
                version: 1,
                access_key_id: "AKIAONE".to_owned(),
                secret_access_key: Secret::from("secret"),
                session_token: None,
                expiration: Some("2030-01-01T00:00:00Z".to_owned()),
                account_id: None,
            },
        }
    }

    #[test]
    fn what_would_win_is_not_there() {
        let mut variables = Variables::default();
        variables.plain_aws(&keys());
        for name in AWS {
            let expected = match *name {
                "AWS_ACCESS_KEY_ID" => Some("AKIAONE"),
                "AWS_SECRET_ACCESS_KEY" => Some("secret"),
                "AWS_CREDENTIAL_EXPIRATION" => Some("2030-01-01T00:00:00Z"),
                // Keys without a token have none: one of other keys would make them wrong.
                _ => None,
            };
            assert_eq!(variables.get(name), Some(expected), "{name}");
        }
        assert_eq!(variables.get("AWS_REGION"), Some(Some("eu-west-2")));
        assert_eq!(variables.get("AWS_DEFAULT_REGION"), Some(Some("eu-west-2")));
        assert!(!format!("{variables:?}").contains("secret\""), "{variables:?}");
    }

    #[test]
    fn at_an_endpoint_nothing_else_is_found() {
        let endpoint = Endpoint::open(Box::new(|| Ok(keys()))).unwrap();
        let mut variables = Variables::default();
        variables.endpoint(&endpoint, None);
        for name in AWS {
            let expected = match *name {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some(endpoint.url()),
                "AWS_CONTAINER_AUTHORIZATION_TOKEN" => Some(endpoint.token().expose().clone()),
                _ => None,
            };
            assert_eq!(variables.get(name), Some(expected.as_deref()), "{name}");
        }
        assert_eq!(variables.get("BOTO_CONFIG"), Some(Some(NOWHERE)));
        assert_eq!(variables.get("AWS_REGION"), None, "the caller's stays");
    }

    #[test]
    fn outscale_has_names_of_its_own_and_leaves_aws_alone() {
        let mut variables = Variables::default();
        variables.outscale(&keys());
        assert_eq!(variables.get("OSC_ACCESS_KEY"), Some(Some("AKIAONE")));
        assert_eq!(variables.get("OSC_SECRET_KEY"), Some(Some("secret")));
        assert_eq!(variables.get("OSC_REGION"), Some(Some("eu-west-2")));
        assert_eq!(variables.get("OSC_PROFILE"), Some(None));
        assert_eq!(variables.get("OUTSCALE_ACCESSKEYID"), Some(None));
        assert_eq!(variables.get("AWS_PROFILE"), None);
    }

    #[test]
    fn metaflow_finds_this_configuration_and_no_other() {
        let mut variables = Variables::default();
        variables.metaflow("/run/x", true);
        for name in METAFLOW {
            let is_here = matches!(*name, "METAFLOW_HOME" | "OBP_CONFIG_DIR");
            assert_eq!(variables.get(name), Some(is_here.then_some("/run/x")), "{name}");
        }
        variables.metaflow("/run/y", false);
        assert_eq!(variables.get("METAFLOW_HOME"), Some(Some("/run/y")));
        assert_eq!(variables.get("OBP_CONFIG_DIR"), Some(None));
    }
}
