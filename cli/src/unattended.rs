//! Where nobody is there to sign in or to answer, and what is said there in place of "sign in".

use std::ffi::OsString;

use keyfob_ipc::{Code, Refusal};

/// Why nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// Below `keyfob run`.
    Job,
    /// `CI` is set.
    Ci,
}

impl Unattended {
    /// `variable` looks one up. A job says more than `CI`, which is set there too.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let filled = |name: &str| variable(name).filter(|value| !value.is_empty());
        if filled(keyfob_ipc::start::job::JOB).is_some() {
            return Some(Self::Job);
        }
        filled("CI").is_some_and(|value| value != "false" && value != "0").then_some(Self::Ci)
    }

    /// The beginning of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Job => "this is a job of `keyfob run`",
            Self::Ci => "CI is set",
        }
    }

    /// The same refusal with what can be done here: a command that is refused here, too, would lead in a circle.
    pub fn mended(self, refusal: Refusal) -> Refusal {
        let hint = match refusal.code {
            Code::SignInNeeded if refusal.hint.starts_with("keyfob login") => format!(
                "{}, so nobody signs in: give the entry `machine = \"ci\"` in place of `sso`, and add [machine.ci]",
                self.words()
            ),
            Code::MachineIdentityMissing if self == Self::Job && refusal.hint.starts_with("keyfob run") => {
                "have one of ACTIONS_ID_TOKEN_REQUEST_URL (GitHub: `permissions: id-token: write`), \
                 CIRCLE_OIDC_TOKEN_V2 (CircleCI: a context) and AWS_WEB_IDENTITY_TOKEN_FILE set in this job"
                    .to_owned()
            }
            _ => return refusal,
        };
        refusal.hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Option<Unattended> {
        Unattended::of(|name| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_job_is_told_from_ci() {
        assert_eq!(of(&[]), None);
        for off in ["", "false", "0"] {
            assert_eq!(of(&[("CI", off)]), None);
        }
        assert_eq!(of(&[("CI", "true")]), Some(Unattended::Ci));
        assert_eq!(of(&[("CI", "true"), ("KEYFOB_JOB", "1")]), Some(Unattended::Job));
    }

    #[test]
    fn no_hint_leads_in_a_circle() {
        let sign_in =
            Refusal::new(Code::SignInNeeded, "you are not signed in to `sso.okta`").hint("keyfob login okta");
        for nobody in [Unattended::Job, Unattended::Ci] {
            let mended = nobody.mended(sign_in.clone());
            assert!(mended.hint.starts_with(nobody.words()), "{mended:?}");
            assert!(
                mended.hint.contains("`machine = \"ci\"`") && !mended.hint.contains("login"),
                "{mended:?}"
            );
            assert_eq!((mended.code, mended.say), (sign_in.code, sign_in.say.clone()));
        }
        let missing = Refusal::new(Code::MachineIdentityMissing, "no identity").hint("keyfob run -- COMMAND");
        assert_eq!(Unattended::Ci.mended(missing.clone()), missing);
        let mended = Unattended::Job.mended(missing);
        for name in ["ACTIONS_ID_TOKEN_REQUEST_URL", "CIRCLE_OIDC_TOKEN_V2", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
            assert!(mended.hint.contains(name), "{mended:?}");
        }
        assert!(!mended.hint.contains("keyfob run"), "{mended:?}");
        let other = Refusal::new(Code::Offline, "offline").hint("keyfob why aws.dev");
        assert_eq!(Unattended::Job.mended(other.clone()), other);
    }
}
