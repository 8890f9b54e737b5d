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

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
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
    async fn answer(State(script): State<Arc<Mutex<Vec<Line>>>>, request: Request) -> Response {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let mut script = script.lock().unwrap();
        let Some(at) = script.iter().position(|(line, ..)| *line == asked) else {
            return (StatusCode::IM_A_TEAPOT, format!("not in the script: {asked}")).into_response();
        };
        let (_, status, body) = if asked == "GET /user" { script[at] } else { script.remove(at) };
        let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
        (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body).into_response()
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer).with_state(Arc::new(Mutex::new(script)));
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
