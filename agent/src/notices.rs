//! Something to tell the person: by whoever watches and shows notices, or by the agent itself, never by both.
//!
//! A notice is offered to the watchers of that moment. The first to claim it shows it. Where none does in time, or none
//! is there, the agent takes it for itself *before* it shows it, and every later claim is refused.

mod notifier;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob_ipc::reply::{Notice, Weight};
use keyfob_ipc::{Code, Refusal, limits};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

pub use notifier::{Desktop, NotShown, Notifier};

use crate::clock::{SharedClock, after};
use crate::watch::Watchers;

/// [`limits::CLAIM`] where the wall clock is set back meanwhile.
const CLAIM_AT_MOST: Duration = Duration::from_secs(60);

/// How long the desktop may take to show one.
const SHOW: Duration = Duration::from_secs(5);

/// Notices whose fate is remembered.
const KEPT: usize = 64;

/// What the person is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The entry that it is about, `token.aspect`.
    pub entry: String,
    /// How loud it is.
    pub weight: Weight,
    /// A few words, none of them from outside.
    pub title: String,
    /// One or two sentences; what is from outside in them is escaped ([`keyfob_ipc::text::escape`]).
    pub body: String,
    /// Whether it is word of a question that is open.
    pub is_question: bool,
}

/// Notices that are out. Clones are the same.
#[derive(Clone)]
pub struct Notices(Arc<Desk>);

struct Desk {
    watchers: Watchers,
    notifier: Arc<dyn Notifier>,
    clock: SharedClock,
    out: Mutex<Out>,
}

#[derive(Default)]
struct Out {
    last: u64,
    fates: VecDeque<(u64, Fate)>,
}

enum Fate {
    /// To be claimed.
    Offered(oneshot::Sender<()>),
    /// By a watcher.
    Claimed,
    /// By the agent itself.
    Ours,
}

/// A notice on its way. It goes on where this is dropped.
#[derive(Debug)]
pub struct Telling(oneshot::Receiver<bool>);

impl Telling {
    /// Whether it is shown, as far as that can be known: `false` means that nobody has shown it.
    pub async fn is_shown(self) -> bool {
        // A task that failed may have shown it, and nothing is shown twice.
        self.0.await.unwrap_or(true)
    }
}

impl Notices {
    /// To be offered to these watchers, and else shown by this notifier.
    pub fn new(watchers: Watchers, notifier: Arc<dyn Notifier>, clock: SharedClock) -> Self {
        Self(Arc::new(Desk { watchers, notifier, clock, out: Mutex::default() }))
    }

    /// Tells the person, once, without making the caller wait.
    pub fn tell(&self, told: Told) -> Telling {
        let (sender, receiver) = oneshot::channel();
        let desk = Arc::clone(&self.0);
        tokio::spawn(async move {
            // Most callers do not listen.
            let _ = sender.send(desk.tell(told).await);
        });
        Telling(receiver)
    }

    /// Gives a notice to the first who wants to show it.
    ///
    /// # Errors
    /// Where somebody else shows it already.
    pub fn claim(&self, id: u64) -> Result<String, Refusal> {
        let mut out = self.0.out();
        let fate = out.fates.iter_mut().find(|(known, _)| *known == id).map(|(_, fate)| fate);
        let no = |say: &str| Err(Refusal::new(Code::BadRequest, say));
        let Some(fate) = fate else { return no("there is no such notice") };
        match std::mem::replace(fate, Fate::Claimed) {
            Fate::Offered(claimed) => {
                // Whoever waits for it has looked away only where the agent ends.
                let _ = claimed.send(());
                Ok("the notice is yours to show".to_owned())
            }
            Fate::Claimed => no("somebody else shows it already"),
            Fate::Ours => {
                *fate = Fate::Ours;
                no("the agent has shown it already")
            }
        }
    }
}

impl Desk {
    async fn tell(&self, told: Told) -> bool {
        let (notice, claimed) = self.open(told);
        // It can be claimed before the first watcher hears of it.
        if self.watchers.offer(&notice) && self.is_claimed(claimed).await {
            return true;
        }
        if !self.take(notice.id) {
            return true;
        }
        match timeout(SHOW, self.notifier.show(&notice)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(entry = notice.entry, "a notice could not be shown: {error}");
                false
            }
            // It may be on the screen.
            Err(_) => {
                tracing::warn!(entry = notice.entry, "the desktop did not say whether it shows a notice");
                true
            }
        }
    }

    fn open(&self, told: Told) -> (Notice, oneshot::Receiver<()>) {
        let (sender, claimed) = oneshot::channel();
        let mut out = self.out();
        out.last += 1;
        let id = out.last;
        out.fates.push_back((id, Fate::Offered(sender)));
        if out.fates.len() > KEPT {
            out.fates.pop_front();
        }
        let Told { entry, weight, title, body, is_question } = told;
        (Notice { id, entry, weight, title, body, is_question }, claimed)
    }

    /// Whether a watcher claims it before time is up, or everybody has gone.
    async fn is_claimed(&self, claimed: oneshot::Receiver<()>) -> bool {
        let mut showing = self.watchers.showing();
        let up = after(self.clock.now(), limits::CLAIM);
        tokio::select! {
            // The sender goes where the notice is forgotten: then nobody can claim it.
            claimed = claimed => claimed.is_ok(),
            _ = showing.wait_for(|count| *count == 0) => false,
            () = self.clock.wait_until(up) => false,
            () = sleep(CLAIM_AT_MOST) => false,
        }
    }

    /// Takes a notice for the agent; `false` where it was claimed at the last moment.
    fn take(&self, id: u64) -> bool {
        let mut out = self.out();
        let fate = out.fates.iter_mut().find(|(known, _)| *known == id).map(|(_, fate)| fate);
        match fate {
            Some(Fate::Claimed) => false,
            Some(fate) => {
                *fate = Fate::Ours;
                true
            }
            None => true,
        }
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
