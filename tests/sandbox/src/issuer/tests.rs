//! The issuer over real HTTP, as a client meets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use url::Url;

use crate::jwt::{self, KeySet, Unverified};
use crate::net::client;
use crate::{Endpoint, Fault, IssuerOptions, Lie, Options, Sandbox, browser};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:47631/callback";

struct Company {
    sandbox: Sandbox,
    second: Arc<AtomicI64>,
}

impl Company {
    async fn new(issuer: IssuerOptions) -> Self {
        let second = Arc::new(AtomicI64::new(1_800_000_000));
        let hand = Arc::clone(&second);
        let clock = Arc::new(move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap());
        let sandbox = Sandbox::start(Options { clock, issuer, ..Options::default() }).await.unwrap();
        Self { sandbox, second }
    }

    fn later(&self, seconds: i64) {
        self.second.fetch_add(seconds, Ordering::Relaxed);
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.addresses().issuer_url)
    }

    /// Where the authorization endpoint sends the browser, with some parameters changed or (if empty) left out.
    async fn authorize(&self, changed: &[(&str, &str)]) -> Result<Url, u16> {
        let challenge = jwt::encode(digest(&SHA256, VERIFIER.as_bytes()).as_ref());
        let mut url = Url::parse(&self.at("/authorize")).unwrap();
        let usual = [
            ("client_id", "keyfob-demo"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile email offline_access"),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in usual {
            let value = changed.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| value);
            url.query_pairs_mut().append_pair(name, value);
        }
        let response = client().get(url).send().await.unwrap();
        let status = response.status().as_u16();
        if status == 302 {
            Ok(response.headers()["location"].to_str().unwrap().parse().unwrap())
        } else {
            Err(status)
        }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let response = client().post(self.at(path)).form(form).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn by_code(&self, code: &str, verifier: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "keyfob-demo"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        self.post("/token", &form).await
    }

    async fn refresh(&self, token: &str, scope: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "keyfob-demo"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        self.post("/token", &form).await
    }

    async fn signed_in(&self) -> Value {
        let back = self.authorize(&[]).await.unwrap();
        let (status, tokens) = self.by_code(&parameter(&back, "code").unwrap(), VERIFIER).await;
        assert_eq!(status, 200);
        tokens
    }

    async fn userinfo(&self, tokens: &Value) -> u16 {
        let token = tokens["access_token"].as_str().unwrap();
        client().get(self.at("/userinfo")).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn claims(tokens: &Value) -> Value {
    Unverified::parse(tokens["id_token"].as_str().unwrap()).unwrap().claims
}

fn error((status, body): &(u16, Value)) -> (u16, &str) {
    assert!(body["error_description"].is_string(), "{body}");
    (*status, body["error"].as_str().unwrap())
}

#[tokio::test]
async fn code_and_pkce_give_verifiable_tokens() {
    let company = Company::new(IssuerOptions::default()).await;
    let back = company.authorize(&[]).await.unwrap();
    assert_eq!(parameter(&back, "state").unwrap(), "s");
    assert_eq!(parameter(&back, "iss").unwrap(), company.at(""));
    let (_, tokens) = company.by_code(&parameter(&back, "code").unwrap(), VERIFIER).await;
    let keys = client().get(company.at("/jwks")).send().await.unwrap().bytes().await.unwrap();
    let keys: KeySet = serde_json::from_slice(&keys).unwrap();
    let token = tokens["id_token"].as_str().unwrap();
    let token = Unverified::parse(token).unwrap();
    assert_eq!(token.verify(&keys.keys), Ok(()));
    assert_eq!(token.claims["nonce"], "n");
    assert_eq!(token.claims["email"], "ada@example.com");
    assert_eq!(token.claims["exp"], 1_800_003_600);
    assert_eq!(company.userinfo(&tokens).await, 200);
    company.later(3600);
    assert_eq!(company.userinfo(&tokens).await, 401);
}

#[tokio::test]
async fn a_wrong_verifier_is_refused() {
    let company = Company::new(IssuerOptions::default()).await;
    let back = company.authorize(&[]).await.unwrap();
    let code = parameter(&back, "code").unwrap();
    let wrong = company.by_code(&code, "another-verifier-another-verifier-another-verifier").await;
    assert_eq!(error(&wrong), (400, "invalid_grant"));
    assert_eq!(error(&company.by_code(&code, "").await), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_used_twice_ends_what_it_bought() {
    let company = Company::new(IssuerOptions::default()).await;
    let back = company.authorize(&[]).await.unwrap();
    let code = parameter(&back, "code").unwrap();
    let (_, tokens) = company.by_code(&code, VERIFIER).await;
    assert_eq!(error(&company.by_code(&code, VERIFIER).await), (400, "invalid_grant"));
    assert_eq!(company.userinfo(&tokens).await, 401);
}

#[tokio::test]
async fn bad_authorization_requests_are_sent_back_or_stay_here() {
    let company =
        Company::new(IssuerOptions { redirect_ports: vec![47631], ..IssuerOptions::default() }).await;
    for stays in [
        ("client_id", "stranger"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:47631/other"),
        ("redirect_uri", "http://localhost:47631/callback"),
        ("redirect_uri", "http://127.0.0.1:47632/callback"),
    ] {
        assert_eq!(company.authorize(&[stays]).await, Err(400), "{stays:?}");
    }
    for (changed, expected) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "profile"), "invalid_scope"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
    ] {
        let back = company.authorize(&[changed]).await.unwrap();
        assert_eq!(parameter(&back, "error").unwrap(), expected);
        assert_eq!(parameter(&back, "code"), None);
        assert_eq!(parameter(&back, "state").unwrap(), "s");
    }
}

#[tokio::test]
async fn a_refresh_rotates_and_gives_an_id_token_for_openid_alone() {
    let company = Company::new(IssuerOptions::default()).await;
    let first = company.signed_in().await;
    let (_, second) = company.refresh(first["refresh_token"].as_str().unwrap(), "offline_access").await;
    assert_eq!(second["id_token"], Value::Null);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    company.later(100);
    let (_, third) =
        company.refresh(second["refresh_token"].as_str().unwrap(), "openid offline_access").await;
    assert_eq!(claims(&third)["auth_time"], 1_800_000_000);
    assert_eq!(claims(&third)["iat"], 1_800_000_100);
    let wider = company.refresh(third["refresh_token"].as_str().unwrap(), "openid groups").await;
    assert_eq!(error(&wider), (400, "invalid_scope"));
    assert_eq!(company.sandbox.counts().refreshes(), 3);
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_whole_grant() {
    let company = Company::new(IssuerOptions::default()).await;
    let first = company.signed_in().await;
    let old = first["refresh_token"].as_str().unwrap();
    let (status, second) = company.refresh(old, "openid").await;
    assert_eq!((status, company.userinfo(&second).await), (200, 200));
    assert_eq!(error(&company.refresh(old, "openid").await), (400, "invalid_grant"));
    let newest = second["refresh_token"].as_str().unwrap();
    assert_eq!(error(&company.refresh(newest, "openid").await), (400, "invalid_grant"));
    assert_eq!([company.userinfo(&first).await, company.userinfo(&second).await], [401, 401]);
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() {
    let company = Company::new(IssuerOptions::default()).await;
    let back = company.authorize(&[("scope", "openid")]).await.unwrap();
    let (_, tokens) = company.by_code(&parameter(&back, "code").unwrap(), VERIFIER).await;
    assert_eq!(tokens["refresh_token"], Value::Null);
    assert!(tokens["id_token"].is_string());
}

#[tokio::test]
async fn with_a_grace_a_used_refresh_token_is_taken_again_for_a_while() {
    let options = IssuerOptions { refresh_reuse_seconds: 30, ..IssuerOptions::default() };
    let company = Company::new(options).await;
    let tokens = company.signed_in().await;
    let first = tokens["refresh_token"].as_str().unwrap();
    company.refresh(first, "openid").await;
    company.later(29);
    let (status, again) = company.refresh(first, "openid").await;
    assert_eq!((status, company.sandbox.counts().reused), (200, 1));
    // It is the first use that counts.
    company.later(1);
    assert_eq!(error(&company.refresh(first, "openid").await), (400, "invalid_grant"));
    let second = again["refresh_token"].as_str().unwrap();
    assert_eq!(error(&company.refresh(second, "openid").await), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted() {
    let company = Company::new(IssuerOptions::default()).await;
    company.sandbox.faults().set_times(Endpoint::Token, Fault::Slow(Duration::from_secs(3600)), 1);
    let asking = company.refresh("rt_", "openid");
    assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err());
    let counted = async {
        while company.sandbox.counts().abandoned(Endpoint::Token) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.unwrap();
    assert_eq!(company.refresh("rt_", "openid").await.0, 400);
    assert_eq!(company.sandbox.counts().abandoned(Endpoint::Token), 1);
}

#[tokio::test]
async fn revocation_and_the_end_of_all_sessions_kill_the_grant() {
    let company = Company::new(IssuerOptions::default()).await;
    let tokens = company.signed_in().await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let (status, _) = company.post("/revoke", &[("client_id", "keyfob-demo"), ("token", token)]).await;
    assert_eq!((status, company.userinfo(&tokens).await), (200, 401));
    assert_eq!(error(&company.refresh(token, "openid").await), (400, "invalid_grant"));
    let tokens = company.signed_in().await;
    company.sandbox.issuer().end_all_sessions();
    assert_eq!(company.userinfo(&tokens).await, 401);
}

#[tokio::test]
async fn a_device_waits_slows_down_and_gets_its_tokens() {
    let company = Company::new(IssuerOptions::default()).await;
    let scope = ("scope", "openid email offline_access");
    let (_, device) = company.post("/device_authorization", &[("client_id", "keyfob-demo"), scope]).await;
    assert_eq!((&device["interval"], &device["expires_in"]), (&5.into(), &600.into()));
    let code = device["device_code"].as_str().unwrap().to_owned();
    let form =
        [("grant_type", super::token::DEVICE_CODE), ("client_id", "keyfob-demo"), ("device_code", &code)];
    let poll = async || company.post("/token", &form).await;
    assert_eq!(error(&poll().await), (400, "authorization_pending"));
    assert_eq!(error(&poll().await), (400, "slow_down"));
    company.later(9);
    assert_eq!(error(&poll().await), (400, "slow_down"));
    company.later(15);
    assert_eq!(error(&poll().await), (400, "authorization_pending"));
    let page = browser::visit(device["verification_uri_complete"].as_str().unwrap()).await.unwrap();
    assert_eq!(page.status, 200);
    company.later(15);
    let (status, tokens) = poll().await;
    assert_eq!((status, claims(&tokens)["email"].as_str()), (200, Some("ada@example.com")));
    company.later(15);
    assert_eq!(error(&poll().await), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_device_code_ends_or_is_denied() {
    let company = Company::new(IssuerOptions::default()).await;
    let ask = [("client_id", "keyfob-demo"), ("scope", "openid")];
    let (_, first) = company.post("/device_authorization", &ask).await;
    let (_, second) = company.post("/device_authorization", &ask).await;
    let deny = [("user_code", first["user_code"].as_str().unwrap()), ("decision", "deny")];
    assert_eq!(company.post("/device", &deny).await.0, 200);
    let poll = async |device: &Value| {
        let code = device["device_code"].as_str().unwrap();
        let form =
            [("grant_type", super::token::DEVICE_CODE), ("client_id", "keyfob-demo"), ("device_code", code)];
        company.post("/token", &form).await
    };
    assert_eq!(error(&poll(&first).await), (400, "access_denied"));
    company.later(600);
    assert_eq!(error(&poll(&second).await), (400, "expired_token"));
    let late = company.at(&format!("/device?user_code={}&auto=yes", second["user_code"].as_str().unwrap()));
    assert_eq!(browser::visit(&late).await.unwrap().status, 400);
}

#[tokio::test]
async fn the_issuer_lies_when_told_to() {
    let company = Company::new(IssuerOptions::default()).await;
    let faults = company.sandbox.faults();
    let tell = |lie| faults.set_times(Endpoint::Token, Fault::Lie(lie), 1);
    tell(Lie::WrongIss);
    assert_ne!(claims(&company.signed_in().await)["iss"], company.at(""));
    tell(Lie::WrongAud);
    assert_ne!(claims(&company.signed_in().await)["aud"], "keyfob-demo");
    tell(Lie::WrongNonce);
    assert_ne!(claims(&company.signed_in().await)["nonce"], "n");
    tell(Lie::Expired);
    assert_eq!(claims(&company.signed_in().await)["exp"], 1_800_000_000 - 3600);
    faults.set_times(Endpoint::Token, Fault::Skew(-300), 1);
    assert_eq!(claims(&company.signed_in().await)["iat"], 1_800_000_000 - 300);
    let keys = company.sandbox.issuer().public_keys();
    for lie in [Lie::Unsigned, Lie::BadSignature] {
        tell(lie);
        let tokens = company.signed_in().await;
        assert!(Unverified::parse(tokens["id_token"].as_str().unwrap()).unwrap().verify(&keys).is_err());
    }
    faults.set_times(Endpoint::Authorize, Fault::Lie(Lie::MissingIss), 1);
    assert_eq!(parameter(&company.authorize(&[]).await.unwrap(), "iss"), None);
    faults.set_times(Endpoint::Authorize, Fault::OAuthError("access_denied".into()), 1);
    assert_eq!(parameter(&company.authorize(&[]).await.unwrap(), "error").unwrap(), "access_denied");
    assert!(faults.active().values().all(Vec::is_empty));
    let honest = company.signed_in().await;
    assert_eq!(claims(&honest)["iss"], company.at(""));
    faults.set_times(Endpoint::Token, Fault::InvalidGrant, 1);
    let token = honest["refresh_token"].as_str().unwrap();
    assert_eq!(error(&company.refresh(token, "openid").await), (400, "invalid_grant"));
    assert_eq!(company.refresh(token, "openid").await.0, 200);
}

#[tokio::test]
async fn a_reset_loses_the_answer_of_a_request_that_was_processed() {
    let company = Company::new(IssuerOptions::default()).await;
    let tokens = company.signed_in().await;
    let old = tokens["refresh_token"].as_str().unwrap();
    company.sandbox.faults().set_times(Endpoint::Token, Fault::Reset, 1);
    let form = [("grant_type", "refresh_token"), ("client_id", "keyfob-demo"), ("refresh_token", old)];
    let response = client().post(company.at("/token")).form(&form).send().await.unwrap();
    assert!(response.content_length().unwrap() > 50);
    assert!(response.bytes().await.is_err());
    assert_eq!(error(&company.refresh(old, "openid").await), (400, "invalid_grant"));
}

#[tokio::test]
async fn transport_faults_happen_and_end() {
    let company = Company::new(IssuerOptions::default()).await;
    let faults = company.sandbox.faults();
    let url = company.at("/.well-known/openid-configuration");
    let get = async || client().get(&url).send().await;
    faults.set_times(Endpoint::Discovery, Fault::Status(500), 1);
    assert_eq!(get().await.unwrap().status().as_u16(), 500);
    faults.set_times(Endpoint::Discovery, Fault::Html, 1);
    let page = get().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    faults.set_times(Endpoint::Discovery, Fault::Endless, 1);
    assert!(crate::net::body(get().await.unwrap()).await.is_err());
    faults.set(Endpoint::Discovery, Fault::Slow(Duration::from_secs(60)));
    let hasty = client().get(&url).timeout(Duration::from_millis(50)).send().await;
    assert!(hasty.unwrap_err().is_timeout());
    faults.clear(Endpoint::Discovery);
    assert_eq!(get().await.unwrap().status().as_u16(), 200);
    assert_eq!(company.sandbox.counts().arrived(Endpoint::Discovery), 5);
}
