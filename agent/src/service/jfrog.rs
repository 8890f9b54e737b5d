//! `jfrog`.

use keyfob_ipc::Secret;

use super::{Api, Introspection, Service, ServiceError, Shape};
use crate::keychain::Pending;

#[derive(Debug)]
pub(super) struct Jfrog;

impl Service for Jfrog {
    fn name(&self) -> &'static str {
        "jfrog"
    }

    fn has_api(&self) -> bool {
        false
    }

    fn shape(&self) -> Shape<'_> {
        Shape::ByHand
    }

    fn introspect<'a>(
        &'a self,
        _api: &'a Api,
        _token: &'a Secret<String>,
    ) -> Pending<'a, Result<Introspection, ServiceError>> {
        Box::pin(async { Err(ServiceError::Unable) })
    }
}
