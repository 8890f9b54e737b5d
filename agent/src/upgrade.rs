//! Another version takes over while the agent runs, and no caller notices.
//!
//! The agent sees that its own file was replaced, tries the new one out, and waits until nothing is in the middle: no token
//! is being spent, none is unsaved, no program runs for its keys, nobody signs in or is asked. Then it takes nobody in any more, finishes its answers,
//! and becomes the new program in the same process, with the doors and the lock kept open. Callers who come in between
//! wait in the doors' queues. What lives in memory alone waits outside of the process until the new program has closed itself
//! to debuggers ([`estate`]). Where anything fails, the old program goes on.
//!
//! Where its file is gone and nothing comes in its place, the agent was uninstalled: then it ends when nothing is in the middle.

pub mod estate;
mod program;

use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::door::Rooms;
use crate::door::guard::Guard;
use crate::harden::handover::{Keeper, Reserve, become_program};
use crate::sight::{Sight, View};
use estate::Heirs;
use program::Stamp;

/// The installer is done when nothing has happened to the file for so long.
const SETTLED: Duration = Duration::from_millis(300);

/// Between two looks at whether anything is in the middle; only while another version waits.
const LOOK: Duration = Duration::from_millis(100);

/// How long callers may wait for those before them, within what the agent grants itself for an answer.
const DRAIN: Duration = Duration::from_millis(1000);

/// How long somebody who has just come in may take to ask.
const FIRST_WORD: Duration = Duration::from_millis(300);

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);

/// How long the file may be away. Package managers and `cp -f` take it away before another one comes, but not for so long.
const AWAY: Duration = Duration::from_secs(10);

/// Names of what is handed over (`LISTEN_FDNAMES`, sd_listen_fds(3)). A service manager hands over doors alone.
const OWN: &str = "-own";
const LOCK: &str = "lock";
const ESTATE: &str = "estate";
/// What a program hands to itself when it begins anew without its environment: its last one.
pub const AMBIENT: &str = "ambient";

/// Descriptors that were handed to this process, by their names.
#[derive(Debug, Default)]
pub struct Handed(Vec<(String, Option<OwnedFd>)>);

impl Handed {
    /// In the order of the names, which are separated by colons.
    pub fn new(descriptors: Vec<OwnedFd>, names: Option<&str>) -> Self {
        let mut names = names.into_iter().flat_map(|names| names.split(':')).map(str::to_owned);
        Self(descriptors.into_iter().map(|one| (names.next().unwrap_or_default(), Some(one))).collect())
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The socket of a door by its name, or at its usual place; and whether it was opened by an agent.
    pub fn door(&mut self, name: &str, usual: usize) -> Option<(OwnedFd, bool)> {
        let own = self.take(&format!("{name}{OWN}")).map(|socket| (socket, true));
        own.or_else(|| self.take(name).map(|socket| (socket, false)))
            .or_else(|| Some((self.0.get_mut(usual)?.1.take()?, false)))
    }

    /// Whether it comes from an agent, or somebody says so: then its lock must be among it.
    pub fn is_of_an_agent(&self) -> bool {
        self.0
            .iter()
            .any(|(name, one)| one.is_some() && (name.ends_with(OWN) || name == ESTATE || name == LOCK))
    }

    /// The agent's lock, which the program before us had.
    pub fn lock(&mut self) -> Option<OwnedFd> {
        self.take(LOCK)
    }

    /// Where the estate of the program before us is to be asked for.
    pub fn estate(&mut self) -> Option<OwnedFd> {
        self.take(ESTATE)
    }

    /// Where this same program asks for what the environment said that it began with. Always the last one, and nobody's door.
    pub fn ambient(&mut self) -> Option<OwnedFd> {
        self.0.pop_if(|(name, _)| name == AMBIENT)?.1
    }

    fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.0.iter_mut().find(|(known, _)| known == name)?.1.take()
    }
}

/// What the agent has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Another version is there, works, and nothing stands in its way.
    Another,
    /// The program was removed, and nothing keeps it running.
    Nothing,
}

