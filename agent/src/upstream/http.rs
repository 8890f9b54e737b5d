//! The one HTTP client.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt as _;
use keyfob_ipc::{Code, Refusal};

use crate::config::{Host, Network};

/// Largest answer that is read, in bytes. A key set or a token answer has some kilobytes.
pub const ANSWER: usize = 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(4);
const WHOLE: Duration = Duration::from_secs(10);
/// For a call that spends something: giving up early loses what a slow provider is about to send.
const SPENDING: Duration = Duration::from_secs(60);
/// For an address of the machine itself: on any other network nobody answers there.
const AT_MACHINE: Duration = Duration::from_secs(2);
/// Largest certificate file that is read, in bytes.
const CA_FILE: u64 = 4 * 1024 * 1024;

#[cfg(any(test, feature = "testing"))]
mod stand_in;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "testing"))]
pub use stand_in::StandIn;

/// A client for providers, with the proxy and the trust of `[network]`.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
    patience: Duration,
    /// Whether the addresses at which AWS gives a machine its keys may be called.
    is_machine: bool,
}

#[derive(Debug)]
struct Inner {
    outside: reqwest::Client,
    /// A proxy has no business with this machine's own addresses (and `HTTP_PROXY` would be used for them).
    loopback: reqwest::Client,
    /// Without TLS nothing is agreed on, so this one begins with HTTP/2; only where plain loopback is allowed.
    plain_grpc: Option<reqwest::Client>,
    plain_loopback: bool,
    #[cfg(any(test, feature = "testing"))]
    stand_in: Option<StandIn>,
}

/// An answer, read whole: its body, and its trailers where it has some.
pub type Whole = Response<(Vec<u8>, Option<HeaderMap>)>;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Plain `http`, or no address.
    #[error("the address of {0} is not https")]
    NotAllowed(String),
    /// The answer did not end within the limit.
    #[error("the answer of {0} is too large")]
    TooLarge(String),
    /// No connection: no name, no route, refused, or none in time. Nothing was sent.
    #[error("{host} cannot be reached{}", if *.is_late { " in time" } else { "" })]
    Unreachable {
        /// Scheme, host and port.
        host: String,
        /// Whether it was given up on.
        is_late: bool,
    },
    /// The certificate does not convince the platform. Nothing was sent.
    #[error("the certificate of {host} is not trusted ({reason})")]
    Untrusted {
        /// Scheme, host and port.
        host: String,
        /// The verifier's own word.
        reason: String,
    },
    /// Something answers, but not in TLS: another service, or a network that is in between. Nothing was sent.
    #[error("no encrypted connection to {host} comes about ({reason})")]
    NotEncrypted {
        /// Scheme, host and port.
        host: String,
        /// The TLS library's own word.
        reason: String,
    },
    /// There is a connection, and the answer takes too long.
    #[error("{0} does not answer in time")]
    Slow(String),
    /// The connection broke before the answer was whole.
    #[error("the connection to {0} broke")]
    Broken(String),
}

impl HttpError {
    /// What a person is told: the network is the trouble, nobody was signed out.
    pub fn refusal(&self) -> Refusal {
        let say = self.to_string();
        match self {
            Self::Untrusted { .. } => Refusal::new(Code::ProviderUntrusted, say).hint(
                "set `ca_file` under [network] to your company's certificate, if that is who signed it",
            ),
            Self::NotAllowed(_) => Refusal::new(Code::ProviderUntrusted, say).hint("keyfob config check"),
            Self::TooLarge(_) => {
                Refusal::new(Code::ProviderUntrusted, say).hint("check the address in the configuration")
            }
            Self::Unreachable { .. } | Self::Slow(_) | Self::Broken(_) | Self::NotEncrypted { .. } => {
                Refusal::new(Code::Offline, say).hint("check the network or the VPN, then try again")
            }
        }
    }
}

impl Http {
    /// A client for these settings.
    ///
    /// # Errors
    /// [`Code::ConfigBroken`] where the certificate file or the proxy cannot be used.
    pub fn new(network: &Network, plain_loopback: bool) -> Result<Self, Refusal> {
        Self::connecting_within(CONNECT, network, plain_loopback)
    }

