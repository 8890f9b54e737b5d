//! The log of a GitHub job: who reads it must not find what opens the endpoint.

use std::io::{self, Write as _};
#[cfg(target_os = "linux")]
use std::time::Duration;

use keyfob_ipc::{Code, Refusal, Secret};

use super::super::run::log::{self, Log};
use crate::world::Environment;

/// Before a line is written again for which the pipe has no room, and how often.
#[cfg(target_os = "linux")]
const AGAIN: Duration = Duration::from_millis(10);
#[cfg(target_os = "linux")]
const TIMES: usize = 150;

/// Has GitHub hide the token, where the job's agent has it hide the keys.
///
/// # Errors
/// [`Code::Busy`] where the log takes no line.
pub(super) fn hide(token: &Secret<String>, environment: &Environment) -> Result<(), Refusal> {
    if !environment.job || !environment.github {
        return Ok(());
    }
    // What was written before may lack its line end.
    let line = zeroize::Zeroizing::new(format!("\n::add-mask::{}\n", token.expose()));
    match write(&log::find(), line.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Refusal::new(
            Code::Busy,
            format!("the token of the endpoint could not be masked in the job's log ({error})"),
        )
        .hint("try again in a moment")),
        // Without a reader there is no log.
        _ => Ok(()),
    }
}

/// In one write: nothing comes between. Where there is no log, `keyfob run` has said so.
fn write(log: &Log, line: &[u8]) -> io::Result<()> {
    match log {
        Log::Own if is_log() => {
            let mut output = io::stdout().lock();
            output.write_all(line)?;
            output.flush()
        }
        #[cfg(target_os = "linux")]
        Log::Other(pipe) => {
            let mut pipe = pipe;
            let is_full = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            let mut written = pipe.write_all(line);
            for _ in 0..TIMES {
                if !written.as_ref().is_err_and(is_full) {
                    break;
                }
                std::thread::sleep(AGAIN);
                written = pipe.write_all(line);
            }
            written
        }
        _ => Ok(()),
    }
}

/// On a terminal the line itself would show the value, in a file it would keep it.
#[cfg(unix)]
fn is_log() -> bool {
    use rustix::fs::FileType;
    rustix::fs::fstat(io::stdout())
        .is_ok_and(|stat| matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket))
}

#[cfg(windows)]
fn is_log() -> bool {
    !io::IsTerminal::is_terminal(&io::stdout())
}
