//! TLS in front of parts that speak plain HTTP, and the proxy that leads there: for clients that know nothing but `https` and a
//! name of the internet, which no test may ask.
//!
//! A client gets the proxy by `HTTPS_PROXY` and the authority by `REQUESTS_CA_BUNDLE` or `SSL_CERT_FILE`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::common::locked;

/// Most bytes of a request to the proxy.
const HEAD: usize = 16 * 1024;
/// The port of every front.
const PORT: &str = ":443";

/// The running proxy, and the fronts that it leads to.
#[derive(Debug)]
pub struct Fronts {
    authority: CertifiedIssuer<'static, KeyPair>,
    proxy: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fronts: HashMap<String, Front>,
    asked: Vec<String>,
}

/// What stands behind a name.
#[derive(Clone, Debug)]
struct Front {
    tls: Arc<ServerConfig>,
    to: SocketAddr,
}

impl Fronts {
    pub(crate) fn new(proxy: String) -> Result<Self, rcgen::Error> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, "Sandbox authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        Ok(Self { authority, proxy, state: Mutex::default() })
    }

    /// The proxy, for `HTTPS_PROXY`.
    #[must_use]
    pub fn proxy_url(&self) -> &str {
        &self.proxy
    }

    /// The certificate of the authority that all fronts have theirs from, as PEM.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// From now on the proxy leads a name to a part of the sandbox, given by its address (`http://127.0.0.1:…`).
    ///
    /// # Panics
    /// Where the address is another one, or a certificate for the name cannot be made.
    pub fn lead(&self, name: &str, to: &str) {
        let to = to.strip_prefix("http://").and_then(|to| to.parse().ok());
        let to = to.expect("the address of a part is plain HTTP on loopback");
        let tls = Arc::new(self.certified(name).expect("a certificate for a name can be made"));
        locked(&self.state).fronts.insert(name.to_owned(), Front { tls, to });
    }

    /// Every `name:port` that the proxy was asked for, in order, also where it refused.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        locked(&self.state).asked.clone()
    }

    fn certified(&self, name: &str) -> Result<ServerConfig, Box<dyn std::error::Error>> {
        let mut parameters = CertificateParams::new(vec![name.to_owned()])?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.use_authority_key_identifier_extension = true;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.authority)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?)
    }

    async fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(target) = target(&mut client).await? else { return Ok(()) };
        let front = {
            let mut state = locked(&self.state);
            let name = target.strip_suffix(PORT);
            let front = name.and_then(|name| state.fronts.get(name)).cloned();
            state.asked.push(target);
            front
        };
        let Some(front) = front else {
            return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        };
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        let mut client = TlsAcceptor::from(front.tls).accept(client).await?;
        let mut part = TcpStream::connect(front.to).await?;
        copy_bidirectional(&mut client, &mut part).await.map(|_| ())
    }
}

/// What a client wants of the proxy: `name:port`, and the whole address where it is not `CONNECT`.
async fn target(client: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // One at a time: what follows the head is the client's own talk with the front.
        head.push(client.read_u8().await?);
        if head.len() > HEAD {
            return Ok(None);
        }
    }
    let line = String::from_utf8_lossy(&head);
    Ok(line.split(' ').nth(1).map(str::to_owned))
}

pub(crate) fn serve(listener: TcpListener, fronts: &Arc<Fronts>, stop: &watch::Sender<()>) {
    let (fronts, mut stopped) = (Arc::clone(fronts), stop.subscribe());
    tokio::spawn(async move {
        let mut talks = tokio::task::JoinSet::new();
        loop {
            let client = tokio::select! {
                _ = stopped.changed() => break,
                client = listener.accept() => client,
            };
            let Ok((client, _)) = client else { continue };
            let fronts = Arc::clone(&fronts);
            // A talk that breaks is its two ends' business.
            talks.spawn(async move { fronts.answer(client).await });
        }
        talks.shutdown().await;
    });
}

#[cfg(test)]
mod tests {
    use crate::{Options, Sandbox};

    /// A client that trusts these authorities alone and has the proxy.
    fn client(sandbox: &Sandbox, authority: &str) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .proxy(reqwest::Proxy::https(sandbox.fronts().proxy_url()).unwrap())
            .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes()).unwrap()])
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn a_name_leads_to_its_part_for_those_who_trust_the_authority_and_no_other_name_leads_anywhere() {
        let (sandbox, other) = (
            Sandbox::start(Options::default()).await.unwrap(),
            Sandbox::start(Options::default()).await.unwrap(),
        );
        sandbox.fronts().lead("metadata.acme.test", sandbox.metadata().url());
        sandbox.metadata().accept("good");
        let ask = async |authority: String, url: &str| {
            client(&sandbox, &authority).get(url).header("x-api-key", "good").send().await
        };
        let ours = || sandbox.fronts().authority();
        let answer = ask(ours(), "https://metadata.acme.test/ping").await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert!(ask(other.fronts().authority(), "https://metadata.acme.test/ping").await.is_err());
        assert!(ask(ours(), "https://metadata.acme.test:444/ping").await.is_err());
        assert!(ask(ours(), "https://elsewhere.acme.test/").await.is_err());
        assert_eq!(
            sandbox.fronts().asked()[1..],
            ["metadata.acme.test:443", "metadata.acme.test:444", "elsewhere.acme.test:443"]
        );
        assert_eq!(sandbox.metadata().calls(), ["GET /ping"]);
    }
}
