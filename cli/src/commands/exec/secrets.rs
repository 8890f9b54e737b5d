//! The values of `secret` entries as variables of a program.

use std::collections::BTreeMap;

use keyfob_ipc::reply::{SecretValues, is_variable, steers_programs};
use keyfob_ipc::{Code, Refusal, text};

use super::variables::Variables;

/// Puts the values of these entries into variables. What stands beside them has its own there already.
///
/// # Errors
/// [`Code::BadRequest`] for a name that no secret may have, or that two have. No value is repeated.
pub fn add(secrets: &[SecretValues], variables: &mut Variables) -> Result<(), Refusal> {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for secret in secrets {
        let entry = text::escape(&secret.entry);
        let take_it = |name: &str| format!("take it with keyfob secret get {entry} {name}");
        for (name, value) in &secret.values {
            let refuse = |say: String| Refusal::new(Code::BadRequest, say);
            if !is_variable(name) {
                let say = format!("`{entry}` has a value whose name can be that of no variable");
                return Err(refuse(say).hint(format!("keyfob secret get {entry}")));
            }
            if value.expose().contains('\0') {
                let say = format!("`{name}` of `{entry}` holds a NUL, which no variable can");
                return Err(refuse(say).hint(format!("keyfob secret set {entry} {name}")));
            }
            if steers_programs(name) {
                let say = format!(
                    "`{entry}` has a value `{name}`, and that variable decides what a program runs or reads"
                );
                return Err(refuse(say).hint(take_it(name)));
            }
            if variables.decides(name) {
                let say = format!("`{entry}` has a value `{name}`, and so has what is named beside it");
                return Err(refuse(say).hint(take_it(name)));
            }
            let key = if cfg!(windows) { name.to_ascii_uppercase() } else { name.clone() };
            if let Some(first) = known.insert(key, &secret.entry) {
                let say = format!("`{}` and `{entry}` both have a value `{name}`", text::escape(first));
                return Err(refuse(say).hint("name one of them"));
            }
        }
    }
    for (name, value) in secrets.iter().flat_map(|secret| &secret.values) {
        variables.set(name, value.expose());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Secret;

    use super::*;

    fn secret(entry: &str, names: &[&str]) -> SecretValues {
        let values = names.iter().map(|name| ((*name).to_owned(), Secret::from("s3cret"))).collect();
        SecretValues { entry: entry.to_owned(), values }
    }

    fn refused(secrets: &[SecretValues], variables: &mut Variables) -> String {
        let refusal = add(secrets, variables).unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest);
        assert!(!refusal.to_string().contains("s3cret"));
        refusal.say
    }

    #[test]
    fn several_stand_together() {
        let mut variables = Variables::default();
        add(&[secret("secret.a", &["ONE", "GIT_TOKEN"]), secret("secret.b", &["TWO"])], &mut variables)
            .unwrap();
        for name in ["ONE", "GIT_TOKEN", "TWO"] {
            assert_eq!(variables.get(name), Some(Some("s3cret")));
        }
    }

    #[test]
    fn a_name_that_two_have_is_refused_by_name() {
        let both = [secret("secret.a", &["ONE"]), secret("secret.b", &["ONE", "TWO"])];
        let mut variables = Variables::default();
        assert_eq!(refused(&both, &mut variables), "`secret.a` and `secret.b` both have a value `ONE`");
        assert_eq!(variables.get("ONE"), None, "all of them or none");
        variables.set("AWS_REGION", "eu-west-1");
        let say = refused(&[secret("secret.a", &["AWS_REGION"])], &mut variables);
        assert_eq!(say, "`secret.a` has a value `AWS_REGION`, and so has what is named beside it");
    }

    #[test]
    fn what_decides_about_programs_is_no_secret() {
        for name in [
            "PATH",
            "Path",
            "LD_PRELOAD",
            "DYLD_X",
            "BASH_ENV",
            "PYTHONPATH",
            "METAFLOW_HOME",
            "KEYFOB_CONFIG",
            "XDG_RUNTIME_DIR",
            "DBUS_SESSION_BUS_ADDRESS",
            "npm_config_script_shell",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "KUBECONFIG",
            "DOCKER_CONFIG",
            "RUSTC",
            "RUSTC_WRAPPER",
            "GOFLAGS",
            "DOTNET_STARTUP_HOOKS",
            "SHELL",
            "MAKEFLAGS",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
        ] {
            let say = refused(&[secret("secret.a", &[name])], &mut Variables::default());
            assert!(say.contains(&format!("`{name}`")), "{say}");
        }
        let fine =
            secret("secret.a", &["PATH_TO_X", "MY_PATH", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "HTTPS_PROXY"]);
        assert!(add(&[fine], &mut Variables::default()).is_ok());
    }

    #[test]
    fn what_no_variable_can_hold_is_refused_unseen() {
        let say = refused(&[secret("secret.a", &["s3cret-no-name"])], &mut Variables::default());
        assert!(say.contains("no variable"), "{say}");
        let mut nul = secret("secret.a", &["ONE"]);
        nul.values.insert("TWO".to_owned(), Secret::from("s3cret\0x"));
        assert!(refused(&[nul], &mut Variables::default()).contains("`TWO`"));
    }
}
