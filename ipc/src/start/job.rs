//! An agent in the foreground of a job: a child of `keyfob run` that ends with it, however that ends.

use std::io::ErrorKind;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{Launch, cannot_start, create_private, failed_start, forget_failure, prepared};
use crate::client::{Client, Door, NoClient};
use crate::limits;
use crate::place::Places;
use crate::refusal::{Code, Refusal};

/// Says to an agent, and to everything below it, that it is one of a job.
pub const JOB: &str = "KEYFOB_JOB";

/// Between two looks at whether it answers, or has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How long it may take to end by itself: it finishes what it spends.
const END: Duration = Duration::from_secs(20);

/// A running agent. It ends when its standard input does, which this holds.
#[derive(Debug)]
pub struct JobAgent(Child);

impl JobAgent {
    /// Starts one, and waits until it answers. It writes masks for the job's log to `output`. `launch` says that it is one of a
    /// job ([`JOB`]).
    ///
    /// # Errors
    /// [`Code::AgentUnreachable`], or the agent's own refusal to start.
    pub fn start(places: &Places, launch: &Launch, output: Stdio) -> Result<Self, Refusal> {
        create_private(&places.state)?;
        create_private(&places.runtime)?;
        forget_failure(places);
        let mut command = prepared(launch);
        command.stdin(Stdio::piped()).stdout(output);
        // Ctrl-C is for the job: the agent has more to do.
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(
            &mut command,
            windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP,
        );
        let mut agent = Self(command.spawn().map_err(|error| cannot_start(launch, &error))?);
        let deadline = Instant::now() + limits::START;
        loop {
            match Client::try_connect(places, Door::Tool) {
                Ok(_) => return Ok(agent),
                Err(NoClient::Refused(refusal)) => return Err(refusal),
                Err(NoClient::Absent) => {}
            }
            if let Ok(Some(_)) = agent.0.try_wait() {
                return Err(failed_start(places));
            }
            if Instant::now() >= deadline {
                return Err(Refusal::new(
                    Code::AgentUnreachable,
                    "the agent was started and does not answer",
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for JobAgent {
    /// Ends it, and waits until it has gone.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END;
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                Ok(Some(_)) => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        // It may have ended this moment.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
