//! `keyfob`, beside this program: it writes the configuration of other tools, and knows how to look at it.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use keyfob_ipc::reply::{Check, Health};
use keyfob_ipc::{Code, Refusal, Reply};
use serde::Deserialize;

use super::refusal;
use crate::page::Tool;
use crate::shell::CommandLine;
use crate::texts::Texts;

/// The tools that can be set up, in the order in which they are shown.
const TOOLS: [&str; 2] = ["bazel", "aws"];
/// The agent gives itself ten seconds for `doctor`, the command fifteen.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any of its answers.
const LONGEST: u64 = 1024 * 1024;

/// The real one.
#[derive(Debug, Clone)]
pub struct Keyfob {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// Variables besides those of an agent ([`keyfob_ipc::start::passed_on`]) that the command reads: which files are the tools', and
/// what stands in their way. Where the last one is set, only that it is matters.
const READ: &[&str] = &["PATH", "TZ", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];
const ONLY_WHETHER: &str = "AWS_ACCESS_KEY_ID";

impl Keyfob {
    /// The command beside this program, never one out of `PATH`. Of the environment it gets what it reads, and no secret.
    pub fn beside(program: &Path, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let all: Vec<_> = environment.into_iter().collect();
        let read = all.iter().filter(|(name, _)| READ.iter().any(|read| name == read)).cloned();
        let is_set = all.iter().any(|(name, value)| name == ONLY_WHETHER && !value.is_empty());
        let whether = is_set.then(|| (ONLY_WHETHER.into(), "set".into()));
        let environment = read.chain(whether).collect::<Vec<_>>();
        let environment = keyfob_ipc::start::passed_on(all).into_iter().chain(environment).collect();
        let name = if cfg!(windows) { "keyfob.exe" } else { "keyfob" };
        Self { program: program.with_file_name(name), environment }
    }

    /// What it prints, and whether it ended well.
    fn run(&self, arguments: &[&str]) -> Result<(Vec<u8>, bool), Refusal> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let program = self.program.display().to_string();
        let refuse = |say: &str, error: &str| {
            let values =
                [("program", &*program), ("error", error), ("seconds", &*PATIENCE.as_secs().to_string())];
            refusal(Code::Internal, say, &values, "say.install-again")
        };
        let mut child = command.spawn().map_err(|error| refuse("say.no-command", &error.to_string()))?;
        let Some(output) = child.stdout.take() else { return Err(refuse("say.command-slow", "")) };
        let (read, printed) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let ended = output.take(LONGEST).read_to_end(&mut bytes);
            // Nobody waits any more where it took too long.
            let _ = read.send(ended.map(|_| bytes));
        });
        let Ok(Ok(bytes)) = printed.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(refuse("say.command-slow", ""));
        };
        if bytes.len() as u64 == LONGEST {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| refuse("say.command-broken", &error.to_string()))?;
        Ok((bytes, status.success()))
    }
}

/// What `doctor --json` prints.
#[derive(Deserialize)]
struct Report {
    checks: Vec<Check>,
}

/// What `setup --json` prints.
#[derive(Deserialize)]
struct Written {
    file: String,
    changed: bool,
    #[serde(default)]
    warnings: Vec<String>,
}

impl CommandLine for Keyfob {
    fn tools(&self) -> Result<Vec<Tool>, Refusal> {
        // Something that does not work makes it end badly, and is in the report.
        let (printed, _) = self.run(&["doctor", "--json"])?;
        let report: Report = serde_json::from_slice(&printed).map_err(|_| refusal_in(&printed))?;
        Ok(TOOLS.into_iter().map(|name| tool(name, &report.checks)).collect())
    }

    fn set_up(&self, tool: &str) -> Result<String, Refusal> {
        // What the page sends is no argument before it was looked at.
        let Some(tool) = TOOLS.into_iter().find(|known| *known == tool) else {
            let say = Texts::english().say("say.no-tool", &[]);
            return Err(Refusal::new(Code::BadRequest, say).hint("keyfob setup --help"));
        };
        let (printed, is_done) = self.run(&["setup", tool, "--json"])?;
        match serde_json::from_slice::<Written>(&printed) {
            Ok(written) if is_done => Ok(sentence(&written)),
            _ => Err(refusal_in(&printed)),
        }
    }
}

