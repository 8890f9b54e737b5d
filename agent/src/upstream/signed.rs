//! Calls that are signed with an access key: AWS Signature Version 4, in headers, by `aws-sigv4` over our own client.
//!
//! OUTSCALE takes the same signatures (<https://docs.outscale.com/en/userguide/Signature-of-API-Requests.html>), with `api` and `eim`
//! for the name of the service, as its own tools sign them (github.com/outscale/osc-cli, `osc_sdk/sdk.py`, `API_NAME`).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderValue, Request, Response, header};
use jiff::Timestamp;
use keyfob_ipc::Secret;

use super::http::{Http, HttpError, origin};

/// Keys that sign.
#[derive(Debug, Clone, Copy)]
pub struct SigningKeys<'a> {
    /// The name of the key; it stands in the request.
    pub access_key_id: &'a str,
    /// What signs; never leaves this process.
    pub secret_access_key: &'a Secret<String>,
    /// Goes along where the keys are temporary ones.
    pub session_token: Option<&'a Secret<String>>,
}

/// Signs a request for `(region, service)` at the time `now`, sends it and reads the whole answer.
///
/// `Host` and `Content-Type` are signed, the body by its hash. The address goes as it is: a path is to be plain already.
///
/// # Errors
/// As for [`Http::send`]; any status is an answer. A request that cannot be signed counts as one to a wrong address.
pub async fn send(
    http: &Http,
    keys: &SigningKeys<'_>,
    scope: (&str, &str),
    now: Timestamp,
    mut request: Request<Vec<u8>>,
) -> Result<Response<Vec<u8>>, HttpError> {
    http.allowed(request.uri())?;
    apply(keys, scope, now, &mut request).map_err(|_| HttpError::NotAllowed(origin(request.uri())))?;
    http.send(request).await
}

/// The address or a header is none that can be signed.
#[derive(Debug)]
struct Unsignable;

/// Puts the signature on a request.
fn apply(
    keys: &SigningKeys<'_>,
    (region, service): (&str, &str),
    now: Timestamp,
    request: &mut Request<Vec<u8>>,
) -> Result<(), Unsignable> {
    if !request.headers().contains_key(header::HOST)
        && let Some(host) =
            request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let mut identity = Credentials::builder()
        .access_key_id(keys.access_key_id)
        .secret_access_key(keys.secret_access_key.expose())
        .provider_name("keyfob");
    if let Some(token) = keys.session_token {
        identity = identity.session_token(token.expose());
    }
    let identity = identity.build().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::from(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Unsignable)?
        .into();
    let uri = request.uri().to_string();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable =
        SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(request.body()))
            .map_err(|_| Unsignable)?;
    let (instructions, _) = sign(signable, &parameters).map_err(|_| Unsignable)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the IAM user guide ("Create a signed AWS API request": ListUsers on 2015-08-30). The sandbox's verifier has
    /// the same one.
    #[test]
    fn the_published_example_comes_out() {
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let keys =
            SigningKeys { access_key_id: "AKIDEXAMPLE", secret_access_key: &secret, session_token: None };
        let mut request = Request::get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Vec::new())
            .unwrap();
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        apply(&keys, ("us-east-1", "iam"), now, &mut request).unwrap();
        assert_eq!(
            request.headers()["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn a_session_token_is_signed_and_goes_along() {
        let (secret, token) = (Secret::from("secret"), Secret::from("token"));
        let keys =
            SigningKeys { access_key_id: "AKID", secret_access_key: &secret, session_token: Some(&token) };
        let mut request =
            Request::post("https://iam.amazonaws.com/").body(b"Action=GetUser".to_vec()).unwrap();
        apply(&keys, ("us-east-1", "iam"), Timestamp::UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["x-amz-security-token"], "token");
        let signed = request.headers()["authorization"].to_str().unwrap();
        assert!(signed.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"), "{signed}");
        assert!(!signed.contains("secret,"));
    }
}
