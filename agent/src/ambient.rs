//! What the surroundings say about the job that this agent runs in: the identity that a CI system or a machine gives to it.
//!
//! Read once, by `main`. The variables carry secrets, so they are taken out of the environment there and live here alone.
//! What they are good for is said by the machine entries ([`crate::kind`]).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use keyfob_ipc::Secret;

/// The job that this agent runs in; empty on a person's desktop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ambient {
    /// GitHub Actions gives ID tokens to this job (`permissions: id-token: write`).
    pub github: Option<GithubRequest>,
    /// `GITHUB_ACTIONS`: the job is one of GitHub, whether it gets ID tokens or not.
    pub is_github: bool,
    /// `CIRCLE_OIDC_TOKEN_V2`, else `CIRCLE_OIDC_TOKEN`, with the name of the variable.
    pub circleci: Option<(&'static str, Secret<String>)>,
    /// `CIRCLECI`.
    pub is_circleci: bool,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`.
    pub web_identity_file: Option<PathBuf>,
    /// Keys of a machine, from variables.
    pub aws_keys: Option<AmbientKeys>,
    /// Where a container gets keys: ECS, or EKS pod identity.
    pub aws_container: Option<AwsContainer>,
    /// `AWS_ROLE_ARN`: the role for the web identity file, where the machine's own role is asked for.
    pub aws_role: Option<String>,
    /// Whether the metadata service of a virtual machine may be asked (`AWS_EC2_METADATA_DISABLED` is not set).
    pub aws_metadata: bool,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub aws_metadata_endpoint: Option<String>,
    /// `keyfob run --identity`: which identity counts, where there are several.
    pub chosen: Option<String>,
}

/// How a job of GitHub Actions asks for an ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubRequest {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`; has a query already.
    pub url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, good for as long as the job runs.
    pub token: Secret<String>,
}

/// `AWS_ACCESS_KEY_ID` and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmbientKeys {
    /// The name of the key.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret<String>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret<String>>,
}

/// The container endpoint of an AWS machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsContainer {
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or the relative one at 169.254.170.2.
    pub url: String,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub token: Option<Secret<String>>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, which goes first and is read each time.
    pub token_file: Option<PathBuf>,
}

/// Where the relative address of a container's keys is (Amazon ECS).
const ECS: &str = "http://169.254.170.2";

impl Ambient {
    /// Reads the variables ([`keyfob_ipc::start::AMBIENT`]); `variable` looks one up. What is no text counts as absent.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let filled = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| filled(name).and_then(|value| value.into_string().ok());
        let secret = |name: &str| text(name).map(Secret::new);
        let is_true =
            |name: &str| filled(name).is_some_and(|value| value.eq_ignore_ascii_case(OsStr::new("true")));
        let github = || {
            Some(GithubRequest {
                url: text("ACTIONS_ID_TOKEN_REQUEST_URL")?,
                token: secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
            })
        };
        let circleci = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"];
        let keys = || {
            Some(AmbientKeys {
                access_key_id: text("AWS_ACCESS_KEY_ID")?,
                secret_access_key: secret("AWS_SECRET_ACCESS_KEY")?,
                session_token: secret("AWS_SESSION_TOKEN"),
            })
        };
        let container = || {
            let relative = text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{ECS}{path}"));
            Some(AwsContainer {
                url: relative.or_else(|| text("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?,
                token: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                token_file: filled("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
            })
        };
        Self {
            github: github(),
            is_github: is_true("GITHUB_ACTIONS"),
            circleci: circleci.into_iter().find_map(|name| Some((name, secret(name)?))),
            is_circleci: is_true("CIRCLECI"),
            web_identity_file: filled("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from),
            aws_keys: keys(),
            aws_container: container(),
            aws_role: text("AWS_ROLE_ARN"),
            aws_metadata: !is_true("AWS_EC2_METADATA_DISABLED"),
            aws_metadata_endpoint: text("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            chosen: text("KEYFOB_IDENTITY"),
        }
    }

    /// The same without what AWS says of a machine: none of it is used, and the metadata service is not asked.
    #[must_use]
    pub fn without_machine(self) -> Self {
        Self {
            web_identity_file: None,
            aws_keys: None,
            aws_container: None,
            aws_role: None,
            aws_metadata: false,
            aws_metadata_endpoint: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> Ambient {
        Ambient::read(|name| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_desktop_has_no_job() {
        assert_eq!(read(&[]), Ambient { aws_metadata: true, ..Ambient::default() });
        assert_eq!(read(&[("CIRCLE_OIDC_TOKEN", "")]).circleci, None);
    }

    #[test]
    fn an_id_token_needs_both_of_its_variables() {
        assert_eq!(read(&[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x/?y")]).github, None);
        let job = read(&[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x/?y"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
            ("GITHUB_ACTIONS", "true"),
        ]);
        assert!(job.is_github && job.github.is_some());
    }

    #[test]
    fn the_newer_token_of_circleci_goes_first() {
        let both = [("CIRCLE_OIDC_TOKEN", "old"), ("CIRCLE_OIDC_TOKEN_V2", "new")];
        assert_eq!(read(&both).circleci, Some(("CIRCLE_OIDC_TOKEN_V2", Secret::from("new"))));
        assert_eq!(read(&both[..1]).circleci, Some(("CIRCLE_OIDC_TOKEN", Secret::from("old"))));
    }

    #[test]
    fn below_exec_there_is_no_machine() {
        let all: Vec<_> = keyfob_ipc::start::AMBIENT.iter().map(|name| (*name, "true")).collect();
        let all: Vec<_> = all.into_iter().filter(|(name, _)| *name != "AWS_EC2_METADATA_DISABLED").collect();
        let job = read(&all);
        assert!(job.aws_metadata && job.aws_role.is_some() && job.aws_metadata_endpoint.is_some());
        assert!(job.aws_keys.is_some() && job.aws_container.is_some() && job.web_identity_file.is_some());
        let below = job.without_machine();
        let kept = all.iter().filter(|(name, _)| !name.starts_with("AWS_")).copied().collect::<Vec<_>>();
        assert_eq!(below, Ambient { aws_metadata: false, ..read(&kept) });
        assert!(!read(&[]).without_machine().aws_metadata);
    }

    #[test]
    fn debug_shows_no_secret() {
        let job = read(&[
            ("CIRCLE_OIDC_TOKEN", "s3cret"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ]);
        assert!(!format!("{job:?}").contains("s3cret"));
    }
}
