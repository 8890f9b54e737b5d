//! Threads for what takes time. One that fails ends nothing but itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use keyfob_ipc::reply::{Notice, Status};
use keyfob_ipc::{Refusal, Speaking};

use super::owed::Owed;
use super::sign_in::SignInNews;
use super::{Back, Input, Running};
use crate::page::PageReply;
use crate::shell::Shell;

/// Threads that work for the page at once. A person clicks one thing after the other; services take their time.
pub(super) const WORKERS: usize = 8;

/// Threads that claim notices at once. The agent itself shows what nobody claims.
pub(super) const CLAIMS: usize = 8;

/// Threads that sign in at once. There is one sign-in, but one that was called off may wait for an agent that is silent.
pub(super) const SIGN_INS: usize = 4;

/// What a thread brings back.
pub(super) enum Said {
    /// The connection number so-and-so is made. What it brings is paid with a credit each, which is given back from here.
    Connected(u64, Speaking, Receiver<()>),
    /// What the agent says about everything, asked while the connection number so-and-so was the newest.
    Status(u64, Result<Box<Status>, Refusal>),
    /// Whether a notice is ours to show.
    Claimed(Notice, Result<(), Refusal>),
    /// The sign-in number so-and-so goes on.
    SignIn(u64, SignInNews),
    /// The address that leads to the console of AWS; who takes this opens it and says whether that went.
    Console(String, Sender<bool>),
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
        mut owed: Owed,
        work: impl FnOnce() -> Result<PageReply, Refusal> + Send + 'static,
    ) {
        let Some(seat) = self.workers.take() else { return owed.answer(Err(self.way.busy())) };
        // Said where no thread takes it up.
        let fault = owed.otherwise(self.way.busy());
        apart("page", move || {
            owed.otherwise(fault);
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
    /// Runs this on a thread, and brings back what it says; where it says nothing, the refusal by `fault`, or that too much is
    /// under way where there is no thread.
    pub(super) fn bring_back(
        &self,
        name: &'static str,
        fault: &str,
        failed: impl FnOnce(Refusal) -> Said + Send + 'static,
        work: impl FnOnce() -> Said + Send + 'static,
    ) {
        let fault = self.way.fault(fault);
        let mut late = Late { sender: self.sender.clone(), failed: Some(failed), refusal: self.way.busy() };
        apart(name, move || {
            late.refusal = fault;
            let said = work();
            late.end(said);
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

/// Says something at its end, whatever that is.
struct Late<F: FnOnce(Refusal) -> Said> {
    sender: Sender<Input>,
    /// What is said where nothing else is.
    failed: Option<F>,
    refusal: Refusal,
}

impl<F: FnOnce(Refusal) -> Said> Late<F> {
    fn end(mut self, said: Said) {
        self.failed = None;
        self.say(said);
    }

    fn say(&self, said: Said) {
        // Nobody listens any more where the program ends.
        let _ = self.sender.send(Input::Back(Back(said)));
    }
}

impl<F: FnOnce(Refusal) -> Said> Drop for Late<F> {
    fn drop(&mut self) {
        if let Some(failed) = self.failed.take() {
            let said = failed(self.refusal.clone());
            self.say(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use keyfob_ipc::Code;

    use super::*;

    #[test]
    fn what_says_nothing_says_why_once() {
        let (sender, inputs) = channel();
        let refusal = Refusal::new(Code::Busy, "too much is under way");
        let late = |sender: &Sender<Input>| {
            let failed = |refusal| Said::Status(7, Err(refusal));
            Late { sender: sender.clone(), failed: Some(failed), refusal: refusal.clone() }
        };
        drop(late(&sender));
        late(&sender).end(Said::Changed);
        drop(sender);
        let said: Vec<Said> = inputs
            .iter()
            .filter_map(|input| if let Input::Back(Back(said)) = input { Some(said) } else { None })
            .collect();
        let [Said::Status(7, Err(why)), Said::Changed] = &said[..] else { panic!("{} inputs", said.len()) };
        assert_eq!(why.code, Code::Busy);
    }
}
