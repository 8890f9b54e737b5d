//! What the STS says when it refuses: codes and statuses of its API reference.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::xml;

/// A refusal that can be forced with [`crate::Fault::StsError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StsError {
    /// `ExpiredTokenException`, 400.
    ExpiredToken,
    /// `InvalidIdentityToken`, 400: the keys could not be fetched. Passes by itself, in real life.
    VerificationKeyUnavailable,
    /// `InvalidIdentityToken`, 400: the account has no such provider.
    NoProvider,
    /// `InvalidIdentityToken`, 400: the provider is not there for this audience.
    WrongAudience,
    /// `IDPCommunicationError`, 400. Worth another try, a limited number of times.
    IdpCommunicationError,
    /// `IDPRejectedClaim`, 403.
    IdpRejectedClaim,
    /// `MalformedPolicyDocument`, 400.
    MalformedPolicyDocument,
    /// `PackedPolicyTooLarge`, 400.
    PackedPolicyTooLarge,
    /// `RegionDisabledException`, 403.
    RegionDisabled,
    /// `AccessDenied`, 403.
    AccessDenied,
    /// `Throttling`, 400.
    Throttling,
    /// `InternalFailure`, 500.
    InternalFailure,
    /// `ServiceUnavailable`, 503.
    ServiceUnavailable,
}

impl StsError {
    /// The refusal; `issuer` is whom [`StsError::NoProvider`] names.
    pub(super) fn refusal(self, issuer: &str) -> Refusal {
        let (status, code, message) = match self {
            Self::ExpiredToken => (400, "ExpiredTokenException", "Token expired"),
            Self::VerificationKeyUnavailable => (
                400,
                "InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider, please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
            ),
            Self::NoProvider => {
                let message = format!("No OpenIDConnect provider found in your account for {issuer}");
                return Refusal::new(400, "InvalidIdentityToken", message);
            }
            Self::WrongAudience => (400, "InvalidIdentityToken", "Incorrect token audience"),
            Self::IdpCommunicationError => {
                (400, "IDPCommunicationError", "Could not reach the identity provider to verify the token")
            }
            Self::IdpRejectedClaim => {
                (403, "IDPRejectedClaim", "The identity provider reported that authentication failed")
            }
            Self::MalformedPolicyDocument => {
                (400, "MalformedPolicyDocument", "The policy is not in the valid JSON format.")
            }
            Self::PackedPolicyTooLarge => {
                (400, "PackedPolicyTooLarge", "PackedPolicySize exceeded the allowed space for the policy")
            }
            Self::RegionDisabled => (
                403,
                "RegionDisabledException",
                "STS is not activated in this region for account:123456789012.",
            ),
            Self::AccessDenied => {
                (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
            }
            Self::Throttling => (400, "Throttling", "Rate exceeded"),
            Self::InternalFailure => {
                (500, "InternalFailure", "We encountered an internal error. Please try again.")
            }
            Self::ServiceUnavailable => (503, "ServiceUnavailable", "Service Unavailable"),
        };
        Refusal::new(status, code, message)
    }
}

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn missing_action() -> Self {
        Self::new(400, "MissingAction", "The request is missing an action or a required parameter.")
    }

    pub(super) fn invalid_action(action: &str, version: &str) -> Self {
        Self::new(400, "InvalidAction", format!("Could not find operation {action} for version {version}"))
    }

    /// A parameter that breaks a rule of the API model.
    pub(super) fn constraint(value: Option<&str>, parameter: &str, rule: &str) -> Self {
        let value = value.map_or_else(|| "null".into(), |value| format!("'{value}'"));
        let message = format!(
            "1 validation error detected: Value {value} at '{parameter}' failed to satisfy constraint: Member must {rule}"
        );
        Self::new(400, "ValidationError", message)
    }

    pub(super) fn invalid_identity_token(message: &str) -> Self {
        Self::new(400, "InvalidIdentityToken", message)
    }

    pub(super) fn invalid_client_token() -> Self {
        Self::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        xml::failure(status, self.code, &self.message)
    }
}
