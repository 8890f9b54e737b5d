//! The lock: nothing is given, and what can be dropped is dropped from memory, until a person unlocks it.
//!
//! It holds from the first moment on, then it is written down, and it is read before the doors open, so that no end of the
//! agent lifts it. What was under way goes on to its end: a token that is being spent is stored, and nothing that it bought is kept. What the
//! keychain has not taken yet stays in memory: it may be the only copy.

mod latch;
#[cfg(target_os = "linux")]
mod logind;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{LockReport, LockedBy};
use keyfob_ipc::{Code, Refusal, Secret};
use tokio::time::{Instant, timeout_at};

use crate::agent::Agent;
use crate::asker::Asker;
use crate::clock::rfc3339;
use crate::ledger::{Deed, Ending};
pub use latch::Latch;
use latch::Locked;

/// How long one thing waits for a disk or a keychain.
const WAIT: Duration = Duration::from_secs(2);

/// Until when parts of locking are done, from its beginning: logind holds the machine's sleep up for five seconds, and all of
/// it must be over by then. They are given up one by one, so that one that hangs leaves time for the others.
const LOOKED: Duration = Duration::from_millis(300);
const FORGOTTEN: Duration = Duration::from_millis(1500);
const SAVED: Duration = Duration::from_millis(2500);
const WRITTEN: Duration = Duration::from_millis(3000);
const NOTED: Duration = Duration::from_millis(3500);

/// The message bus of the machine, on which logind speaks: the file of its socket.
#[derive(Debug, Clone)]
pub struct SystemBus(pub PathBuf);

impl Default for SystemBus {
    fn default() -> Self {
        Self("/run/dbus/system_bus_socket".into())
    }
}

impl SystemBus {
    /// From an address (D-Bus specification, server addresses); `None` where that is no socket file.
    pub fn of_address(address: &str) -> Option<Self> {
        let path = address.strip_prefix("unix:path=")?.split([',', ';']).next()?;
        path.starts_with('/').then(|| Self(path.into()))
    }
}

impl Agent {
    /// Locks; locking again writes it down again, and changes nothing else. It is locked from the first moment on, and all of it
    /// takes less than four seconds whatever hangs.
    ///
    /// # Errors
    /// Where the state folder does not take it: it is locked all the same, until the agent ends.
    pub async fn lock(self: &Arc<Self>, by: LockedBy) -> Result<String, Refusal> {
        let (locked, before) = self.latch.shut(self.clock.now(), by);
        let began = Instant::now();
        if before.is_some_and(|before| before.is_kept) {
            let since = rfc3339(locked.since);
            let kept = self.write_lock(locked, began).await;
            return kept.map(|()| format!("keyfob is locked already, since {since}"));
        }
        // An edit may have named another keychain since the last question.
        let agent = self.clone();
        let looking = tokio::task::spawn_blocking(move || drop(agent.config()));
        let _ = timeout_at(began + LOOKED, looking).await;
        let (kept, ()) = tokio::join!(self.write_lock(locked, began), self.empty(began));
        let is_pause =
            timeout_at(began + WRITTEN, self.holdings().opens_by_itself()).await.unwrap_or_default();
        self.latch.is_pause(is_pause);
        self.watchers.lock(self.lock_report().as_ref());
        let _ = timeout_at(began + NOTED, self.note_lock(by)).await;
        kept.map(|()| self.say_locked(is_pause))
    }

