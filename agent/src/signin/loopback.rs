//! The place on this machine where the browser comes back to (RFC 8252, section 7.3).
//!
//! An address and no name is listened on, for the time of one sign-in, and one path answers. A visit without our state is
//! turned away and changes nothing: any page can send a browser here. So can every user of this machine, who must not use
//! up our descriptors or keep the browser out: connections are few, short, and gone with the sign-in, and whoever has been
//! silent longest makes room for the next.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

#[cfg(test)]
mod tests;

const PATH: &str = "/callback";

/// Connections that have sent no whole head yet; and those that are being answered, beside which further ones wait in the
/// kernel's queue.
const CONNECTIONS: usize = 16;

/// Bytes of a request's head: a code of 8192 bytes, escaped, and the cookies of whatever else is at this address.
const HEAD: usize = 64 * 1024;

/// How long a connection may take for the head of its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much longer a page under way lasts than the sign-in.
const GRACE: Duration = Duration::from_millis(500);

/// How long nothing is accepted after that failed: what it failed for, such as descriptors, is not back at once.
const PAUSE: Duration = Duration::from_millis(100);

/// An open listener.
pub(super) struct Loopback {
    port: u16,
    expected: Arc<Mutex<Option<Expected>>>,
    arrivals: mpsc::Receiver<Result<Arrival, Refusal>>,
    /// The server ends once this is dropped.
    _open: oneshot::Sender<()>,
}

/// What a genuine return carries.
struct Expected {
    state: String,
    issuer: String,
    issuer_promised: bool,
}

/// A person has come back with a code.
pub(super) struct Arrival {
    /// The authorization code.
    pub(super) code: String,
    page: oneshot::Sender<Result<String, String>>,
}

impl Arrival {
    /// Shows the end of it in the browser.
    pub(super) async fn tell(self, outcome: Result<&str, &Refusal>) {
        let outcome = outcome.map(str::to_owned).map_err(|refusal| refusal.say.clone());
        // The person may have closed the tab.
        let _ = self.page.send(outcome);
        // Let the page be written before the listener goes.
        tokio::task::yield_now().await;
    }
}

#[derive(Clone)]
struct Shared {
    host: String,
    expected: Arc<Mutex<Option<Expected>>>,
    arrivals: mpsc::Sender<Result<Arrival, Refusal>>,
}

/// RFC 6749, section 4.1.2, and RFC 9207.
#[derive(Deserialize)]
struct Return {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Loopback {
    /// Listens on one of the ports given, in their order, or on any.
    pub(super) async fn open(ports: &[u16]) -> Result<Self, Refusal> {
        Self::with_patience(ports, PATIENCE).await
    }

    async fn with_patience(ports: &[u16], patience: Duration) -> Result<Self, Refusal> {
        let listener = listen(ports).await?;
        let port = listener
            .local_addr()
            .map(|address| address.port())
            .map_err(|error| cannot(&error.to_string()))?;
        let (sender, arrivals) = mpsc::channel(1);
        let expected = Arc::default();
        let shared =
            Shared { host: format!("127.0.0.1:{port}"), expected: Arc::clone(&expected), arrivals: sender };
        let router = Router::new().route(PATH, axum::routing::get(come_back)).with_state(shared);
        let (open, ended) = oneshot::channel();
        tokio::spawn(serve(listener, router, patience, ended));
        Ok(Self { port, expected, arrivals, _open: open })
    }

    /// Where the provider sends the browser.
    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Says what a genuine return carries.
    pub(super) fn expect(&self, state: String, issuer: String, issuer_promised: bool) {
        let expected = Expected { state, issuer, issuer_promised };
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(expected);
    }

