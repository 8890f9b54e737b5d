//! The STS over real HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::StsOptions;
use crate::jwt::{KeySet, SigningKey};
use crate::net::client;
use crate::{Endpoint, Fault, Lie, Options, Sandbox, StsError, TrustedIssuer, browser};

const NOW: i64 = 1_800_000_000;
const ROLE: &str = "arn:aws:iam::123456789012:role/OktaRole";

struct Account {
    sandbox: Sandbox,
    second: Arc<AtomicI64>,
}

impl Account {
    async fn new(sts: StsOptions) -> Self {
        let second = Arc::new(AtomicI64::new(NOW));
        let hand = Arc::clone(&second);
        let clock = Arc::new(move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap());
        let sandbox = Sandbox::start(Options { clock, sts, ..Options::default() }).await.unwrap();
        Self { sandbox, second }
    }

    /// An ID token of the sandbox's own issuer, by the device grant.
    async fn id_token(&self) -> String {
        let issuer = &self.sandbox.addresses().issuer_url;
        let post = async |path: &str, form: &[(&str, &str)]| -> Value {
            let response = client().post(format!("{issuer}{path}")).form(form).send().await.unwrap();
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
        };
        let ask = [("client_id", "keyfob-demo"), ("scope", "openid")];
        let device = post("/device_authorization", &ask).await;
        browser::visit(device["verification_uri_complete"].as_str().unwrap()).await.unwrap();
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", "keyfob-demo"),
            ("device_code", device["device_code"].as_str().unwrap()),
        ];
        post("/token", &form).await["id_token"].as_str().unwrap().to_owned()
    }

    async fn assume(&self, token: &str, changed: &[(&str, &str)]) -> (u16, String) {
        let mut form = vec![
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "ada@example.com"),
            ("WebIdentityToken", token),
        ];
        form.retain(|(name, _)| changed.iter().all(|(other, _)| other != name));
        form.extend(changed);
        self.send(client().post(&self.sandbox.addresses().sts_url).form(&form)).await
    }

    async fn who(&self, key_id: &str, session_token: &str) -> (u16, String) {
        let form = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/20270115/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = client()
            .post(&self.sandbox.addresses().sts_url)
            .form(&form)
            .header("authorization", authorization)
            .header("x-amz-security-token", session_token);
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("x-amzn-requestid"));
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn tag<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0
}

fn refused(answer: &(u16, String)) -> (u16, &str, &str) {
    assert!(answer.1.starts_with("<ErrorResponse"), "{}", answer.1);
    (answer.0, tag(&answer.1, "Code"), tag(&answer.1, "Message"))
}

#[tokio::test]
async fn a_good_token_gives_credentials_that_know_who_they_are() {
    let account = Account::new(StsOptions::default()).await;
    let (status, xml) = account.assume(&account.id_token().await, &[]).await;
    assert_eq!(status, 200, "{xml}");
    assert_eq!(tag(&xml, "Expiration"), "2027-01-15T09:00:00Z");
    assert_eq!(tag(&xml, "Arn"), "arn:aws:sts::123456789012:assumed-role/OktaRole/ada@example.com");
    assert_eq!(
        (tag(&xml, "SubjectFromWebIdentityToken"), tag(&xml, "Audience")),
        ("00u1ada0demo", "keyfob-demo")
    );
    let (key_id, session_token) = (tag(&xml, "AccessKeyId"), tag(&xml, "SessionToken"));
    assert!(key_id.starts_with("ASIA") && key_id.len() == 20);
    let (status, who) = account.who(key_id, session_token).await;
    assert_eq!((status, tag(&who, "Arn")), (200, tag(&xml, "Arn")));
    assert_eq!(refused(&account.who("ASIAAAAAAAAAAAAAAAAA", session_token).await).1, "InvalidClientTokenId");
    assert_eq!(refused(&account.who(key_id, "other").await).1, "InvalidClientTokenId");
    account.second.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(refused(&account.who(key_id, session_token).await).1, "ExpiredToken");
    let counts = account.sandbox.counts();
    assert_eq!((counts.role(ROLE), counts.last_role_session_name.as_deref()), (1, Some("ada@example.com")));
}

#[tokio::test]
async fn expired_unsigned_and_foreign_tokens_are_refused() {
    let account = Account::new(StsOptions::default()).await;
    let good = account.id_token().await;
    for (lie, code) in [
        (Lie::Unsigned, "InvalidIdentityToken"),
        (Lie::BadSignature, "InvalidIdentityToken"),
        (Lie::WrongAud, "InvalidIdentityToken"),
        (Lie::WrongIss, "InvalidIdentityToken"),
        (Lie::Expired, "ExpiredTokenException"),
    ] {
        account.sandbox.faults().set_times(Endpoint::Token, Fault::Lie(lie), 1);
        let answer = account.assume(&account.id_token().await, &[]).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (400, code), "{lie:?}");
    }
    let foreign = SigningKey::generate().unwrap();
    let issuer = &account.sandbox.addresses().issuer_url;
    let claims = json!({"iss": issuer, "sub": "ada", "aud": "keyfob-demo", "exp": NOW + 60});
    let answer = account.assume(&foreign.sign(&claims), &[]).await;
    assert!(
        refused(&answer).2.starts_with("Couldn't retrieve verification key from your identity provider,")
    );
    assert_eq!(refused(&account.assume("aw_not-a-token", &[]).await).1, "InvalidIdentityToken");
    account.second.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(refused(&account.assume(&good, &[]).await).1, "ExpiredTokenException");
}

