//! `keyfob agent start|stop|restart|status`, and on macOS `enable|disable`.

#[cfg(target_os = "macos")]
pub mod launchd;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use keyfob_ipc::peer::Process;
use keyfob_ipc::reply::About;
use keyfob_ipc::{Code, ControlAsk, Refusal, Reply, limits, text};

use super::{DONE, Outcome};
use crate::life;
use crate::moment::Moment;
use crate::reach::unexpected;
use crate::world::World;

/// How long an agent may take to store what it is renewing, before it is called stuck.
const STOP: Duration = Duration::from_secs(20);
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Start, stop and look at the agent.
///
/// The agent is one background process per user. Every command that needs it starts it, so these are needed only to make
/// it go, to run a new version, or to see which one runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Status(ShowStatus),
    #[cfg(target_os = "macos")]
    Enable(launchd::Enable),
    #[cfg(target_os = "macos")]
    Disable(launchd::Disable),
}

/// Start the agent.
///
/// Starts the agent that is installed beside this command, unless one runs already, and tells its process and version.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent start\n\nEXIT CODES\n  0 it runs, 4 it cannot be started"
)]
pub struct Start {}

/// Stop the agent.
///
/// Ends the agent once running renewals are stored, and returns when it is gone. Keychain and configuration stay as they
/// are; the next command or tool call starts it again.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent stop\n\nEXIT CODES\n  0 none runs, 1 refused, 4 it does not end"
)]
pub struct Stop {}

/// Stop the agent and start it again.
///
/// For a new version, or a changed proxy in the environment. Short-lived credentials are obtained anew; nobody has to
/// sign in again, unless the keychain is kept in memory.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent restart\n\nEXIT CODES\n  0 it runs, 1 refused, 4 it does not end or start"
)]
pub struct Restart {}

/// Tell whether the agent runs.
///
/// Shows process, version, age and memory of the running agent, and where its socket is. It starts none.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    after_long_help = "EXAMPLE\n  keyfob agent status --json\n\nEXIT CODES\n  0 it runs, 4 it does not"
)]
pub struct ShowStatus {}

pub fn run(command: &Command, world: &mut World) -> Outcome {
    match command {
        Command::Start(_) => start(world),
        Command::Stop(_) => {
            let stopped = stop(world)?;
            let say = if stopped { "the agent has ended" } else { "the agent was not running" };
            super::done(Reply::Done { say: say.to_owned() }, world)
        }
        Command::Restart(_) => {
            stop(world)?;
            start(world)
        }
        Command::Status(_) => {
            let about = about(world.reach.running()?.ask(ControlAsk::About, limits::CONTROL_PATIENCE)?)?;
            show(&about, world);
            Ok(DONE)
        }
        #[cfg(target_os = "macos")]
        Command::Enable(_) => launchd::enable(world),
        #[cfg(target_os = "macos")]
        Command::Disable(_) => launchd::disable(world),
    }
}

fn start(world: &mut World) -> Outcome {
    let about = about(world.reach.look(|| ControlAsk::About)?)?;
    show(&about, world);
    Ok(DONE)
}

fn show(about: &About, world: &mut World) {
    if world.json {
        world.printer.json(about);
        return;
    }
    let text = describe(about, world.now);
    world.printer.result(&text);
    if about.version != keyfob_ipc::VERSION {
        world
            .printer
            .note(&format!("this command is version {}. Run: keyfob agent restart", keyfob_ipc::VERSION));
    }
}

fn describe(about: &About, now: Moment) -> String {
    let age = about.started.parse::<Moment>().map(|started| now.since(started));
    let age = age.map(|seconds| format!(", for {}", life::words(seconds.max(0)))).unwrap_or_default();
    let memory = about
        .memory_kib
        .map(|kib| format!(", {}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024))
        .unwrap_or_default();
    let profile =
        if about.own_profile { " (a profile of its own, by KEYFOB_ variables or another HOME)" } else { "" };
    format!(
        "the agent runs: process {}, version {}{age}{memory}{profile}\n  {}\n",
        about.pid,
        text::escape(&about.version),
        text::escape(&about.socket)
    )
}

fn about(reply: Reply) -> Result<About, Refusal> {
    match reply {
        Reply::About(about) => Ok(about),
        _ => Err(unexpected()),
    }
}

/// Ends the running agent and waits until its process has gone, so that its lock is free. `false` where none ran.
pub(super) fn stop(world: &World) -> Result<bool, Refusal> {
    let mut client = match world.reach.running() {
        Ok(client) => client,
        Err(refusal) if refusal.code == Code::AgentUnreachable => return Ok(false),
        Err(refusal) => return Err(refusal),
    };
    let about = about(client.ask(ControlAsk::About, limits::CONTROL_PATIENCE)?)?;
    // Pinned while it runs: later the number could be another process's.
    let process = Process::pin(about.pid);
    match client.ask(ControlAsk::Stop, limits::CONTROL_PATIENCE) {
        Ok(Reply::Done { .. }) => {}
        Ok(_) => return Err(unexpected()),
        // It may be gone before its answer is on the way. Whether it ends is seen below.
        Err(refusal) if refusal.code == Code::AgentUnreachable => {}
        Err(refusal) => return Err(refusal),
    }
    let deadline = Instant::now() + STOP;
    while process.as_ref().map_or_else(|_| world.reach.running().is_ok(), Process::is_alive) {
        if Instant::now() >= deadline {
            return Err(Refusal::new(
                Code::AgentUnreachable,
                format!("the agent (process {}) does not end", about.pid),
            ));
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_in_two_lines() {
        let about = About {
            version: "0.1.0".to_owned(),
            protocol: 1,
            pid: 42,
            started: "2026-11-21T05:00:00Z".to_owned(),
            memory_kib: Some(7000),
            socket: "/run/user/77/keyfob/agent.sock".to_owned(),
            own_profile: false,
        };
        assert_eq!(
            describe(&about, "2026-11-21T08:00:00Z".parse().unwrap()),
            "the agent runs: process 42, version 0.1.0, for 3 hours, 6.8 MiB\n  /run/user/77/keyfob/agent.sock\n"
        );
    }
}