    fn connecting_within(
        connect: Duration,
        network: &Network,
        plain_loopback: bool,
    ) -> Result<Self, Refusal> {
        // A second installation fails and changes nothing: it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect)
                // The buffers of a connection hold what went through it last. And a call that is broken off on one that the other
                // side had given up could have spent something.
                .pool_max_idle_per_host(0)
                .user_agent(format!("keyfob/{}", keyfob_ipc::VERSION))
        };
        let (mut outside, mut loopback) = (base(), base().no_proxy());
        if let Some(proxy) = &network.proxy {
            let proxy = reqwest::Proxy::all(proxy.clone())
                .map_err(|_| broken("the proxy cannot be used"))?
                .no_proxy(reqwest::NoProxy::from_string(&no_proxy(network)));
            outside = outside.proxy(proxy);
        }
        if let Some(path) = &network.ca_file {
            let mut pem = Vec::new();
            std::fs::File::open(path).and_then(|file| file.take(CA_FILE).read_to_end(&mut pem)).map_err(
                |error| broken(&format!("the ca_file `{}` cannot be read ({error})", path.display())),
            )?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| broken(&format!("the ca_file `{}` holds no certificate", path.display())))?;
            outside = outside.tls_certs_merge(certificates.clone());
            loopback = loopback.tls_certs_merge(certificates);
        }
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|_| broken("the network client cannot be made"))
        };
        let plain_grpc =
            plain_loopback.then(|| build(base().no_proxy().http2_prior_knowledge())).transpose()?;
        let inner = Inner {
            outside: build(outside)?,
            loopback: build(loopback)?,
            plain_grpc,
            plain_loopback,
            #[cfg(any(test, feature = "testing"))]
            stand_in: None,
        };
        Ok(Self { inner: Arc::new(inner), patience: WHOLE, is_machine: false })
    }

    /// The same client, for a call that spends a token or a code.
    #[must_use]
    pub fn spending(&self) -> Self {
        Self { patience: SPENDING, ..self.clone() }
    }

    /// The same client, for the places at which AWS gives a machine its keys: plain `http` to addresses of the machine alone, written
    /// as such, never through a proxy. What does not answer at once is not there.
    #[must_use]
    pub fn at_machine(&self) -> Self {
        Self { patience: AT_MACHINE, is_machine: true, ..self.clone() }
    }

    /// Whether an address may be called: `https`, or plain `http` to loopback where this agent may, and to what
    /// [`Http::at_machine`] is for.
    ///
    /// # Errors
    /// [`HttpError::NotAllowed`].
    pub fn allowed(&self, uri: &Uri) -> Result<(), HttpError> {
        let is_allowed = match uri.scheme_str() {
            Some("https") => uri.host().is_some(),
            Some("http") if self.is_machine => is_of_machine(uri),
            Some("http") => self.inner.plain_loopback && is_loopback(uri),
            _ => false,
        };
        is_allowed.then_some(()).ok_or_else(|| HttpError::NotAllowed(origin(uri)))
    }

    /// Sends a request and reads the whole answer, within the limits.
    ///
    /// # Errors
    /// [`HttpError`]; any status is an answer.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        self.allowed(request.uri())?;
        let client = self.client(request.uri());
        Ok(self.execute(client, request).await?.map(|(body, _)| body))
    }

    /// The same with what comes after the body, where gRPC has its word about a call. An answer in HTTP/1.1 is one too, though
    /// none of gRPC.
    ///
    /// # Errors
    /// As for [`Http::send`].
    pub async fn send_grpc(&self, request: Request<Vec<u8>>) -> Result<Whole, HttpError> {
        self.allowed(request.uri())?;
        let client = match request.uri().scheme_str() {
            Some("http") => self.inner.plain_grpc.as_ref(),
            _ => Some(self.client(request.uri())),
        };
        let client = client.ok_or_else(|| HttpError::NotAllowed(origin(request.uri())))?;
        self.execute(client, request).await
    }

    fn client(&self, uri: &Uri) -> &reqwest::Client {
        if is_loopback(uri) || (self.is_machine && is_of_machine(uri)) {
            &self.inner.loopback
        } else {
            &self.inner.outside
        }
    }

    async fn execute(&self, client: &reqwest::Client, request: Request<Vec<u8>>) -> Result<Whole, HttpError> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(stand_in) = &self.inner.stand_in {
            return stand_in.answer(request).await;
        }
        let uri = request.uri().clone();
        let mut request =
            reqwest::Request::try_from(request).map_err(|_| HttpError::NotAllowed(origin(&uri)))?;
        *request.timeout_mut() = Some(self.patience);
        let answer = client.execute(request).await.map_err(|error| explain(&uri, &error))?;
        let (head, mut frames) = Response::<reqwest::Body>::from(answer).into_parts();
        let (mut body, mut trailers) = (Vec::new(), None);
        while let Some(frame) = frames.frame().await {
            match frame.map_err(|error| unfinished(&uri, &error))?.into_data() {
                Ok(data) if body.len() + data.len() > ANSWER => {
                    return Err(HttpError::TooLarge(origin(&uri)));
                }
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok(Response::from_parts(head, (body, trailers)))
    }
}

