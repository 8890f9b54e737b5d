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

/// Whether a variable of this name decides what programs load or run, which configuration they read, whom they trust, or which
/// agent they ask. Who may write a secret is not always who runs the program that gets it. Windows does not tell names apart by
/// case, so case does not count.
pub fn steers_programs(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    STEERING.contains(&name.as_str())
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// See [`steers_programs`].
#[rustfmt::skip]
const STEERING: &[&str] = &[
    // Where programs and their settings are found.
    "PATH", "PATHEXT", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SHELL", "COMSPEC", "SYSTEMROOT", "PSMODULEPATH",
    // What a shell or `make` runs before anything else.
    "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS4", "PROMPT_COMMAND", "ZDOTDIR", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS",
    // What libraries and language runtimes load.
    "GCONV_PATH", "GLIBC_TUNABLES", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "NODE_OPTIONS", "NODE_PATH", "PERL5OPT",
    "PERL5LIB", "PERL5DB", "RUBYOPT", "RUBYLIB", "CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS",
    "JAVA_HOME", "GOFLAGS", "GOENV", "DOTNET_STARTUP_HOOKS", "PIP_CONFIG_FILE", "UV_CONFIG_FILE",
    // Programs that others start.
    "EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "SSH_ASKPASS", "SUDO_ASKPASS", "GIT_ASKPASS", "GIT_SSH",
    "GIT_SSH_COMMAND", "GIT_EXEC_PATH", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND", "GIT_TEMPLATE_DIR", "GIT_DIR",
    // Files that name a command or an account, and addresses that hand out credentials.
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "KUBECONFIG", "DOCKER_CONFIG", "DOCKER_HOST",
    "DOCKER_CERT_PATH", "BOTO_CONFIG", "NETRC", "CURL_HOME",
    // Whose certificates are believed.
    "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED",
];

/// The loader, Python, Git, npm, Rust, desktops, AWS for containers, Metaflow and Outerbounds, and our own.
#[rustfmt::skip]
const FAMILIES: &[&str] = &[
    "LD_", "DYLD_", "PYTHON", "GIT_CONFIG", "RUSTC", "CARGO_BUILD_RUSTC", "XDG_", "DBUS_", "NPM_CONFIG_",
    "AWS_CONTAINER_", "AWS_ENDPOINT_URL", "SSL_CERT_", "METAFLOW_", "OBP_", "__REMOTE_CONFIG", "KEYFOB_",
];

/// `REQUESTS_CA_BUNDLE`, `AWS_CA_BUNDLE`, `CURL_CA_BUNDLE`.
const ENDINGS: &[&str] = &["_CA_BUNDLE"];

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
    fn what_steers_programs_is_told_from_what_is_a_value() {
        for name in [
            "PATH",
            "Path",
            "LD_PRELOAD",
            "DYLD_X",
            "BASH_ENV",
            "IFS",
            "ENV",
            "PYTHONPATH",
            "NODE_OPTIONS",
            "METAFLOW_HOME",
            "metaflow_keyfob_program",
            "KEYFOB_CONFIG",
            "XDG_RUNTIME_DIR",
            "DBUS_SESSION_BUS_ADDRESS",
            "npm_config_script_shell",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONFIG_FILE",
            "KUBECONFIG",
            "RUSTC_WRAPPER",
            "GOFLAGS",
            "SHELL",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "GIT_CONFIG_COUNT",
        ] {
            assert!(steers_programs(name), "{name}");
        }
        for name in [
            "PATH_TO_X",
            "MY_PATH",
            "AWS_ACCESS_KEY_ID",
            "AWS_REGION",
            "GITHUB_TOKEN",
            "GIT_TOKEN",
            "HTTPS_PROXY",
            "DB_HOST",
            "PGPASSWORD",
            "SECRET_KEY1",
            "ENVIRONMENT",
            "HOMEPAGE",
            "CA_BUNDLE",
            "",
        ] {
            assert!(!steers_programs(name), "{name}");
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
