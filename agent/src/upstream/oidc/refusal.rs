//! Why a provider gave nothing, and what a person is told.

use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};
use openidconnect::core::CoreErrorResponseType;
use openidconnect::{RequestTokenError, StandardErrorResponse};
use serde::Deserialize;

use crate::upstream::http::HttpError;

/// Why a provider gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The network.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is no OAuth answer: a captive portal, a gateway's error page.
    #[error("{0} answers, but not as an identity provider")]
    Strange(String),
    /// An OAuth error answer.
    #[error("the identity provider refused: {code}{description}")]
    Refused {
        /// `error`, escaped.
        code: String,
        /// `error_description` with a leading `, `, escaped; or empty.
        description: String,
    },
    /// The grant is dead (`invalid_grant`).
    #[error("the session has ended at the identity provider{0}")]
    Dead(String),
    /// The answer does not prove what it must.
    #[error("the identity provider's answer is not to be trusted: {0}")]
    Untrusted(String),
    /// The provider does not offer what is needed.
    #[error("the identity provider offers no {0}")]
    NotOffered(&'static str),
}

impl OidcError {
    /// What a person is told; `sign_in` is the command that starts over.
    pub fn refusal(&self, sign_in: &str) -> Refusal {
        let say = self.to_string();
        match self {
            Self::Http(error) => error.refusal(),
            Self::Strange(_) => Refusal::new(Code::Offline, say)
                .hint("sign in to the network (a captive portal may be in between), then try again"),
            Self::Refused { .. } => Refusal::new(Code::ProviderRefused, say).hint(sign_in),
            Self::Dead(_) => Refusal::new(Code::SignInNeeded, say).hint(sign_in),
            Self::Untrusted(_) => Refusal::new(Code::ProviderUntrusted, say)
                .hint("check `issuer` and `client_id`, then keyfob config check"),
            Self::NotOffered(_) => {
                Refusal::new(Code::ProviderRefused, say).hint("ask whoever runs it, or choose another way")
            }
        }
    }
}

impl OidcError {
    /// What became of a request; `origin` is whom it went to.
    ///
    /// Only an OAuth error answer (RFC 6749, section 5.2) is the provider's word about a token.
    pub(super) fn of(
        error: RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>,
        origin: String,
    ) -> Self {
        match error {
            RequestTokenError::Request(error) => Self::Http(error),
            RequestTokenError::ServerResponse(answer) => {
                let description = describe(answer.error_description().map(String::as_str));
                match answer.error() {
                    CoreErrorResponseType::InvalidGrant => Self::Dead(description),
                    other => Self::Refused { code: escape(other.as_ref()), description },
                }
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Self::Strange(origin),
        }
    }

    /// The provider's word in an error answer, if that is what it is.
    pub(super) fn said(answer: &[u8], origin: String) -> Self {
        #[derive(Deserialize)]
        struct Failure {
            error: String,
            error_description: Option<String>,
        }
        let Ok(failure) = serde_json::from_slice::<Failure>(answer) else { return Self::Strange(origin) };
        let description = describe(failure.error_description.as_deref());
        match failure.error.as_str() {
            "invalid_grant" => Self::Dead(description),
            code => Self::Refused { code: escape(code), description },
        }
    }
}

/// A provider's own words, in brackets; or nothing.
fn describe(description: Option<&str>) -> String {
    description.map(|text| format!(" ({})", escape(text))).unwrap_or_default()
}
