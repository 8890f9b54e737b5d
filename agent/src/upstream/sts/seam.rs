//! The SDK's seams: our HTTP client in the place of its own, and one rule more about what is tried again.

use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::judge::is_fetch_fault;
use crate::upstream::http::{Http, HttpError};

/// Retries what [`is_fetch_fault`] names.
#[derive(Debug)]
pub(super) struct KeysNotFetched;

impl ClassifyRetry for KeysNotFetched {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error =
            context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        match error.and_then(|error| error.downcast_ref::<AssumeRoleWithWebIdentityError>()) {
            Some(error)
                if is_fetch_fault(error.code().unwrap_or_default(), error.message().unwrap_or_default()) =>
            {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "keys of the identity provider not fetched"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::modeled_as_retryable_classifier())
    }
}

/// The SDK's HTTP seam.
#[derive(Debug, Clone)]
pub(super) struct Seam(pub(super) Http);

impl HttpClient for Seam {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Seam {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let user = |error: BoxError| ConnectorError::user(error);
            let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
            let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
            let answer = http.send(request).await.map_err(|error| match error {
                HttpError::Slow(_) => ConnectorError::timeout(error.into()),
                HttpError::Unreachable { .. } | HttpError::Broken(_) => ConnectorError::io(error.into()),
                _ => ConnectorError::user(error.into()),
            })?;
            HttpResponse::try_from(answer.map(aws_smithy_types::body::SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
