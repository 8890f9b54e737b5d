use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_token_tells_all_of_itself_and_ends_as_its_day_begins() {
    let (sandbox, world) = company().await;
    let api = api(&sandbox.addresses().gitlab_api_url);
    let date = Some("2026-11-23".parse().unwrap());
    let token = secret(&sandbox.gitlab().issue_token("ada", &["read_user", "read_registry"], date));
    let told = of("gitlab").introspect(&api, &token).await.unwrap();
    assert_eq!(told.owner.as_deref(), Some("ada"));
    assert_eq!(told.machine, Some(false));
    assert_eq!(told.ends, Some(at("2026-11-23T00:00:00Z")));
    assert_eq!(told.created, Some(at(NOW)));
    assert_eq!(told.scopes.unwrap(), ["read_user", "read_registry"]);
    assert_eq!((told.id.as_deref(), told.by), (Some("1"), Some(Teller::TokenService)));
    world.advance(DAY + 15 * Duration::from_secs(3600));
    assert!(of("gitlab").introspect(&api, &token).await.is_ok(), "an hour before the end");
    world.advance(Duration::from_secs(3600));
    assert!(is_dead(&of("gitlab").introspect(&api, &token).await));
}

#[tokio::test]
async fn what_a_token_may_not_see_stays_unknown() {
    let (sandbox, _) = company().await;
    let api = api(&sandbox.addresses().gitlab_api_url);
    let token = secret(&sandbox.gitlab().issue_token("ada", &["read_registry"], None));
    let told = of("gitlab").introspect(&api, &token).await.unwrap();
    assert_eq!((told.owner, told.machine, told.ends), (None, None, None));
    let token = secret(&sandbox.gitlab().issue_token("ada", &["api"], None));
    sandbox.faults().set(Endpoint::GitlabUser, Fault::Status(500));
    let told = of("gitlab").introspect(&api, &token).await.unwrap();
    assert_eq!((told.owner, told.scopes), (None, Some(vec!["api".to_owned()])));
}

#[tokio::test]
async fn a_token_that_is_said_to_be_revoked_is_dead() {
    for body in [r#"{"id": 1, "revoked": true}"#, r#"{"id": 1, "revoked": false, "active": false}"#] {
        let api = scripted(vec![("GET /personal_access_tokens/self", 200, body)]).await;
        assert!(is_dead(&of("gitlab").introspect(&api, &secret("glpat-1")).await), "{body}");
    }
}

#[tokio::test]
async fn a_rotation_gives_a_value_that_ends_when_it_was_asked_for() {
    let (sandbox, _) = company().await;
    let (gitlab, api) = (sandbox.gitlab(), api(&sandbox.addresses().gitlab_api_url));
    let old = secret(&gitlab.issue_token("ada", &["read_api", "self_rotate"], None));
    // A year from now, and so the furthest date that GitLab takes.
    let made = native(of("gitlab")).rotate(&api, &old, at("2027-11-21T08:00:00Z")).await.unwrap();
    assert!(made.value.expose().starts_with("glpat-") && made.companion.is_none());
    assert_eq!(made.told.ends, Some(at("2027-11-21T00:00:00Z")));
    assert_eq!(made.told.id.as_deref(), Some("2"));
    assert!(!gitlab.is_live(old.expose()) && gitlab.is_live(made.value.expose()));
    assert!(is_dead(&of("gitlab").introspect(&api, &old).await));
    let told = of("gitlab").introspect(&api, &made.value).await.unwrap();
    assert_eq!((told.ends, told.scopes), (made.told.ends, made.told.scopes));
}

#[tokio::test]
async fn a_refused_rotation_says_why_and_leaves_the_token_alone() {
    let (sandbox, _) = company().await;
    let (gitlab, api) = (sandbox.gitlab(), api(&sandbox.addresses().gitlab_api_url));
    let weak = secret(&gitlab.issue_token("ada", &["read_api"], None));
    let say = refused(native(of("gitlab")).rotate(&api, &weak, at("2027-01-01T00:00:00Z")).await, 403);
    assert!(say.contains("higher privileges"), "{say}");
    let strong = secret(&gitlab.issue_token("ada", &["api"], None));
    let say = refused(native(of("gitlab")).rotate(&api, &strong, at("2028-01-01T00:00:00Z")).await, 400);
    assert!(say.contains("Expiration date must be before"), "{say}");
    assert!(gitlab.is_live(weak.expose()) && gitlab.is_live(strong.expose()));
}

#[tokio::test]
async fn a_lost_answer_is_unsure_and_what_is_left_can_be_asked_without_harm() {
    let (sandbox, _) = company().await;
    let (gitlab, api) = (sandbox.gitlab(), api(&sandbox.addresses().gitlab_api_url));
    let old = secret(&gitlab.issue_token("ada", &["api"], None));
    sandbox.faults().set_times(Endpoint::GitlabRotate, Fault::Reset, 1);
    let error = native(of("gitlab")).rotate(&api, &old, at("2027-01-01T00:00:00Z")).await.unwrap_err();
    assert!(error.is_unsure(), "{error:?}");
    let lost = gitlab.newest_token("ada").unwrap();
    assert!(lost != *old.expose() && gitlab.is_live(&lost));
    assert!(is_dead(&of("gitlab").introspect(&api, &old).await));
    assert!(gitlab.is_live(&lost), "asking harms nothing");
}

/// The trap itself: it is why nobody may rotate again after a lost answer.
#[tokio::test]
async fn a_replayed_rotation_ends_the_new_value_too() {
    let (sandbox, _) = company().await;
    let (gitlab, api) = (sandbox.gitlab(), api(&sandbox.addresses().gitlab_api_url));
    let old = secret(&gitlab.issue_token("ada", &["api"], None));
    let ends = at("2027-01-01T00:00:00Z");
    let made = native(of("gitlab")).rotate(&api, &old, ends).await.unwrap();
    assert!(is_dead(&native(of("gitlab")).rotate(&api, &old, ends).await));
    assert!(is_dead(&of("gitlab").introspect(&api, &made.value).await));
}

#[tokio::test]
async fn an_answer_without_the_new_value_is_unsure() {
    let (sandbox, _) = company().await;
    let (gitlab, api) = (sandbox.gitlab(), api(&sandbox.addresses().gitlab_api_url));
    let old = secret(&gitlab.issue_token("ada", &["api"], None));
    for fault in [Fault::Html, Fault::Status(502)] {
        sandbox.faults().set_times(Endpoint::GitlabRotate, fault, 1);
        let made = native(of("gitlab")).rotate(&api, &old, at("2027-01-01T00:00:00Z")).await;
        assert!(made.unwrap_err().is_unsure());
        assert!(gitlab.is_live(old.expose()), "these two are not processed");
    }
}

#[tokio::test]
async fn no_odd_member_costs_the_new_value() {
    for odd in [r#""id": "7""#, r#""expires_at": 0, "id": 7"#, r#""scopes": "api""#, r#""revoked": "no""#] {
        let body = format!(r#"{{{odd}, "token": "glpat-2"}}"#).leak();
        let api = scripted(vec![("POST /personal_access_tokens/self/rotate", 200, body)]).await;
        let made = native(of("gitlab")).rotate(&api, &secret("glpat-1"), at("2027-01-01T00:00:00Z")).await;
        assert_eq!(made.unwrap().value.expose(), "glpat-2", "{odd}");
    }
}
