//! An agent, and the company that it signs in to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyfob_agent::agent::{Agent, Parts};
use keyfob_agent::ambient::Ambient;
use keyfob_agent::clock::{Clock as _, FakeClock, SharedClock, SystemClock};
use keyfob_agent::config::{Ask, Entry, EntryName};
use keyfob_agent::keychain::{Deadline, Keychain};
use keyfob_ipc::reply::{AwsCredentials, Change, EntryReport, Headers, Reply, Why};
use keyfob_ipc::{ControlAsk, Flow, Places, Refusal, Secret, ToolAsk};
use keyfob_sandbox::{Counts, Endpoint, Faults, Options, Sandbox};
use tempfile::TempDir;

use crate::desktop::Desktop;
use crate::person::{Person, Seen};
use crate::vault::Vault;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longer than a failure answers for itself.
pub const A_MOMENT: Duration = Duration::from_secs(3);

/// Takes the session's token.
pub const CACHE: &str = "https://eu.cache.acme.dev/";
/// Takes the personal access token.
pub const CLUSTER: &str = "https://aw-remote-ext.acme.dev/";
pub const ROLE: &str = "arn:aws:iam::123456789012:role/OktaRole";

/// A person's configuration; `ISSUER` and `STS` stand for the company's addresses.
pub const CONFIG: &str = r#"
[sso.okta]
issuer = "ISSUER"
client_id = "keyfob-demo"
hosts = ["*.cache.acme.dev"]

[token.aspect]
hosts = ["aw-remote-ext.acme.dev"]
header = "X-Aspect"
prefix = "aw_"

[aws.dev]
sso = "okta"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"
"#;

pub struct Company {
    /// What this machine takes for the time.
    pub clock: Arc<FakeClock>,
    /// What time it is.
    pub world: Arc<FakeClock>,
    pub sandbox: Sandbox,
    pub vault: Arc<Vault>,
    pub desktop: Arc<Desktop>,
    pub agent: Arc<Agent>,
    agent_clock: SharedClock,
    /// How long the keychain may take.
    patience: Option<Duration>,
    /// The job that the agent runs in.
    ambient: Ambient,
    folder: TempDir,
}

impl Company {
    pub async fn open() -> Self {
        Self::with(CONFIG, |_| {}).await
    }

    /// The same on the system's own clock, for what waits on the runtime's timers.
    pub async fn in_real_time(change: impl FnOnce(&mut Options)) -> Self {
        Self::new(CONFIG, change, true).await
    }

    pub async fn with(config: &str, change: impl FnOnce(&mut Options)) -> Self {
        Self::new(config, change, false).await
    }

