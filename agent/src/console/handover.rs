//! One answer to one browser.
//!
//! An address of this machine is on the command line of the browser, where every program of the person can read it; the link
//! that it leads to is not. The first visit gets the link, and each later one is told that it came too late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use keyfob_ipc::{Code, Refusal, Secret};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::agent::Agent;
use crate::signin::loopback;

const USED: &str = "This way to the AWS console was used already, and it works only once. If that was not you, another \
    program was faster: revoke the sessions of the role in IAM (Roles, the role, Revoke sessions), and look at keyfob log.";

/// What a browser sends that was led here by another page, or a proxy that passes somebody else on.
const FOREIGN: [&str; 3] = ["origin", "x-forwarded-for", "forwarded"];

/// How long a connection may take for the head of its request: a browser sends it with its first packet.
const PATIENCE: Duration = Duration::from_secs(1);

/// An open listener.
pub(super) struct Handover {
    address: String,
    link: Link,
    taken: mpsc::Receiver<()>,
    /// The server ends once this is dropped.
    _open: oneshot::Sender<()>,
}

type Link = Arc<Mutex<Option<Secret<String>>>>;

#[derive(Clone)]
struct Shared {
    agent: Arc<Agent>,
    host: String,
    /// The path with its slash.
    path: Arc<str>,
    link: Link,
    taken: mpsc::Sender<()>,
}

impl Handover {
    /// Listens on any port of 127.0.0.1, with a path of 256 random bits.
    pub(super) async fn open(agent: Arc<Agent>, link: Secret<String>) -> Result<Self, Refusal> {
        let path: Arc<str> = format!("/{}", random()?).into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| cannot(&error))?;
        let port = listener.local_addr().map_err(|error| cannot(&error))?.port();
        let host = format!("127.0.0.1:{port}");
        let address = format!("http://{host}{path}");
        let (sender, taken) = mpsc::channel(1);
        let link = Arc::new(Mutex::new(Some(link)));
        let shared = Shared { agent, host, path, link: Arc::clone(&link), taken: sender };
        let router = Router::new().fallback(answer).with_state(shared);
        let (open, ended) = oneshot::channel();
        tokio::spawn(loopback::serve(listener, router, PATIENCE, ended));
        Ok(Self { address, link, taken, _open: open })
    }

    /// Where the browser is sent.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// Returns when somebody has got the link.
    pub(super) async fn taken(&mut self) {
        // The server keeps the other end for as long as this is there.
        let _ = self.taken.recv().await;
    }
}

impl Drop for Handover {
    /// A page under way outlives the listener by a moment: it gets nothing any more.
    fn drop(&mut self) {
        drop(take(&self.link));
    }
}

fn take(link: &Link) -> Option<Secret<String>> {
    link.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let not_found = || (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response();
    if !shared.is_ours(&method, &uri, &headers) || shared.agent.check_lock().is_err() {
        return not_found();
    }
    let Some(link) = take(&shared.link) else { return loopback::page(StatusCode::GONE, USED) };
    let Ok(mut location) = HeaderValue::from_str(link.expose()) else { return not_found() };
    location.set_sensitive(true);
    // There is room for the one time.
    let _ = shared.taken.try_send(());
    let headers = [
        (header::LOCATION, location),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl Shared {
    /// A page that rebinds its name to this machine still sends its own name, and one that guesses knows no path.
    fn is_ours(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let is_host = hosts.next().is_some_and(|host| host.as_bytes() == self.host.as_bytes())
            && hosts.next().is_none();
        let is_path = uri.query().is_none() && is_equal(uri.path().as_bytes(), self.path.as_bytes());
        *method == Method::GET
            && is_host
            && is_path
            && !FOREIGN.iter().any(|name| headers.contains_key(*name))
    }
}

/// In the same time wherever the two differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |seen, (one, other)| seen | (one ^ other)) == 0
}

fn random() -> Result<String, Refusal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| Refusal::new(Code::Internal, "the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn cannot(error: &std::io::Error) -> Refusal {
    Refusal::new(Code::CalledOff, format!("this machine cannot be come back to ({error})"))
        .hint("try again in a moment")
}
