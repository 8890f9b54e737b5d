//! The programs: where they are, and whether they are of one version.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyfob_ipc::reply::{About, Check};
use keyfob_ipc::{Code, Refusal, text};

use super::{attention, bad, good};
use crate::world::World;

const VERSION: &str = keyfob_ipc::VERSION;
/// How long the agent's binary may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);
/// Most of what it may say, in bytes.
const LONGEST: u64 = 256;

pub fn look(running: Option<&About>, world: &World) -> Vec<Check> {
    let own = match &world.program {
        Some(path) => good("keyfob", format!("version {VERSION}, `{}`", path.display())),
        None => {
            let say = "this program cannot find its own file, which was replaced or removed".to_owned();
            attention("keyfob", say, "run it again by its path")
        }
    };
    let beside = match (world.reach.launch)() {
        Ok(launch) => installed(&launch.program),
        Err(refusal) => bad("keyfobd", &refusal),
    };
    let running = running.map(|about| match about.version.as_str() {
        VERSION => good("agent", format!("version {VERSION} runs, process {}", about.pid)),
        other => {
            let say = format!("version {} runs, and this command is {VERSION}", text::escape(other));
            attention("agent", say, "keyfob agent restart")
        }
    });
    [own, beside].into_iter().chain(running).collect()
}

fn installed(program: &Path) -> Check {
    let shown = program.display();
    match version(program) {
        Ok(version) if version == VERSION => good("keyfobd", format!("version {VERSION}, `{shown}`")),
        Ok(version) => {
            let say =
                format!("`{shown}` is version {}, and this command is {VERSION}", text::escape(&version));
            attention("keyfobd", say, "install keyfob again, keyfob and keyfobd of one version in one folder")
        }
        Err(error) => {
            let say = format!("`{shown}` does not tell its version ({error})");
            bad("keyfobd", &Refusal::new(Code::AgentUnreachable, say).hint("install keyfob again"))
        }
    }
}

/// Asks a program for its version; it is ended where it does not answer in time.
fn version(program: &Path) -> std::io::Result<String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
        }
        std::thread::sleep(LOOK);
    }
    let mut said = String::new();
    if let Some(stream) = child.stderr.take() {
        stream.take(LONGEST).read_to_string(&mut said)?;
    }
    let version =
        said.trim().strip_prefix("keyfobd ").filter(|version| !version.contains(char::is_whitespace));
    version.map(str::to_owned).ok_or_else(|| std::io::Error::other("it is no keyfobd"))
}
