//! An answer that is owed to the page.

use keyfob_ipc::{Code, Refusal};

use super::Answering;
use crate::page::PageReply;
use crate::texts::Texts;
use crate::view::trouble;

/// Is answered once, whatever becomes of the thread that has it: one that fails on the way answers, too.
pub(super) struct Owed {
    answering: Option<Answering>,
    /// What is said where nobody answers.
    otherwise: Refusal,
}

impl Owed {
    pub(super) fn new(answering: Answering, texts: &Texts) -> Self {
        let otherwise = Refusal::new(Code::Internal, texts.say("say.fault", &[]));
        Self { answering: Some(answering), otherwise }
    }

    /// What is said from here on where nobody answers; what was said so far.
    pub(super) fn otherwise(&mut self, otherwise: Refusal) -> Refusal {
        std::mem::replace(&mut self.otherwise, otherwise)
    }

    pub(super) fn answer(mut self, answer: Result<PageReply, Refusal>) {
        self.give(answer);
    }

    /// Done; the page shows by itself what there is to see.
    pub(super) fn done(self) {
        self.answer(Ok(PageReply::Done { say: String::new() }));
    }

    fn give(&mut self, answer: Result<PageReply, Refusal>) {
        if let Some(answering) = self.answering.take() {
            answering(answer.map_err(|refusal| trouble(&refusal)));
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let otherwise = self.otherwise.clone();
        self.give(Err(otherwise));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_no_thread_takes_up_is_busy_and_what_one_drops_is_a_fault() {
        let dropped = |is_taken_up: bool| {
            let (sender, answer) = channel();
            let mut owed = Owed::new(Box::new(move |reply| drop(sender.send(reply))), &Texts::english());
            let fault = owed.otherwise(Refusal::new(Code::Busy, "too much is under way"));
            if is_taken_up {
                owed.otherwise(fault);
            }
            drop(owed);
            answer.recv().unwrap().unwrap_err().code
        };
        assert_eq!([false, true].map(dropped), ["busy", "internal"]);
    }
}
