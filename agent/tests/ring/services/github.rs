use super::*;

#[tokio::test]
async fn the_headers_of_a_call_tell_of_the_token_in_either_form() {
    let (sandbox, world) = company().await;
    let (github, api) = (sandbox.github(), api(&sandbox.addresses().github_api_url));
    let ends = at("2026-12-21T07:53:01Z");
    let token = secret(&github.issue_token("ada", Some(&["repo", "read:org"]), Some(ends)));
    let told = of("github").introspect(&api, &token).await.unwrap();
    assert_eq!(told.owner.as_deref(), Some("ada"));
    assert_eq!(told.ends, Some(ends));
    assert_eq!(told.scopes.as_deref().unwrap(), ["repo", "read:org"]);
    assert_eq!(told.by, Some(Teller::TokenService));
    github.write_offsets();
    assert_eq!(of("github").introspect(&api, &token).await.unwrap(), told);
    world.advance(std::time::Duration::from_secs(31 * 24 * 3600));
    assert!(is_dead(&of("github").introspect(&api, &token).await));
}

#[tokio::test]
async fn what_github_does_not_tell_is_unknown_and_no_scopes_are_told_as_none() {
    let (sandbox, _) = company().await;
    let (github, api) = (sandbox.github(), api(&sandbox.addresses().github_api_url));
    let fine_grained = secret(&github.issue_token("ada", None, None));
    let told = of("github").introspect(&api, &fine_grained).await.unwrap();
    assert_eq!((told.scopes, told.ends), (None, None));
    let bare = secret(&github.issue_token("ada", Some(&[]), None));
    assert_eq!(of("github").introspect(&api, &bare).await.unwrap().scopes, Some(Vec::new()));
}

#[tokio::test]
async fn it_is_rotated_by_hand_and_revoked_without_a_word_of_who_asks() {
    let (sandbox, _) = company().await;
    let (github, api) = (sandbox.github(), api(&sandbox.addresses().github_api_url));
    assert!(matches!(of("github").shape(), Shape::ByHand));
    let [first, second] = [(), ()].map(|()| secret(&github.issue_token("ada", None, None)));
    of("github").delete(&api, &first, &Introspection::default()).await.unwrap();
    assert!(!github.is_live(first.expose()) && github.is_live(second.expose()));
    assert_eq!(sandbox.counts().arrived(Endpoint::GithubRevoke), 1);
    sandbox.faults().set_times(Endpoint::GithubRevoke, Fault::Reset, 1);
    let error = of("github").delete(&api, &second, &Introspection::default()).await.unwrap_err();
    assert!(error.is_unsure(), "{error:?}");
    sandbox.faults().set_times(Endpoint::GithubRevoke, Fault::Status(404), 1);
    let old = of("github").delete(&api, &second, &Introspection::default()).await;
    assert!(matches!(old, Err(ServiceError::Unable)), "{old:?}");
}

#[tokio::test]
async fn a_companys_own_github_is_told_who_asks() {
    let (sandbox, _) = company().await;
    let (github, api) = (sandbox.github(), api(&sandbox.addresses().github_api_url));
    github.be_enterprise();
    let token = secret(&github.issue_token("ada", None, None));
    of("github").delete(&api, &token, &Introspection::default()).await.unwrap();
    assert!(!github.is_live(token.expose()));
}
