use jiff::SignedDuration;
use keyfob_ipc::Code;
use keyfob_sandbox::jfrog::Pair;

use super::*;

fn secrets(pair: &Pair) -> (Secret<String>, Secret<String>) {
    (secret(&pair.access_token), secret(pair.refresh_token.as_deref().unwrap_or_default()))
}

#[tokio::test]
async fn a_token_tells_of_itself_by_the_service() {
    let (sandbox, world) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let life = Some(SignedDuration::from_hours(48));
    let pair = jfrog.issue_token(NewToken {
        life,
        scope: "applied-permissions/user a".to_owned(),
        ..NewToken::of("ada/b")
    });
    let (token, _) = secrets(&pair);
    let told = of("jfrog").introspect(&api, &token).await.unwrap();
    assert_eq!(told.owner.as_deref(), Some("ada/b"));
    assert_eq!((told.created, told.ends), (Some(at(NOW)), Some(at("2026-11-23T08:00:00Z"))));
    assert_eq!(told.scopes.unwrap(), ["applied-permissions/user", "a"]);
    assert_eq!(told.by, Some(Teller::TokenService));
    world.advance(std::time::Duration::from_secs(48 * 3600));
    assert!(is_dead(&of("jfrog").introspect(&api, &token).await));
}

#[tokio::test]
async fn who_may_not_ask_reads_the_token_itself() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let (token, _) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    let reference = jfrog.issue_token(NewToken { is_reference: true, ..NewToken::of("ada") });
    let (reference, _) = secrets(&reference);
    sandbox.faults().set_times(Endpoint::JfrogSelf, Fault::Status(403), 2);
    let told = of("jfrog").introspect(&api, &token).await.unwrap();
    assert_eq!((told.owner.as_deref(), told.by), (Some("ada"), Some(Teller::Token)));
    assert_eq!(told.ends, Some(at("2027-11-21T08:00:00Z")));
    refused(of("jfrog").introspect(&api, &reference).await, 403);

    jfrog.be_old();
    assert_eq!(of("jfrog").introspect(&api, &token).await.unwrap(), told);
    let unable = of("jfrog").introspect(&api, &reference).await;
    assert!(matches!(unable, Err(ServiceError::Unable)), "{unable:?}");
}

#[tokio::test]
async fn a_token_without_an_end_has_an_unknown_one() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let (token, _) = secrets(&jfrog.issue_token(NewToken { life: None, ..NewToken::of("ada") }));
    assert_eq!(of("jfrog").introspect(&api, &token).await.unwrap().ends, None);
    jfrog.be_old();
    assert_eq!(of("jfrog").introspect(&api, &token).await.unwrap().ends, None);
}

#[tokio::test]
async fn a_refresh_gives_a_pair_that_can_be_refreshed_again() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let (token, refresh_token) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    let grant = refresh_grant(of("jfrog"));
    let made = grant.refresh(&api, &token, &refresh_token).await.unwrap();
    assert!(!jfrog.is_live(token.expose()) && jfrog.is_live(made.value.expose()));
    assert_eq!(made.told.owner.as_deref(), Some("ada"));
    assert_eq!(made.told.ends, Some(at("2027-11-21T08:00:00Z")));
    let told = of("jfrog").introspect(&api, &made.value).await.unwrap();
    assert_eq!((&told.id, &told.scopes), (&made.told.id, &made.told.scopes));
    let again = grant.refresh(&api, &made.value, &made.companion.unwrap()).await.unwrap();
    assert!(jfrog.is_live(again.value.expose()) && !jfrog.is_live(made.value.expose()));
}

