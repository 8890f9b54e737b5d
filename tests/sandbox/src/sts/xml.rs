//! XML answers of the query protocol.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::common::random_uuid;
use crate::net::escaped;

/// The namespace of API version 2011-06-15.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// `<name>text</name>`, the text escaped.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

/// `<name>` around elements.
pub(super) fn group(name: &str, elements: &[String]) -> String {
    format!("<{name}>{}</{name}>", elements.concat())
}

/// A success: `<ActionResponse><ActionResult>…`.
pub(super) fn success(action: &str, elements: &[String]) -> Response {
    let id = random_uuid();
    let result = group(&format!("{action}Result"), elements);
    let metadata = group("ResponseMetadata", &[element("RequestId", &id)]);
    let body = format!("<{action}Response xmlns=\"{NAMESPACE}\">{result}{metadata}</{action}Response>\n");
    answer(StatusCode::OK, &id, body)
}

/// A refusal: `<ErrorResponse><Error>…`.
pub(super) fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    let id = random_uuid();
    let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
    let error = group("Error", &[element("Type", kind), element("Code", code), element("Message", message)]);
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\">{error}{}</ErrorResponse>\n",
        element("RequestId", &id)
    );
    answer(status, &id, body)
}

fn answer(status: StatusCode, id: &str, body: String) -> Response {
    let request_id = HeaderName::from_static("x-amzn-requestid");
    (status, [(header::CONTENT_TYPE, "text/xml"), (request_id, id)], body).into_response()
}
