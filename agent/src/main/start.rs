//! What this process begins with.

use std::ffi::OsString;
#[cfg(unix)]
use std::os::fd::{AsRawFd as _, OwnedFd};
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
    ambient: Option<OwnedFd>,
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
        let mut handed = Handed::new(descriptors, std::env::var("LISTEN_FDNAMES").ok().as_deref());
        let ambient = handed.ambient();
        Ok(Self { handed, ambient, reserve: Some(reserve), heirs: Heirs::default() })
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

    /// A variable of the surroundings, which is in no environment any more.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        self.heirs.variable(name)
    }

    /// What the version before had in memory alone, once the lock is known to be the agent's, and what we began with.
    pub fn receive(&mut self, hardening: &[Measure]) {
        self.receive_estate(hardening);
        // Whoever could read this process could read its environment before.
        match self.ambient.take().map(Estate::receive) {
            None => {}
            Some(Ok(estate)) => self.heirs.add_ambient(estate.ambient),
            Some(Err(why)) => tracing::warn!("what the surroundings say is lost: {why}"),
        }
    }

    fn receive_estate(&mut self, hardening: &[Measure]) {
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

/// The environment with the doors that launchd opened for this process in it, which are open at the numbers that it says from then
/// on: to begin anew with. `None` where launchd opened none, or they are here already.
#[cfg(target_os = "macos")]
pub fn with_doors_of_launchd(
    environment: &[(OsString, OsString)],
) -> std::io::Result<Option<Vec<(OsString, OsString)>>> {
    let is_taken = handed_over() == 0 && keyfob_agent::harden::launchd::take_doors(&[c"agent", c"control"])?;
    Ok(is_taken.then(|| announced(environment.to_vec(), &["agent", "control"])))
}

/// Becomes this same program with that environment. What the surroundings said waits outside meanwhile, and never is in an
/// environment again. Returns only where that failed.
#[cfg(unix)]
pub fn begin_anew(
    mut environment: Vec<(OsString, OsString)>,
    ambient: Vec<(OsString, OsString)>,
) -> std::io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let count = handed_in(&environment);
    let estate = Estate::of_variables(ambient);
    let mut keeper = None;
    if let Some(mut bytes) = estate.to_bytes().filter(|_| !estate.is_empty()) {
        match handover::Keeper::start(&mut bytes)
            .and_then(|started| hand_to_ourselves(&started, count).map(|()| started))
        {
            Ok(started) => keeper = Some(started),
            Err(error) => return error,
        }
        environment = with_ambient(environment, count);
    }
    let mut command = std::process::Command::new(program);
    command.env_clear().envs(environment);
    // Only returns where it failed.
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    if let Some(keeper) = keeper {
        keeper.dismiss();
    }
    error
}

/// Nothing but what was handed over is open yet, so it is the one after these.
#[cfg(unix)]
fn hand_to_ourselves(keeper: &handover::Keeper, count: u32) -> std::io::Result<()> {
    let socket = keeper.socket();
    if u32::try_from(socket.as_raw_fd()).ok() != Some(3 + count) {
        return Err(std::io::Error::other("descriptors are open that nobody has handed over"));
    }
    Ok(rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty())?)
}

/// The environment with one more descriptor in it than the `count` that were handed over.
#[cfg(unix)]
fn with_ambient(environment: Vec<(OsString, OsString)>, count: u32) -> Vec<(OsString, OsString)> {
    let named = environment.iter().find(|(name, _)| count > 0 && name == "LISTEN_FDNAMES");
    let named = named.and_then(|(_, names)| names.to_str()).unwrap_or_default().to_owned();
    // Nameless ones are doors by their order.
    let count = usize::try_from(count).unwrap_or_default();
    let mut names: Vec<&str> = named.split(':').chain(std::iter::repeat("unknown")).take(count).collect();
    names.push(keyfob_agent::upgrade::AMBIENT);
    announced(environment, &names)
}

