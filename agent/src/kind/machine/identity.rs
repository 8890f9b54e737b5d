//! Which identity a job has, of those that its surroundings offer.

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal, Secret};
use serde::Deserialize;

use super::Machine;
use super::jwt::Jwt;
use crate::ambient::{Ambient, GithubRequest};
use crate::config::EntryName;

/// Whose word it is that a job is who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// A token of GitHub, requested for each exchange.
    GithubActions,
    /// The token that CircleCI gives to a job at its start.
    #[serde(rename = "circleci")]
    CircleCi,
    /// A token in a file, which somebody else renews: Kubernetes, for one.
    WebIdentityFile,
    /// The role that AWS gives to the machine.
    AwsIam,
}

impl Identity {
    const ALL: [Self; 4] = [Self::GithubActions, Self::CircleCi, Self::WebIdentityFile, Self::AwsIam];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::CircleCi => "circleci",
            Self::WebIdentityFile => "web-identity-file",
            Self::AwsIam => "aws-iam",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|identity| identity.name() == name)
    }
}

impl Machine {
    /// The identity that counts here: the configured one, else the one that `keyfob run --identity` names, else what the
    /// surroundings offer.
    ///
    /// In a job of GitHub or CircleCI that gets no token of theirs, the identity of the machine beneath is never taken instead:
    /// that would be the runner's, which may be far more.
    ///
    /// # Errors
    /// [`Code::MachineIdentityMissing`] where there is none.
    pub(super) fn identity(&self, name: &EntryName, ambient: &Ambient) -> Result<Identity, Refusal> {
        if let Some(identity) = self.identity {
            return Ok(identity);
        }
        if let Some(chosen) = &ambient.chosen {
            return match Identity::parse(chosen) {
                Some(Identity::AwsIam) if self.role.is_none() => Err(missing(
                    format!("`{name}` names no role of a machine user, which the identity aws-iam needs"),
                    format!("add `identity = \"aws-iam\"`, `role_arn` and `region` under [{name}]"),
                )),
                Some(identity) => Ok(identity),
                None => Err(missing(
                    format!("there is no identity `{}`", keyfob_ipc::text::escape(chosen)),
                    format!("name one of {}", Identity::ALL.map(Identity::name).join(", ")),
                )),
            };
        }
        if ambient.github.is_some() || ambient.is_github {
            Ok(Identity::GithubActions)
        } else if ambient.circleci.is_some() || ambient.is_circleci {
            Ok(Identity::CircleCi)
        } else if ambient.web_identity_file.is_some() || self.token_file.is_some() {
            Ok(Identity::WebIdentityFile)
        } else {
            Err(missing(
                format!("`{name}` has no identity here: neither a CI system nor a token file gives one"),
                "keyfob run -- COMMAND, in a job of GitHub Actions or CircleCI, or where \
                 AWS_WEB_IDENTITY_TOKEN_FILE is set",
            ))
        }
    }
}

/// What a job of GitHub asks for its token with.
///
/// # Errors
/// [`Code::MachineIdentityMissing`] with the lines that the workflow lacks.
pub(super) fn github<'a>(name: &EntryName, ambient: &'a Ambient) -> Result<&'a GithubRequest, Refusal> {
    ambient.github.as_ref().ok_or_else(|| {
        if ambient.is_github {
            missing(
                "this job of GitHub Actions gets no ID token: ACTIONS_ID_TOKEN_REQUEST_URL is not set",
                "add `permissions: id-token: write` to the job; a pull request from a fork gets none",
            )
        } else {
            no_job(name, "GitHub Actions")
        }
    })
}

/// The token of a job of CircleCI, which is good for an hour.
///
/// # Errors
/// [`Code::MachineIdentityMissing`] where there is none, where it is none, and where it has ended.
pub(super) fn circleci(name: &EntryName, ambient: &Ambient, now: Timestamp) -> Result<Jwt, Refusal> {
    let Some((variable, token)) = &ambient.circleci else {
        return Err(if ambient.is_circleci {
            missing(
                "this job of CircleCI gets no ID token: CIRCLE_OIDC_TOKEN_V2 is not set",
                "give the job a context; a build of a fork gets a token only where it gets secrets",
            )
        } else {
            no_job(name, "CircleCI")
        });
    };
    let jwt = read(token, variable)?;
    if jwt.until <= now {
        return Err(missing(
            format!(
                "the ID token of this job has ended: {variable} is good for an hour from the job's start"
            ),
            "do what needs it in the job's first hour, with a longer `duration` of the role, or part the job in two",
        ));
    }
    Ok(jwt)
}

/// Reads a token from somewhere that has a name.
pub(super) fn read(token: &Secret<String>, place: &str) -> Result<Jwt, Refusal> {
    Jwt::read(token.clone()).map_err(|no| {
        missing(
            format!("the token of this job cannot be used: {place} {no}"),
            "let no step of the job set or change it, and whoever renews it write the token alone",
        )
    })
}

fn no_job(name: &EntryName, of: &str) -> Refusal {
    missing(
        format!("`{name}` has no identity here: this is no job of {of}"),
        "keyfob run -- COMMAND, in such a job",
    )
}

pub(super) fn missing(say: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal::new(Code::MachineIdentityMissing, say).hint(hint)
}
