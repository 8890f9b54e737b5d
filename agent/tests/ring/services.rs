//! Each token service by itself, against its double: what it tells, how it replaces and deletes a token, and what becomes of
//! an answer that is lost, late or not its own.

#[path = "services/github.rs"]
mod github;
#[path = "services/gitlab.rs"]
mod gitlab;
#[path = "services/jfrog.rs"]
mod jfrog;
#[path = "services/jupyterhub.rs"]
mod jupyterhub;
#[path = "services/keyfob.rs"]
mod keyfob;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use keyfob_agent::clock::{Clock as _, FakeClock};
use keyfob_agent::config::Network;
use keyfob_agent::service::{
    self, Api, CreateThenDelete, Introspection, Native, RefreshGrant, Service, ServiceError, Shape,
};
use keyfob_agent::upstream::http::Http;
use keyfob_ipc::Secret;
use keyfob_ipc::reply::Teller;
use keyfob_sandbox::jfrog::NewToken;
use keyfob_sandbox::{Endpoint, Fault, Options, Sandbox};
use tokio::net::TcpListener;

const NOW: &str = "2026-11-21T08:00:00Z";

/// The company at [`NOW`], and its clock.
async fn company() -> (Sandbox, Arc<FakeClock>) {
    let world = FakeClock::at(at(NOW));
    let mut options = Options::default();
    let clock = Arc::clone(&world);
    options.clock = Arc::new(move || clock.now());
    (Sandbox::start(options).await.unwrap(), world)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn api(base: &str) -> Api {
    Api::new(Http::new(&Network::default(), true).unwrap(), base.parse().unwrap())
}

fn of(name: &str) -> &'static dyn Service {
    service::of(name).unwrap()
}

fn secret(value: &str) -> Secret<String> {
    Secret::from(value)
}

fn native(service: &'static dyn Service) -> &'static dyn Native {
    let Shape::Native(native) = service.shape() else { panic!("another shape") };
    native
}

fn refresh_grant(service: &'static dyn Service) -> &'static dyn RefreshGrant {
    let Shape::RefreshGrant(grant) = service.shape() else { panic!("another shape") };
    grant
}

fn create_then_delete(service: &'static dyn Service) -> &'static dyn CreateThenDelete {
    let Shape::CreateThenDelete(create) = service.shape() else { panic!("another shape") };
    create
}

fn is_dead<T>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::Dead))
}

/// Whether somebody else has answered: nobody's word about the token, and nothing was done.
fn is_strange<T>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::Strange(_)))
}

/// The service's own words for a refusal with this status.
fn refused<T>(result: Result<T, ServiceError>, status: u16) -> String {
    match result {
        Err(ServiceError::Refused { status: there, say }) if there == status => say,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("no refusal"),
    }
}

