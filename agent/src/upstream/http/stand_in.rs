//! An answer without a network, for tests that run the agent by a schedule of their own.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::{Http, HttpError, Inner, Whole};
use crate::keychain::Pending;

type Answering = dyn Fn(Request<Vec<u8>>) -> Pending<'static, Result<Whole, HttpError>> + Send + Sync;

/// What answers in the network's place.
#[derive(Clone)]
pub struct StandIn(Arc<Answering>);

impl StandIn {
    /// Answers by this function; what may not be called at all does not reach it.
    pub fn new(
        answer: impl Fn(Request<Vec<u8>>) -> Pending<'static, Result<Whole, HttpError>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }

    pub(super) fn answer(&self, request: Request<Vec<u8>>) -> Pending<'static, Result<Whole, HttpError>> {
        (self.0)(request)
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StandIn")
    }
}

impl Http {
    /// The same client, with no network behind it.
    #[must_use]
    pub fn without_network(&self, stand_in: StandIn) -> Self {
        let Inner { outside, loopback, plain_grpc, plain_loopback, .. } = &*self.inner;
        let inner = Inner {
            outside: outside.clone(),
            loopback: loopback.clone(),
            plain_grpc: plain_grpc.clone(),
            plain_loopback: *plain_loopback,
            stand_in: Some(stand_in),
        };
        Self { inner: Arc::new(inner), ..self.clone() }
    }
}