#[tokio::test]
async fn parameters_have_the_limits_of_the_real_ones() {
    let account = Account::new(StsOptions::default()).await;
    let token = account.id_token().await;
    let long = "a".repeat(65);
    for (changed, status, code) in [
        (("RoleSessionName", "a"), 400, "ValidationError"),
        (("RoleSessionName", long.as_str()), 400, "ValidationError"),
        (("RoleSessionName", "ada smith"), 400, "ValidationError"),
        (("DurationSeconds", "899"), 400, "ValidationError"),
        (("DurationSeconds", "43201"), 400, "ValidationError"),
        (("Policy", "not json"), 400, "MalformedPolicyDocument"),
        (("RoleArn", "arn:aws:iam::123456789012:role/Nobody"), 403, "AccessDenied"),
        (("Action", "Dance"), 400, "InvalidAction"),
    ] {
        let answer = account.assume(&token, &[changed]).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code), "{changed:?}");
    }
    let read_only = ("RoleArn", "arn:aws:iam::123456789012:role/ReadOnlyRole");
    let answer = account.assume(&token, &[read_only, ("DurationSeconds", "3601")]).await;
    assert_eq!(
        refused(&answer).2,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    );
    assert_eq!(account.assume(&token, &[read_only, ("DurationSeconds", "900")]).await.0, 200);
}

#[tokio::test]
async fn errors_and_lives_can_be_forced() {
    let account = Account::new(StsOptions { credential_seconds: Some(20), ..StsOptions::default() }).await;
    let token = account.id_token().await;
    let (_, xml) = account.assume(&token, &[]).await;
    assert_eq!(tag(&xml, "Expiration"), "2027-01-15T08:00:20Z");
    for (error, status, code) in [
        (StsError::IdpCommunicationError, 400, "IDPCommunicationError"),
        (StsError::IdpRejectedClaim, 403, "IDPRejectedClaim"),
        (StsError::RegionDisabled, 403, "RegionDisabledException"),
        (StsError::ServiceUnavailable, 503, "ServiceUnavailable"),
    ] {
        account.sandbox.faults().set_times(Endpoint::Sts, Fault::StsError(error), 1);
        let answer = account.assume(&token, &[]).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code));
    }
    assert_eq!(account.assume(&token, &[]).await.0, 200);
}

#[tokio::test]
async fn a_foreign_issuer_is_believed_once_it_is_trusted() {
    let account = Account::new(StsOptions::default()).await;
    let key = SigningKey::generate().unwrap();
    let keys = KeySet { keys: vec![key.public()] };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/jwks", get(async || Json(keys)));
    let server = tokio::spawn(async { axum::serve(listener, routes).await });
    let claims = json!({"iss": issuer, "sub": "bob", "aud": ["other", "app"], "exp": NOW + 60});
    let token = key.sign(&claims);
    let answer = account.assume(&token, &[]).await;
    assert_eq!(refused(&answer).2, format!("No OpenIDConnect provider found in your account for {issuer}"));
    let jwks = format!("{issuer}/jwks").parse().unwrap();
    account.sandbox.sts().trust(TrustedIssuer { issuer, jwks, audience: "app".into() });
    let (status, xml) = account.assume(&token, &[]).await;
    assert_eq!((status, tag(&xml, "SubjectFromWebIdentityToken")), (200, "bob"));
    server.abort();
    let _ = server.await;
    let answer = account.assume(&token, &[]).await;
    assert_eq!((refused(&answer).0, refused(&answer).1), (400, "InvalidIdentityToken"));
}

#[tokio::test]
async fn a_verified_request_goes_on_to_the_next_server_and_no_other_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let echo = async |form: String| (axum::http::StatusCode::CREATED, [("x-amzn-requestid", "1")], form);
    let routes = Router::new().route("/", axum::routing::post(echo));
    tokio::spawn(async { axum::serve(listener, routes).await });
    let account = Account::new(StsOptions { forward: Some(forward), ..StsOptions::default() }).await;
    let (status, form) = account.assume(&account.id_token().await, &[]).await;
    assert!(status == 201 && form.starts_with("Action=AssumeRoleWithWebIdentity&"), "{status} {form}");
    account.sandbox.faults().set_times(Endpoint::Token, Fault::Lie(Lie::Expired), 1);
    assert_eq!(refused(&account.assume(&account.id_token().await, &[]).await).1, "ExpiredTokenException");
}
