//! A desktop session of the test's own: a bus, gnome-keyring, and a home folder, all gone at the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keyfob_agent::keychain::{Keychain, SecretService};
use keyfob_ipc::reply::KeychainState;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse";

const SERVICE: &str = "org.freedesktop.secrets";

/// Long enough for a busy machine, short enough to fail a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session, with or without a keyring in it.
pub struct Desktop {
    // Dropped in this order: processes before the folder that they write into.
    keyring: Option<Process>,
    bus: Option<Process>,
    place: TempDir,
}

impl Desktop {
    /// A session whose login keyring is open.
    pub async fn signed_in() -> Self {
        let mut desktop = Self::with_bus_only();
        desktop.start_keyring(PASSWORD);
        let keychain = desktop.keychain(None);
        eventually("the login keyring is open", async || keychain.state().await == KeychainState::Present)
            .await;
        desktop
    }

    /// A bus that no keyring is on, and that cannot start one.
    pub fn with_bus_only() -> Self {
        let place = tempfile::tempdir().unwrap();
        for folder in ["home", "run", "data", "config"] {
            std::fs::create_dir(place.path().join(folder)).unwrap();
        }
        let mut desktop = Self { keyring: None, bus: None, place };
        desktop.start_bus();
        desktop
    }

    /// The keychain under test, on this session's bus.
    pub fn keychain(&self, namespace: Option<&str>) -> Arc<dyn Keychain> {
        Arc::new(SecretService::at(Some(self.address()), namespace))
    }

    pub fn start_bus(&mut self) {
        let configuration = self.path("bus.conf");
        // No service folders: nothing can be activated, least of all the keyring of the person who runs the tests.
        let text = format!(
            r#"<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth><policy context="default">
            <allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
            self.address()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = self.command("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address=1"]);
        command.arg(format!("--config-file={}", configuration.display())).stdout(Stdio::piped());
        let mut bus = Process::start(command);
        // It prints the address once it listens.
        let mut line = String::new();
        BufReader::new(bus.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:"), "the bus did not start");
        self.bus = Some(bus);
    }

    /// Starts the keyring as a sign-in to the desktop does, with `password`.
    pub fn start_keyring(&mut self, password: &str) {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let mut keyring = Process::start(command);
        keyring.0.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        self.keyring = Some(keyring);
    }

    pub fn kill_keyring(&mut self) {
        self.keyring = None;
    }

    pub fn kill_bus(&mut self) {
        self.bus = None;
    }

    pub fn stop_keyring(&self) {
        self.signal(Signal::STOP);
    }

    pub fn continue_keyring(&self) {
        self.signal(Signal::CONT);
    }

    /// What `secret-tool` prints, both streams: it lists attributes on the second.
    pub fn secret_tool(&self, arguments: &[&str]) -> String {
        let output = run(self.command("secret-tool").args(arguments));
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Opens the login keyring without a prompt.
    pub fn unlock(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/real/secret_service_unlock.py");
        let mut command = self.command("/usr/bin/python3");
        command.arg(script).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut script = Process::start(command);
        script.0.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        let mut said = String::new();
        script.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let done = script.0.wait().unwrap().success();
        assert!(done, "the keyring cannot be unlocked ({said}): run `cargo xtask setup`");
    }

    /// Waits until the keyring is on the bus.
    pub async fn until_owned(&self) {
        let bus = self.bus().await;
        let name = SERVICE.try_into().unwrap();
        eventually("the keyring is on the bus", async || {
            bus.name_has_owner(Clone::clone(&name)).await.unwrap()
        })
        .await;
    }

    /// How many connections the bus has, this question's own included.
    pub async fn connections(&self) -> usize {
        let names = self.bus().await.list_names().await.unwrap();
        names.iter().filter(|name| name.starts_with(':')).count()
    }

    async fn bus(&self) -> zbus::fdo::DBusProxy<'static> {
        let connection = zbus::connection::Builder::address(&*self.address()).unwrap().build().await.unwrap();
        zbus::fdo::DBusProxy::new(&connection).await.unwrap()
    }

    fn signal(&self, signal: Signal) {
        let keyring = self.keyring.as_ref().unwrap();
        kill_process(Pid::from_child(&keyring.0), signal).unwrap();
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.place.path());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Asks again and again until it is so.
///
/// # Panics
/// When it is not so for half a minute.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !is_so().await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "not so in time: {what}");
}

/// A process that ends with the test, also when the test fails.
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| missing(&command, &error)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) -> std::process::Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().unwrap_or_else(|error| missing(command, &error))
}

fn missing(command: &Command, error: &std::io::Error) -> ! {
    panic!("{} cannot be started ({error}): run `cargo xtask setup`", command.get_program().display())
}
