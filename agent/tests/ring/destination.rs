//! A configuration file alone sends nothing to a new place.

use keyfob_ipc::Code;
use keyfob_ipc::reply::{Change, EntryState};

use crate::company::{A_MOMENT, CACHE, CLUSTER, CONFIG, Company, HOUR};

/// A token with everything that it may go to.
const TOKEN: &str = r#"
[token.aspect]
hosts = ["*.acme.dev"]
header = "X-Aspect"
service = "keyfob"
api = "https://workflows.acme.dev/api/v1"
clusters = { ext = "grpcs://aw-remote-ext.acme.dev" }
"#;

async fn with_token() -> Company {
    let company = Company::with(TOKEN, |_| {}).await;
    company.add_token("aspect", "secret").await.unwrap();
    company.get(CLUSTER).await.unwrap();
    company
}

async fn signed_in() -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.bearer().await.unwrap();
    company.keys("dev").await.unwrap();
    company
}

#[tokio::test]
async fn whatever_widens_where_a_token_goes_waits_for_a_confirmation() {
    let company = with_token().await;
    for (from, to, place) in [
        ("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"evil.example\"]", "host evil.example"),
        ("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"*.evil.example\"]", "host *.evil.example"),
        ("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"evil-acme.dev\"]", "host evil-acme.dev"),
        ("X-Aspect", "X-Other", "header X-Other"),
        ("header = \"X-Aspect\"\n", "", "header Authorization"),
        ("workflows.acme.dev/api/v1", "evil.example/api", "api https://evil.example/api"),
        ("grpcs://aw-remote-ext.acme.dev", "grpcs://other.acme.dev", "cluster grpcs://other.acme.dev"),
    ] {
        company.configure(&TOKEN.replace(from, to));
        let refusal = company.get(CLUSTER).await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{place}");
        assert!(refusal.say.contains(place), "{refusal}");
        assert_eq!(refusal.hint, "keyfob config confirm token.aspect");
        let report = company.report("aspect").await;
        assert_eq!(report.state, EntryState::Refused);
        assert_eq!(report.refusal, Some(refusal));
        let change = Change { entry: "token.aspect".to_owned(), places: vec![place.to_owned()] };
        assert_eq!(company.changes().await, [change]);
        // Back to what was confirmed.
        company.configure(TOKEN);
        company.get(CLUSTER).await.unwrap();
        assert_eq!(company.changes().await, []);
    }
}

#[tokio::test]
async fn narrowing_needs_no_word() {
    let company = with_token().await;
    for (from, to) in [
        ("[\"*.acme.dev\"]", "[\"aw-remote-ext.acme.dev\"]"),
        ("[\"*.acme.dev\"]", "[\"*.aw-remote-ext.acme.dev\"]"),
        ("clusters = { ext = \"grpcs://aw-remote-ext.acme.dev\" }\n", ""),
        ("service = \"keyfob\"\napi = \"https://workflows.acme.dev/api/v1\"\n", ""),
    ] {
        company.configure(&TOKEN.replace(from, to));
        company.get(CLUSTER).await.unwrap();
        assert_eq!(company.changes().await, []);
    }
}

#[tokio::test]
async fn what_is_confirmed_is_what_was_shown_and_it_is_kept() {
    let mut company = with_token().await;
    company.configure(&TOKEN.replace("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"new.example\"]"));
    let shown = company.changes().await;
    // Looking binds nothing.
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::DestinationChanged);

    company.configure(&TOKEN.replace("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"evil.example\"]"));
    let refusal = company.confirm(Some(shown.clone())).await.unwrap_err();
    assert_eq!(refusal.code, Code::DestinationChanged);
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::DestinationChanged);

    company.configure(&TOKEN.replace("[\"*.acme.dev\"]", "[\"*.acme.dev\", \"new.example\"]"));
    company.confirm(Some(shown)).await.unwrap();
    company.get(CLUSTER).await.unwrap();
    company.get("https://new.example").await.unwrap();
    company.restart();
    company.get("https://new.example").await.unwrap();
    assert_eq!(company.changes().await, []);
}

#[tokio::test]
async fn a_session_is_bound_to_its_issuer_client_and_hosts() {
    let company = signed_in().await;
    let elsewhere = format!("{}/elsewhere", company.sandbox.addresses().issuer_url);
    for (from, to, place) in [
        ("issuer = \"ISSUER\"", "issuer = \"ISSUER/elsewhere\"", format!("issuer {elsewhere}")),
        ("keyfob-demo", "somebody-else", "client somebody-else".to_owned()),
        ("issuer = ", "present = \"id_token\"\nissuer = ", "its hosts, with the ID token".to_owned()),
        (
            "[\"*.cache.acme.dev\"]",
            "[\"*.cache.acme.dev\", \"evil.example\"]",
            "host evil.example".to_owned(),
        ),
    ] {
        company.configure(&CONFIG.replace(from, to));
        let calls = company.token_calls();
        for refusal in [company.get(CACHE).await.unwrap_err(), company.keys("dev").await.unwrap_err()] {
            assert_eq!(refusal.code, Code::DestinationChanged, "{place}: {refusal}");
            assert!(refusal.say.contains(&place), "{refusal}");
            assert_eq!(refusal.hint, "keyfob config confirm sso.okta");
        }
        assert_eq!(company.token_calls(), calls, "{place}");
        company.configure(CONFIG);
        company.pass(A_MOMENT);
        company.bearer().await.unwrap();
        company.keys("dev").await.unwrap();
    }
}