fn tool(name: &str, checks: &[Check]) -> Tool {
    let Some(check) = checks.iter().find(|check| check.name == name) else {
        let say = Texts::english().say("say.tool-unused", &[]);
        return Tool { name: name.to_owned(), state: "unused".to_owned(), say, can_set_up: false };
    };
    Tool {
        name: name.to_owned(),
        state: if check.health == Health::Good { "set-up" } else { "attention" }.to_owned(),
        say: check.say.clone(),
        can_set_up: check.hint == format!("keyfob setup {name}"),
    }
}

fn sentence(written: &Written) -> String {
    let key = if written.changed { "say.tool-written" } else { "say.tool-as-before" };
    let mut say = Texts::english().say(key, &[("file", &written.file)]);
    for warning in &written.warnings {
        say.push_str("; ");
        say.push_str(warning);
    }
    say
}

/// The refusal that it prints in the place of an answer.
fn refusal_in(printed: &[u8]) -> Refusal {
    match serde_json::from_slice(printed) {
        Ok(Reply::Refused(refusal)) => refusal,
        _ => Refusal::new(Code::Internal, Texts::english().say("say.command-strange", &[]))
            .hint("keyfob doctor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_the_environment_is_passed_on() {
        let all = [
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_CONFIG_FILE", "/home/ada/aws"),
            ("GITHUB_TOKEN", "secret"),
            ("LD_PRELOAD", "x"),
        ];
        let keyfob = Keyfob::beside(
            Path::new("/opt/keyfob-tray"),
            all.map(|(name, value)| (name.into(), value.into())),
        );
        let passed: Vec<_> = keyfob
            .environment
            .iter()
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        assert_eq!(passed, [("AWS_CONFIG_FILE", "/home/ada/aws"), ("AWS_ACCESS_KEY_ID", "set")]);
    }

    #[test]
    fn only_what_setup_mends_has_a_button() {
        let check = |name: &str, health, hint: &str| Check {
            name: name.to_owned(),
            health,
            say: "x".to_owned(),
            hint: hint.to_owned(),
        };
        let checks = [
            check("bazel", Health::Attention, "keyfob setup bazel"),
            check("aws", Health::Attention, "keyfob setup aws --remove"),
        ];
        assert!(tool("bazel", &checks).can_set_up);
        assert!(!tool("aws", &checks).can_set_up);
        assert_eq!(tool("aws", &[]).state, "unused");
        assert_eq!(tool("aws", &[check("aws", Health::Good, "")]).state, "set-up");
    }

    #[cfg(unix)]
    mod with_a_program {
        use std::os::unix::fs::PermissionsExt as _;

        use super::*;

        fn keyfob(folder: &Path, script: &str) -> Keyfob {
            let program = folder.join("keyfob");
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            Keyfob::beside(&folder.join("keyfob-tray"), [("PATH".into(), "/usr/bin:/bin".into())])
        }

        #[test]
        fn its_refusal_is_ours() {
            let folder = tempfile::tempdir().unwrap();
            let script = r#"echo '{"refused":{"code":"place_unsafe","say":"no","hint":"chmod"}}'; exit 1"#;
            let refusal = keyfob(folder.path(), script).set_up("bazel").unwrap_err();
            assert_eq!((refusal.code, refusal.hint.as_str()), (Code::PlaceUnsafe, "chmod"));
        }

        #[test]
        fn only_tools_are_set_up() {
            let folder = tempfile::tempdir().unwrap();
            let script = r#"echo "{\"file\":\"$*\",\"changed\":true,\"warnings\":[]}""#;
            let keyfob = keyfob(folder.path(), script);
            assert!(keyfob.set_up("aws").unwrap().contains("setup aws --json"));
            let refusal = keyfob.set_up("--help").unwrap_err();
            assert_eq!((refusal.code, refusal.hint.as_str()), (Code::BadRequest, "keyfob setup --help"));
        }

        #[test]
        fn endless_output_ends() {
            let folder = tempfile::tempdir().unwrap();
            assert!(keyfob(folder.path(), "exec cat /dev/zero").tools().is_err());
        }

        #[test]
        fn a_missing_command_is_said() {
            let folder = tempfile::tempdir().unwrap();
            let keyfob = Keyfob::beside(&folder.path().join("keyfob-tray"), []);
            assert!(keyfob.tools().unwrap_err().say.contains("cannot be started"));
        }
    }
}