/// Watches the agent's own file, and becomes what is put in its place.
pub struct Upgrade {
    program: PathBuf,
    running: Stamp,
    /// One that is not to be tried again.
    refused: Option<Stamp>,
    ready: Option<Stamp>,
    /// A try that did not find its moment.
    not_before: Option<Instant>,
    /// Since when nothing is under the program's name.
    away: Option<Instant>,
    /// Why the one that is ready waits, as it was said.
    said: Option<String>,
    sight: Sight,
    reserve: Reserve,
    /// What the next program gets, without what says which descriptors it gets.
    environment: Vec<(OsString, OsString)>,
}

impl Upgrade {
    /// For the program at `program`, which this process runs. `None` where its file cannot be known.
    pub fn of(program: PathBuf, reserve: Reserve, environment: Vec<(OsString, OsString)>) -> Option<Self> {
        // Linux has the running file under this name, also where its own is gone.
        let running = Stamp::of(std::path::Path::new("/proc/self/exe")).or_else(|| Stamp::of(&program))?;
        Some(Self {
            program,
            running,
            refused: None,
            ready: None,
            not_before: None,
            away: None,
            said: None,
            sight: Sight::new(),
            reserve,
            environment,
        })
    }

    /// Returns when there is something to be done, and nothing stands in its way.
    pub async fn awaited(&mut self, agent: &Arc<Agent>, rooms: &Rooms) -> Awaited {
        if let Some(not_before) = self.not_before.take() {
            tokio::time::sleep_until(not_before.into()).await;
        }
        loop {
            self.sight.look_at(&View::of(&self.program).into_iter().collect::<Vec<_>>());
            if let Some(left) = self.patience() {
                if left.is_zero() && is_quiet(agent, rooms) {
                    return Awaited::Nothing;
                }
                // Sooner where it comes back, which takes a moment.
                if tokio::time::timeout(left.max(LOOK), self.sight.stirred()).await.is_ok() {
                    while tokio::time::timeout(SETTLED, self.sight.stirred()).await.is_ok() {}
                }
                continue;
            }
            match self.fresh() {
                None => {
                    self.sight.stirred().await;
                    while tokio::time::timeout(SETTLED, self.sight.stirred()).await.is_ok() {}
                }
                Some(fresh) if self.ready == Some(fresh) => {
                    if self.wait_for_a_moment(agent, rooms, fresh).await {
                        return Awaited::Another;
                    }
                }
                Some(fresh) => match program::check(&self.program).await {
                    Ok(()) => {
                        tracing::info!(
                            "another version is installed, and takes over when nothing is in the middle"
                        );
                        self.ready = Some(fresh);
                        self.said = None;
                    }
                    Err(why) => {
                        tracing::warn!("the new `{}` {why}: this version goes on", self.program.display());
                        self.refused = Some(fresh);
                    }
                },
            }
        }
    }

