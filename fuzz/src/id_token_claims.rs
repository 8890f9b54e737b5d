//! ID tokens: whatever is claimed, nothing is accepted that does not prove what it must.
//!
//! Input: how, in the first line; then claims that the provider signs, or a whole answer of its token endpoint.
//!
//! * `nonce`: claims for a browser sign-in; `NONCE` stands for the one that was sent.
//! * `subject`: claims for a refresh of `ada`'s session.
//! * `answer`: the whole answer to a refresh. Its ID token has no signature of the provider's, unless it has none at all.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::{Request, Response};
use jiff::Timestamp;
use keyfob_agent::upstream::http::Http;
use keyfob_agent::upstream::oidc::{Grant, OidcError, Provider, Registration};
use keyfob_ipc::Secret;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::scene::{answering, first_line, now};

const ISSUER: &str = "https://id.acme.example";
const CLIENT: &str = "keyfob";
const PERSON: &str = "ada";
/// 2026-11-21T08:00:00Z.
const NOW: i64 = 1_795_248_000;
const LEEWAY: i64 = 60;

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed makes a key"));

/// Fetched once: what is looked at here is what comes later.
static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let registration = Registration {
        issuer: ISSUER.to_owned(),
        client_id: CLIENT.to_owned(),
        scopes: vec!["openid".to_owned()],
    };
    let provider = Provider::discover(registration, provider(Vec::new()), at(NOW));
    now(provider).expect("the metadata is fine")
});

/// Checks one input.
pub fn check(data: &[u8]) {
    match first_line(data) {
        ("nonce", claims) => {
            let attempt = PROVIDER.begin("http://127.0.0.1:1/callback").expect("a sign-in begins");
            let address = url::Url::parse(&attempt.url).expect("the address is one");
            let nonce = address.query_pairs().find(|(name, _)| name == "nonce").expect("it has a nonce").1;
            let claims = String::from_utf8_lossy(claims).replace("NONCE", &nonce);
            let answer = signed_answer(claims.as_bytes());
            let mut provider = PROVIDER.through(provider(answer));
            let outcome = now(provider.redeem(attempt, "code", at(NOW)));
            accepts_only_proof(outcome, claims.as_bytes(), |claims| claims["nonce"] == *nonce);
        }
        ("subject", claims) => {
            let outcome = refresh(signed_answer(claims));
            accepts_only_proof(outcome, claims, |claims| claims["sub"] == PERSON);
        }
        ("answer", answer) => {
            // Without an ID token nothing is claimed.
            if let Ok(grant) = refresh(answer.to_vec()) {
                assert!(
                    grant.id_token.is_none() && grant.person.is_none(),
                    "a token that nobody signed is good"
                );
            }
        }
        _ => {}
    }
}

fn refresh(answer: Vec<u8>) -> Result<Grant, OidcError> {
    let mut provider = PROVIDER.through(provider(answer));
    let spent = now(provider.spend(&Secret::from("r1")))?;
    // Found without a look at the rest.
    let _ = spent.refresh_token();
    now(provider.prove(spent, PERSON, at(NOW)))
}

fn accepts_only_proof(
    outcome: Result<Grant, OidcError>,
    claims: &[u8],
    is_expected: impl Fn(&Value) -> bool,
) {
    let grant = match outcome {
        Ok(grant) => grant,
        Err(error) => {
            let say = error.to_string();
            assert!(!say.chars().any(char::is_control), "{say:?}");
            assert!(say.len() < 4096, "{} bytes", say.len());
            return;
        }
    };
    let claims: Value = serde_json::from_slice(claims).expect("accepted claims are JSON");
    assert_eq!(claims["iss"], ISSUER, "of another issuer");
    let audience = &claims["aud"];
    let is_ours = |one: &Value| one == CLIENT;
    assert!(
        is_ours(audience) || audience.as_array().is_some_and(|all| all.iter().any(is_ours)),
        "for another"
    );
    assert!(is_expected(&claims), "about another person or sign-in");
    let ends = claims["exp"].as_f64().expect("it ends");
    assert!(ends > (NOW - LEEWAY) as f64 - 1.0, "it has ended");
    let issued = claims["iat"].as_f64().expect("it was issued");
    assert!(issued < (NOW + LEEWAY) as f64 + 1.0, "it is from the future");
    let (_, until) = grant.id_token.expect("it is kept");
    assert!((until.as_second() as f64) <= ends + LEEWAY as f64 + 1.0, "it is kept beyond its end");
    let person = grant.person.expect("it is about somebody");
    assert_eq!(claims["sub"], person.subject);
    assert!(!person.name.chars().any(char::is_control), "{:?}", person.name);
    for groups in person.groups.iter() {
        assert!(groups.len() <= 200 && groups.iter().all(|group| group.len() <= 256));
    }
}

/// An answer of the token endpoint with an ID token of these claims.
fn signed_answer(claims: &[u8]) -> Vec<u8> {
    let head = BASE64.encode(r#"{"alg":"EdDSA","kid":"k"}"#);
    let signed = format!("{head}.{}", BASE64.encode(claims));
    let signature = BASE64.encode(KEY.sign(signed.as_bytes()));
    let answer = json!({
        "access_token": "a",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "r2",
        "id_token": format!("{signed}.{signature}"),
    });
    answer.to_string().into_bytes()
}

fn provider(tokens: Vec<u8>) -> Http {
    answering(move |request: &Request<Vec<u8>>| {
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => metadata(),
            "/jwks" => keys(),
            _ => tokens.clone(),
        };
        Response::builder().header("content-type", "application/json").body(body).expect("an answer")
    })
}

fn metadata() -> Vec<u8> {
    let metadata = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    metadata.to_string().into_bytes()
}

fn keys() -> Vec<u8> {
    let point = BASE64.encode(KEY.public_key().as_ref());
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": point });
    json!({ "keys": [key] }).to_string().into_bytes()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a moment of our time")
}
