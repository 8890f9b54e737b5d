//! `manual`: a page and nothing else (Aspect Workflows today). What is known of a token is what the person and the
//! configuration say.

use keyfob_ipc::Secret;

use super::{Api, Introspection, Service, ServiceError, Shape};
use crate::keychain::Pending;

#[derive(Debug)]
pub(super) struct Manual;

impl Service for Manual {
    fn name(&self) -> &'static str {
        "manual"
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