    async fn write_lock(&self, locked: Locked, began: Instant) -> Result<(), Refusal> {
        let writing = async {
            let _turn = self.latch.turn().await;
            let kept = self.latch.keep(locked).await;
            self.latch.set_kept(&locked, kept.is_ok());
            kept
        };
        let error = match timeout_at(began + WRITTEN, writing).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                self.latch.set_kept(&locked, false);
                "the disk does not answer".to_owned()
            }
        };
        let place = self.latch.path().display();
        let say =
            format!("keyfob is locked, but only until the agent ends: `{place}` cannot be written ({error})");
        Err(Refusal::new(Code::PlaceUnsafe, say).hint("make room there, then run: keyfob lock"))
    }

    /// Drops what is in memory, once the latch is shut.
    async fn empty(self: &Arc<Self>, began: Instant) {
        self.leases.drop_where(|_| true);
        self.withheld.drop_where(|_| true);
        self.drop_http();
        self.flights.forget_failures();
        // Who waits in the background drops what it has.
        self.rotations.stir();
        let all = self.all_holdings();
        for holdings in &all {
            // A keychain that is busy forgets what opens it as soon as it can.
            let _ = timeout_at(began + FORGOTTEN, holdings.forget()).await;
        }
        // What is stored now need not stay.
        let saving = async {
            for holdings in &all {
                for name in holdings.all_unsaved() {
                    // It is tried again, and it is said below where it stays.
                    let _ = holdings.save(&name).await;
                }
            }
        };
        let _ = timeout_at(began + SAVED, saving).await;
        self.states.forget_where(|_| true);
    }

    /// What a person is told who does not ask for it at the door.
    async fn note_lock(&self, by: LockedBy) {
        let why = match by {
            LockedBy::Screen => "the screen was locked",
            LockedBy::Sleep => "the machine went to sleep",
            LockedBy::Person | LockedBy::Unknown => return,
        };
        let deed = Deed { note: Some(why.to_owned()), ..Deed::new("lock") };
        self.ledger.note_now(&Asker::unknown(), deed, Ending::DONE).await;
    }

    fn say_locked(&self, is_pause: bool) -> String {
        let mut say = "keyfob is locked".to_owned();
        if is_pause {
            say.push_str(
                "; its keychain stays open, so this is a pause that `keyfob unlock` ends without a question",
            );
        } else {
            say.push_str(", and its keychain asks for your password when you unlock it");
        }
        for name in self.all_unsaved() {
            say.push_str(&format!("; the new value of `{name}` stays in memory until the keychain takes it"));
        }
        if *self.spending.borrow() > 0 {
            say.push_str("; what is being renewed at this moment is stored first");
        }
        say
    }

    /// Opens the keychain, and lifts the lock. The lock is lifted for a terminal or a window alone.
    ///
    /// # Errors
    /// The keychain's, and [`keyfob_ipc::Code::Locked`] where the asker is neither.
    pub async fn unlock(
        self: &Arc<Self>,
        asker: &Asker,
        is_window: bool,
        passphrase: Option<Secret<String>>,
    ) -> Result<String, Refusal> {
        let is_person = is_window || asker.has_terminal();
        let before = self.latch.standing();
        if before.is_some() && !is_person {
            let say = "keyfob is locked, and is unlocked on a terminal or in its window alone";
            return Err(Refusal::new(Code::Locked, say).hint("run `keyfob unlock` on a terminal"));
        }
        let said = self.open_and_lift(before, is_person, passphrase).await?;
        self.unless_locked_again().await?;
        Ok(said)
    }

    /// Whoever opened a keychain while somebody locked closes it again.
    async fn unless_locked_again(&self) -> Result<(), Refusal> {
        let Err(refusal) = self.check_lock() else { return Ok(()) };
        for holdings in self.all_holdings() {
            let _ = tokio::time::timeout(WAIT, holdings.forget()).await;
        }
        Err(refusal)
    }

    async fn open_and_lift(
        self: &Arc<Self>,
        before: Option<Locked>,
        is_person: bool,
        passphrase: Option<Secret<String>>,
    ) -> Result<String, Refusal> {
        // An edit may have named another keychain since the last question; one that is broken keeps nobody out.
        let config = self.config();
        if before.is_none() {
            config?;
        }
        let holdings = self.holdings();
        let mut is_pause = false;
        match passphrase {
            Some(passphrase) => holdings.unlock(&passphrase).await?,
            None if is_person => {
                is_pause = holdings.opens_by_itself().await;
                holdings.open().await?;
            }
            None => holdings.prove().await?,
        }
        let lifted = match before {
            Some(before) => Some(self.lift(before).await),
            None => None,
        };
        // Those of an earlier configuration were closed, too.
        for other in self.all_holdings().iter().filter(|other| !other.is_same(&holdings)) {
            if lifted.is_some() && other.opens_by_itself().await {
                let _ = other.open().await;
            }
        }
        self.states.forget_where(|_| true);
        self.flights.forget_failures();
        self.rotations.stir();
        self.ends.changed.notify_one();
        Ok(match lifted {
            None => "the keychain is open".to_owned(),
            Some(Some(trouble)) => trouble,
            Some(None) if is_pause => {
                "keyfob is unlocked; its keychain was open all the time, so this was a pause".to_owned()
            }
            Some(None) => "keyfob is unlocked".to_owned(),
        })
    }

    /// Lifts the lock that was on when the keychain was opened, and no later one. Says what is left of it.
    async fn lift(&self, before: Locked) -> Option<String> {
        let _turn = self.latch.turn().await;
        // Somebody else may have lifted it meanwhile, and somebody may have locked again.
        self.latch.standing().filter(|now| now.is_same(&before))?;
        let gone = self.latch.forget().await;
        if !self.latch.open_up(&before) {
            // Whoever has locked meanwhile waits for this turn, to write it down.
            return None;
        }
        self.watchers.lock(None);
        let error = gone.err()?;
        let place = self.latch.path().display();
        Some(format!("keyfob is unlocked until the agent ends; `{place}` cannot be removed ({error})"))
    }

    /// Whether it is locked.
    pub fn is_locked(&self) -> bool {
        self.latch.is_shut()
    }

    /// Writes the lock down again where that has failed.
    ///
    /// # Errors
    /// Why it cannot be: the lock ends with this program.
    #[cfg(unix)]
    pub(crate) async fn keep_lock(&self) -> Result<(), String> {
        let _turn = self.latch.turn().await;
        let Some(locked) = self.latch.standing().filter(|locked| !locked.is_kept) else { return Ok(()) };
        match tokio::time::timeout(WAIT, self.latch.keep(locked)).await {
            Ok(Ok(())) => {
                self.latch.set_kept(&locked, true);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the disk does not answer".to_owned()),
        }
    }

    /// Whether the next program would find it locked as it is now. Not while somebody locks or unlocks.
    #[cfg(unix)]
    pub(crate) fn is_lock_kept(&self) -> bool {
        self.latch.is_at_rest() && self.latch.standing().is_none_or(|locked| locked.is_kept)
    }

    /// Refuses where it is locked.
    ///
    /// # Errors
    /// [`keyfob_ipc::Code::Locked`].
    pub fn check_lock(&self) -> Result<(), Refusal> {
        if self.latch.is_shut() { Err(self.latch.refusal()) } else { Ok(()) }
    }

    /// The lock, where it is on.
    pub fn lock_report(&self) -> Option<LockReport> {
        let Locked { since, by, is_pause, .. } = self.latch.standing()?;
        Some(LockReport { since: rfc3339(since), by, is_pause })
    }

    /// The same, with a look at the keychain: it may have been locked or opened by another hand.
    pub async fn lock_report_now(&self) -> Option<LockReport> {
        self.latch.standing()?;
        self.latch.is_pause(self.holdings().opens_by_itself().await);
        self.lock_report()
    }

    /// Nobody tells it here.
    #[cfg(not(target_os = "linux"))]
    pub async fn lock_with_the_desktop(self: Arc<Self>, _bus: SystemBus) {
        let mut wanted = self.latch.wanted();
        loop {
            let is_wanted = *wanted.borrow_and_update() != crate::config::LockOn::default();
            self.latch
                .say_trouble(is_wanted.then(|| "on this system nobody tells keyfob of it yet".to_owned()));
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    /// Why `lock_on` of the configuration has no effect, where it has none.
    pub fn lock_on_trouble(&self) -> Option<String> {
        self.latch.trouble()
    }
}