#[tokio::test]
async fn a_spent_refresh_token_is_refused_in_jfrogs_own_words() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let grant = refresh_grant(of("jfrog"));
    let (token, refresh_token) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    let (other, _) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    grant.refresh(&api, &token, &refresh_token).await.unwrap();
    assert!(is_dead(&grant.refresh(&api, &token, &refresh_token).await));
    let say = refused(grant.refresh(&api, &other, &refresh_token).await, 404);
    assert!(say.contains("refresh token was not found"), "{say}");
    assert!(jfrog.is_live(other.expose()));
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_is_unsure() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    let (token, refresh_token) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    let grant = refresh_grant(of("jfrog"));
    for fault in [Fault::Html, Fault::Status(503)] {
        sandbox.faults().set_times(Endpoint::JfrogTokens, fault, 1);
        assert!(grant.refresh(&api, &token, &refresh_token).await.unwrap_err().is_unsure());
        assert!(jfrog.is_refreshable(refresh_token.expose()), "these two are not processed");
    }
    sandbox.faults().set_times(Endpoint::JfrogTokens, Fault::Reset, 1);
    assert!(grant.refresh(&api, &token, &refresh_token).await.unwrap_err().is_unsure());
    assert!(!jfrog.is_refreshable(refresh_token.expose()));
    assert!(is_dead(&of("jfrog").introspect(&api, &token).await));
}

#[tokio::test]
async fn an_old_jfrog_deletes_by_the_id() {
    let (sandbox, _) = company().await;
    let (jfrog, api) = (sandbox.jfrog(), api(&sandbox.addresses().jfrog_api_url));
    jfrog.be_old();
    let (readable, _) = secrets(&jfrog.issue_token(NewToken::of("ada")));
    let reference = jfrog.issue_token(NewToken { is_reference: true, ..NewToken::of("ada") });
    let (reference, _) = secrets(&reference);
    of("jfrog").delete(&api, &readable, &Introspection::default()).await.unwrap();
    assert!(!jfrog.is_live(readable.expose()));
    let unknown = of("jfrog").delete(&api, &reference, &Introspection::default()).await;
    assert!(matches!(unknown, Err(ServiceError::Unable)), "{unknown:?}");
    assert!(jfrog.is_live(reference.expose()));
}

#[test]
fn what_jfrog_shows_can_be_pasted_whole() {
    let shown =
        r#"{"token_id": "7e0e", "access_token": "ey.a.b", "refresh_token": "re-fresh", "expires_in": 3600}"#;
    let pasted = of("jfrog").read_pasted(secret(shown)).unwrap();
    assert_eq!((pasted.value, pasted.companion), (secret("ey.a.b"), Some(secret("re-fresh"))));
    let refusal = of("jfrog").read_pasted(secret(r#"{"refresh_token": "re-fresh"}"#)).unwrap_err();
    assert_eq!(refusal.code, Code::TokenInvalid);
    assert!(!format!("{refusal:?}").contains("re-fresh"));
}

#[tokio::test]
async fn no_odd_member_costs_the_new_pair() {
    let refresh = async |body: &'static str| {
        let api = scripted(vec![("POST /tokens", 200, body)]).await;
        refresh_grant(of("jfrog")).refresh(&api, &secret("ey-1"), &secret("re-1")).await
    };
    for odd in [r#""token_id": 7"#, r#""scope": ["a"], "expires_in": "soon""#, r#""token_type": null"#] {
        let body = format!(r#"{{{odd}, "access_token": "ey-2", "refresh_token": "re-2"}}"#).leak();
        let made = refresh(body).await.unwrap();
        assert_eq!((made.value, made.companion), (secret("ey-2"), Some(secret("re-2"))), "{odd}");
    }
    for odd in [r#"{"access_token": "ey-2", "refresh_token": 7}"#, r#"{"access_token": "ey-2"}"#] {
        let made = refresh(odd).await.unwrap();
        assert_eq!((made.value, made.companion), (secret("ey-2"), None), "{odd}");
    }
    assert!(refresh(r#"{"refresh_token": "re-2"}"#).await.unwrap_err().is_unsure());
}

/// What a token says of itself is no word of JFrog's, and a gateway's page is none either.
#[tokio::test]
async fn behind_a_gateway_a_token_does_not_speak_for_itself() {
    let (sandbox, _) = company().await;
    let (token, _) = secrets(&sandbox.jfrog().issue_token(NewToken::of("ada")));
    let api = scripted(vec![("GET /tokens/me", 403, "<html>blocked</html>")]).await;
    let told = of("jfrog").introspect(&api, &token).await;
    assert!(is_strange(&told), "{told:?}");
}
