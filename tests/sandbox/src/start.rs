//! Starting and ending the whole company.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

use crate::aws_machine::AwsMachine;
use crate::circleci::CircleCi;
use crate::cluster::{Cluster, ClusterOptions};
use crate::common::{Clock, Common, system_clock};
use crate::console::Console;
use crate::counts::Counts;
use crate::faults::{Endpoint, Faults};
use crate::github::Github;
use crate::github_actions::GithubActions;
use crate::gitlab::Gitlab;
use crate::issuer::{Issuer, IssuerOptions};
use crate::jfrog::Jfrog;
use crate::jupyterhub::Jupyterhub;
use crate::metadata::MetadataService;
use crate::outerbounds::Outerbounds;
use crate::outscale::Outscale;
use crate::portal::Portal;
use crate::sts::{Sts, StsOptions};
use crate::tls::Fronts;
use crate::{
    admin, aws_machine, circleci, cluster, console, github, github_actions, gitlab, issuer, jfrog,
    jupyterhub, metadata, outerbounds, outscale, portal, sts, tls,
};

/// How the company behaves. Every field has a default; unknown JSON keys are errors.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What time it is for every part. Not part of the JSON form.
    #[serde(skip, default = "system_clock")]
    pub clock: Clock,
    /// The OpenID provider.
    pub issuer: IssuerOptions,
    /// The STS.
    pub sts: StsOptions,
    /// Both cluster fronts.
    pub cluster: ClusterOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: system_clock(),
            issuer: IssuerOptions::default(),
            sts: StsOptions::default(),
            cluster: ClusterOptions::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("issuer", &self.issuer)
            .field("sts", &self.sts)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Where everything is. This is also the line of JSON that the program prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The issuer, exactly as its metadata and its ID tokens name it: no slash at the end.
    pub issuer_url: String,
    /// Where the issuer listens: the same, but behind a front.
    pub issuer_base: String,
    /// The STS, for `endpoint_url`.
    pub sts_url: String,
    /// The federation endpoint of the AWS console, for `signin_url`.
    pub signin_url: String,
    /// The page where a person generates a personal access token.
    pub portal_url: String,
    /// The base of the open token API (`docs/token-api/`), for `api`: no slash at the end.
    pub token_api_url: String,
    /// The front of cluster `aw-remote-ext`; any path below it.
    pub cluster_url: String,
    /// The front of cluster `aw-remote-two`.
    pub second_cluster_url: String,
    /// The base of GitLab's API, for `api`: no slash at the end.
    pub gitlab_api_url: String,
    /// The base of GitHub's API, for `api`: no slash at the end.
    pub github_api_url: String,
    /// The base of JFrog's API, for `api`: no slash at the end.
    pub jfrog_api_url: String,
    /// The base of JupyterHub's API, for `api`: no slash at the end.
    pub jupyterhub_api_url: String,
    /// The OUTSCALE API and EIM, for `endpoint_url`: no slash at the end.
    pub outscale_url: String,
    /// EIM of OUTSCALE: the same.
    pub eim_url: String,
    /// Every service of the Outerbounds deployment, for `endpoint_url`: no slash at the end.
    pub outerbounds_url: String,
    /// The domain that the deployment is of.
    pub outerbounds_domain: String,
    /// Where `/sandbox/faults`, `/sandbox/counts`, `/sandbox/trust` and `/sandbox/tokens` are.
    pub admin_url: String,
    /// The public client that the issuer knows.
    pub client_id: String,
    /// ARNs of the roles that the STS knows.
    pub roles: Vec<String>,
}

/// Why the company did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No loopback port, thread or runtime to be had.
    #[error("the sandbox cannot listen on a loopback port")]
    Listen(#[from] std::io::Error),
    /// The system's random source or the key generation failed.
    #[error("the sandbox cannot make a signing key")]
    Key,
}

