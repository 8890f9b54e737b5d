//! Room at a door: nobody who has something to ask finds it full.
//!
//! A connection is either waiting for its peer (who has to send a request, or to take an answer), or worked on, or a
//! conversation. Where a newcomer finds every place taken, the connection that has waited longest is let go; one that is
//! worked on never is. So peers who hold places and say nothing, or half of something, take places from each other.
//! The same goes for bytes: where requests that are not whole yet fill the door's memory, the oldest of them go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_ipc::limits;
use tokio::sync::Notify;

/// Descriptors that connections must leave to the rest of the agent: connections to providers and the keychain, files, the
/// lines of the ledger that wait.
const LEAST_KEPT: usize = 36;
const MOST_KEPT: usize = 256;

/// What a connection may always hold, in bytes: nearly every request is smaller.
const SMALL: usize = 4 * 1024;

/// How many connections a door has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Connections.
    pub places: usize,
    /// More of them, for a moment.
    pub spare: usize,
    /// Conversations beside them.
    pub conversations: usize,
}

/// The size of the tool door and of the control door for a process that may have so many descriptors.
pub fn sizes(descriptors: usize) -> [Size; 2] {
    let kept = (descriptors / 4).clamp(LEAST_KEPT, MOST_KEPT);
    let all = descriptors.saturating_sub(kept) / limits::DESCRIPTORS;
    let most = limits::CONNECTIONS + limits::SPARE;
    let conversations = (all / 8).clamp(1, limits::CONVERSATIONS);
    let control = (all / 5).clamp(2, most);
    let tool = all.saturating_sub(control + conversations).clamp(1, most);
    // What the tool door cannot use is the control door's.
    let control = all.saturating_sub(tool + conversations).clamp(control, most);
    let size = |all: usize, conversations| {
        let spare = (all / 8).min(limits::SPARE);
        Size { places: all - spare, spare, conversations }
    };
    [size(tool, 0), size(control, conversations)]
}

/// The room at one door. Clones are the same.
#[derive(Debug, Clone)]
pub struct Room(Arc<Floor>);

#[derive(Debug)]
struct Floor {
    size: Size,
    bytes: usize,
    plan: Mutex<Plan>,
    /// Something was given back.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    /// Places taken, also by those who were told to go and have not gone yet.
    taken: usize,
    leaving: usize,
    conversations: usize,
    bytes: usize,
    /// Bytes of those who were told to go and have not gone yet.
    going: usize,
    last: u64,
    /// Connections that wait for their peer, by how long: the first has waited longest.
    waiting: BTreeMap<u64, Waiting>,
    /// Windows that watch.
    watching: BTreeMap<u64, Arc<Notify>>,
}

#[derive(Debug)]
struct Waiting {
    go: Arc<Notify>,
    bytes: usize,
    has_asked: bool,
}

impl Room {
    /// An empty one, for requests of so many bytes at once.
    pub fn new(size: Size, bytes: usize) -> Self {
        Self(Arc::new(Floor { size, bytes, plan: Mutex::default(), freed: Notify::new() }))
    }

    /// A place, which somebody else may have to leave for it. Waits where every connection is worked on.
    pub(super) async fn take(&self) -> Place {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut plan = self.plan();
                while plan.taken - plan.leaving >= self.0.size.places && plan.let_go(|_| true) {}
                if plan.taken < self.0.size.places + self.0.size.spare {
                    plan.taken += 1;
                    drop(plan);
                    return Place::of(self.clone());
                }
            }
            freed.await;
        }
    }

    /// Lets some of those go that have waited longest, where the system itself is short of something.
    pub(super) fn shrink(&self) {
        let mut plan = self.plan();
        for _ in 0..(self.0.size.places / 8).max(1) {
            plan.let_go(|_| true);
        }
    }

    /// Lets everybody go who has had an answer and asks nothing, and windows that watch; where `all`, also those who have
    /// not asked yet.
    pub fn empty(&self, all: bool) {
        let mut plan = self.plan();
        while plan.let_go(|waiting| all || waiting.has_asked) {}
        std::mem::take(&mut plan.watching).into_values().for_each(|go| go.notify_one());
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        let plan = self.plan();
        plan.taken == 0 && plan.conversations == 0
    }

    /// Whether a person is signing in.
    pub fn has_conversation(&self) -> bool {
        let plan = self.plan();
        plan.conversations > plan.watching.len()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// Tells the first that fits to go; it leaves its place when it has gone.
    fn let_go(&mut self, fits: impl Fn(&Waiting) -> bool) -> bool {
        let first = self.waiting.iter().find(|(_, waiting)| fits(waiting)).map(|(turn, _)| *turn);
        let Some(waiting) = first.and_then(|turn| self.waiting.remove(&turn)) else { return false };
        self.leaving += 1;
        self.going += waiting.bytes;
        waiting.go.notify_one();
        true
    }

    /// It does not wait any more; whether it had been told to go.
    fn leave(&mut self, turn: u64, bytes: usize) -> bool {
        let was_told = self.waiting.remove(&turn).is_none();
        if was_told {
            self.leaving -= 1;
            self.going -= bytes;
        }
        was_told
    }
}

