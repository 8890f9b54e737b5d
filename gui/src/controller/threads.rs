//! Threads for what takes time. One that fails ends nothing but itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use keyfob_ipc::reply::{Notice, Status};
use keyfob_ipc::{Code, Refusal, Speaking};

use super::owed::Owed;
use super::sign_in::SignInNews;
use super::{Back, Input, Running};
use crate::page::PageReply;
use crate::shell::Shell;

/// Threads that work for the page at once. A person clicks one thing after the other; services take their time.
pub(super) const WORKERS: usize = 8;

/// Threads that claim notices at once. The agent itself shows what nobody claims.
pub(super) const CLAIMS: usize = 8;

/// What a thread brings back.
pub(super) enum Said {
    /// The connection number so-and-so is made.
    Connected(u64, Speaking),
    /// What the agent says about everything, asked while the connection number so-and-so was the newest.
    Status(u64, Result<Box<Status>, Refusal>),
    /// Whether a notice is ours to show.
    Claimed(Notice, Result<(), Refusal>),
    /// The sign-in number so-and-so goes on.
    SignIn(u64, SignInNews),
    /// Something was done that may have changed what the agent says.
    Changed,
}

/// A limit on threads of one kind.
pub(super) struct Seats {
    taken: Arc<()>,
    limit: usize,
}

impl Seats {
    pub(super) fn new(limit: usize) -> Self {
        Self { taken: Arc::new(()), limit }
    }

    /// A seat, which is free again once it is dropped; `None` where all are taken.
    pub(super) fn take(&self) -> Option<Arc<()>> {
        // One of the count is our own.
        (Arc::strong_count(&self.taken) <= self.limit).then(|| Arc::clone(&self.taken))
    }
}

impl<S: Shell> Running<S> {
    /// Does something for the page that only looks.
    pub(super) fn look_for(
        &self,
        owed: Owed,
        work: impl FnOnce() -> Result<PageReply, Refusal> + Send + 'static,
    ) {
        let Some(seat) = self.workers.take() else {
            return owed
                .answer(Err(self.refuse(Code::Busy, "say.busy", &[]).hint(self.say("say.busy-hint"))));
        };
        apart("page", move || {
            owed.answer(work());
            drop(seat);
        });
    }

    /// Does something for the page after which the agent may say something else. Done in part is done, too.
    pub(super) fn work_for(
        &self,
        owed: Owed,
        work: impl FnOnce() -> Result<PageReply, Refusal> + Send + 'static,
    ) {
        let sender = self.sender.clone();
        self.look_for(owed, move || {
            let answer = work();
            // Nobody listens any more where the program ends.
            let _ = sender.send(Input::Back(Back(Said::Changed)));
            answer
        });
    }
}

/// Runs this on a thread; `false` where the system gives none.
pub(super) fn apart(name: &'static str, work: impl FnOnce() + Send + 'static) -> bool {
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("the thread `{name}` has failed");
        }
    };
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(guarded);
    if let Err(error) = &spawned {
        tracing::error!("the thread `{name}` cannot be started: {error}");
    }
    spawned.is_ok()
}

/// Runs this on a thread, and brings back what it says, or `failed` where it says nothing.
pub(super) fn bring_back(
    name: &'static str,
    sender: &Sender<Input>,
    failed: Said,
    work: impl FnOnce() -> Said + Send + 'static,
) {
    let late = Late { sender: sender.clone(), said: Some(failed) };
    apart(name, move || late.end(work()));
}

/// Says something at its end, whatever that is.
struct Late {
    sender: Sender<Input>,
    said: Option<Said>,
}

impl Late {
    fn end(mut self, said: Said) {
        self.said = Some(said);
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(said) = self.said.take() {
            // Nobody listens any more where the program ends.
            let _ = self.sender.send(Input::Back(Back(said)));
        }
    }
}

/// For a thread that failed.
pub(super) fn fault(what: &str) -> Refusal {
    Refusal::new(Code::Internal, format!("{what} failed by a fault of keyfob itself"))
}
