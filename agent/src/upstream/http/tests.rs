//! Against real TLS and a real proxy on loopback.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A company's own certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn save(&self, folder: &Path) -> std::path::PathBuf {
        let path = folder.join("ca.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Answers each request with `answer`, and gives its port.
async fn serve(tls: Option<TlsAcceptor>, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &tls {
                None => tokio::spawn(talk(stream, answer)),
                Some(tls) => {
                    let tls = tls.clone();
                    tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            talk(stream, answer).await;
                        }
                    })
                }
            };
        }
    });
    port
}

async fn talk(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, answer: &str) {
    let mut request = [0u8; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A proxy that notes where it is asked to connect to, and connects to `port` on this machine instead.
async fn proxy(port: u16) -> (url::Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = vec![0u8; 4096];
            let read = client.read(&mut request).await.unwrap_or(0);
            let line =
                String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            noted.lock().unwrap().push(line);
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (address.parse().unwrap(), asked)
}

async fn get(network: &Network, plain_loopback: bool, address: &str) -> Result<Response<Vec<u8>>, HttpError> {
    let http = Http::new(network, plain_loopback).unwrap();
    http.send(Request::get(address).body(Vec::new()).unwrap()).await
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

#[tokio::test]
async fn a_companys_certificate_is_trusted_only_by_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let port = serve(Some(authority.acceptor("localhost")), HELLO).await;
    let address = format!("https://localhost:{port}/");

    let error = get(&Network::default(), false, &address).await.unwrap_err();
    assert!(matches!(error, HttpError::Untrusted { .. }), "{error}");
    let refusal = error.refusal();
    assert!(refusal.say.contains("localhost") && refusal.hint.contains("ca_file"), "{refusal:?}");

    let trusting = Network { ca_file: Some(authority.save(folder.path())), ..Network::default() };
    assert_eq!(get(&trusting, false, &address).await.unwrap().body(), b"hello");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let port = serve(Some(authority.acceptor("other.example")), HELLO).await;
    let trusting = Network { ca_file: Some(authority.save(folder.path())), ..Network::default() };
    let error = get(&trusting, false, &format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Untrusted { .. }), "{error}");
}

#[tokio::test]
async fn a_service_without_tls_is_not_taken_for_a_bad_certificate() {
    let port = serve(None, HELLO).await;
    let error = get(&Network::default(), false, &format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::NotEncrypted { .. }), "{error}");
    assert_eq!(error.refusal().code, Code::Offline);
}

#[tokio::test]
async fn the_proxy_is_used_for_the_outside_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let inside = serve(Some(authority.acceptor("issuer.acme.test")), HELLO).await;
    let (proxy, asked) = proxy(inside).await;
    let network = Network {
        proxy: Some(proxy),
        no_proxy: vec!["direct.acme.test".to_owned(), "*.direct.example".to_owned()],
        ca_file: Some(authority.save(folder.path())),
    };
    assert_eq!(get(&network, false, "https://issuer.acme.test/x").await.unwrap().body(), b"hello");
    assert_eq!(*asked.lock().unwrap(), ["CONNECT issuer.acme.test:443 HTTP/1.1"]);

    // Names that nobody resolves: without the proxy they cannot be reached.
    for direct in ["https://direct.acme.test/", "https://x.direct.example/"] {
        let error = get(&network, false, direct).await.unwrap_err();
        assert!(matches!(error, HttpError::Unreachable { .. }), "{direct}: {error}");
    }
    let here = serve(None, HELLO).await;
    get(&network, true, &format!("http://127.0.0.1:{here}/")).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn plain_http_is_for_loopback_of_a_profile_of_its_own() {
    let port = serve(None, HELLO).await;
    let here = format!("http://127.0.0.1:{port}/");
    assert!(get(&Network::default(), true, &here).await.is_ok());
    for (plain_loopback, address) in [
        (false, here.as_str()),
        (true, "http://issuer.example/"),
        (true, "http://127.0.0.1.evil.example/"),
        (true, "ftp://127.0.0.1/"),
    ] {
        let error = get(&Network::default(), plain_loopback, address).await.unwrap_err();
        assert!(matches!(error, HttpError::NotAllowed(_)), "{address}: {error}");
    }
}

