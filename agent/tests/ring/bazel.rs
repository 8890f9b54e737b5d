//! Headers for Bazel: for whom, which, and until when.

use keyfob_ipc::reply::Headers;
use keyfob_ipc::{Code, Secret};

use crate::company::{CACHE, CLUSTER, CONFIG, Company, HOUR, MINUTE};

/// Two tokens beside each other, the wider host first.
const HOSTS: &str = r#"
[token.wide]
hosts = ["*.acme.dev", "b\u00fccher.example", "[::1]"]

[token.narrow]
hosts = ["*.build.acme.dev"]

[token.exact]
hosts = ["x.build.acme.dev", "build.acme.dev.evil.io"]
"#;

async fn with_token() -> Company {
    let company = Company::open().await;
    company.add_token("aspect", "aw_0123456789").await.unwrap();
    company
}

async fn with_hosts() -> Company {
    let company = Company::with(HOSTS, |_| {}).await;
    for name in ["wide", "narrow", "exact"] {
        company.add_token(name, &format!("of-{name}")).await.unwrap();
    }
    company
}

fn values(headers: &Headers) -> Vec<(&str, Vec<&str>)> {
    fn exposed(values: &[Secret<String>]) -> Vec<&str> {
        values.iter().map(|value| value.expose().as_str()).collect()
    }
    headers.headers.iter().map(|(name, values)| (name.as_str(), exposed(values))).collect()
}

#[tokio::test]
async fn a_token_goes_out_under_its_own_header_for_ten_minutes() {
    let company = with_token().await;
    let headers = company.get(CLUSTER).await.unwrap();
    assert_eq!(values(&headers), [("X-Aspect", vec!["aw_0123456789"])]);
    // The clock of the machine shows 08:00:00.7.
    assert_eq!(headers.expires.as_deref(), Some("2026-11-21T08:10:00Z"));
    assert!(!format!("{headers:?}").contains("aw_0123456789"));
}

#[tokio::test]
async fn without_a_header_of_its_own_a_token_is_a_bearer_token() {
    for header in ["", "header = \"authorization\""] {
        let config = format!("[token.a]\nhosts = [\"a.example\"]\n{header}");
        let company = Company::with(&config, |_| {}).await;
        company.add_token("a", "secret").await.unwrap();
        let headers = company.get("grpcs://a.example").await.unwrap();
        assert_eq!(values(&headers), [("Authorization", vec!["Bearer secret"])]);
    }
}

#[tokio::test]
async fn the_end_of_an_sso_token_is_announced_a_minute_early() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let expires = async || company.get(CACHE).await.unwrap().expires.unwrap();
    assert_eq!(expires().await, "2026-11-21T08:10:00Z");
    company.pass(48 * MINUTE);
    assert_eq!(expires().await, "2026-11-21T08:58:00Z");
    company.pass(4 * MINUTE);
    assert_eq!(expires().await, "2026-11-21T08:59:00Z");
    assert_eq!(company.counts().refreshes(), 0);
}

#[tokio::test]
async fn an_end_that_is_only_assumed_ends_nothing() {
    let config = CONFIG.replace("prefix = \"aw_\"", "prefix = \"aw_\"\nlifetime = \"1h\"");
    let company = Company::with(&config, |_| {}).await;
    company.add_token("aspect", "aw_1").await.unwrap();
    let report = company.report("aspect").await;
    assert_eq!((report.until.as_deref(), report.until_assumed), (Some("2026-11-21T09:00:00Z"), true));
    company.pass(2 * HOUR);
    let headers = company.get(CLUSTER).await.unwrap();
    assert_eq!(headers.expires.as_deref(), Some("2026-11-21T10:10:00Z"));
}

#[tokio::test]
async fn an_old_bazel_gets_no_end() {
    let company = Company::with(&format!("agent.bazel_expires = false\n{CONFIG}"), |_| {}).await;
    company.add_token("aspect", "aw_1").await.unwrap();
    company.sign_in().await.unwrap();
    assert_eq!(company.get(CLUSTER).await.unwrap().expires, None);
    assert_eq!(company.get(CACHE).await.unwrap().expires, None);
    assert_eq!(
        serde_json::to_string(&company.get(CLUSTER).await.unwrap()).unwrap(),
        r#"{"headers":{"X-Aspect":["aw_1"]}}"#
    );
}

