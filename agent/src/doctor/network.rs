//! The network: settings that can be used, and identity providers that answer.

use std::sync::Arc;

use http::Request;
use keyfob_ipc::Refusal;
use keyfob_ipc::reply::Check;
use tokio::task::JoinHandle;

use super::clock::{self, Told};
use super::{ASKED, EACH, asked, bad, good, too_late};
use crate::agent::Agent;
use crate::config::{Config, Entry, Network};
use crate::kind::SsoSession;
use crate::upstream::http::origin;
use crate::upstream::oidc::Provider;

type Issuer = (String, JoinHandle<(Check, Option<Told>)>);

impl Agent {
    /// Whether a client can be made at all: the certificate file may be gone, the proxy no address.
    pub(super) fn look_at_network(&self) -> Check {
        let footing = match self.footing() {
            Ok(footing) => footing,
            Err(refusal) => return bad("network", &refusal),
        };
        match self.http(&footing) {
            Ok(_) => good("network", settings(&footing.config.network)),
            Err(refusal) => bad("network", &refusal),
        }
    }

    /// Asks each identity provider for its metadata, now.
    pub(super) fn begin_issuers(self: &Arc<Self>, config: &Config) -> Vec<Issuer> {
        let sessions = asked(config, |entry| entry.source.as_sso().is_some()).take(ASKED);
        sessions
            .map(|entry| {
                let (agent, entry) = (self.clone(), entry.clone());
                let name = format!("{} issuer", entry.name);
                let task = async move {
                    let name = format!("{} issuer", entry.name);
                    let asked = tokio::time::timeout(EACH, agent.ask_issuer(&entry));
                    match asked.await.unwrap_or_else(|_| Err(too_late())) {
                        Ok((say, told)) => (good(&name, say), told),
                        Err(refusal) => (bad(&name, &refusal), None),
                    }
                };
                (name, tokio::spawn(task))
            })
            .collect()
    }

    async fn ask_issuer(&self, entry: &Entry) -> Result<(String, Option<Told>), Refusal> {
        let SsoSession { registration, .. } =
            entry.source.as_sso().ok_or_else(|| Refusal::new(keyfob_ipc::Code::Internal, "no session"))?;
        let http = self.http(&self.footing()?)?;
        // The address of OpenID Connect Discovery, section 4.
        let address =
            format!("{}/.well-known/openid-configuration", registration.issuer.trim_end_matches('/'));
        let request = Request::get(&address).body(Vec::new());
        let told = match request {
            Ok(request) => {
                let origin = origin(request.uri());
                let answer = http.send(request).await.map_err(|error| error.refusal())?;
                clock::told(self.clock.now(), &answer, origin)
            }
            // Whoever asks for the metadata says what is wrong with the address.
            Err(_) => None,
        };
        let sign_in = entry.source.sign_in(&entry.name).unwrap_or_default();
        let found = Provider::discover(registration.clone(), http, self.clock.now()).await;
        found.map_err(|error| error.refusal(&sign_in))?;
        Ok((format!("`{}` answers", keyfob_ipc::text::escape(&registration.issuer)), told))
    }
}

/// A proxy's address may hold a password: only where it is.
fn settings(network: &Network) -> String {
    let proxy = match &network.proxy {
        Some(proxy) => format!(
            "through the proxy {}{}",
            keyfob_ipc::text::escape(proxy.host_str().unwrap_or("(no host)")),
            proxy.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default()
        ),
        None => "no proxy is configured; the system's own or HTTPS_PROXY counts, if there is one".to_owned(),
    };
    match &network.ca_file {
        Some(file) => format!("{proxy}; certificates of `{}` are trusted, too", file.display()),
        None => proxy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_shown() {
        let network = Network {
            proxy: Some("http://ada:MARKER@proxy.acme.dev:3128".parse().unwrap()),
            ca_file: Some("/etc/ssl/acme.pem".into()),
            ..Network::default()
        };
        assert_eq!(
            settings(&network),
            "through the proxy proxy.acme.dev:3128; certificates of `/etc/ssl/acme.pem` are trusted, too"
        );
    }
}
