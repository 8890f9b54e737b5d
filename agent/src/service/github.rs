//! `github`.

use keyfob_ipc::Secret;

use super::{Api, Introspection, Service, ServiceError, Shape};
use crate::keychain::Pending;

#[derive(Debug)]
pub(super) struct Github;

impl Service for Github {
    fn name(&self) -> &'static str {
        "github"
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
