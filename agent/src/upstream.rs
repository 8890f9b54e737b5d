//! The network, and nothing else: one HTTP client, OpenID Connect, the AWS security token service, and what
//! Remote Execution clusters say about a token.
//!
//! Everything here takes what it needs as parameters and keeps no state of credentials. Answers are bounded, calls have
//! deadlines, redirects are not followed, and only addresses that [`http::Http::allowed`] lets through are called.

pub mod capabilities;
pub mod http;
pub mod oidc;
pub mod sts;