/// The environment for a process with these descriptors, one after the other, and no others.
#[cfg(unix)]
fn announced(mut environment: Vec<(OsString, OsString)>, names: &[&str]) -> Vec<(OsString, OsString)> {
    let handed = [
        ("LISTEN_PID", std::process::id().to_string()),
        ("LISTEN_FDS", names.len().to_string()),
        ("LISTEN_FDNAMES", names.join(":")),
    ];
    environment.retain(|(name, _)| handed.iter().all(|(known, _)| name != known));
    environment.extend(handed.map(|(name, value)| (name.into(), value.into())));
    environment
}

/// Nothing is handed over here.
#[cfg(windows)]
pub struct Start {
    ambient: Vec<(OsString, keyfob_ipc::Secret<String>)>,
}

#[cfg(windows)]
impl Start {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub fn of(ambient: Vec<(OsString, OsString)>) -> Result<Self, Refusal> {
        let text = |(name, value): (OsString, OsString)| Some((name, value.into_string().ok()?));
        let ambient = ambient.into_iter().filter_map(text);
        Ok(Self { ambient: ambient.map(|(name, value)| (name, keyfob_ipc::Secret::new(value))).collect() })
    }

    /// A variable of the surroundings, which is in no environment any more.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let known = self.ambient.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, value)| value.expose().into())
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

/// As [`handed_over`], of a process with this environment.
#[cfg(unix)]
fn handed_in(environment: &[(OsString, OsString)]) -> u32 {
    let number = |wanted: &str| environment.iter().find(|(name, _)| name == wanted)?.1.to_str()?.parse().ok();
    handed_to(std::process::id(), number("LISTEN_PID"), number("LISTEN_FDS"))
}

/// Whatever a service starts inherits its variables. The descriptors are for the process that they name.
fn handed_to(me: u32, process: Option<u32>, count: Option<u32>) -> u32 {
    count.filter(|_| process == Some(me)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_we_hand_to_ourselves_comes_after_what_was_handed_to_us() {
        let environment = |count: &str, names: &str| {
            let all = [("HOME", "/h"), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names), ("LISTEN_PID", "1")];
            all.map(|(name, value)| (OsString::from(name), OsString::from(value))).to_vec()
        };
        let names = |environment, count| {
            let all = with_ambient(environment, count);
            let value = |wanted: &str| {
                let mut found = all.iter().filter(|(name, _)| name == wanted);
                let value = found.next().unwrap().1.clone().into_string().unwrap();
                assert!(found.next().is_none(), "{wanted} twice");
                value
            };
            assert_eq!(value("LISTEN_PID"), std::process::id().to_string());
            (value("LISTEN_FDS"), value("LISTEN_FDNAMES"))
        };
        let is = |count: &str, names: &str| (count.to_owned(), names.to_owned());
        assert_eq!(names(environment("2", "agent:control"), 2), is("3", "agent:control:ambient"));
        assert_eq!(names(environment("2", ""), 2), is("3", ":unknown:ambient"));
        // They were for another process.
        assert_eq!(names(environment("2", "agent:control"), 0), is("1", "ambient"));
    }

    #[cfg(unix)]
    #[test]
    fn doors_of_launchd_are_announced_as_those_of_systemd_are() {
        let before = [("HOME", "/h"), ("LISTEN_FDS", "9"), ("LISTEN_PID", "1"), ("LISTEN_FDNAMES", "x")];
        let before = before.map(|(name, value)| (OsString::from(name), OsString::from(value))).to_vec();
        assert_eq!(handed_in(&before), 0, "they were for another process");
        let after = announced(before, &["agent", "control"]);
        assert_eq!(handed_in(&after), 2);
        assert_eq!(after.len(), 4, "{after:?}");
        assert!(after.contains(&("LISTEN_FDNAMES".into(), "agent:control".into())), "{after:?}");
        // What the surroundings say of a job comes after them.
        let both = with_ambient(after, 2);
        assert!(both.contains(&("LISTEN_FDNAMES".into(), "agent:control:ambient".into())), "{both:?}");
        assert_eq!(handed_in(&both), 3);
    }

    #[test]
    fn descriptors_are_for_the_process_that_they_name() {
        assert_eq!(handed_to(7, Some(7), Some(2)), 2);
        for (process, count) in [(None, Some(2)), (Some(8), Some(2)), (Some(7), None)] {
            assert_eq!(handed_to(7, process, count), 0, "{process:?} {count:?}");
        }
    }
}
