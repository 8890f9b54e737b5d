//! The one outgoing HTTP client, for foreign keys, a forwarded STS call and the scripted browser: loopback only.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use url::Url;

/// Most bytes of an answer that are ever kept.
pub(crate) const LIMIT: usize = 1 << 20;

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Only plain `http` to a loopback address is ever called.
    #[error("the sandbox only talks to http on loopback, not to {0}")]
    NotLoopback(String),
    /// The answer was larger than 1 MiB.
    #[error("the answer is larger than {LIMIT} bytes")]
    TooLarge,
    /// No answer, or half of one.
    #[error("no answer")]
    Failed(#[from] reqwest::Error),
}

/// The client: no proxy, no redirect of its own, ten seconds.
pub(crate) fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // The client outlives the runtimes of single tests; a pooled connection would not.
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(10))
            // Without this a machine with no CA certificates at all cannot even build a client.
            .tls_certs_only([])
            .build()
            .expect("a client without certificates can be built")
    })
}

/// The URL, if it is plain `http` on loopback.
pub(crate) fn loopback(url: &Url) -> Result<&Url, NetError> {
    let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if url.scheme() == "http" && here {
        Ok(url)
    } else {
        Err(NetError::NotLoopback(format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())))
    }
}

/// The whole answer, at most [`LIMIT`] bytes of it.
pub(crate) async fn body(mut response: reqwest::Response) -> Result<Bytes, NetError> {
    let mut all = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if all.len() + chunk.len() > LIMIT {
            return Err(NetError::TooLarge);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Text as it may stand in HTML and XML, between tags and in double quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