    /// How much longer nothing may be under the program's name; `None` while something is there, or cannot be looked at.
    fn patience(&mut self) -> Option<Duration> {
        if self.program.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let since = *self.away.get_or_insert_with(Instant::now);
            return Some(AWAY.saturating_sub(since.elapsed()));
        }
        self.away = None;
        None
    }

    /// What is under the program's name, if that is not what runs, and was not refused.
    fn fresh(&self) -> Option<Stamp> {
        Stamp::of(&self.program)
            .filter(|stamp| !stamp.is_file_of(&self.running) && self.refused != Some(*stamp))
    }

    /// `false` where there is yet another file.
    async fn wait_for_a_moment(&mut self, agent: &Arc<Agent>, rooms: &Rooms, fresh: Stamp) -> bool {
        while self.fresh() == Some(fresh) {
            let mut pause = LOOK;
            if is_quiet(agent, rooms) && keeps_nothing_from_a_closed_keychain(agent).await {
                match write_down(agent).await {
                    Ok(()) => return true,
                    Err(why) => {
                        self.say(why);
                        pause = AGAIN;
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
        false
    }

    /// Says once why another version waits.
    fn say(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            tracing::warn!("another version waits, and this version goes on: {why}");
            self.said = Some(why);
        }
    }

    /// Becomes the new program. Returns only where that did not work; callers are served as before.
    pub async fn take_over(&mut self, agent: &Arc<Agent>, rooms: &Rooms, guard: &mut Guard, heirs: &Heirs) {
        let failed = match self.check_surroundings().and_then(|()| guard.check_inheritable()) {
            Err(why) => Failed::Now(why),
            Ok(()) => {
                guard.pause().await;
                let failed = if drained(agent, rooms).await {
                    // From here to the end nothing is waited for, so that nothing can begin.
                    self.hand_over(guard, heirs)
                } else {
                    Failed::Now("callers are still being served".to_owned())
                };
                guard.resume();
                failed
            }
        };
        match failed {
            Failed::Now(why) => {
                self.not_before = Some(Instant::now() + AGAIN);
                self.say(why);
            }
            Failed::ForGood(why) => {
                self.refused = self.ready.take();
                tracing::warn!("this version goes on: {why}");
            }
        }
    }

    /// The new program takes from the environment what is allowed then, and by it knows where its doors are.
    fn check_surroundings(&self) -> Result<(), String> {
        let allowed = keyfob_ipc::start::allowed(self.environment.iter().cloned());
        let is_same = allowed.len() == self.environment.len();
        is_same
            .then_some(())
            .ok_or_else(|| "a folder that the environment names is not ours alone".to_owned())
    }

    /// Returns only where it failed.
    fn hand_over(&mut self, guard: &Guard, heirs: &Heirs) -> Failed {
        // What was tried out must be what is started.
        if Stamp::of(&self.program) != self.ready {
            self.ready = None;
            return Failed::Now("there is yet another file".to_owned());
        }
        if let Err(why) = program::look(&self.program) {
            return Failed::ForGood(format!("the new `{}` {why}", self.program.display()));
        }
        let keeper = match keep(heirs) {
            Ok(keeper) => keeper,
            Err(failed) => return failed,
        };
        let error = self.become_new(guard, keeper.as_ref());
        self.reserve.empty();
        if let Some(keeper) = keeper {
            keeper.dismiss();
        }
        Failed::ForGood(format!("the new `{}` cannot be started ({error})", self.program.display()))
    }

    fn become_new(&mut self, guard: &Guard, keeper: Option<&Keeper>) -> std::io::Error {
        let ([tool, control], lock) = guard.to_hand_over();
        let mut names = vec![name("agent", tool.is_own), name("control", control.is_own), LOCK.to_owned()];
        let mut descriptors: Vec<BorrowedFd<'_>> =
            vec![socket_of(&tool.listener), socket_of(&control.listener), lock.as_fd()];
        if let Some(keeper) = keeper {
            names.push(ESTATE.to_owned());
            descriptors.push(keeper.socket());
        }
        if let Err(error) = self.reserve.fill(&descriptors) {
            return error;
        }
        let handed = [
            ("LISTEN_PID", std::process::id().to_string()),
            ("LISTEN_FDS", descriptors.len().to_string()),
            ("LISTEN_FDNAMES", names.join(":")),
        ];
        let handed = handed.map(|(name, value)| (name.into(), value.into()));
        tracing::info!("the new version takes over");
        become_program(&self.program, &[&self.environment[..], &handed].concat())
    }
}

/// Why another version does not take over.
enum Failed {
    /// It is tried again.
    Now(String),
    /// Until there is another file.
    ForGood(String),
}

fn name(door: &str, is_own: bool) -> String {
    format!("{door}{}", if is_own { OWN } else { "" })
}

fn socket_of(listener: &interprocess::local_socket::tokio::Listener) -> BorrowedFd<'_> {
    let interprocess::local_socket::tokio::Listener::UdSocket(listener) = listener;
    listener.as_fd()
}

/// Puts the estate outside of this process, if there is one.
fn keep(heirs: &Heirs) -> Result<Option<Keeper>, Failed> {
    let estate = heirs.estate().map_err(|_| Failed::Now("a keychain is being used".to_owned()))?;
    if estate.is_empty() {
        return Ok(None);
    }
    let too_large = "the keychain in memory is too large to be handed over; run: keyfob agent restart";
    let mut bytes: Zeroizing<Vec<u8>> =
        estate.to_bytes().ok_or_else(|| Failed::ForGood(too_large.to_owned()))?;
    let keeper = Keeper::start(&mut bytes);
    keeper.map(Some).map_err(|error| Failed::ForGood(format!("the keychain cannot be handed over ({error})")))
}

/// Whether nothing is in the middle.
pub fn is_quiet(agent: &Agent, rooms: &Rooms) -> bool {
    *agent.spending.borrow() == 0
        && agent.commands.is_idle()
        && !rooms.control.has_conversation()
        && agent.open_questions() == 0
        && agent.all_unsaved().is_empty()
}

/// Writes down what must not end with this program, where that has failed before.
async fn write_down(agent: &Agent) -> Result<(), String> {
    agent.keep_lock().await.map_err(|error| format!("the lock cannot be written down ({error})"))?;
    if !agent.consent.is_saved() {
        let saved = agent.consent.save().await;
        saved.map_err(|error| format!("the person's answers cannot be written down ({error})"))?;
    }
    Ok(())
}

/// What was read before the keychain was locked is served on by this program alone.
async fn keeps_nothing_from_a_closed_keychain(agent: &Agent) -> bool {
    let holdings = agent.holdings();
    let entries = agent.config().map(|config| config.entries.clone()).unwrap_or_default();
    entries.iter().all(|entry| holdings.at_hand(&entry.name).is_none()) || holdings.is_open().await
}

/// Waits for the callers who are here; `false` where that takes too long for those who come.
async fn drained(agent: &Arc<Agent>, rooms: &Rooms) -> bool {
    let start = Instant::now();
    while start.elapsed() < DRAIN {
        for room in [&rooms.tool, &rooms.control] {
            room.empty(start.elapsed() > FIRST_WORD);
        }
        if rooms.tool.is_empty() && rooms.control.is_empty() {
            agent.ledger.flush().await;
            if is_quiet(agent, rooms) && agent.is_lock_kept() && agent.consent.is_saved() {
                return true;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(names: Option<&str>, count: usize) -> Handed {
        let descriptors = (0..count).map(|_| std::fs::File::open("/dev/null").unwrap().into());
        Handed::new(descriptors.collect(), names)
    }

    #[test]
    fn doors_are_found_by_name_or_in_the_usual_order() {
        let mut by_name = handed(Some("control:agent-own:lock"), 3);
        assert!(by_name.is_of_an_agent());
        assert!(by_name.door("agent", 0).is_some_and(|(_, is_own)| is_own));
        assert!(by_name.door("control", 1).is_some_and(|(_, is_own)| !is_own));
        assert!(by_name.lock().is_some() && by_name.lock().is_none() && by_name.estate().is_none());
        for of_an_agent in ["agent:control-own", "agent:control:estate", "lock"] {
            assert!(handed(Some(of_an_agent), 3).is_of_an_agent(), "{of_an_agent}");
        }
        assert!(!handed(Some("agent:control"), 2).is_of_an_agent());
        assert!(
            !handed(Some("agent:control:lock"), 2).is_of_an_agent(),
            "a name without a descriptor is nothing"
        );
        let mut by_order = handed(None, 2);
        assert!(by_order.door("agent", 0).is_some_and(|(_, is_own)| !is_own));
        assert!(by_order.door("control", 1).is_some());
        let mut one = handed(Some("agent"), 1);
        assert!(one.door("agent", 0).is_some() && one.door("control", 1).is_none());
        assert!(handed(Some("agent"), 0).is_empty());
        let mut begun_anew = handed(Some("unknown:ambient"), 2);
        assert!(
            !begun_anew.is_of_an_agent() && begun_anew.ambient().is_some() && begun_anew.ambient().is_none()
        );
        assert!(begun_anew.door("control", 1).is_none() && begun_anew.door("agent", 0).is_some());
    }
}
