//! gRPC in TLS: a front with a certificate of the company's own, reached over HTTP/2 as TLS negotiates it.

use std::sync::Arc;

use keyfob_ipc::Code;
use keyfob_ipc::reply::Teller;
use keyfob_sandbox::{CapabilitiesOptions, Permissions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{BY_HAND, FIRST, NO, WRITE, YES, of_token, rights, row, with_token};
use crate::company::{Company, MINUTE};

/// The certificate authority's own certificate, and an acceptor for `localhost` that speaks HTTP/2.
fn company_certificate() -> (String, TlsAcceptor) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let name = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = name.signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Takes TLS off and passes everything on to `to`; gives its port.
async fn front(acceptor: TlsAcceptor, to: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut cluster = TcpStream::connect(to).await.unwrap();
                // Either side may hang up as it likes.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut cluster).await;
            });
        }
    });
    port
}

async fn company(ca: Option<&str>) -> (Company, String, u16) {
    let (pem, acceptor) = company_certificate();
    let (company, token) = with_token(BY_HAND, CapabilitiesOptions::default(), WRITE.everywhere()).await;
    let to = company.sandbox.addresses().cluster_url.replace("http://", "");
    let port = front(acceptor, to).await;
    let path = company.state().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let network = ca.map(|_| format!("[network]\nca_file = \"{}\"\n", path.display())).unwrap_or_default();
    let config = BY_HAND.replace("127.0.0.1", "localhost");
    let config = config.replace("FRONT", &format!("grpcs://localhost:{port}/main"));
    company.configure(&format!("{network}{config}"));
    (company, token, port)
}

#[tokio::test]
async fn a_cluster_in_tls_is_asked_over_http_2() {
    let (company, token, _) = company(Some("ca.pem")).await;
    company.add_token("aspect", &token).await.unwrap();
    let entry = of_token(&company).await;
    assert_eq!(entry.refusals, []);
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, YES, NO));
    // The connection carries more than one report.
    company.pass(61 * MINUTE);
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).when.as_deref(), Some("2026-11-21T09:01:00Z"));

    company.sandbox.portal().permit(&token, Permissions::READ.everywhere());
    company.pass(61 * MINUTE);
    let entry = of_token(&company).await;
    assert_eq!(row(&entry, FIRST, Teller::Cluster).at.rights, rights(YES, NO, NO));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_no_token() {
    let (company, token, port) = company(None).await;
    company.add_token("aspect", &token).await.unwrap();
    let entry = of_token(&company).await;
    let [refusal] = entry.refusals.as_slice() else { panic!("{:?}", entry.refusals) };
    assert_eq!(refusal.code, Code::ProviderUntrusted);
    assert!(refusal.say.contains(&format!("https://localhost:{port}")), "{refusal}");
    assert!(refusal.hint.contains("ca_file"), "{refusal:?}");
    assert_eq!(company.counts().arrived(keyfob_sandbox::Endpoint::Cluster), 0);
}
