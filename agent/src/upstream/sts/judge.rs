//! What STS says when it refuses, each with the one next step.

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use super::{At, StsError};
use crate::upstream::http::HttpError;

/// What was asked, and where.
pub(super) struct Asked<'a> {
    pub(super) at: At<'a>,
    pub(super) action: Action<'a>,
}

/// What was asked.
#[derive(Clone, Copy)]
pub(super) enum Action<'a> {
    /// A role, with an ID token.
    Identity { role: &'a str },
    /// A role, with the keys of an entry.
    Chain { role: &'a str, of: &'a str, look: &'a str },
    /// Whose keys these are.
    Caller { of: &'a str },
}

impl Action<'_> {
    /// What is wanted, in words.
    fn wanted(self) -> String {
        match self {
            Self::Identity { role } | Self::Chain { role, .. } => format!("the role `{role}`"),
            Self::Caller { of } => format!("the name behind the keys of `{of}`"),
        }
    }
}

impl Asked<'_> {
    pub(super) fn explain<E>(&self, error: &SdkError<E, HttpResponse>) -> StsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let SdkError::ServiceError(context) = error {
            let (code, message) = (context.err().code(), context.err().message());
            return self.judge(code.unwrap_or_default(), message.unwrap_or_default());
        }
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(inner) = cause {
            if let Some(http) = inner.downcast_ref::<HttpError>() {
                return StsError::Refused(http.refusal());
            }
            cause = inner.source();
        }
        let say = format!("the AWS security token service in {} does not answer", self.at.region);
        StsError::Refused(
            Refusal::new(Code::Offline, say).hint("check the network or the VPN, then try again"),
        )
    }

    /// The error codes of STS (its API reference).
    fn judge(&self, code: &str, message: &str) -> StsError {
        let wanted = self.action.wanted();
        let said = if message.is_empty() { String::new() } else { format!(": {}", escape(message)) };
        match code {
            "ExpiredTokenException" | "ExpiredToken" => StsError::Expired,
            "AccessDenied" | "AccessDeniedException" => self.denied(&said, message),
            "InvalidIdentityToken" | "InvalidIdentityTokenException" if is_fetch_fault(code, message) => {
                self.passing(&said)
            }
            "InvalidIdentityToken" | "InvalidIdentityTokenException" => refused(
                format!("AWS does not accept the identity provider for {wanted}{said}"),
                "check the IAM OIDC provider of that account: its URL is the issuer, its audience the client_id",
            ),
            "IDPRejectedClaim" | "IDPRejectedClaimException" => StsError::Refused(
                Refusal::new(
                    Code::SignInNeeded,
                    format!("the identity provider rejected the session for {wanted}{said}"),
                )
                .hint("keyfob login"),
            ),
            "IDPCommunicationError" | "IDPCommunicationErrorException" => self.passing(&said),
            "InvalidClientTokenId" | "UnrecognizedClientException" => refused(
                format!("AWS does not know the keys that ask for {wanted}{said}"),
                "check that they are keys of this partition, and that nobody has deleted them",
            ),
            "SignatureDoesNotMatch" | "RequestExpired" | "IncompleteSignature" => refused(
                format!("AWS does not accept the signature that asks for {wanted}{said}"),
                "set this machine's clock",
            ),
            "RegionDisabledException" => refused(
                format!("the region {} is switched off in the account of {wanted}", self.at.region),
                "set another `region` for this entry",
            ),
            "ValidationError" => refused(
                format!("AWS refuses the request for {wanted}{said}"),
                "lower `duration` of this entry: the role may allow shorter sessions alone; or mend its `role_arn`",
            ),
            "MalformedPolicyDocument"
            | "MalformedPolicyDocumentException"
            | "PackedPolicyTooLarge"
            | "PackedPolicyTooLargeException" => refused(
                format!("AWS refuses the session policies or tags for {wanted}{said}"),
                "check `policy_arns` and the session tags",
            ),
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => self.passing(&said),
            code if code.is_empty()
                || code.starts_with("Internal")
                || code.starts_with("ServiceUnavailable") =>
            {
                self.passing(&said)
            }
            code => refused(
                format!("AWS refused {wanted} ({}){said}", escape(code)),
                "keyfob why, with the entry's name",
            ),
        }
    }

    fn denied(&self, said: &str, message: &str) -> StsError {
        match self.action {
            Action::Identity { role } => refused(
                format!("AWS does not let you have the role `{role}`{said}"),
                "ask for your user or group in the role's trust policy",
            ),
            Action::Chain { role, of, look } => {
                // What AWS says names both again, and is cut for it where a person reads it.
                let why = reason(message).map_or_else(
                    || {
                        ": the trust policy of that role must let it in (with its external_id and tags), and its own \
                         policies allow sts:AssumeRole"
                            .to_owned()
                    },
                    |why| format!(", {}", escape(why)),
                );
                refused(format!("AWS does not let `{of}` assume the role `{role}`{why}"), look)
            }
            Action::Caller { of } => {
                refused(format!("AWS does not accept the keys of `{of}`{said}"), "check the entry")
            }
        }
    }

    fn passing(&self, said: &str) -> StsError {
        let say = format!(
            "the AWS security token service in {} cannot give {} now{said}",
            self.at.region,
            self.action.wanted()
        );
        StsError::Refused(Refusal::new(Code::Offline, say).hint("try again in a minute"))
    }

    /// An answer that is none.
    pub(super) fn odd(&self, what: &str) -> StsError {
        let wanted = self.action.wanted();
        let say = format!("the AWS security token service answered with {what} for {wanted}");
        StsError::Refused(
            Refusal::new(Code::ProviderUntrusted, say).hint("check `endpoint_url` of this entry"),
        )
    }
}

fn refused(say: String, hint: &str) -> StsError {
    StsError::Refused(Refusal::new(Code::RoleRefused, say).hint(hint))
}

/// The end of AWS' sentence, where it says more than who may not do what (IAM user guide, "Access denied error messages").
fn reason(message: &str) -> Option<&str> {
    let begin = ["because ", "with an explicit deny"].iter().find_map(|begin| message.find(begin))?;
    message.get(begin..).filter(|reason| reason.len() <= 120)
}

/// STS had five seconds to fetch the provider's keys, and did not get them.
pub(super) fn is_fetch_fault(code: &str, message: &str) -> bool {
    code.starts_with("InvalidIdentityToken") && message.contains("retrieve verification key")
}
