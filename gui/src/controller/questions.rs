//! Questions of policies: each is good on the connection that it was sent on, and answered by the page alone.

use std::collections::BTreeMap;

use keyfob_ipc::reply::Question;
use keyfob_ipc::{Code, ControlAsk, limits};

use super::Running;
use super::owed::Owed;
use crate::page::Approval;
use crate::shell::Shell;
use crate::view;

/// Questions that are shown at once: more than any person answers within the minute that each is open.
const MOST: usize = 64;

/// What is open, on the connection of now.
#[derive(Default)]
pub(super) struct Questions {
    open: Vec<Question>,
    /// The notification about each, by the id.
    notified: BTreeMap<String, u64>,
}

impl Questions {
    /// The oldest first.
    pub(super) fn open(&self) -> &[Question] {
        &self.open
    }
}

impl<S: Shell> Running<S> {
    /// Whether the person has been told what is asked for this entry: by a notification of ours, or by the window before them.
    pub(super) fn is_told(&self, entry: &str) -> bool {
        let mut asked = self.questions.open.iter().filter(|question| question.entry == entry).peekable();
        asked.peek().is_some()
            && asked.all(|question| {
                self.window.is_looked_at() || self.questions.notified.contains_key(&question.id)
            })
    }
}

impl<S: Shell> Running<S> {
    /// A question is open, or somebody asks it again.
    pub(super) fn asked(&mut self, question: Question) {
        self.window.is_stale = true;
        if let Some(known) = self.questions.open.iter_mut().find(|known| known.id == question.id) {
            *known = question;
            return;
        }
        if self.questions.open.len() >= MOST {
            tracing::warn!("more than {MOST} questions are open; the rest is not shown");
            return;
        }
        if !self.window.is_looked_at() {
            let notification = view::notice::of_question(&question, &self.texts);
            if self.notify(&notification) {
                self.questions.notified.insert(question.id.clone(), notification.number);
            }
        }
        self.questions.open.push(question);
    }

    pub(super) fn question_closed(&mut self, id: &str) {
        self.window.is_stale = true;
        self.questions.open.retain(|question| question.id != id);
        if let Some(number) = self.questions.notified.remove(id) {
            self.shell.withdraw(number);
        }
    }

    /// None of them can be answered any more: their ids were the connection's.
    pub(super) fn forget_questions(&mut self) {
        self.questions.open.clear();
        for number in std::mem::take(&mut self.questions.notified).into_values() {
            self.shell.withdraw(number);
        }
    }

    /// The person answers, in the page.
    pub(super) fn answer(&mut self, id: String, approval: Approval, owed: Owed) {
        let Some(question) = self.questions.open.iter().find(|question| question.id == id) else {
            let refusal = self.refuse(Code::BadRequest, "say.question-closed", &[]);
            return owed.answer(Err(refusal.hint(self.say("say.question-closed-hint"))));
        };
        let Some(approval) = view::trust::approval(approval, &question.offers) else {
            let refusal = self.refuse(Code::BadRequest, "say.not-offered", &[]);
            return owed.answer(Err(refusal.hint(self.say("say.not-offered-hint"))));
        };
        let ask = ControlAsk::Answer { id, approval, typed: None };
        self.speak(ask, limits::CONTROL_PATIENCE, Some(owed));
    }
}
