//! The real JupyterHub is asked in `tests/e2e`; here it says by script what it seldom says.

use super::*;

const DEAD: &str = r#"{"status": 403, "message": null}"#;
const WHOAMI: &str = r#"{"kind": "user", "name": "ada", "token_id": "a14", "scopes": ["b", "a"]}"#;

async fn told(script: Vec<Line>) -> Result<Introspection, ServiceError> {
    of("jupyterhub").introspect(&scripted(script).await, &secret("0123")).await
}

#[tokio::test]
async fn dead_and_not_permitted_are_told_apart() {
    assert!(is_dead(&told(vec![("GET /user", 403, DEAD)]).await));
    let late = r#"{"status": 403, "message": "Missing or invalid credentials."}"#;
    assert!(is_dead(&told(vec![("GET /user", 200, WHOAMI), ("GET /users/ada/tokens/a14", 403, late)]).await));
    let scope = r#"{"status": 403, "message": "Action is not authorized with current scopes; requires any of [read:tokens]"}"#;
    let known =
        told(vec![("GET /user", 200, WHOAMI), ("GET /users/ada/tokens/a14", 403, scope)]).await.unwrap();
    assert_eq!((known.owner.as_deref(), known.id.as_deref(), known.ends), (Some("ada"), Some("a14"), None));
    assert_eq!(known.scopes.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_page_in_between_kills_no_token() {
    for page in [
        "{}",
        r#"{"message": null}"#,
        r#"{"status": 403}"#,
        r#"{"status": 403, "error": "Forbidden"}"#,
        r#"{"status": 403, "message": null, "path": "/hub/api/user"}"#,
        r#"{"status": 403, "message": "Forbidden"}"#,
        r#"{"status": 401, "message": null}"#,
    ] {
        refused(told(vec![("GET /user", 403, page)]).await, 403);
    }
    // The hub says 401 to nobody.
    for page in ["", "{}", r#"{"status": 401}"#] {
        let unauthorized = told(vec![("GET /user", 401, page)]).await;
        assert!(is_strange(&unauthorized), "{unauthorized:?}");
    }
    assert!(told(vec![("GET /user", 503, "<html>proxy</html>")]).await.unwrap_err().is_unsure());
    assert!(told(vec![("GET /user", 200, "<html>welcome</html>")]).await.unwrap_err().is_unsure());
}

#[tokio::test]
async fn no_end_is_unknown_and_the_token_of_a_service_is_a_machines() {
    let endless = r#"{"user": "ada", "id": "a14", "scopes": ["b", "a"], "created": "2026-11-21T07:00:00.5Z", "expires_at": null}"#;
    let known =
        told(vec![("GET /user", 200, WHOAMI), ("GET /users/ada/tokens/a14", 200, endless)]).await.unwrap();
    assert_eq!((known.ends, known.created), (None, Some(at("2026-11-21T07:00:00.5Z"))));
    let service = r#"{"kind": "service", "name": "bot", "token_id": "a15", "scopes": []}"#;
    let known = told(vec![("GET /user", 200, service)]).await.unwrap();
    assert_eq!((known.owner.as_deref(), known.machine), (Some("bot"), Some(true)));
}

#[tokio::test]
async fn a_lost_creation_is_unsure_and_a_refused_one_says_why() {
    let create = async |status, body| {
        let api = scripted(vec![("GET /user", 200, WHOAMI), ("POST /users/ada/tokens", status, body)]).await;
        let (token, told) = (secret("0123"), Introspection::default());
        let ends = at("2027-11-21T08:00:00Z");
        create_then_delete(of("jupyterhub")).create(&api, &token, &told, "keyfob 1", at(NOW), ends).await
    };
    for odd in
        [r#""created": "", "id": "a15""#, r#""id": 15, "expires_at": "", "note": 1"#, r#""scopes": {}"#]
    {
        let made = create(201, format!(r#"{{"user": "ada", {odd}, "token": "4567"}}"#).leak()).await.unwrap();
        assert_eq!(made.value.expose(), "4567", "{odd}");
    }
    for (status, body) in [(503, "<html>proxy</html>"), (201, "{}"), (201, r#"{"user": "ada", "id": "a15"}"#)]
    {
        assert!(create(status, body).await.unwrap_err().is_unsure(), "{status} {body}");
    }
    let say = refused(
        create(400, r#"{"status": 400, "message": "token expires_in: 9 must not exceed 8"}"#).await,
        400,
    );
    assert_eq!(say, "token expires_in: 9 must not exceed 8");
}

/// Ids are given again: the token that has the id now is another one, and stays.
#[tokio::test]
async fn a_token_that_has_the_id_of_another_is_not_deleted() {
    let there = r#"{"user": "ada", "id": "a13", "created": "2026-11-21T07:00:00.5Z", "note": "mine"}"#;
    let delete = async |script: Vec<Line>, id: &str| {
        let api = scripted([vec![("GET /user", 200, WHOAMI)], script].concat()).await;
        let (token, told) = (secret("0123"), Introspection::default());
        create_then_delete(of("jupyterhub")).delete_other(&api, &token, &told, id).await
    };
    let shown = || vec![("GET /users/ada/tokens/a13", 200, there)];
    delete(shown(), "a13@2026-11-20T07:00:00.5Z").await.unwrap();
    // The same one would be deleted, which is not in the script. Some databases keep whole seconds.
    for moment in ["07:00:00.5Z", "07:00:00Z", "07:00:01Z"] {
        refused(delete(shown(), &format!("a13@2026-11-21T{moment}")).await, 418);
    }
    refused(delete(shown(), "a13").await, 418);
    // The one that asks has the number now: nothing of it is even asked.
    delete(Vec::new(), "a14@2026-11-20T07:00:00.5Z").await.unwrap();
    let gone = vec![(
        "GET /users/ada/tokens/a13",
        404,
        r#"{"status": 404, "message": "No such token a13 for user ada"}"#,
    )];
    delete(gone, "a13@2026-11-21T07:00:00.5Z").await.unwrap();
    for other in
        [r#"{"status": 404, "error": "Not Found"}"#, r#"{"status": 404, "message": "no route"}"#, "<html>"]
    {
        let elsewhere = vec![("GET /users/ada/tokens/a13", 404, other)];
        let error = delete(elsewhere, "a13@2026-11-21T07:00:00.5Z").await.unwrap_err();
        assert!(matches!(error, ServiceError::Strange(_)), "{error:?}");
    }
    let blocked = vec![("DELETE /users/ada/tokens/a13", 200, "<html>welcome</html>")];
    let error = delete([shown(), blocked].concat(), "a13@2026-11-21T07:00:00.5Z").await.unwrap_err();
    assert!(error.is_unsure(), "{error:?}");
}

#[tokio::test]
async fn only_what_bears_the_note_is_found() {
    let list = r#"{"api_tokens": [
        {"id": "a1", "created": "2026-11-21T07:00:00.5Z", "note": "keyfob 1"},
        {"id": "a2", "created": null, "note": "keyfob 1"},
        {"id": "a3", "note": "keyfob 12"}, {"id": "a4", "note": null}]}"#;
    let api = scripted(vec![("GET /user", 200, WHOAMI), ("GET /users/ada/tokens", 200, list)]).await;
    let found = create_then_delete(of("jupyterhub"))
        .find(&api, &secret("0123"), &Introspection::default(), "keyfob 1")
        .await
        .unwrap();
    assert_eq!(found, ["a1@2026-11-21T07:00:00.5Z", "a2"]);
}

/// A hub in another language: what it signs is its own.
#[tokio::test]
async fn a_hub_signs_its_answers() {
    let gone = r#"{"status": 404, "message": "Kein solches Token"}"#;
    let script = || vec![("GET /user", 200, WHOAMI), ("DELETE /users/ada/tokens/a14", 404, gone)];
    let (token, told) = (secret("0123"), Introspection::default());
    let deleted = of("jupyterhub").delete(&scripted(script()).await, &token, &told).await;
    assert!(is_strange(&deleted), "{deleted:?}");
    let signed = (HeaderName::from_static("x-jupyterhub-version"), "6.1.1");
    of("jupyterhub").delete(&scripted_with(signed, script()).await, &token, &told).await.unwrap();
}
