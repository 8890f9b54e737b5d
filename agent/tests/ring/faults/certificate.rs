//! The provider's certificate has run out, and gets replaced.

use std::sync::{Arc, Mutex};

use keyfob_ipc::Code;
use keyfob_ipc::reply::EntryState;
use keyfob_sandbox::browser;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::company::{A_MOMENT, CONFIG, Company, HOUR};

/// A company's own authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `localhost` that is good until the end of a year.
    fn until(&self, year: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 12, 31));
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Takes TLS off with what `acceptor` has at the moment, and passes on; one request a connection, as nothing is kept open.
async fn serve(listener: TcpListener, acceptor: Arc<Mutex<TlsAcceptor>>, to: String) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, to) = (acceptor.lock().unwrap().clone(), to.clone());
        tokio::spawn(async move {
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let mut company = TcpStream::connect(to).await.unwrap();
            // Either side may hang up as it likes.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut company).await;
        });
    }
}

#[tokio::test]
async fn an_expired_certificate_signs_nobody_out_and_a_new_one_is_all_it_takes() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let url = public.clone();
    let mut company = Company::with(CONFIG, |options| options.issuer.public_url = Some(url)).await;
    let base = company.sandbox.addresses().issuer_base.clone();
    let acceptor = Arc::new(Mutex::new(authority.until(2099)));
    tokio::spawn(serve(listener, Arc::clone(&acceptor), base.replace("http://", "")));
    let path = company.state().join("ca.pem");
    std::fs::write(&path, authority.0.pem()).unwrap();
    company.configure(&format!("[network]\nca_file = '{}'\n{CONFIG}", path.display()));
    let (signing_in, _seen, address) = company.sign_in_under_way().await;
    // This browser has another idea of whom to trust.
    browser::visit(&address.replace(&public, &base)).await.unwrap();
    signing_in.await.unwrap().unwrap();
    company.bearer().await.unwrap();

    *acceptor.lock().unwrap() = authority.until(2021);
    // No connection from before is left, and no tokens.
    company.restart();
    let refreshes = company.counts().refreshes();
    for _ in 0..3 {
        company.pass(HOUR);
        let refusal = company.bearer().await.unwrap_err();
        assert_eq!(refusal.code, Code::ProviderUntrusted);
        assert!(refusal.say.contains(&public) && refusal.say.contains("xpired"), "{refusal}");
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
        assert_eq!(company.report("okta").await.state, EntryState::Refused);
    }
    assert_eq!(company.counts().refreshes(), refreshes, "no token was sent");
    assert!(company.stored_refresh_token().await.is_some());

    *acceptor.lock().unwrap() = authority.until(2099);
    company.pass(A_MOMENT);
    company.bearer().await.unwrap();
    assert_eq!(company.report("okta").await.state, EntryState::Live);
}
