//! Runs another program for its output: no shell, nothing of our environment, ten seconds, and nothing left of it.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::running::Commands;
use crate::config::EntryName;

/// How long a program may take, until all that it has started is ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a program that was killed is waited for.
const END: Duration = Duration::from_secs(2);
/// Most bytes that it may write.
const OUTPUT: usize = 64 * 1024;

/// Why there is no output.
#[derive(Debug)]
pub(super) enum Fault {
    /// It cannot be started.
    Start(std::io::ErrorKind),
    /// It takes too long.
    Slow,
    /// It writes too much.
    TooMuch,
    /// It ended by itself, and not well.
    Exit(ExitStatus),
    /// The system did not let us read.
    Read,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(std::io::ErrorKind::NotFound) => {
                formatter.write_str("cannot be started (there is no such file)")
            }
            Self::Start(kind) => write!(formatter, "cannot be started ({kind})"),
            Self::Slow => {
                write!(formatter, "has not answered within {} seconds and was ended", PATIENCE.as_secs())
            }
            Self::TooMuch => write!(formatter, "wrote more than {OUTPUT} bytes and was ended"),
            Self::Exit(status) => match status.code() {
                Some(code) => write!(formatter, "ended with exit code {code}"),
                None => write!(formatter, "was killed"),
            },
            Self::Read => formatter.write_str("could not be read from"),
        }
    }
}

/// The standard output of a program that ended well. What it writes to standard error goes nowhere: it may be a secret.
pub(super) async fn output(
    commands: &Arc<Commands>,
    words: &[String],
    name: &EntryName,
) -> Result<Vec<u8>, Fault> {
    let mut running = Running::start(commands, words, name)?;
    match timeout(PATIENCE, running.answer()).await {
        Ok(answer) => {
            if answer.is_err() {
                running.end().await;
            }
            answer
        }
        Err(_) => {
            running.end().await;
            Err(Fault::Slow)
        }
    }
}

/// A program that runs, with all that it starts in its process group. It does not outlive this.
struct Running {
    child: Child,
    id: u32,
    commands: Arc<Commands>,
}

impl Running {
    fn start(commands: &Arc<Commands>, words: &[String], name: &EntryName) -> Result<Self, Fault> {
        let (program, arguments) = words.split_first().ok_or(Fault::Read)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(commands.person.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0).current_dir("/");
        #[cfg(windows)]
        command.creation_flags(CREATE_NO_WINDOW);
        let (child, id) = commands.start(name, || {
            let child = command.spawn().map_err(|error| Fault::Start(error.kind()))?;
            let id = child.id().unwrap_or_default();
            Ok((child, id))
        })?;
        Ok(Self { child, id, commands: Arc::clone(commands) })
    }

    async fn answer(&mut self) -> Result<Vec<u8>, Fault> {
        let output = self.child.stdout.take().ok_or(Fault::Read)?;
        let mut written = Vec::with_capacity(OUTPUT + 1);
        output.take(OUTPUT as u64 + 1).read_to_end(&mut written).await.map_err(|_| Fault::Read)?;
        if written.len() > OUTPUT {
            return Err(Fault::TooMuch);
        }
        self.ended().await;
        self.kill();
        let status = self.child.wait().await.map_err(|_| Fault::Read)?;
        if status.success() { Ok(written) } else { Err(Fault::Exit(status)) }
    }

    /// Ends all of it, and waits for that.
    async fn end(&mut self) {
        self.kill();
        // One that the system holds up is not waited for; it is dead nevertheless.
        let _ = timeout(END, self.child.wait()).await;
    }
}

#[cfg(unix)]
impl Running {
    /// Returns when the program has ended. It is not taken leave of yet, so that nobody else can get its number.
    async fn ended(&self) {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let Some(id) = i32::try_from(self.id).ok().and_then(Pid::from_raw) else { return };
        let wait = move || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop);
        let _ = tokio::task::spawn_blocking(wait).await;
    }

    /// Ends what still runs of the group.
    fn kill(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        // Once it has been taken leave of, the number may be somebody else's.
        let own = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = own {
            // Nobody left is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

#[cfg(windows)]
impl Running {
    #[expect(clippy::unused_async, reason = "as on the other systems")]
    async fn ended(&self) {}

    /// Its own end is [`Child`]'s; Windows has no process groups.
    fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.commands.ended(self.id);
    }
}
