//! The network, and nothing else: one HTTP client, OpenID Connect, the AWS security token service, and what
//! Remote Execution clusters say about a token.
//!
//! Everything here takes what it needs as parameters and keeps no state of credentials. Answers are bounded, calls have
//! deadlines, redirects are not followed, and only addresses that [`http::Http::allowed`] lets through are called.

pub mod aws_machine;
pub mod capabilities;
pub mod github_actions;
pub mod http;
pub mod iam;
pub mod oidc;
pub mod outerbounds;
pub mod outscale;
pub mod secrets_manager;
pub mod signed;
pub mod sts;

/// What the host names of a region end with.
pub fn aws_domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// So many characters of a secret in a row are too much already.
const PIECE: usize = 8;

/// Whether words from outside repeat a piece of a secret. To be asked before anything of them is cut.
pub fn repeats(words: &str, secret: &str) -> bool {
    let piece = secret.len().clamp(1, PIECE);
    let has = |piece: &[u8]| words.as_bytes().windows(piece.len()).any(|window| window == piece);
    secret.as_bytes().windows(piece).any(has)
}