/// A port where nobody listens any more.
async fn nowhere() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Each service that has a double, a live token there, its address, and the endpoint that is asked first.
fn doubles(sandbox: &Sandbox) -> [(&'static dyn Service, Secret<String>, String, Endpoint); 3] {
    let addresses = sandbox.addresses();
    let gitlab = sandbox.gitlab().issue_token("ada", &["api"], None);
    let github = sandbox.github().issue_token("ada", Some(&["repo"]), None);
    let jfrog = sandbox.jfrog().issue_token(NewToken::of("ada")).access_token;
    [
        (of("gitlab"), secret(&gitlab), addresses.gitlab_api_url.clone(), Endpoint::GitlabSelf),
        (of("github"), secret(&github), addresses.github_api_url.clone(), Endpoint::GithubUser),
        (of("jfrog"), secret(&jfrog), addresses.jfrog_api_url.clone(), Endpoint::JfrogSelf),
    ]
}

/// `METHOD PATH`, status, and a body that is JSON unless it begins with `<`.
type Line = (&'static str, u16, &'static str);

/// Answers each request by the first line that fits, each of which is said once but for `GET /user`.
async fn scripted(script: Vec<Line>) -> Api {
    scripted_with((header::SERVER, "script"), script).await
}

/// The same with a header more in each answer.
async fn scripted_with(more: (HeaderName, &'static str), script: Vec<Line>) -> Api {
    type Script = ((HeaderName, &'static str), Mutex<Vec<Line>>);
    async fn answer(State(state): State<Arc<Script>>, request: Request) -> Response {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let (more, script) = &*state;
        let mut script = script.lock().unwrap();
        let Some(at) = script.iter().position(|(line, ..)| *line == asked) else {
            return (StatusCode::IM_A_TEAPOT, format!("not in the script: {asked}")).into_response();
        };
        let (_, status, body) = if asked == "GET /user" { script[at] } else { script.remove(at) };
        let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
        (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind), more.clone()], body)
            .into_response()
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer).with_state(Arc::new((more, Mutex::new(script))));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    api(&base)
}

#[tokio::test]
async fn a_service_that_stumbles_says_nothing_about_the_token() {
    let (sandbox, _) = company().await;
    for (service, token, base, endpoint) in doubles(&sandbox) {
        let api = api(&base);
        for fault in [Fault::Html, Fault::Endless, Fault::Reset, Fault::Status(500), Fault::Status(302)] {
            sandbox.faults().set_times(endpoint, fault.clone(), 1);
            let error = service.introspect(&api, &token).await.unwrap_err();
            assert!(error.is_unsure(), "{service:?} {fault:?}: {error:?}");
        }
        sandbox.faults().set_times(endpoint, Fault::Status(429), 1);
        let busy = service.introspect(&api, &token).await;
        assert!(matches!(busy, Err(ServiceError::Later { .. })), "{service:?}: {busy:?}");
        assert!(service.introspect(&api, &token).await.is_ok(), "{service:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_reached_was_not_asked() {
    let (sandbox, _) = company().await;
    let nowhere = nowhere().await;
    for (service, token, _, _) in doubles(&sandbox) {
        let elsewhere = [nowhere.as_str(), "http://gitlab.example/api/v4"];
        for base in elsewhere {
            let api = api(base);
            let told = service.introspect(&api, &token).await;
            assert!(matches!(told, Err(ServiceError::NotAsked(_))), "{service:?} {base}: {told:?}");
            let deleted = service.delete(&api, &token, &Introspection::default()).await;
            assert!(matches!(deleted, Err(ServiceError::NotAsked(_))), "{service:?} {base}: {deleted:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_value_is_dead_and_deleting_it_is_nothing_to_fail_at() {
    let (sandbox, _) = company().await;
    for (service, _, base, _) in doubles(&sandbox) {
        let (api, unknown) = (api(&base), secret("unknown"));
        assert!(is_dead(&service.introspect(&api, &unknown).await), "{service:?}");
        let deleted = service.delete(&api, &unknown, &Introspection::default()).await;
        assert!(deleted.is_ok(), "{service:?}: {deleted:?}");
    }
}

#[tokio::test]
async fn a_page_in_between_deletes_nothing() {
    let (sandbox, _) = company().await;
    let endpoints = [Endpoint::GitlabDelete, Endpoint::GithubRevoke, Endpoint::JfrogDelete];
    for ((service, token, base, _), endpoint) in doubles(&sandbox).into_iter().zip(endpoints) {
        let (api, told) = (api(&base), Introspection::default());
        sandbox.faults().set_times(endpoint, Fault::Html, 1);
        let error = service.delete(&api, &token, &told).await.unwrap_err();
        assert!(error.is_unsure(), "{service:?}: {error:?}");
        assert!(service.introspect(&api, &token).await.is_ok(), "{service:?}");
        service.delete(&api, &token, &told).await.unwrap();
        assert!(is_dead(&service.introspect(&api, &token).await), "{service:?}");
    }
}

/// Each service with the calls that tell of a token and that delete one.
const ASKED: [(&str, &str, &str); 5] = [
    ("keyfob", "GET /tokens/self", "DELETE /tokens/self"),
    ("gitlab", "GET /personal_access_tokens/self", "DELETE /personal_access_tokens/self"),
    ("github", "GET /user", "POST /credentials/revoke"),
    ("jfrog", "GET /tokens/me", "DELETE /tokens/me"),
    ("jupyterhub", "GET /user", "GET /user"),
];

#[tokio::test]
async fn a_gateways_page_is_nobodys_word_about_a_token() {
    let told = Introspection::default();
    for (name, tells, deletes) in ASKED {
        for status in [401, 403, 404] {
            let page = "<!doctype html><title>sign in to the network</title>";
            let api = scripted(vec![(tells, status, page), (deletes, status, page)]).await;
            let said = of(name).introspect(&api, &secret("marked")).await;
            assert!(is_strange(&said), "{name} {status}: {said:?}");
            let deleted = of(name).delete(&api, &secret("marked"), &told).await;
            assert!(is_strange(&deleted), "{name} {status}: {deleted:?}");
        }
    }
}

#[tokio::test]
async fn the_services_own_401_is_its_word_in_any_of_its_forms() {
    // A hub says 403.
    for (name, tells, _) in &ASKED[..4] {
        for body in ["", "{}", r#"{"message":"401 Unauthorized"}"#, "unauthorized"] {
            let api = scripted(vec![(tells, 401, body)]).await;
            assert!(is_dead(&of(name).introspect(&api, &secret("marked")).await), "{name} {body}");
        }
    }
}

#[tokio::test]
async fn who_gives_up_on_a_request_may_have_read_it() {
    let api = scripted(vec![("POST /tokens/self/rotate", 408, r#"{"title":"too slow"}"#)]).await;
    let ends = at("2027-01-01T00:00:00Z");
    let error = native(of("keyfob")).rotate(&api, &secret("marked"), ends).await.unwrap_err();
    assert!(error.is_unsure(), "{error:?}");
}

#[tokio::test]
async fn a_fact_that_repeats_the_token_is_no_fact() {
    let token = secret("marked-0123");
    let hub = r#"{"name":"ada","token_id":"a-marked-0123","scopes":["x!marked-0123"],"kind":"service"}"#;
    let api = scripted(vec![
        (
            "GET /tokens/self",
            200,
            r#"{"id":"marked-0123","owner":"ada","permissions":[{"cluster":"marked-0123"}]}"#,
        ),
        ("GET /personal_access_tokens/self", 200, r#"{"id":7,"scopes":["api","marked-0123"]}"#),
        (
            "GET /tokens/me",
            200,
            r#"{"token_id":"t","subject":"jfac@1/users/marked-0123","scope":"a marked-0123"}"#,
        ),
    ])
    .await;
    for name in ["keyfob", "gitlab", "jfrog"] {
        let told = of(name).introspect(&api, &token).await.unwrap();
        assert!(!format!("{told:?}").contains("marked"), "{name}: {told:?}");
        assert!(told.id.is_some() || told.owner.is_some(), "{name}: the others stay: {told:?}");
    }
    for (name, body) in [("github", r#"{"login":"marked-0123"}"#), ("jupyterhub", hub)] {
        let told =
            of(name).introspect(&scripted(vec![("GET /user", 200, body)]).await, &token).await.unwrap();
        assert!(!format!("{told:?}").contains("marked"), "{name}: {told:?}");
    }
}
