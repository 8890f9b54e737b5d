//! Calling cargo from inside a program that cargo started.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Doing as _, Failure};
use crate::{Checkout, say};

/// How long a build may take before it shows what it does.
const PATIENCE: Duration = Duration::from_secs(1);

/// An executable that cargo has built.
#[derive(Debug, PartialEq)]
pub struct Artifact {
    /// Name of the target: of the binary, or of the test file.
    pub name: String,
    /// The manifest of the package that it belongs to.
    pub manifest: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Where it lies.
    pub path: PathBuf,
}

/// The kinds of executables that cargo builds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A program.
    Program,
    /// A file of a `tests` folder.
    IntegrationTest,
    /// The unit tests of a library or program.
    UnitTests,
}

impl Artifact {
    /// Whether it belongs to the package in `folder`, which is relative to the checkout.
    pub fn is_of(&self, checkout: &Checkout, folder: &str) -> bool {
        self.manifest == checkout.root.join(folder).join("Cargo.toml")
    }
}

impl Checkout {
    /// A cargo command in the root of the checkout, with the environment that the person's own shell would give it.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments);
        self.as_from_a_shell(&mut command);
        command
    }

    /// Gives a command the root of the checkout and the environment that the person's own shell would give it.
    pub fn as_from_a_shell(&self, command: &mut Command) {
        // The version of a build is that of its sources.
        command.current_dir(&self.root).env_remove("KEYFOB_VERSION");
        for name in &self.set_by_cargo {
            command.env_remove(name);
        }
    }

    /// When this release was made, in seconds since 1970: what `SOURCE_DATE_EPOCH` says (reproducible-builds.org), else the time of
    /// the last commit, else of the last change of the lock file.
    pub fn release_time(&self) -> Result<u64, Failure> {
        if let Some(text) = &self.source_date_epoch {
            return text.parse().map_err(|_| {
                Failure::wrong_use("SOURCE_DATE_EPOCH must be a number of seconds since 1970; unset it, or: SOURCE_DATE_EPOCH=1767225600")
            });
        }
        let mut git = Command::new("git");
        git.args(["log", "-1", "--format=%ct"]).stdin(Stdio::null()).stderr(Stdio::null());
        self.as_from_a_shell(&mut git);
        let told = git.output().ok().filter(|output| output.status.success());
        let time = told.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
        if let Some(time) = time {
            return Ok(time);
        }
        // Sources without a history: an unpacked archive keeps the times of its files.
        let lock = self.root.join("Cargo.lock");
        let written =
            std::fs::metadata(&lock).and_then(|file| file.modified()).doing("look at Cargo.lock")?;
        say(
            "the sources have no history, so Cargo.lock tells the time of this release; or set SOURCE_DATE_EPOCH",
        );
        Ok(written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// Whether this cargo has a subcommand or component, such as `fmt` or `nextest`.
    pub fn has_subcommand(&self, name: &str) -> bool {
        let mut command = self.cargo(&[name, "--version"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Runs a building subcommand and returns the executables it made or found fresh. Compiler messages go to
    /// standard error as usual. `--message-format` is added to `arguments`; what follows `rustc` goes behind `--`.
    pub fn artifacts(&self, arguments: &[&str], rustc: &[&str]) -> Result<Vec<Artifact>, Failure> {
        self.artifacts_with(arguments, rustc, None)
    }

    /// As [`Checkout::artifacts`], with flags for every compilation, libraries too, in the place of those from anywhere else: as in
    /// cargo's own variable for them, separated by `\u{1f}`.
    pub fn artifacts_with(
        &self,
        arguments: &[&str],
        rustc: &[&str],
        flags: Option<&str>,
    ) -> Result<Vec<Artifact>, Failure> {
        let mut command = self.cargo(arguments);
        if let Some(flags) = flags {
            command.env("CARGO_ENCODED_RUSTFLAGS", flags);
        }
        command.arg("--message-format=json-render-diagnostics");
        if !rustc.is_empty() {
            command.arg("--").args(rustc);
        }
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().doing("start cargo")?;
        executables(arguments, output.status, &output.stdout)
    }

    /// As [`Checkout::artifacts`], of programs that take themselves for another version.
    #[cfg(target_os = "linux")]
    pub fn artifacts_of_version(&self, arguments: &[&str], version: &str) -> Result<Vec<Artifact>, Failure> {
        let mut command = self.cargo(arguments);
        command.arg("--message-format=json-render-diagnostics").env("KEYFOB_VERSION", version);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().doing("start cargo")?;
        executables(arguments, output.status, &output.stdout)
    }

    /// What cargo knows of the crates that this system's programs are made of: the answer of `cargo metadata`.
    pub fn metadata(&self) -> Result<Value, Failure> {
        let target = self.target()?;
        let mut command = self.cargo(&["metadata", "--format-version=1", "--filter-platform", &target]);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().doing("start cargo")?;
        if !output.status.success() {
            return Err(Failure::of_status("cargo metadata", output.status));
        }
        serde_json::from_slice(&output.stdout).doing("read the answer of cargo metadata")
    }

    /// The kind of machine that this compiler makes programs for: `x86_64-unknown-linux-gnu`.
    pub fn target(&self) -> Result<String, Failure> {
        let mut rustc = Command::new(self.cargo.with_file_name("rustc"));
        rustc.arg("-vV").stdin(Stdio::null()).stderr(Stdio::inherit());
        let told = rustc.output().doing("start rustc")?.stdout;
        let told = String::from_utf8_lossy(&told);
        let host = told.lines().find_map(|line| line.strip_prefix("host: "));
        host.map(str::to_owned).ok_or_else(|| Failure::new("rustc does not say what it makes programs for"))
    }

    /// As [`Checkout::artifacts`], for builds that a person did not ask for: as long as nothing goes wrong, the first
    /// second of it is silent.
    pub fn artifacts_quietly(&self, arguments: &[&str]) -> Result<Vec<Artifact>, Failure> {
        let mut command = self.cargo(arguments);
        command.arg("--message-format=json-render-diagnostics");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().doing("start cargo")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (messages, held_back) = thread::scope(|scope| {
            let stderr = scope.spawn(|| pass_on_late(stderr));
            let mut messages = Vec::new();
            // A pipe that breaks ends like one that is closed; cargo's exit code tells the rest.
            let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut messages));
            (messages, stderr.join().unwrap_or_default())
        });
        let status = child.wait().doing("wait for cargo")?;
        if !status.success() {
            let _ = std::io::stderr().write_all(&held_back);
        }
        executables(arguments, status, &messages)
    }
}

/// As [`Checkout::artifacts`], of a building command that was made by `arguments`.
#[cfg(target_os = "linux")]
pub fn artifacts_of(mut command: Command, arguments: &[&str]) -> Result<Vec<Artifact>, Failure> {
    command.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().doing("start cargo")?;
    executables(arguments, output.status, &output.stdout)
}

fn executables(arguments: &[&str], status: ExitStatus, messages: &[u8]) -> Result<Vec<Artifact>, Failure> {
    if !status.success() {
        return Err(Failure::of_status(&format!("cargo {}", arguments.join(" ")), status));
    }
    Ok(String::from_utf8_lossy(messages).lines().filter_map(artifact).collect())
}

/// Passes lines on to standard error once [`PATIENCE`] is over. Returns what was held back until the end.
fn pass_on_late(from: Option<impl Read + Send + 'static>) -> Vec<u8> {
    let Some(from) = from else { return Vec::new() };
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    let mut held_back = Vec::new();
    let end = Instant::now() + PATIENCE;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => held_back.extend(line),
            Err(RecvTimeoutError::Disconnected) => return held_back,
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    say("building");
    // Nobody is left to tell when standard error is closed.
    let _ = std::io::stderr().write_all(&held_back);
    for line in lines {
        let _ = std::io::stderr().write_all(&line);
    }
    Vec::new()
}

/// Reads one line of `--message-format=json`; None for every message that names no executable.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let kinds = message["target"]["kind"].as_array()?;
    let kind = match message["profile"]["test"].as_bool()? {
        false => Kind::Program,
        true if kinds.iter().any(|kind| kind == "test") => Kind::IntegrationTest,
        true => Kind::UnitTests,
    };
    Some(Artifact {
        name: message["target"]["name"].as_str()?.to_owned(),
        manifest: Path::new(message["manifest_path"].as_str()?).to_owned(),
        kind,
        path: Path::new(message["executable"].as_str()?).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_read_from_cargos_message() {
        let cases = [
            ("bin", false, Kind::Program),
            ("bin", true, Kind::UnitTests),
            ("lib", true, Kind::UnitTests),
            ("test", true, Kind::IntegrationTest),
        ];
        for (target, test, kind) in cases {
            let message = serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": "/w/cli/Cargo.toml",
                "target": { "name": "keyfob", "kind": [target] },
                "profile": { "test": test },
                "executable": "/t/debug/keyfob",
            });
            let expected = Artifact {
                name: "keyfob".into(),
                manifest: "/w/cli/Cargo.toml".into(),
                kind,
                path: "/t/debug/keyfob".into(),
            };
            assert_eq!(artifact(&message.to_string()), Some(expected));
        }
    }

    #[test]
    fn libraries_and_other_messages_are_no_executables() {
        let library = r#"{"reason":"compiler-artifact","manifest_path":"/w/ipc/Cargo.toml","target":{"name":"ipc"},
            "profile":{"test":false},"executable":null}"#;
        for line in [library, r#"{"reason":"build-finished","success":true}"#, "text of a build script"] {
            assert_eq!(artifact(line), None);
        }
    }
}
