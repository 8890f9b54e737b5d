//! A network that answers as it is told.

use std::future::Future;
use std::sync::{Arc, LazyLock};

use http::{Request, Response};
use keyfob_agent::config::Network;
use keyfob_agent::keychain::Pending;
use keyfob_agent::upstream::http::{Http, HttpError, StandIn, Whole};
use tokio::runtime::{Builder, Runtime};

static BASE: LazyLock<Http> =
    LazyLock::new(|| Http::new(&Network::default(), false).expect("a client is made without a network"));

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime is made"));

/// A client whose every request is answered by this function.
pub(crate) fn answering(
    answer: impl Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync + 'static,
) -> Http {
    let answer = Arc::new(answer);
    BASE.without_network(StandIn::new(move |request| {
        let answer = answer(&request).map(|body| (body, None));
        let ready: Pending<'static, Result<Whole, HttpError>> = Box::pin(std::future::ready(Ok(answer)));
        ready
    }))
}

/// The result of work that waits for no network; some of it sets itself a limit in time.
pub(crate) fn now<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

/// A piece of data as a line of words, and the rest.
pub(crate) fn first_line(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let line = std::str::from_utf8(&data[..end]).unwrap_or_default();
    (line, data.get(end + 1..).unwrap_or_default())
}
