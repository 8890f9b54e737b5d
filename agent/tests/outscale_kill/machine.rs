//! A machine with the real agent in a profile of its own, and OUTSCALE beside it.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyfob_agent::fault::{Point, VARIABLE};
use keyfob_ipc::client::{Client, Door};
use keyfob_ipc::reply::Reply;
use keyfob_ipc::{ControlAsk, Places, Refusal, Secret, ToolAsk};
use keyfob_sandbox::{AccessKey, Options, Sandbox};
use tempfile::TempDir;

const CONFIG: &str = r#"
[agent]
keychain = "file"

[outscale.monitoring]
region = "eu-west-2"
user = "monitoring"
endpoint_url = "OUTSCALE"
"#;

const NAME: &str = "outscale.monitoring";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Machine {
    pub sandbox: Sandbox,
    pub bootstrap: AccessKey,
    program: PathBuf,
    agent: Option<Child>,
    places: Places,
    folder: TempDir,
}

impl Machine {
    /// With the bootstrap key given, and no agent.
    pub fn new() -> Self {
        let sandbox = Sandbox::start_blocking(Options::default()).unwrap();
        let actions =
            ["api:CreateAccessKey", "api:ReadAccessKeys", "api:UpdateAccessKey", "api:DeleteAccessKey"];
        let bootstrap = sandbox.outscale().add_user("monitoring", &actions, None);
        let folder = tempfile::Builder::new().prefix("k").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("config.toml"), &CONFIG.replace("OUTSCALE", &sandbox.addresses().outscale_url));
        write(&at("passphrase"), "correct horse");
        let places = Places {
            config: at("config.toml"),
            runtime: at("run"),
            state: at("state"),
            own_profile: true,
            user: String::new(),
        };
        let program = own_agent(folder.path());
        let mut machine = Self { sandbox, bootstrap, program, agent: None, places, folder };
        machine.start(None);
        let value = format!("{}\n{}", machine.bootstrap.id, machine.bootstrap.secret);
        let ask = ControlAsk::TokenAdd { name: NAME.to_owned(), value: Secret::new(value), ends: None };
        let added = Client::connect(&machine.places, Door::Control).unwrap().ask(ask, PATIENCE).unwrap();
        assert!(matches!(added, Reply::Token(_)), "{added:?}");
        machine.end();
        machine
    }

    /// Starts the agent, which ends itself at a point.
    pub fn start(&mut self, point: Option<Point>) {
        self.end();
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

    /// A tool asks an agent that is about to be killed.
    pub fn ask_in_vain(&self) {
        if let Ok(mut client) = Client::connect(&self.places, Door::Tool) {
            let _ = client.ask(tool(), PATIENCE);
        }
    }

    pub fn until_killed(&mut self, point: Point) {
        let agent = self.agent.as_mut().unwrap();
        eventually(point.name(), || agent.try_wait().unwrap().is_some());
        let status = self.agent.take().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{}: {status}; the log:\n{}", point.name(), self.log());
    }

    /// Waits until the agent is killed at its point, or a tool got a key without its coming there.
    pub fn until_killed_or_served(&mut self) {
        let mut agent = self.agent.take().unwrap();
        eventually("the agent is killed or serves", || {
            agent.try_wait().unwrap().is_some() || self.try_served().is_ok()
        });
        self.agent = Some(agent);
    }

    /// Waits until the agent is killed at its point, or nothing is left that would bring it there.
    pub fn until_killed_or_tidy(&mut self) {
        let mut agent = self.agent.take().unwrap();
        eventually("the agent is killed or done", || {
            agent.try_wait().unwrap().is_some() || self.made().is_empty()
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

    /// The id of the key that a tool gets.
    pub fn served(&self) -> String {
        let mut last = None;
        eventually("a tool gets a key", || match self.try_served() {
            Ok(id) => last.insert(id).starts_with(|first: char| first.is_ascii_alphanumeric()),
            Err(_) => false,
        });
        last.unwrap()
    }

    fn try_served(&self) -> Result<String, Refusal> {
        match Client::connect(&self.places, Door::Tool)?.ask(tool(), PATIENCE)? {
            Reply::AwsCredentials(keys) => Ok(keys.access_key_id),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("not keys: {other:?}; the log:\n{}", self.log()),
        }
    }

    /// Ids of the user's keys beside the one that the person gave.
    pub fn made(&self) -> Vec<String> {
        let keys = self.sandbox.outscale().keys_of("monitoring").into_iter().map(|key| key.id);
        keys.filter(|id| *id != self.bootstrap.id).collect()
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

fn tool() -> ToolAsk {
    ToolAsk::CredentialProcess { name: NAME.to_owned(), role_arn: None, task_role: false }
}

/// The agent that was built with this test. Another build may put one without fault points in its place while this runs.
fn own_agent(folder: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_keyfobd"));
    let own = folder.join("keyfobd");
    if fs::hard_link(built, &own).is_err() {
        fs::copy(built, &own).unwrap();
    }
    let bytes = fs::read(&own).unwrap();
    let marker = VARIABLE.as_bytes();
    let is_armed = bytes.windows(marker.len()).any(|window| window == marker);
    assert!(is_armed, "{} was built without the feature `testing`", built.display());
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