#[tokio::test]
async fn an_unknown_host_gets_nothing_or_a_refusal_as_configured() {
    let company = Company::open().await;
    let headers = company.get("https://github.com/x?y").await.unwrap();
    assert_eq!(serde_json::to_string(&headers).unwrap(), r#"{"headers":{}}"#);

    company.configure(&format!("agent.unknown_host = \"error\"\n{CONFIG}"));
    let refusal = company.get("https://github.com/x?y").await.unwrap_err();
    assert_eq!(refusal.code, Code::UnknownHost);
    assert!(refusal.say.contains("`github.com`") && !refusal.hint.is_empty(), "{refusal:?}");
    // An insecure address is refused before anybody looks whose it is.
    assert_eq!(company.get("http://github.com/").await.unwrap_err().code, Code::InsecureScheme);
}

#[tokio::test]
async fn the_most_specific_pattern_answers() {
    let company = with_hosts().await;
    for (host, token) in [
        ("acme.dev", "of-wide"),
        ("a.b.acme.dev", "of-wide"),
        ("build.acme.dev", "of-narrow"),
        ("a.b.build.acme.dev", "of-narrow"),
        ("x.build.acme.dev", "of-exact"),
        ("y.x.build.acme.dev", "of-narrow"),
        ("X.Build.ACME.dev.", "of-exact"),
        ("x.build.acme.dev:443", "of-exact"),
        ("x.build.acme.dev:8980", "of-exact"),
        ("b\u{fc}cher.example", "of-wide"),
        ("xn--bcher-kva.example", "of-wide"),
        ("[0:0::1]:8980", "of-wide"),
    ] {
        for scheme in ["https", "grpcs", "HTTPS"] {
            let headers = company.get(&format!("{scheme}://{host}/path?query")).await.unwrap();
            let bearer = format!("Bearer {token}");
            assert_eq!(values(&headers), [("Authorization", vec![bearer.as_str()])], "{scheme}://{host}");
        }
    }
}

#[tokio::test]
async fn a_look_alike_gets_nothing() {
    let company = with_hosts().await;
    for host in [
        "evil-acme.dev",
        "acme.dev.evil.io",
        "acme.de",
        "acme.devil",
        "acmeXdev",
        "dev",
        "\u{430}cme.dev",
        "acme.dev%2eevil.io",
        "acme.dev..",
        "evil.io#acme.dev",
        "evil.io?x.acme.dev",
        "evil.io/x.acme.dev",
        "acme.dev@evil.io",
        "evil.io\\@acme.dev",
        "acme.dev:443@evil.io",
        "acme.dev\t.evil.io",
    ] {
        let answer = company.get(&format!("https://{host}/")).await;
        assert!(answer.is_err() || answer.unwrap().headers.is_empty(), "{host}");
    }
}

#[tokio::test]
async fn plain_connections_and_user_information_get_nothing() {
    let company = with_hosts().await;
    for (uri, code) in [
        ("http://acme.dev/", Code::InsecureScheme),
        ("grpc://acme.dev", Code::InsecureScheme),
        ("ws://acme.dev", Code::InsecureScheme),
        ("https://ada@acme.dev/", Code::BadUri),
        ("https://ada:word@acme.dev/", Code::BadUri),
        ("https://@acme.dev/", Code::BadUri),
        ("acme.dev", Code::BadUri),
        ("", Code::BadUri),
        ("//example:malformed/url", Code::BadUri),
    ] {
        assert_eq!(company.get(uri).await.unwrap_err().code, code, "{uri}");
    }
}

#[tokio::test]
async fn nothing_past_the_authority_of_an_address_is_repeated() {
    let company = Company::with(&format!("agent.unknown_host = \"error\"\n{CONFIG}"), |_| {}).await;
    for address in [
        "https://bucket.s3.amazonaws.com/MARKER/x?X-Amz-Signature=MARKER&X-Amz-Credential=MARKER#MARKER",
        "https://eu.cache.acme.dev/MARKER?X-Amz-Signature=MARKER",
        "https://aw-remote-ext.acme.dev/?sig=MARKER",
        "http://eu.cache.acme.dev/?sig=MARKER",
        "https://MARKER:MARKER@eu.cache.acme.dev/",
        "https://eu.cache.acme.dev:MARKER/",
        "MARKER",
        "https://eu.cache.acme.dev\\?MARKER",
    ] {
        let refusal = company.get(address).await.unwrap_err();
        assert!(!format!("{refusal:?}").to_uppercase().contains("MARKER"), "{address}: {refusal:?}");
        if address.contains("://") {
            let why = company.why(address).await;
            assert!(!format!("{why:?}").to_uppercase().contains("MARKER"), "{address}: {why:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_removed_or_replaced_is_seen_at_once() {
    let company = with_token().await;
    company.get(CLUSTER).await.unwrap();
    company.add_token("aspect", "aw_second").await.unwrap();
    assert_eq!(values(&company.get(CLUSTER).await.unwrap()), [("X-Aspect", vec!["aw_second"])]);
    company.remove_token("aspect").await.unwrap();
    let refusal = company.get(CLUSTER).await.unwrap_err();
    assert_eq!(refusal.code, Code::TokenNeeded);
    assert_eq!(refusal.hint, "keyfob token add aspect");
    assert!(company.vault.item("token.aspect").await.is_none());
}

#[tokio::test]
async fn a_token_outlives_the_agent() {
    let mut company = with_token().await;
    company.restart();
    assert_eq!(values(&company.get(CLUSTER).await.unwrap()), [("X-Aspect", vec!["aw_0123456789"])]);
    for _ in 0..10 {
        company.get(CLUSTER).await.unwrap();
    }
    assert_eq!(company.vault.loads(), 2, "once for each agent");
}
