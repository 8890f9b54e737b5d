//! A desktop session: a bus of the test's own, and Debian's `gnome-keyring` on it with an open login keyring.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::notifications::Screen;
use super::part::{Lines, Part};
use crate::{PATIENCE, Stage, folder, wait_for};

/// The password of the login keyring.
const PASSWORD: &str = "correct horse";

/// A bus, and what is on it. Everything that it writes lies in a folder that is gone afterwards.
#[derive(Debug)]
pub struct SessionBus {
    // Dropped in this order: processes before the folder that they write into.
    keyring: Option<Part>,
    bus: Option<Part>,
    configuration: PathBuf,
    display: Option<String>,
    folder: TempDir,
}

impl SessionBus {
    /// A session whose login keyring is open, as after signing in to the desktop.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = folder();
        let mark = format!("/usr/bin/touch {}", folder.path().join("prompted").display());
        Self::with_prompter(folder, &mark, None)
    }

    /// The same, where whoever asks for a password opens GNOME's own window on a screen, and nobody answers it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_prompts_on(screen: &Screen) -> Self {
        Self::with_prompter(folder(), "/usr/libexec/gcr-prompter", Some(screen.display().to_owned()))
    }

    fn with_prompter(folder: TempDir, prompter: &str, display: Option<String>) -> Self {
        for name in ["home", "run", "data", "config", "services"] {
            std::fs::create_dir(folder.path().join(name)).expect("room for a folder");
        }
        // The program that asks a person for a keyring's password is started by the bus. It may leave a mark instead.
        let prompter = format!("[D-BUS Service]\nName=org.gnome.keyring.SystemPrompter\nExec={prompter}\n");
        let services = folder.path().join("services");
        std::fs::write(services.join("org.gnome.keyring.SystemPrompter.service"), prompter).expect("room");
        let configuration = folder.path().join("bus.conf");
        let text = format!(
            r#"<busconfig><type>session</type><listen>{}</listen><servicedir>{}</servicedir><auth>EXTERNAL</auth>
            <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
            </policy></busconfig>"#,
            address(folder.path()),
            services.display()
        );
        std::fs::write(&configuration, text).expect("room");
        let mut session = Self { keyring: None, bus: None, configuration, display, folder };
        session.start_bus();
        session.start_keyring();
        session
    }

    /// A session without a keychain, and none that could be started.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn without_keychain() -> Self {
        let folder = folder();
        let configuration = Stage::get().real("bus-without-secret-service.conf");
        let mut session = Self { keyring: None, bus: None, configuration, display: None, folder };
        session.start_bus();
        session
    }

    /// Starts the bus at its address, in place of one that is gone.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_bus(&mut self) {
        assert!(self.bus.is_none(), "two buses at one address");
        // What was on the bus before does not find this one.
        self.keyring = None;
        let mut command = self.command("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address=1"]).stdout(Stdio::piped());
        command.arg(format!("--config-file={}", self.configuration.display()));
        command.arg(format!("--address={}", self.address()));
        if let Some(display) = &self.display {
            command.env("DISPLAY", display);
        }
        let mut bus = Part::start(&mut command);
        // It prints the address once it listens.
        let stdout = bus.child().stdout.take().expect("its standard output is piped");
        Lines::of(stdout).find("the address of the bus", |line| line.starts_with("unix:").then_some(()));
        self.bus = Some(bus);
    }

    /// Ends the bus, as a crash does; its socket stays behind.
    pub fn kill_bus(&mut self) {
        self.bus = None;
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.folder.path())
    }

    /// Starts the keyring and opens its login collection; what an earlier one held is on the disk.
    ///
    /// # Panics
    /// When it does not open.
    pub fn start_keyring(&mut self) {
        assert!(self.keyring.is_none(), "two keyrings on one bus");
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let mut keyring = Part::start(&mut command);
        let mut stdin = keyring.child().stdin.take().expect("its standard input is piped");
        stdin.write_all(PASSWORD.as_bytes()).expect("the keyring reads its password");
        drop(stdin);
        self.keyring = Some(keyring);
        wait_for("the login keyring is open", PATIENCE, || self.is_locked() == Some(false));
    }

    /// Ends the keyring, as a crash does.
    pub fn kill_keyring(&mut self) {
        self.keyring = None;
    }

    /// The keyring's process, to halt and resume it.
    ///
    /// # Panics
    /// When it was killed.
    #[must_use]
    pub fn keyring(&self) -> &Part {
        self.keyring.as_ref().expect("the keyring runs")
    }

    /// Locks the login collection.
    pub fn lock(&self) {
        // The program locks and then ends badly (a fault of its own), so the keyring is asked instead.
        self.secret_tool(&["lock", "--collection=login"]);
        wait_for("the login keyring is locked", PATIENCE, || self.is_locked() == Some(true));
    }

    /// Opens the login collection with no prompt.
    ///
    /// # Panics
    /// When the keyring refuses.
    pub fn unlock(&self) {
        let mut command = self.command("/usr/bin/python3");
        command.arg(Stage::get().real("secret_service_unlock.py"));
        let mut script = Part::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
        let mut stdin = script.child().stdin.take().expect("its standard input is piped");
        stdin.write_all(PASSWORD.as_bytes()).expect("the script reads the password");
        drop(stdin);
        let mut said = String::new();
        let stderr = script.child().stderr.as_mut().expect("its standard error is piped");
        stderr.read_to_string(&mut said).expect("its words");
        let status = script.child().wait().expect("its end");
        assert!(status.success(), "the keyring cannot be unlocked: {said}");
    }

    /// Whether the default collection is locked; `None` where there is none.
    #[must_use]
    pub fn is_locked(&self) -> Option<bool> {
        let output = self.output(self.command("dbus-send").args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
            "/org/freedesktop/secrets/aliases/default",
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        ]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("boolean").then(|| text.contains("boolean true"))
    }

    /// Whether anything has asked a person for a password since the last time that this was asked.
    #[must_use]
    pub fn has_prompted(&self) -> bool {
        std::fs::remove_file(self.folder.path().join("prompted")).is_ok()
    }

    /// Whether somebody on the bus has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let output = self.output(self.command("dbus-send").args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.NameHasOwner",
            &format!("string:{name}"),
        ]));
        String::from_utf8_lossy(&output.stdout).contains("boolean true")
    }

    /// What `secret-tool` prints on both streams; it lists attributes on the second.
    pub fn secret_tool(&self, arguments: &[&str]) -> String {
        let output = self.output(self.command("secret-tool").args(arguments));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Starts `secret-tool`, for a call that waits for a person.
    #[must_use]
    pub fn start_secret_tool(&self, arguments: &[&str]) -> Part {
        Part::start(self.command("secret-tool").args(arguments))
    }

    /// The value of an item of keyfob's, as any program of this session can read it.
    #[must_use]
    pub fn item(&self, name: &str) -> String {
        self.secret_tool(&["lookup", "application", "keyfob", "item", name])
    }

    /// Where the keyring keeps its files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn output(&self, command: &mut Command) -> Output {
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        started.unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}): run `cargo xtask setup`", command.get_program().display())
        })
    }

    fn command(&self, program: &str) -> Command {
        command(self.folder.path(), program)
    }
}

fn address(folder: &Path) -> String {
    format!("unix:path={}", folder.join("bus").display())
}

fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    command.env("HOME", folder.join("home")).env("XDG_RUNTIME_DIR", folder.join("run"));
    command.env("XDG_DATA_HOME", folder.join("data")).env("XDG_CONFIG_HOME", folder.join("config"));
    command.env("DBUS_SESSION_BUS_ADDRESS", address(folder));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