/// The running company; it ends when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    addresses: Addresses,
    common: Common,
    issuer: Arc<Issuer>,
    sts: Arc<Sts>,
    console: Arc<Console>,
    portal: Arc<Portal>,
    gitlab: Arc<Gitlab>,
    github: Arc<Github>,
    jfrog: Arc<Jfrog>,
    jupyterhub: Arc<Jupyterhub>,
    outscale: Arc<Outscale>,
    outerbounds: Arc<Outerbounds>,
    github_actions: Arc<GithubActions>,
    circleci: Arc<CircleCi>,
    aws_machine: Arc<AwsMachine>,
    metadata: Arc<MetadataService>,
    fronts: Arc<Fronts>,
    stop: watch::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sandbox {
    /// Starts every part on the current tokio runtime.
    ///
    /// # Errors
    /// When no loopback port or no randomness can be had.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let common = Common::new(Arc::clone(&options.clock));
        let stop = watch::Sender::new(());
        let [at_issuer, at_sts, at_portal] = [listen().await?, listen().await?, listen().await?];
        let [at_cluster, at_second, at_admin] = [listen().await?, listen().await?, listen().await?];
        let [at_gitlab, at_github, at_jfrog] = [listen().await?, listen().await?, listen().await?];
        let [at_jupyterhub, at_console] = [listen().await?, listen().await?];

        let [at_actions, at_circleci, at_machine] = [listen().await?, listen().await?, listen().await?];

        let issuer_base = base(&at_issuer)?;
        let issuer_url = options.issuer.public_url.clone().unwrap_or_else(|| issuer_base.clone());
        let issuer = Issuer::new(common.clone(), issuer_url.clone(), options.issuer.clone());
        let issuer = Arc::new(issuer.map_err(|_| StartError::Key)?);
        let sts = Arc::new(Sts::new(common.clone(), &issuer, options.sts.clone()));
        let console = Arc::new(Console::new(common.clone(), &sts));
        let person = options.issuer.person.name.clone();
        let portal = Arc::new(Portal::new(common.clone(), person, options.cluster.cache_seconds));
        let [cluster, second] = cluster::NAMES
            .map(|name| Arc::new(Cluster::new(common.clone(), name, &portal, &issuer, &options.cluster)));

        let gitlab = Arc::new(Gitlab::new(common.clone()));
        let github = Arc::new(Github::new(common.clone()));
        let jfrog = Arc::new(Jfrog::new(common.clone()).map_err(|_| StartError::Key)?);
        let jupyterhub = Arc::new(Jupyterhub::new(common.clone()));
        let at_outscale = listen().await?;
        let outscale = Arc::new(Outscale::new(common.clone()));
        let github_actions = GithubActions::new(common.clone(), base(&at_actions)?);
        let github_actions = Arc::new(github_actions.map_err(|_| StartError::Key)?);
        let circleci = CircleCi::new(common.clone(), base(&at_circleci)?);
        let circleci = Arc::new(circleci.map_err(|_| StartError::Key)?);
        sts.trust(github_actions.trust());
        sts.trust(circleci.trust());
        let at_outerbounds = listen().await?;
        let issuers = [github_actions.trust(), circleci.trust()];
        let outerbounds = Outerbounds::new(common.clone(), base(&at_outerbounds)?, issuers);
        let outerbounds = Arc::new(outerbounds.map_err(|_| StartError::Key)?);
        sts.trust(outerbounds.trust());
        outerbounds::ROLES.into_iter().for_each(|arn| sts.set_role(outerbounds::role(arn)));
        let aws_machine = Arc::new(AwsMachine::new(common.clone(), base(&at_machine)?, &sts));

        let [at_metadata, at_proxy] = [listen().await?, listen().await?];
        let metadata = Arc::new(MetadataService::new(common.clone(), base(&at_metadata)?));
        let fronts = Arc::new(Fronts::new(base(&at_proxy)?).map_err(|_| StartError::Key)?);

        let addresses = Addresses {
            issuer_url,
            issuer_base,
            sts_url: base(&at_sts)?,
            signin_url: format!("{}{}", base(&at_console)?, console::PATH),
            portal_url: format!("{}/token", base(&at_portal)?),
            token_api_url: format!("{}{}", base(&at_portal)?, portal::API),
            cluster_url: base(&at_cluster)?,
            second_cluster_url: base(&at_second)?,
            gitlab_api_url: format!("{}{}", base(&at_gitlab)?, gitlab::API),
            github_api_url: base(&at_github)?,
            jfrog_api_url: format!("{}{}", base(&at_jfrog)?, jfrog::API),
            jupyterhub_api_url: format!("{}{}", base(&at_jupyterhub)?, jupyterhub::API),
            outscale_url: base(&at_outscale)?,
            eim_url: base(&at_outscale)?,
            outerbounds_url: base(&at_outerbounds)?,
            outerbounds_domain: outerbounds::DOMAIN.to_owned(),
            admin_url: base(&at_admin)?,
            client_id: options.issuer.client_id.clone(),
            roles: options.sts.roles.iter().map(|role| role.arn.clone()).collect(),
        };
        serve(at_issuer, issuer::routes(&common, &issuer), &stop);
        serve(at_sts, sts::routes(&common, &sts), &stop);
        serve(at_console, console::routes(&common, &console), &stop);
        serve(at_portal, portal::routes(&common, &portal), &stop);
        serve(at_cluster, cluster::routes(&common, Endpoint::Cluster, &cluster), &stop);
        serve(at_second, cluster::routes(&common, Endpoint::SecondCluster, &second), &stop);
        serve(at_gitlab, gitlab::routes(&common, &gitlab), &stop);
        serve(at_github, github::routes(&common, &github), &stop);
        serve(at_jfrog, jfrog::routes(&common, &jfrog), &stop);
        serve(at_jupyterhub, jupyterhub::routes(&common, &jupyterhub), &stop);
        serve(at_actions, github_actions::routes(&common, &github_actions), &stop);
        serve(at_circleci, circleci::routes(&common, &circleci), &stop);
        serve(at_machine, aws_machine::routes(&common, &aws_machine), &stop);
        serve(at_outscale, outscale::routes(&common, &outscale), &stop);
        serve(at_metadata, metadata::routes(&common, &metadata), &stop);
        tls::serve(at_proxy, &fronts, &stop);
        serve(at_outerbounds, outerbounds::routes(&common, &outerbounds), &stop);
        serve(at_admin, admin::routes(&common, &sts, &portal, &issuer), &stop);
        Ok(Self {
            addresses,
            common,
            issuer,
            sts,
            console,
            portal,
            gitlab,
            github,
            jfrog,
            jupyterhub,
            outscale,
            outerbounds,
            github_actions,
            circleci,
            aws_machine,
            metadata,
            fronts,
            stop,
            thread: None,
        })
    }

    /// Starts every part on a thread and a runtime of its own, for tests that block. Open connections end with it.
    ///
    /// # Errors
    /// As for [`Sandbox::start`], and when no thread or runtime can be had.
    pub fn start_blocking(options: Options) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut sandbox = runtime.block_on(Self::start(options))?;
        let mut stopped = sandbox.stop.subscribe();
        let thread = std::thread::Builder::new().name("sandbox".into()).spawn(move || {
            runtime.block_on(async {
                let _ = stopped.changed().await;
            });
        })?;
        sandbox.thread = Some(thread);
        Ok(sandbox)
    }

    /// Where everything is.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Faults on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.common.faults
    }

    /// What has been called so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.common.counts.snapshot()
    }

    /// The OpenID provider.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The STS.
    #[must_use]
    pub fn sts(&self) -> &Sts {
        &self.sts
    }

    /// The sign-in of the AWS console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The token portal.
    #[must_use]
    pub fn portal(&self) -> &Portal {
        &self.portal
    }

    /// GitLab.
    #[must_use]
    pub fn gitlab(&self) -> &Gitlab {
        &self.gitlab
    }

    /// GitHub.
    #[must_use]
    pub fn github(&self) -> &Github {
        &self.github
    }

    /// JFrog.
    #[must_use]
    pub fn jfrog(&self) -> &Jfrog {
        &self.jfrog
    }

    /// OUTSCALE.
    #[must_use]
    pub fn outscale(&self) -> &Outscale {
        &self.outscale
    }

    /// The deployment of Outerbounds.
    #[must_use]
    pub fn outerbounds(&self) -> &Outerbounds {
        &self.outerbounds
    }

    /// JupyterHub.
    #[must_use]
    pub fn jupyterhub(&self) -> &Jupyterhub {
        &self.jupyterhub
    }

    /// GitHub Actions, for one job.
    #[must_use]
    pub fn github_actions(&self) -> &GithubActions {
        &self.github_actions
    }

    /// CircleCI.
    #[must_use]
    pub fn circleci(&self) -> &CircleCi {
        &self.circleci
    }

    /// What AWS has around a machine.
    #[must_use]
    pub fn aws_machine(&self) -> &AwsMachine {
        &self.aws_machine
    }

    /// Metaflow's metadata service.
    #[must_use]
    pub fn metadata(&self) -> &MetadataService {
        &self.metadata
    }

    /// TLS in front of parts, for clients that know nothing else.
    #[must_use]
    pub fn fronts(&self) -> &Fronts {
        &self.fronts
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.send_replace(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen() -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

fn base(listener: &TcpListener) -> std::io::Result<String> {
    let url = format!("http://{}", listener.local_addr()?);
    debug_assert!(Url::parse(&url).is_ok());
    Ok(url)
}

fn serve(listener: TcpListener, routes: Router, stop: &watch::Sender<()>) {
    let mut stopped = stop.subscribe();
    tokio::spawn(async move {
        let ended = async move {
            let _ = stopped.changed().await;
        };
        let _ = axum::serve(listener, routes).with_graceful_shutdown(ended).await;
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::Fault;

    fn ask(url: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    #[test]
    fn a_blocking_company_ends_with_its_owner_and_takes_open_calls_along() {
        let sandbox = Sandbox::start_blocking(Options::default()).unwrap();
        let addresses = sandbox.addresses().clone();
        let mut answer = String::new();
        ask(&addresses.issuer_url, "/jwks").read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("P-256"), "{answer}");
        sandbox.faults().set(Endpoint::Jwks, Fault::Slow(Duration::from_secs(3600)));
        let mut waiting = ask(&addresses.issuer_url, "/jwks");
        drop(sandbox);
        let mut nothing = Vec::new();
        assert!(waiting.read_to_end(&mut nothing).map_or(true, |length| length == 0));
        assert!(TcpStream::connect(addresses.sts_url.strip_prefix("http://").unwrap()).is_err());
    }

    #[test]
    fn options_have_a_json_form_and_refuse_what_they_do_not_know() {
        let options: Options = serde_json::from_str(
            r#"{"issuer": {"id_token_seconds": 20}, "sts": {"credential_seconds": 1200, "forward": "http://127.0.0.1:5000/"}}"#,
        )
        .unwrap();
        assert_eq!((options.issuer.id_token_seconds, options.issuer.client_id.as_str()), (20, "keyfob-demo"));
        assert_eq!(options.sts.credential_seconds, Some(1200));
        assert!(serde_json::from_str::<Options>(r#"{"isuer": {}}"#).is_err());
    }
}