    /// The first genuine return.
    pub(super) async fn arrival(&mut self) -> Result<Arrival, Refusal> {
        self.arrivals.recv().await.unwrap_or_else(|| Err(cannot("it ended")))
    }
}

/// Serves until whoever opened it is done. Every connection is a task of this one, and ends with it.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Duration,
    mut ended: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut silent = Silent::default();
    loop {
        tokio::select! {
            _ = &mut ended => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < 2 * CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    silent.make_room();
                    let has_asked = Arc::new(AtomicBool::new(false));
                    let talk = converse(stream, router.clone(), patience, Arc::clone(&has_asked));
                    silent.0.push_back((connections.spawn(talk), has_asked));
                    // What it has sent already is read before anybody else can put it out.
                    tokio::task::yield_now().await;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // What is not done by then is cut off.
    let _ = tokio::time::timeout(GRACE, all_ended).await;
}

/// Connections that may not have sent a whole head yet, the oldest first.
#[derive(Default)]
struct Silent(VecDeque<(AbortHandle, Arc<AtomicBool>)>);

impl Silent {
    /// Puts out whoever has been silent longest, where there are too many.
    fn make_room(&mut self) {
        self.0.retain(|(task, has_asked)| !task.is_finished() && !has_asked.load(Ordering::Relaxed));
        while self.0.len() >= CONNECTIONS
            && let Some((oldest, _)) = self.0.pop_front()
        {
            oldest.abort();
        }
    }
}

/// One request and its answer. Once the head is there, only the answer ends it: the browser waits for the page of a genuine
/// return as long as the sign-in takes, and every other answer is ready at once.
async fn converse(stream: TcpStream, router: Router, patience: Duration, has_asked: Arc<AtomicBool>) {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(patience).keep_alive(false).max_buf_size(HEAD);
    let router = TowerToHyperService::new(router);
    let answer = hyper::service::service_fn(move |request| {
        has_asked.store(true, Ordering::Relaxed);
        router.call(request)
    });
    // Whoever is late, speaks nonsense or goes away is of no interest.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

async fn listen(ports: &[u16]) -> Result<TcpListener, Refusal> {
    if ports.is_empty() {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| cannot(&error.to_string()));
    }
    for port in ports {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await {
            return Ok(listener);
        }
    }
    let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Refusal::new(Code::CalledOff, format!("every port of redirect_ports is in use ({ports})"))
        .hint("keyfob login --device"))
}

fn cannot(why: &str) -> Refusal {
    Refusal::new(Code::CalledOff, format!("this machine cannot be come back to ({why})"))
        .hint("keyfob login --device")
}

async fn come_back(State(shared): State<Shared>, headers: HeaderMap, Query(back): Query<Return>) -> Response {
    // A page that rebinds its name to this machine still sends its own name.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if host != Some(shared.host.as_str()) {
        return page(StatusCode::BAD_REQUEST, "This is not a sign-in of yours.");
    }
    let judged = {
        let mut expected = shared.expected.lock().unwrap_or_else(PoisonError::into_inner);
        match expected.take() {
            Some(known) if back.state.as_deref() == Some(known.state.as_str()) => judge(&known, &back),
            other => {
                *expected = other;
                return page(StatusCode::BAD_REQUEST, "This is not the sign-in that Keyfob waits for.");
            }
        }
    };
    let code = match judged {
        Ok(code) => code,
        Err(refusal) => {
            let shown = format!("You are not signed in: {}.", refusal.say);
            // Nobody waits any more: the sign-in was called off.
            let _ = shared.arrivals.send(Err(refusal)).await;
            return page(StatusCode::BAD_REQUEST, &shown);
        }
    };
    let (sender, outcome) = oneshot::channel();
    if shared.arrivals.send(Ok(Arrival { code, page: sender })).await.is_err() {
        return page(StatusCode::GONE, "This sign-in was called off.");
    }
    match outcome.await {
        Ok(Ok(say)) => page(StatusCode::OK, &format!("Done: {say}. You can close this tab.")),
        Ok(Err(say)) => page(StatusCode::BAD_REQUEST, &format!("You are not signed in: {say}.")),
        Err(_) => page(StatusCode::GONE, "This sign-in was called off."),
    }
}

/// The issuer is checked before anything else: with two providers, the answer of one must not be taken to the other.
fn judge(expected: &Expected, back: &Return) -> Result<String, Refusal> {
    let untrusted = |say: &str| Refusal::new(Code::ProviderUntrusted, say);
    match &back.iss {
        Some(issuer) if *issuer != expected.issuer => {
            return Err(untrusted("the answer to the sign-in comes from another issuer"));
        }
        None if expected.issuer_promised => {
            return Err(untrusted(
                "the answer to the sign-in does not name its issuer, which the provider promises",
            ));
        }
        _ => {}
    }
    if let Some(error) = &back.error {
        let description = back.error_description.as_deref().map(|text| format!(" ({})", escape(text)));
        return Err(Refusal::new(
            Code::ProviderRefused,
            format!("the identity provider refused: {}{}", escape(error), description.unwrap_or_default()),
        ));
    }
    match &back.code {
        Some(code) if !code.is_empty() && code.len() <= 8192 => Ok(code.clone()),
        _ => Err(untrusted("the answer to the sign-in carries no code")),
    }
}

/// A page of one sentence or two.
pub(crate) fn page(status: StatusCode, say: &str) -> Response {
    let say = say.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Keyfob</title>\
         <style>:root{{color-scheme:light dark}}body{{font:1.2rem system-ui;margin:20vh auto;max-width:32rem;padding:0 1rem}}</style>\
         <h1>Keyfob</h1><p>{say}</p></html>"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONNECTION, "close"),
    ];
    (status, headers, Html(body)).into_response()
}
