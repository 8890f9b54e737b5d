//! A machine with the real agent in a profile of its own, and a company beside it.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyfob_agent::fault::{MARK, Point, VARIABLE};
use keyfob_ipc::client::{Client, Door};
use keyfob_ipc::reply::{EntryReport, Reply, TokenReport};
use keyfob_ipc::{ControlAsk, Places, Refusal, Secret, ToolAsk};
use keyfob_sandbox::{Options, Sandbox};
use tempfile::TempDir;

const CONFIG: &str = r#"
[agent]
keychain = "file"

[token.aspect]
hosts = ["aspect.acme.dev"]
header = "X-Aspect"
service = "keyfob"
api = "TOKENS"

[token.jfrog]
hosts = ["jfrog.acme.dev"]
header = "X-JFrog-Art-Api"
service = "jfrog"
api = "JFROG"

[token.hub]
hosts = ["hub.acme.dev"]
header = "X-Hub"
service = "jupyterhub"
api = "JUPYTERHUB"
"#;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Machine {
    pub sandbox: Sandbox,
    program: PathBuf,
    agent: Option<Child>,
    places: Places,
    folder: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let sandbox = Sandbox::start_blocking(Options::default()).unwrap();
        let folder = tempfile::Builder::new().prefix("k").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let at = |name: &str| folder.path().join(name);
        let addresses = sandbox.addresses();
        let config = CONFIG
            .replace("TOKENS", &addresses.token_api_url)
            .replace("JFROG", &addresses.jfrog_api_url)
            .replace("JUPYTERHUB", &addresses.jupyterhub_api_url);
        write(&at("config.toml"), &config);
        write(&at("passphrase"), "correct horse");
        let places = Places {
            config: at("config.toml"),
            runtime: at("run"),
            state: at("state"),
            own_profile: true,
            user: String::new(),
        };
        let program = own_agent(folder.path());
        Self { sandbox, program, agent: None, places, folder }
    }

    /// Starts the agent, which ends itself at a point.
    pub fn start(&mut self, point: Option<Point>) {
        assert!(self.agent.is_none());
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("KEYFOB_STATE_DIR", &self.places.state)
            .env("KEYFOB_RUNTIME_DIR", &self.places.runtime)
            .env("KEYFOB_CONFIG", &self.places.config)
            .env("KEYFOB_PASSPHRASE_FILE", self.folder.path().join("passphrase"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(point) = point {
            command.env(VARIABLE, point.name());
        }
        let mut agent = command.spawn().unwrap();
        // One that is to be killed in the background may be gone before it is seen.
        eventually("the agent listens", || {
            Client::connect(&self.places, Door::Control).is_ok()
                || (point.is_some() && agent.try_wait().unwrap().is_some())
        });
        self.agent = Some(agent);
    }

    pub fn wait_for_the_kill(&mut self, point: Point) {
        let agent = self.agent.as_mut().unwrap();
        eventually("the agent ends itself", || agent.try_wait().unwrap().is_some());
        let status = self.agent.take().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{}: {status}; the log:\n{}", point.name(), self.log());
    }

    /// Waits until the agent is killed at its point, or nothing is left that would bring it there.
    pub fn until_killed_or_quiet(&mut self, name: &str) {
        let mut agent = self.agent.take().unwrap();
        eventually("the agent is killed or quiet", || {
            agent.try_wait().unwrap().is_some()
                || self.try_report(name).is_ok_and(|report| is_quiet(&report))
                || self.try_report(name).is_ok_and(|report| is_lost(&report))
        });
        self.agent = Some(agent);
    }

    /// Ends the agent without a word, as a power cut does.
    pub fn end(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            // It may be gone.
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    pub fn add(&mut self, name: &str, value: &str) {
        let runs = self.agent.is_some();
        if !runs {
            self.start(None);
        }
        let ask = ControlAsk::TokenAdd { name: name.to_owned(), value: Secret::from(value), ends: None };
        self.control(ask).unwrap();
        if !runs {
            self.end();
        }
    }

    pub fn rotate(&self, name: &str) -> Result<Box<TokenReport>, Refusal> {
        let ask = ControlAsk::TokenRotate { name: name.to_owned(), value: None, ends: None };
        match self.control(ask)? {
            Reply::Token(report) => Ok(report),
            other => panic!("not a token: {other:?}"),
        }
    }

    /// What a tool gets.
    pub fn served(&self, name: &str) -> String {
        let uri = format!("https://{name}.acme.dev/");
        let mut client = Client::connect(&self.places, Door::Tool).unwrap();
        match client.ask(ToolAsk::Get { uri }, PATIENCE).unwrap() {
            Reply::Headers(headers) => headers.headers.values().next().unwrap()[0].expose().clone(),
            other => panic!("not headers: {other:?}; the log:\n{}", self.log()),
        }
    }

    pub fn report(&self, name: &str) -> EntryReport {
        self.try_report(name).unwrap()
    }

    /// Whether nothing about a rotation is left to do or to say.
    pub fn is_quiet(&self, name: &str) -> bool {
        is_quiet(&self.report(name))
    }

    /// What the first cluster answers to a token.
    pub fn asks_the_cluster(&self, value: &str) -> u16 {
        use std::io::{Read as _, Write as _};
        let address = self.sandbox.addresses().cluster_url.clone();
        let mut stream = std::net::TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nhost: sandbox\r\nx-aspect: {value}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn try_report(&self, name: &str) -> Result<EntryReport, Refusal> {
        match self.control(ControlAsk::Entry { name: name.to_owned() })? {
            Reply::Entry(report) => Ok(*report),
            other => panic!("not an entry: {other:?}"),
        }
    }

    fn control(&self, ask: ControlAsk) -> Result<Reply, Refusal> {
        match Client::connect(&self.places, Door::Control)?.ask(ask, PATIENCE)? {
            Reply::Refused(refusal) => Err(refusal),
            reply => Ok(reply),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.places.log()).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_quiet(report: &EntryReport) -> bool {
    // Until when clusters may take the token before is said by another part; and nothing but time ends the doubt.
    let passes = ["clusters may accept", "a rotation did not come about"];
    report.notes.iter().all(|note| passes.iter().any(|say| note.say.starts_with(say)))
}

fn is_lost(report: &EntryReport) -> bool {
    report.notes.iter().any(|note| note.say.contains("its answer is lost"))
}

/// The agent that was built with this test. Another build may put one without fault points in its place while this runs.
fn own_agent(folder: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_keyfobd"));
    let own = folder.join("keyfobd");
    if fs::hard_link(built, &own).is_err() {
        fs::copy(built, &own).unwrap();
    }
    let bytes = fs::read(&own).unwrap();
    // The second is what `cargo xtask dist` looks for in what it ships.
    for marker in [VARIABLE, MARK] {
        let is_there = bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
        assert!(is_there, "{} was built without the feature `testing`: it has no {marker}", built.display());
    }
    own
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Waits for a condition, with a deadline.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
