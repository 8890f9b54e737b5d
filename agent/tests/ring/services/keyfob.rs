//! What the double of the token API does not say. The rest of it is in the rings of rotation and administration.

use keyfob_agent::service::Administration;
use keyfob_ipc::reply::{ClusterRights, Issued, Right, Rights};

use super::*;

fn administration() -> &'static dyn Administration {
    of("keyfob").administration().unwrap()
}

async fn rotated(body: &'static str) -> Result<Introspection, ServiceError> {
    let api = scripted(vec![("POST /tokens/self/rotate", 200, body)]).await;
    let made = native(of("keyfob")).rotate(&api, &secret("aw_old"), at("2027-01-01T00:00:00Z")).await?;
    assert_eq!(made.value.expose(), "aw_new");
    Ok(made.told)
}

#[tokio::test]
async fn no_odd_member_costs_the_new_value_or_the_facts_beside_it() {
    for odd in [
        r#""permissions":null"#,
        r#""permissions":{"cluster":1}"#,
        r#""machine":null,"admin":"no""#,
        r#""expires_at":"","created_at":0"#,
        r#""clusters_cache_seconds":-1"#,
        r#""last_four":4,"last_used_at":"never""#,
    ] {
        let body = format!(r#"{{"id":7,"owner":"ada",{odd},"value":"aw_new"}}"#);
        let told = rotated(body.leak()).await.unwrap();
        assert_eq!((told.id.as_deref(), told.owner.as_deref()), (Some("7"), Some("ada")), "{odd}");
        assert_eq!((told.ends, told.clusters, told.cluster_cache), (None, None, None), "{odd}");
    }
    // Not even one that no parser takes whole.
    let deep = format!(r#"{{"value":"aw_new","id":"7","deep":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    rotated(deep.leak()).await.unwrap();
    assert_eq!(rotated(r#"{"value":"aw_new","id":1e999}"#).await.unwrap(), Introspection::default());
    for without in [r#"{"id":"7","owner":"ada"}"#, r#"{"id":"7","value":null}"#, r#"{"value":7}"#, "{}"] {
        assert!(rotated(without).await.unwrap_err().is_unsure(), "{without}");
    }
}

#[tokio::test]
async fn what_is_no_token_proves_none() {
    for body in ["{}", r#"{"id":"7"}"#, r#"{"owner":"ada"}"#, r#"{"id":null,"owner":"ada"}"#] {
        let api = scripted(vec![("GET /tokens/self", 200, body)]).await;
        assert!(of("keyfob").introspect(&api, &secret("aw_1")).await.unwrap_err().is_unsure(), "{body}");
    }
}

#[tokio::test]
async fn what_is_issued_comes_through_whatever_is_said_beside_it() {
    let script = vec![
        ("POST /tokens/7/rotate", 200, r#"{"owner":"ada","permissions":null,"value":"aw_new"}"#),
        ("POST /machines", 201, r#"{"id":{},"owner":null,"machine":"yes","value":"aw_new"}"#),
    ];
    let (api, admin) = (scripted(script).await, secret("aw_admin"));
    let named = |issued: Issued| {
        assert_eq!(issued.value.unwrap().expose(), "aw_new");
        (issued.token.id, issued.token.owner)
    };
    let issued = administration().rotate(&api, &admin, "7").await.unwrap();
    assert_eq!(named(issued), ("7".to_owned(), "ada".to_owned()));
    let issued = administration().create_machine(&api, &admin, "bot-ci", &[], None).await.unwrap();
    assert_eq!(issued.say, "the token (not told) of `bot-ci` is made");
    assert_eq!(named(issued), (String::new(), "bot-ci".to_owned()));
}

#[tokio::test]
async fn permissions_that_are_not_told_are_not_shown_as_none() {
    let path = "PUT /tokens/7/permissions";
    let api = scripted(vec![(path, 200, r#"{"id":"7","owner":"ada","permissions":null}"#)]).await;
    let rights = Rights { read: Right::Yes, write: Right::No, execute: Right::No };
    let asked = [ClusterRights { cluster: "one".to_owned(), rights }];
    let error = administration().set_permissions(&api, &secret("aw_admin"), "7", &asked).await.unwrap_err();
    assert!(error.is_unsure(), "{error:?}");
}

#[tokio::test]
async fn a_list_that_goes_in_circles_or_has_no_end_is_given_up_on() {
    let list = async |pages: Vec<String>| {
        let pages = pages.into_iter().map(|page| ("GET /tokens", 200, &*page.leak()));
        let api = scripted(pages.collect()).await;
        administration().list(&api, &secret("aw_admin"), None).await
    };
    let page = |tokens: usize, more: &str, cursor: &str| {
        let token = format!(r#"{{"id":"7","owner":"ada","more":"{more}"}}"#);
        let tokens = vec![token; tokens].join(",");
        format!(r#"{{"tokens":[{tokens}],"next_cursor":{cursor}}}"#)
    };
    let pages = vec![page(2, "", "\"a\""), page(1, "", "null")];
    assert_eq!(list(pages).await.unwrap().len(), 3);
    let circle = ["a", "b", "a", "b"].map(|cursor| page(1, "", &format!("\"{cursor}\"")));
    let circle = list(circle.to_vec()).await;
    assert!(is_strange(&circle), "{circle:?}");
    let large = "x".repeat(900 * 1024);
    let large = list((0..12).map(|at| page(1, &large, &format!("\"{at}\""))).collect()).await;
    assert!(is_strange(&large), "{:?}", large.map(|listed| listed.len()));
    let many = (0..12).map(|at| page(1000, "", &format!("\"{at}\"")));
    assert_eq!(list(many.collect()).await.unwrap().len(), 10_000);
}
