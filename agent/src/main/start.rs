//! What this process begins with.

use std::time::Duration;

use keyfob_agent::door::listen;
#[cfg(unix)]
use keyfob_agent::harden::Measure;
#[cfg(unix)]
use keyfob_agent::harden::handover::{self, Reserve};
use keyfob_agent::single::{Single, Taken};
#[cfg(unix)]
use keyfob_agent::upgrade::estate::{Estate, Heirs};
#[cfg(unix)]
use keyfob_agent::upgrade::{Handed, Upgrade};
#[cfg(unix)]
use keyfob_ipc::Code;
use keyfob_ipc::{Places, Refusal};

/// What this process was started with: by the service manager, by the version of the agent that it ran before, or bare.
#[cfg(unix)]
pub struct Start {
    handed: Handed,
    reserve: Option<Reserve>,
    /// What is handed on, and to be handed on in turn.
    pub heirs: Heirs,
}

#[cfg(unix)]
impl Start {
    /// To be called before anything opens a descriptor.
    pub fn of() -> Result<Self, Refusal> {
        let count = usize::try_from(handed_over()).unwrap_or(usize::MAX);
        let (descriptors, reserve) = handover::adopt(count).map_err(|error| {
            Refusal::new(Code::Internal, format!("what was handed to the agent cannot be taken ({error})"))
        })?;
        let handed = Handed::new(descriptors, std::env::var("LISTEN_FDNAMES").ok().as_deref());
        Ok(Self { handed, reserve: Some(reserve), heirs: Heirs::default() })
    }

    /// The agent's lock, which is waited for where it was not handed over. Whoever starts us can hand us anything: what only
    /// an agent hands on is taken together with its lock alone.
    pub fn lock(&mut self, places: &Places, patience: Duration) -> Result<Single, Taken> {
        let is_of_an_agent = self.handed.is_of_an_agent();
        match self.handed.lock() {
            Some(lock) => Single::inherit(places, lock.into()),
            None if is_of_an_agent => {
                let say = "what only an agent hands over was handed to this one without an agent's lock";
                Err(Taken::Refused(Refusal::new(Code::PlaceUnsafe, say).hint("keyfob agent start")))
            }
            None => Single::wait(places, patience),
        }
    }

    /// What the version before had in memory alone, once the lock is known to be the agent's.
    pub fn receive(&mut self, hardening: &[Measure]) {
        // Secrets come only into a process that is closed to others.
        let is_closed = hardening.iter().all(|measure| measure.held.is_ok());
        let received = match self.handed.estate() {
            None => return,
            Some(_) if !is_closed => Err("this process is not closed to other programs".to_owned()),
            Some(socket) => Estate::receive(socket),
        };
        match received {
            Ok(estate) => self.heirs = Heirs::of(estate),
            Err(why) => {
                tracing::warn!("the version before this one could not hand on what it had in memory: {why}");
            }
        }
    }

    /// The doors, where somebody has opened them.
    pub fn doors(&mut self, places: &Places) -> Result<Option<listen::Doors>, Refusal> {
        listen::inherited(&mut self.handed, places)
    }

    /// What becomes of this process when its file is replaced.
    pub fn upgrade(&mut self) -> Option<Upgrade> {
        let environment = keyfob_ipc::start::passed_on(std::env::vars_os());
        Upgrade::of(std::env::current_exe().ok()?, self.reserve.take()?, environment)
    }
}

/// Nothing is handed over here.
#[cfg(windows)]
pub struct Start;

#[cfg(windows)]
impl Start {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub fn of() -> Result<Self, Refusal> {
        Ok(Self)
    }

    /// The agent's lock, which is waited for where it was not handed over.
    pub fn lock(&mut self, places: &Places, patience: Duration) -> Result<Single, Taken> {
        Single::wait(places, patience)
    }

    /// The doors, where somebody has opened them.
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub fn doors(&mut self, _: &Places) -> Result<Option<listen::Doors>, Refusal> {
        Ok(None)
    }
}

/// How many descriptors the service manager handed to this process (sd_listen_fds(3)).
pub fn handed_over() -> u32 {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    handed_to(std::process::id(), number("LISTEN_PID"), number("LISTEN_FDS"))
}

/// Whatever a service starts inherits its variables. The descriptors are for the process that they name.
fn handed_to(me: u32, process: Option<u32>, count: Option<u32>) -> u32 {
    count.filter(|_| process == Some(me)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::handed_to;

    #[test]
    fn descriptors_are_for_the_process_that_they_name() {
        assert_eq!(handed_to(7, Some(7), Some(2)), 2);
        for (process, count) in [(None, Some(2)), (Some(8), Some(2)), (Some(7), None)] {
            assert_eq!(handed_to(7, process, count), 0, "{process:?} {count:?}");
        }
    }
}
