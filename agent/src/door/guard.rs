//! What becomes of the doors' names while the agent runs.
//!
//! A cleaner of temporary files, a script or another program can remove a socket, its folder or the agent's record, or open
//! them to others. The guard sees it ([`Sight`]), and makes it as it was: a door whose name is gone is opened anew,
//! and the connections of the old one go on. It never fights: where somebody else answers at the name, that is said and
//! left alone. A name that is removed again and again is made again at a bounded pace.

#[cfg(unix)]
mod mend;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

use keyfob_ipc::Door;
use keyfob_ipc::place::Record;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Rooms;
use super::listen::{Doors, Opened};
use crate::agent::Agent;
use crate::sight::Sight;
use crate::single::Single;

/// After the first repair the next one waits this long, and twice as long each time.
#[cfg(unix)]
const PAUSE: Duration = Duration::from_millis(10);

/// At most so long: a caller looks for a lost agent for four seconds.
#[cfg(unix)]
const LONGEST: Duration = Duration::from_secs(2);

/// After so much peace the pace begins anew; and so often is looked at what could not be mended.
const PEACE: Duration = Duration::from_secs(60);

/// What the record is called where something is wrong with it.
#[cfg(unix)]
const RECORD: &str = "record of the doors";

/// How the doors stand, for `doctor`.
#[derive(Debug, Default)]
pub struct Standing(Mutex<Troubles>);

#[derive(Debug, Default)]
struct Troubles {
    now: BTreeMap<&'static str, String>,
    mended: u64,
}

impl Standing {
    /// What is wrong with the doors now, one sentence each.
    pub fn troubles(&self) -> Vec<String> {
        self.locked().now.values().cloned().collect()
    }

    /// How often a door or the record had to be made again.
    pub fn mended(&self) -> u64 {
        self.locked().mended
    }

    /// Says what is wrong with something, once for as long as it stays so.
    #[cfg(unix)]
    fn say(&self, what: &'static str, trouble: Option<String>) {
        let mut troubles = self.locked();
        if troubles.now.get(what) != trouble.as_ref() {
            match trouble {
                Some(trouble) => {
                    tracing::warn!("{trouble}");
                    troubles.now.insert(what, trouble);
                }
                None => {
                    tracing::info!("the {what} is as it should be again");
                    troubles.now.remove(what);
                }
            }
        }
    }

    #[cfg(unix)]
    fn note_repair(&self) {
        self.locked().mended += 1;
    }

    fn locked(&self) -> MutexGuard<'_, Troubles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the doors and keeps their names.
pub struct Guard {
    agent: Arc<Agent>,
    rooms: Rooms,
    doors: [Guarded; 2],
    single: Single,
    #[cfg_attr(windows, expect(dead_code, reason = "its pipes have no names that somebody could take away"))]
    record: Record,
    sight: Sight,
    closing: watch::Sender<bool>,
    #[cfg(unix)]
    repairs: Pace,
}

/// One door.
struct Guarded {
    door: Door,
    open: Opened,
    /// What its name led to when it was opened.
    #[cfg(unix)]
    name: mend::Name,
    loops: Vec<JoinHandle<()>>,
}

impl Guard {
    /// Serves these doors, and says in the record where they are.
    ///
    /// # Errors
    /// [`keyfob_ipc::Code::PlaceUnsafe`] where the record cannot be written.
    pub fn over(
        agent: Arc<Agent>,
        rooms: Rooms,
        doors: Doors,
        mut single: Single,
    ) -> Result<Self, keyfob_ipc::Refusal> {
        let record = Record {
            pid: std::process::id(),
            version: keyfob_ipc::VERSION.to_owned(),
            agent: doors.tool.address.clone(),
            control: doors.control.address.clone(),
        };
        match single.record(&record) {
            // The old program served here, and so does the new one. It is written when the disk takes it.
            #[cfg(unix)]
            Err(refusal) if single.is_inherited() => agent.doors.say(RECORD, Some(refusal.say)),
            written => written?,
        }
        let doors = [(Door::Tool, doors.tool), (Door::Control, doors.control)]
            .map(|(door, open)| Guarded::of(door, open));
        let closing = watch::Sender::new(false);
        let mut guard = Self {
            agent,
            rooms,
            doors,
            single,
            record,
            sight: Sight::new(),
            closing,
            #[cfg(unix)]
            repairs: Pace::default(),
        };
        guard.resume();
        Ok(guard)
    }