#[tokio::test]
async fn answers_are_bounded_and_redirects_are_not_followed() {
    let endless =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", ANSWER * 2, "x".repeat(ANSWER * 2));
    let port = serve(None, endless.leak()).await;
    let error = get(&Network::default(), true, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge(_)), "{error}");

    let away = "HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let port = serve(None, away).await;
    assert_eq!(
        get(&Network::default(), true, &format!("http://127.0.0.1:{port}/")).await.unwrap().status(),
        302
    );

    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\nhalf";
    let port = serve(None, broken).await;
    let error = get(&Network::default(), true, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken(_)), "{error}");
}

#[test]
fn a_certificate_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let named = |network: &Network| {
        let refusal = Http::new(network, false).unwrap_err();
        assert!(refusal.say.contains("ca.pem"), "{refusal:?}");
    };
    let network = Network { ca_file: Some(path.clone()), ..Network::default() };
    named(&network);
    std::fs::write(&path, "no certificate").unwrap();
    named(&network);
}

/// What a dying server, or a box in between, writes into a connection: a fatal alert in the clear, `internal_error`.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// Reads the request, says `begun` in TLS and breaks off with [`ALERT`].
async fn serve_broken_tls(acceptor: TlsAcceptor, begun: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(stream).await else { continue };
            let mut request = [0u8; 4096];
            assert!(tls.read(&mut request).await.unwrap() > 0);
            tls.write_all(begun.as_bytes()).await.unwrap();
            tls.flush().await.unwrap();
            let (mut raw, _) = tls.into_inner();
            let _ = raw.write_all(&ALERT).await;
            let _ = raw.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn an_encryption_that_breaks_after_the_request_leaves_its_fate_open() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let trusting = Network { ca_file: Some(authority.save(folder.path())), ..Network::default() };
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"value\":"] {
        let port = serve_broken_tls(authority.acceptor("localhost"), begun).await;
        let error = get(&trusting, false, &format!("https://localhost:{port}/")).await.unwrap_err();
        assert!(matches!(error, HttpError::Broken(_)), "{begun:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_never_came_about_carried_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let http = Http::connecting_within(Duration::from_millis(50), &Network::default(), false).unwrap();
    let request = Request::get(format!("https://localhost:{port}/")).body(Vec::new()).unwrap();
    let error = http.send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { is_late: true, .. }), "{error:?}");
    assert_eq!(error.refusal().say, format!("https://localhost:{port} cannot be reached in time"));
    assert_eq!(error.refusal().code, Code::Offline);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_late() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let mut http = Http::new(&Network::default(), true).unwrap();
    http.patience = Duration::from_millis(50);
    let error = http.send(Request::get(address).body(Vec::new()).unwrap()).await.unwrap_err();
    assert!(matches!(error, HttpError::Slow(_)), "{error:?}");
}

#[test]
fn plain_http_goes_to_the_places_of_a_machine_and_only_by_a_client_for_them() {
    let http = Http::new(&Network::default(), false).unwrap();
    let at_machine = http.at_machine();
    let places = [
        "http://169.254.170.2/v2",
        "http://169.254.170.23/v1",
        "http://169.254.169.254/latest",
        "http://[fd00:ec2::23]/v1",
        "http://[fd00:ec2::254]/latest",
        "http://127.0.0.1:51678/v2",
        "http://[::1]:51678/v2",
    ];
    for place in places {
        let uri = place.parse().unwrap();
        assert!(at_machine.allowed(&uri).is_ok(), "{place}");
        assert!(http.allowed(&uri).is_err(), "{place}");
    }
    // The control: a name of loopback is one where plain loopback is allowed, and is none of a machine even there.
    let own_profile = Http::new(&Network::default(), true).unwrap();
    let name = "http://localhost:51678/v2".parse().unwrap();
    assert!(own_profile.allowed(&name).is_ok() && own_profile.at_machine().allowed(&name).is_err());
    let others = [
        "http://localhost:51678/v2",
        "http://127.1/",
        "http://169.254.170.3/",
        "http://169.254.169.254.evil.example/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "http://metadata.google.internal/",
        "ftp://169.254.169.254/",
    ];
    for other in others {
        assert!(at_machine.allowed(&other.parse().unwrap()).is_err(), "{other}");
    }
}
