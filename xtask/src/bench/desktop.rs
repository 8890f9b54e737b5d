//! A session bus of our own with an open login keyring on it, where Debian's `dbus-daemon` and `gnome-keyring` are installed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::failure::{Doing as _, Failure};

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// The running session; dropping it ends it.
pub struct Desktop {
    parts: Vec<Child>,
    folder: TempDir,
}

impl Desktop {
    /// Nothing where a part is not installed.
    pub fn start() -> Result<Option<Self>, Failure> {
        let folder =
            tempfile::Builder::new().prefix("keyfob-bus-").tempdir().doing("make a folder for a bus")?;
        fs::write(folder.path().join("bus.conf"), configuration(folder.path())).doing("configure a bus")?;
        let mut desktop = Self { parts: Vec::new(), folder };
        Ok((desktop.start_bus()? && desktop.start_keyring()?).then_some(desktop))
    }

    /// For the environment of the agent.
    pub fn variable(&self) -> (&'static str, String) {
        ("DBUS_SESSION_BUS_ADDRESS", address(self.folder.path()))
    }

    fn start_bus(&mut self) -> Result<bool, Failure> {
        let mut command = self.command("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address=1", "--config-file=bus.conf"]);
        command.stdout(Stdio::piped());
        let Ok(mut bus) = command.spawn() else { return Ok(false) };
        let mut line = String::new();
        if let Some(stdout) = bus.stdout.take() {
            // It prints the address once it listens.
            BufReader::new(stdout).read_line(&mut line).doing("wait for the bus")?;
        }
        self.parts.push(bus);
        Ok(line.starts_with("unix:"))
    }

    fn start_keyring(&mut self) -> Result<bool, Failure> {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let Ok(mut keyring) = command.spawn() else { return Ok(false) };
        let stdin = keyring.stdin.take();
        self.parts.push(keyring);
        if let Some(mut stdin) = stdin {
            stdin.write_all(b"correct horse").doing("open the keyring")?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.is_open() {
            if Instant::now() > deadline {
                return Err(Failure::new("the keyring of the bench does not open"));
            }
            thread::sleep(LOOK);
        }
        Ok(true)
    }

    fn is_open(&self) -> bool {
        let mut command = self.command("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
        command.args(["/org/freedesktop/secrets/aliases/default", "org.freedesktop.DBus.Properties.Get"]);
        command.args(["string:org.freedesktop.Secret.Collection", "string:Locked"]).stdout(Stdio::piped());
        let output = command.output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).contains("boolean false")
    }

    fn command(&self, program: &str) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(program);
        command.current_dir(folder).env("DBUS_SESSION_BUS_ADDRESS", address(folder));
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Nothing is started by this bus; whoever may connect may do anything.
fn configuration(folder: &Path) -> String {
    format!(
        r#"<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth><policy context="default">
        <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
        address(folder)
    )
}

fn address(folder: &Path) -> String {
    format!("unix:path={}", folder.join("bus").display())
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for part in self.parts.iter_mut().rev() {
            // They keep nothing that is wanted.
            let _ = part.kill();
            let _ = part.wait();
        }
    }
}