#[tokio::test]
async fn an_id_token_goes_to_no_endpoint_that_nobody_confirmed() {
    let company = signed_in().await;
    let evil = company.sandbox.addresses().cluster_url.clone();
    let role = "[aws.evil]\nsso = \"okta\"\nrole_arn = \"arn:aws:iam::123456789012:role/OktaRole\"\nregion = \"eu-west-1\"";
    for config in [
        CONFIG.replace("endpoint_url = \"STS\"", &format!("endpoint_url = \"{evil}\"")),
        format!("{CONFIG}\n{role}\nendpoint_url = \"{evil}\"\n"),
    ] {
        company.configure(&config);
        let name = if config.contains("aws.evil") { "evil" } else { "dev" };
        let refusal = company.keys(name).await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
        assert!(refusal.say.contains(&format!("endpoint {evil}")), "{refusal}");
        assert_eq!(company.counts().arrived(keyfob_sandbox::Endpoint::Cluster), 0);
        company.configure(CONFIG);
        company.keys("dev").await.unwrap();
    }
    // A role at the region's own endpoint is no new place, and neither is a confirmed one.
    company.configure(&format!("{CONFIG}\n{role}\nendpoint_url = \"STS\"\n"));
    company.keys("evil").await.unwrap();
}

#[tokio::test]
async fn a_session_goes_through_no_proxy_and_trusts_no_certificates_that_nobody_confirmed() {
    let company = signed_in().await;
    for (network, place) in [
        ("proxy = \"http://proxy.evil.example:3128\"", "proxy http://proxy.evil.example:3128/"),
        ("ca_file = \"/nowhere/evil.pem\"", "/nowhere/evil.pem"),
    ] {
        company.configure(&format!("{CONFIG}\n[network]\n{network}\n"));
        let calls = company.token_calls();
        company.pass(2 * HOUR);
        let refusal = company.bearer().await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
        assert!(refusal.say.contains(place), "{refusal}");
        assert_eq!(company.token_calls(), calls);
        company.configure(CONFIG);
        company.pass(A_MOMENT);
        company.bearer().await.unwrap();
    }
}

#[tokio::test]
async fn a_confirmed_session_goes_on_without_a_new_sign_in() {
    let company = signed_in().await;
    company.configure(&CONFIG.replace("*.cache.acme.dev", "*.acme.dev"));
    assert_eq!(company.bearer().await.unwrap_err().code, Code::DestinationChanged);
    let shown = company.changes().await;
    assert_eq!(shown, [Change { entry: "sso.okta".to_owned(), places: vec!["host *.acme.dev".to_owned()] }]);
    company.confirm(Some(shown)).await.unwrap();
    company.bearer().await.unwrap();
    company.pass(2 * HOUR);
    company.bearer().await.unwrap();
    assert_eq!(company.counts().grant("authorization_code"), 1);
}

#[tokio::test]
async fn a_value_that_is_given_again_says_nothing_about_places_that_an_edit_added() {
    let company = Company::with("[token.aspect]\nhosts = [\"*.acme.dev\"]", |_| {}).await;
    company.add_token("aspect", "one").await.unwrap();
    company.configure("[token.aspect]\nhosts = [\"*.acme.dev\", \"new.example\"]");
    let said = company.add_token("aspect", "another").await.unwrap();
    assert!(said.ends_with("keyfob config confirm token.aspect"), "{said}");
    assert_eq!(company.get("https://new.example").await.unwrap_err().code, Code::DestinationChanged);
    let shown = company.changes().await;
    company.confirm(Some(shown)).await.unwrap();
    company.get("https://new.example").await.unwrap();

    // A removed value takes its word with it: the next one is the first one.
    company.remove_token("aspect").await.unwrap();
    company.configure("[token.aspect]\nhosts = [\"newer.example\"]");
    company.add_token("aspect", "third").await.unwrap();
    company.get("https://newer.example").await.unwrap();
}

#[tokio::test]
async fn a_new_sign_in_says_yes_to_its_provider_and_to_nothing_else() {
    let company = signed_in().await;
    let wider = CONFIG.replace("\"*.cache.acme.dev\"", "\"*.cache.acme.dev\", \"evil.example\"");
    company.configure(&wider);
    let said = company.sign_in().await.unwrap();
    assert!(said.ends_with("keyfob config confirm sso.okta"), "{said}");
    assert_eq!(company.get("https://evil.example").await.unwrap_err().code, Code::DestinationChanged);
    company.configure(CONFIG);
    company.pass(A_MOMENT);
    company.bearer().await.unwrap();
}

#[tokio::test]
async fn a_sign_out_tells_no_provider_that_nobody_confirmed() {
    let company = signed_in().await;
    let other = Company::open().await;
    let here = &company.sandbox.addresses().issuer_url;
    company.configure(&CONFIG.replace("ISSUER", &other.sandbox.addresses().issuer_url));
    assert_ne!(*here, other.sandbox.addresses().issuer_url);
    let said = company.sign_out().await.unwrap();
    assert!(said.contains("could not be told"), "{said}");
    assert_eq!(other.counts(), Company::open().await.counts(), "it was not asked for anything");
}