/// In the form of `NO_PROXY`, where a name stands for itself and everything below it.
fn no_proxy(network: &Network) -> String {
    network.no_proxy.iter().map(|host| host.strip_prefix("*.").unwrap_or(host)).collect::<Vec<_>>().join(",")
}

fn broken(say: &str) -> Refusal {
    Refusal::new(Code::ConfigBroken, say).hint("keyfob config check")
}

fn is_loopback(uri: &Uri) -> bool {
    uri.host().and_then(|host| Host::parse(host).ok()).is_some_and(|host| host.is_loopback())
}

/// Where a container or a virtual machine of AWS gets its keys, and nothing else is: ECS, EKS pod identity (two), and the metadata
/// service of EC2 (two).
const OF_MACHINE: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Addresses as they are written here, and loopback. No name is looked up, `localhost` neither: what it means is for others to say.
fn is_of_machine(uri: &Uri) -> bool {
    let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    let address: Option<IpAddr> = host.and_then(|host| host.parse().ok());
    address.is_some_and(|address| address.is_loopback() || OF_MACHINE.contains(&address))
}

/// Scheme, host and port: all that may be repeated of an address.
pub fn origin(uri: &Uri) -> String {
    let host = keyfob_ipc::text::escape(uri.host().unwrap_or("(no host)"));
    match (uri.scheme_str(), uri.port_u16()) {
        (Some(scheme), Some(port)) => format!("{scheme}://{host}:{port}"),
        (Some(scheme), None) => format!("{scheme}://{host}"),
        (None, _) => host,
    }
}

/// The TLS error at the bottom of a failure.
fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    // An io::Error skips what it wraps when it is asked for its source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let wrapped = wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static));
    wrapped.or_else(|| error.source()).and_then(find_tls)
}

/// Only where no connection came about is it certain that nothing was sent: what breaks in a connection, TLS too, may break
/// after the request was read.
fn explain(uri: &Uri, error: &reqwest::Error) -> HttpError {
    if !error.is_connect() {
        return unfinished(uri, error);
    }
    let host = origin(uri);
    let reason = |tls: &rustls::Error| keyfob_ipc::text::escape(&tls.to_string());
    match find_tls(error) {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => {
            HttpError::Untrusted { host, reason: reason(tls) }
        }
        Some(tls) => HttpError::NotEncrypted { host, reason: reason(tls) },
        None => HttpError::Unreachable { host, is_late: error.is_timeout() },
    }
}

/// The request went out, at least in part.
fn unfinished(uri: &Uri, error: &reqwest::Error) -> HttpError {
    let origin = origin(uri);
    if error.is_timeout() { HttpError::Slow(origin) } else { HttpError::Broken(origin) }
}