    /// Keeps the names, for as long as it is let.
    pub async fn keep(&mut self) -> Infallible {
        loop {
            #[cfg(unix)]
            while self.look().await {
                self.agent.doors.note_repair();
                tokio::time::sleep(self.repairs.next(Instant::now())).await;
            }
            if self.agent.doors.troubles().is_empty() {
                self.sight.stirred().await;
            } else {
                // What is in the way may go where nobody sees it.
                let _ = tokio::time::timeout(PEACE, self.sight.stirred()).await;
            }
        }
    }

    /// Takes nobody in any more: newcomers wait in the kernel's queue. Returns when nobody is being taken in.
    pub async fn pause(&mut self) {
        self.closing.send_replace(true);
        for accepting in self.doors.iter_mut().flat_map(|door| door.loops.drain(..)) {
            // One that has panicked takes nobody in either.
            let _ = accepting.await;
        }
    }

    /// Takes callers in.
    pub fn resume(&mut self) {
        self.closing.send_replace(false);
        for door in &mut self.doors {
            door.accept(&self.agent, &self.rooms, &self.closing);
        }
    }

    /// Whether the next program in this process can go on with the doors, the lock and the record.
    ///
    /// # Errors
    /// What is in its way.
    #[cfg(unix)]
    pub fn check_inheritable(&mut self) -> Result<(), String> {
        let places = self.agent.places();
        for (door, place) in self.doors.iter().zip([places.agent_socket(), places.control_socket()]) {
            super::listen::check_place(&door.open, &place).map_err(|refusal| refusal.say)?;
        }
        self.single.check_inheritable(&self.record)
    }

    /// The doors, to be handed over, and the agent's lock.
    #[cfg(unix)]
    pub fn to_hand_over(&self) -> ([&Opened; 2], &std::fs::File) {
        ([&self.doors[0].open, &self.doors[1].open], self.single.lock())
    }

    /// From here on the doors of a service manager are as our own: behind them no agent would come any more.
    #[cfg(unix)]
    pub fn take_doors_along(&mut self) {
        for door in &mut self.doors {
            door.open.is_own = true;
        }
    }

    /// Removes the names that are ours and takes the record back: callers start the next agent, which waits for our lock.
    /// Who is connected is served on.
    pub fn close(&mut self) {
        self.single.forget();
        #[cfg(unix)]
        for door in
            self.doors.iter().filter(|door| door.open.is_own && door.name.leads_to_us(&door.open.address))
        {
            // Absent is as good as removed.
            let _ = std::fs::remove_file(&door.open.address);
        }
    }
}

impl Guarded {
    fn of(door: Door, open: Opened) -> Self {
        Self {
            door,
            #[cfg(unix)]
            name: mend::Name::of(&open.address),
            open,
            loops: Vec::new(),
        }
    }

    fn accept(&mut self, agent: &Arc<Agent>, rooms: &Rooms, closing: &watch::Sender<bool>) {
        let (listener, room) = (self.open.listener.clone(), rooms.at(self.door).clone());
        let accepting = super::serve(agent.clone(), self.door, listener, room, closing.subscribe());
        self.loops.push(tokio::spawn(accepting));
    }
}

/// How fast repairs may follow each other.
#[cfg(unix)]
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    pause: Duration,
}

#[cfg(unix)]
impl Pace {
    /// How long the next look waits after a repair.
    fn next(&mut self, now: Instant) -> Duration {
        let in_peace = self.last.is_none_or(|last| now.saturating_duration_since(last) > PEACE);
        self.pause = if in_peace { PAUSE } else { (self.pause * 2).min(LONGEST) };
        self.last = Some(now);
        self.pause
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn repairs_become_rarer_and_start_anew_after_some_peace() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let pauses: Vec<_> = (0..12).map(|_| pace.next(start)).collect();
        assert_eq!(pauses[..3], [10, 20, 40].map(Duration::from_millis));
        assert_eq!(pauses[11], LONGEST);
        assert_eq!(pace.next(start + PEACE + LONGEST), PAUSE);
    }
}
