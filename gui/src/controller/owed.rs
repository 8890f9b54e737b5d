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
    fault: Refusal,
}

impl Owed {
    pub(super) fn new(answering: Answering, texts: &Texts) -> Self {
        Self { answering: Some(answering), fault: Refusal::new(Code::Internal, texts.say("say.fault", &[])) }
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
        let fault = self.fault.clone();
        self.give(Err(fault));
    }
}