    async fn new(config: &str, change: impl FnOnce(&mut Options), real_time: bool) -> Self {
        // Not a whole second: what is written must be cut.
        let start: Timestamp = "2026-11-21T08:00:00.7Z".parse().unwrap();
        let (clock, world) = (FakeClock::at(start), FakeClock::at(start));
        let mut options = Options::default();
        if !real_time {
            let world = Arc::clone(&world);
            options.clock = Arc::new(move || world.now());
        }
        change(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(config_file(&folder), text(config, &sandbox)).unwrap();
        let vault = Arc::new(Vault::default());
        let agent_clock: SharedClock = if real_time { Arc::new(SystemClock) } else { clock.clone() };
        let desktop = Arc::new(Desktop::default());
        let ambient = Ambient::default();
        let agent = agent(&folder, &agent_clock, &vault, &desktop, None, &ambient);
        Self { clock, world, sandbox, vault, desktop, agent, agent_clock, patience: None, ambient, folder }
    }

    /// An agent that runs in a job begins, in the place of the one before.
    pub fn in_job(&mut self, ambient: Ambient) {
        self.ambient = ambient;
        self.restart();
    }

    /// The agent ends and another one starts, over the same keychain.
    pub fn restart(&mut self) {
        self.agent =
            agent(&self.folder, &self.agent_clock, &self.vault, &self.desktop, self.patience, &self.ambient);
    }

    /// As [`Company::restart`]; the keychain has this long to answer.
    pub fn restart_with_patience(&mut self, patience: Duration) {
        self.patience = Some(patience);
        self.restart();
    }

    /// A second agent at the same keychain.
    pub fn another_agent(&self) -> Arc<Agent> {
        agent(&self.folder, &self.agent_clock, &self.vault, &self.desktop, None, &self.ambient)
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        self.folder.path()
    }

    /// Saves the configuration as an editor does: a new file in the old one's place.
    pub fn configure(&self, config: &str) {
        let new = self.folder.path().join("config.toml.new");
        std::fs::write(&new, text(config, &self.sandbox)).unwrap();
        std::fs::rename(new, config_file(&self.folder)).unwrap();
    }

    /// Time passes, for everybody.
    pub fn pass(&self, time: Duration) {
        self.world.advance(time);
        self.clock.advance(time);
    }

    pub fn world_now(&self) -> Timestamp {
        self.world.now()
    }

    pub fn faults(&self) -> &Faults {
        self.sandbox.faults()
    }

    /// Returns when a call has arrived there that had not before.
    pub async fn call_arrives(&self, endpoint: Endpoint) {
        let before = self.counts().arrived(endpoint);
        eventually("a call arrives", async || self.counts().arrived(endpoint) > before).await;
    }

    pub fn counts(&self) -> Counts {
        self.sandbox.counts()
    }

    /// Calls of the token endpoint.
    pub fn token_calls(&self) -> u64 {
        self.counts().arrived(Endpoint::Token)
    }

    /// Calls of STS.
    pub fn sts_calls(&self) -> u64 {
        self.counts().arrived(Endpoint::Sts)
    }

    /// Signs in as a person does.
    pub async fn sign_in(&self) -> Result<String, Refusal> {
        let (person, _seen) = Person::who_opens_the_browser();
        self.sign_in_of(person, Flow::Browser).await
    }

    pub async fn sign_in_of(&self, mut person: Person, flow: Flow) -> Result<String, Refusal> {
        let signing_in = self.agent.sign_in(None, flow, &mut person);
        say(tokio::time::timeout(Duration::from_secs(60), signing_in).await.expect("the sign-in ends")?)
    }

    /// A sign-in that goes on by itself.
    pub fn begin_sign_in(
        &self,
        mut person: Person,
        flow: Flow,
    ) -> tokio::task::JoinHandle<Result<Reply, Refusal>> {
        let agent = Arc::clone(&self.agent);
        tokio::spawn(async move { agent.sign_in(None, flow, &mut person).await })
    }

    /// A sign-in that stands before an open page.
    pub async fn sign_in_under_way(&self) -> (tokio::task::JoinHandle<Result<Reply, Refusal>>, Seen, String) {
        let (person, mut seen) = Person::who_waits();
        let task = self.begin_sign_in(person, Flow::Browser);
        let address = seen.address().await;
        (task, seen, address)
    }

    /// As Bazel asks.
    pub async fn get(&self, uri: &str) -> Result<Headers, Refusal> {
        match self.agent.tool(ToolAsk::Get { uri: uri.to_owned() }).await? {
            Reply::Headers(headers) => Ok(headers),
            other => panic!("not headers: {other:?}"),
        }
    }

    /// The one header for the session's hosts.
    pub async fn bearer(&self) -> Result<String, Refusal> {
        let headers = self.get(CACHE).await?;
        Ok(headers.headers["Authorization"][0].expose().clone())
    }

    /// As an AWS SDK asks.
    pub async fn keys(&self, name: &str) -> Result<AwsCredentials, Refusal> {
        match self
            .agent
            .tool(ToolAsk::CredentialProcess { name: name.to_owned(), role_arn: None, task_role: false })
            .await?
        {
            Reply::AwsCredentials(keys) => Ok(keys),
            other => panic!("not keys: {other:?}"),
        }
    }

    /// The same for a caller who has time: the flight to its end.
    pub async fn keys_patiently(&self, name: &str) -> Result<AwsCredentials, Refusal> {
        let entry = self.entry(name);
        entry.source.aws_credentials(&self.agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    }

    pub async fn why(&self, subject: &str) -> Result<Why, Refusal> {
        match self.agent.tool(ToolAsk::Why { subject: subject.to_owned() }).await? {
            Reply::Why(why) => Ok(*why),
            other => panic!("not a why: {other:?}"),
        }
    }

    pub async fn control(&self, ask: ControlAsk) -> Result<Reply, Refusal> {
        self.agent.control(ask).await
    }

    pub async fn add_token(&self, name: &str, value: &str) -> Result<String, Refusal> {
        say(self
            .control(ControlAsk::TokenAdd { name: name.to_owned(), value: Secret::from(value), ends: None })
            .await?)
    }

    pub async fn remove_token(&self, name: &str) -> Result<String, Refusal> {
        say(self.control(ControlAsk::TokenRemove { name: name.to_owned(), keep_at_service: false }).await?)
    }

    pub async fn sign_out(&self) -> Result<String, Refusal> {
        say(self.control(ControlAsk::Logout { name: None }).await?)
    }

    pub async fn report(&self, name: &str) -> EntryReport {
        match self.control(ControlAsk::Entry { name: name.to_owned() }).await {
            Ok(Reply::Entry(report)) => *report,
            other => panic!("not an entry: {other:?}"),
        }
    }

    /// What an edit waits for.
    pub async fn changes(&self) -> Vec<Change> {
        self.confirm(None).await.unwrap()
    }

    pub async fn confirm(&self, accept: Option<Vec<Change>>) -> Result<Vec<Change>, Refusal> {
        match self.control(ControlAsk::ConfigConfirm { name: None, accept }).await? {
            Reply::Changes(changes) => Ok(changes),
            other => panic!("not changes: {other:?}"),
        }
    }

    /// The refresh token that the keychain has.
    pub async fn stored_refresh_token(&self) -> Option<String> {
        let item = self.vault.item("sso.okta").await?;
        let value: serde_json::Value = serde_json::from_str(item["value"].as_str().unwrap()).unwrap();
        Some(value["refresh_token"].as_str().unwrap().to_owned())
    }

    pub fn entry(&self, name: &str) -> Arc<Entry> {
        let config = self.agent.config().unwrap();
        Arc::clone(config.find(name, Ask::Anything).unwrap())
    }
}

pub fn okta() -> EntryName {
    EntryName { kind: "sso", name: "okta".to_owned() }
}

pub fn dev() -> EntryName {
    EntryName { kind: "aws", name: "dev".to_owned() }
}

/// Waits for a condition, with a deadline.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn agent(
    folder: &TempDir,
    clock: &SharedClock,
    vault: &Arc<Vault>,
    desktop: &Arc<Desktop>,
    patience: Option<Duration>,
    ambient: &Ambient,
) -> Arc<Agent> {
    let state = folder.path().to_owned();
    let vault = Arc::clone(vault);
    Agent::new(Parts {
        places: Places {
            config: config_file(folder),
            runtime: state.join("run"),
            state: state.clone(),
            own_profile: true,
            user: "ada".to_owned(),
        },
        socket: state.join("agent.sock"),
        clock: Arc::clone(clock),
        notifier: desktop.clone(),
        hardening: Vec::new(),
        ambient: ambient.clone(),
        person: keyfob_agent::person::Person::read(|name| (name == "HOME").then(|| "/home/ada".into())),
        host: "ada-laptop".to_owned(),
        keychains: Box::new(move |_| {
            let vault: Arc<dyn Keychain> = vault.clone();
            match patience {
                Some(patience) => Arc::new(Deadline::new(vault, patience)),
                None => vault,
            }
        }),
    })
}

fn config_file(folder: &TempDir) -> PathBuf {
    folder.path().join("config.toml")
}

/// A configuration with programs as this system names them.
pub fn with_paths(config: &str) -> String {
    if cfg!(unix) {
        return config.to_owned();
    }
    config
        .replace("[\"/bin/cat\"", "[\"/windows/system32/cmd.exe\", \"/c\", \"type\"")
        .replace("[\"/", "[\"C:/")
        .replace("'/usr/", "'C:/usr/")
        .replace("ca_file = \"/", "ca_file = \"C:/")
}

fn text(config: &str, sandbox: &Sandbox) -> String {
    let addresses = sandbox.addresses();
    with_paths(config)
        .replace("ISSUER", &addresses.issuer_url)
        .replace("STS", &addresses.sts_url)
        .replace("SIGNIN", &addresses.signin_url)
        .replace("MACHINE_AWS", sandbox.aws_machine().url())
        .replace("TOKENS", &addresses.token_api_url)
        .replace("FRONT", &addresses.cluster_url.replace("http:", "grpc:"))
        .replace("SECOND", &addresses.second_cluster_url.replace("http:", "grpc:"))
        .replace("GITLAB", &addresses.gitlab_api_url)
        .replace("JFROG", &addresses.jfrog_api_url)
        .replace("JUPYTERHUB", &addresses.jupyterhub_api_url)
        .replace("OUTSCALE", &addresses.outscale_url)
        .replace("DEPLOYMENT", &addresses.outerbounds_url)
}

fn say(reply: Reply) -> Result<String, Refusal> {
    match reply {
        Reply::Done { say } => Ok(say),
        Reply::Token(report) => Ok(report.say),
        other => panic!("not done: {other:?}"),
    }
}
