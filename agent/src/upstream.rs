//! The network, and nothing else: one HTTP client, OpenID Connect, the AWS security token service, and what
//! Remote Execution clusters say about a token.
//!
//! Everything here takes what it needs as parameters and keeps no state of credentials. Answers are bounded, calls have
//! deadlines, redirects are not followed, and only addresses that [`http::Http::allowed`] lets through are called.

pub mod capabilities;
pub mod http;
pub mod oidc;
pub mod sts;

/// So many characters of a secret in a row are too much already.
const PIECE: usize = 8;

/// Whether words from outside repeat a piece of a secret. To be asked before anything of them is cut.
pub fn repeats(words: &str, secret: &str) -> bool {
    let piece = secret.len().clamp(1, PIECE);
    let has = |piece: &[u8]| words.as_bytes().windows(piece.len()).any(|window| window == piece);
    secret.as_bytes().windows(piece).any(has)
}