/// One connection's place. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    go: Arc<Notify>,
    is: Is,
    bytes: usize,
    has_asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Waiting(u64),
    Working,
    SigningIn,
    Watching(u64),
}

impl Place {
    fn of(room: Room) -> Self {
        let mut place = Self { room, go: Arc::default(), is: Is::Working, bytes: 0, has_asked: false };
        place.wait();
        place
    }

    /// The next move is the peer's.
    pub(super) fn wait(&mut self) {
        let room = self.room.clone();
        let mut plan = room.plan();
        match self.is {
            // Its time counts from when it began.
            Is::Waiting(_) => return,
            Is::Working => {}
            Is::SigningIn => {
                plan.conversations -= 1;
                plan.taken += 1;
            }
            Is::Watching(turn) => {
                plan.watching.remove(&turn);
                plan.conversations -= 1;
                plan.taken += 1;
            }
        }
        plan.last += 1;
        self.is = Is::Waiting(plan.last);
        let waiting = Waiting { go: self.go.clone(), bytes: self.bytes, has_asked: self.has_asked };
        let turn = plan.last;
        plan.waiting.insert(turn, waiting);
        drop(plan);
        // Somebody may have found nobody to let go.
        room.0.freed.notify_waiters();
    }

    /// The next move is ours: a whole request has come.
    pub(super) fn work(&mut self) {
        let Is::Waiting(turn) = self.is else { return };
        self.has_asked = true;
        self.is = Is::Working;
        if self.room.plan().leave(turn, self.bytes) {
            // It was told to go, and is served all the same: another one must go for it.
            self.room.0.freed.notify_waiters();
        }
    }

    /// A person signs in: it lasts, and takes nobody's place. `false` where too many do.
    pub(super) fn sign_in(&mut self) -> bool {
        self.is == Is::SigningIn || self.converse(|_| Is::SigningIn)
    }

    /// A window watches. `false` where there are too many.
    pub(super) fn watch(&mut self) -> bool {
        matches!(self.is, Is::Watching(_)) || self.converse(Is::Watching)
    }

    fn converse(&mut self, is: impl FnOnce(u64) -> Is) -> bool {
        let room = self.room.clone();
        let mut plan = room.plan();
        if plan.conversations >= room.0.size.conversations {
            return false;
        }
        plan.conversations += 1;
        plan.taken -= 1;
        if let Is::Waiting(turn) = self.is {
            plan.leave(turn, self.bytes);
        }
        plan.last += 1;
        self.is = is(plan.last);
        if let Is::Watching(turn) = self.is {
            plan.watching.insert(turn, self.go.clone());
        }
        drop(plan);
        room.0.freed.notify_waiters();
        true
    }

    /// Whether this is a conversation.
    pub(super) fn is_conversation(&self) -> bool {
        matches!(self.is, Is::SigningIn | Is::Watching(_))
    }

    /// Makes room for so many bytes of a request in all; waits where others who are worked on hold too many.
    pub(super) async fn hold(&mut self, bytes: usize) {
        loop {
            let freed = self.room.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut plan = self.room.plan();
                let others = plan.bytes - self.bytes;
                if bytes <= SMALL.max(self.bytes) || others + bytes <= self.room.0.bytes {
                    plan.bytes = others + bytes;
                    if let Is::Waiting(turn) = self.is {
                        match plan.waiting.get_mut(&turn) {
                            Some(waiting) => waiting.bytes = bytes,
                            None => plan.going = plan.going - self.bytes + bytes,
                        }
                    }
                    self.bytes = bytes;
                    return;
                }
                // As many as are needed, whoever else waits for the same.
                while others - plan.going.min(others) + bytes > self.room.0.bytes
                    && plan.let_go(|waiting| waiting.bytes > SMALL && !Arc::ptr_eq(&waiting.go, &self.go))
                {
                }
            }
            freed.await;
        }
    }

    /// What was held is gone.
    pub(super) fn release(&mut self) {
        let mut plan = self.room.plan();
        let bytes = std::mem::take(&mut self.bytes);
        plan.bytes -= bytes;
        if let Is::Waiting(turn) = self.is {
            match plan.waiting.get_mut(&turn) {
                Some(waiting) => waiting.bytes = 0,
                None => plan.going -= bytes,
            }
        }
        drop(plan);
        self.room.0.freed.notify_waiters();
    }

    /// What tells this connection to go.
    pub(super) fn told_to_go(&self) -> Arc<Notify> {
        self.go.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut plan = self.room.plan();
        plan.bytes -= self.bytes;
        match self.is {
            Is::Waiting(turn) => {
                plan.leave(turn, self.bytes);
                plan.taken -= 1;
            }
            Is::Working => plan.taken -= 1,
            Is::SigningIn => plan.conversations -= 1,
            Is::Watching(turn) => {
                plan.watching.remove(&turn);
                plan.conversations -= 1;
            }
        }
        drop(plan);
        self.room.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
