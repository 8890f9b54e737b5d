//! The `[default]` profile of the AWS files: keys there win over a container endpoint in every SDK, so a program would work
//! as somebody else without a word. Such a file is hidden from the program, and the person is told.

use std::path::Path;

use super::variables::{NOWHERE, Variables};
use crate::world::World;

/// What a file may hold whatever its name: far more than people write.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Settings that decide about no keys. What is not among these may be a way to keys of a version to come.
const HARMLESS: &[&str] = &[
    "region",
    "output",
    "ca_bundle",
    "endpoint_url",
    "max_attempts",
    "retry_mode",
    "services",
    "s3",
    "defaults_mode",
    "parameter_validation",
    "sts_regional_endpoints",
    "tcp_keepalive",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
    "user_agent_appid",
];

/// Hides the files whose default profile would win.
pub(super) fn hide(variables: &mut Variables, world: &mut World) {
    let home = world.home().ok();
    let usual = |name: &str| home.as_ref().map(|home| home.join(".aws").join(name));
    let files = [
        ("AWS_CONFIG_FILE", world.environment.aws_config.clone().or_else(|| usual("config"))),
        (
            "AWS_SHARED_CREDENTIALS_FILE",
            world.environment.aws_credentials.clone().or_else(|| usual("credentials")),
        ),
    ];
    for (variable, file) in files {
        let Some(file) = file.filter(|file| wins(file)) else { continue };
        variables.set(variable, NOWHERE);
        let file = keyfob_ipc::text::escape(&file.display().to_string());
        world.printer.note(&format!(
            "`{file}` gives [default] keys of its own, which would win, so the program does not see that file"
        ));
    }
}

/// Whether the file's default profile may give keys. One that cannot be read here may be readable there.
fn wins(file: &Path) -> bool {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match std::fs::File::open(file).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => gives_keys(&String::from_utf8_lossy(&bytes)),
        Err(error) => {
            !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
    }
}

fn gives_keys(text: &str) -> bool {
    let mut is_default = false;
    for line in text.lines() {
        // What is indented belongs to the line before.
        if line.starts_with([' ', '\t']) && !line.trim_start().starts_with('[') {
            continue;
        }
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let name = section.split(']').next().unwrap_or_default().trim();
            let name = name.strip_prefix("profile").map_or(name, str::trim_start);
            is_default = name.trim_matches(['"', '\'']) == "default";
            continue;
        }
        let name = line.split(['=', ':']).next().unwrap_or_default().trim().to_ascii_lowercase();
        let says_nothing = name.is_empty() || name.starts_with(['#', ';']);
        if is_default && !says_nothing && !name.starts_with("cli_") && !HARMLESS.contains(&name.as_str()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_profile_with_any_way_to_keys_wins() {
        for text in [
            "[default]\naws_access_key_id = AKIA\n",
            "[default]\nregion = x\nAWS_ACCESS_KEY_ID=AKIA\n",
            "[ default ]\ncredential_process = x\n",
            "[profile default]\nsso_session = x\n",
            "[profile \"default\"]\nrole_arn = x\n",
            "[default] # mine\nlogin_session = x\n",
            "[other]\nregion = x\n[default]\nweb_identity_token_file: x\n",
            "\u{feff}[x]\n[default]\nsomething_new = x\n",
            "  [default]\naws_access_key_id = AKIA\n",
        ] {
            assert!(gives_keys(text), "{text}");
        }
    }

    #[test]
    fn settings_and_other_profiles_stay() {
        for text in [
            "",
            "[default]\nregion = eu-west-1\noutput = json\ncli_pager =\n# aws_access_key_id = AKIA\n",
            "[default]\ns3 =\n    max_concurrent_requests = 20\n[prod]\naws_access_key_id = AKIA\n",
            "[defaults]\naws_access_key_id = AKIA\n[profile dev]\ncredential_process = x\n",
            "aws_access_key_id = AKIA\n",
        ] {
            assert!(!gives_keys(text), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!wins(&folder.path().join("config")));
        assert!(wins(folder.path()), "what cannot be read may win");
    }
}
