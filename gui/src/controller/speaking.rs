//! What is said on the connection of the window itself: answers, lock and unlock. The agent answers in the order of the asks.

use std::time::{Duration, Instant};

use keyfob_ipc::{Code, ControlAsk, Refusal, Reply};

use super::Running;
use super::connection::Link;
use super::owed::Owed;
use crate::page::PageReply;
use crate::shell::Shell;

/// Asks that wait for an answer at once.
const MOST: usize = 16;

/// How long the agent may take to take an ask: the thread of everything waits for that. Asks are small, so this only ends
/// where the agent has not read for a long time.
const TAKING: Duration = Duration::from_secs(1);

/// An ask that is not answered yet.
pub(super) struct Waiting {
    /// Who waits; nobody any more once the time is up. Its place is kept, as answers are told apart by their order.
    pub(super) owed: Option<Owed>,
    until: Instant,
}

impl Link {
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        let waiting = &self.open.as_ref()?.waiting;
        waiting.iter().filter(|waiting| waiting.owed.is_some()).map(|waiting| waiting.until).min()
    }
}

impl<S: Shell> Running<S> {
    /// Asks on the connection of the window. `owed` is answered in its time; without one it is only noted.
    pub(super) fn speak(&mut self, ask: ControlAsk, patience: Duration, owed: Option<Owed>) {
        let refusal = match &mut self.link.open {
            None => self.absence(),
            Some(open) if open.waiting.len() >= MOST => self.way.busy(),
            Some(open) => match open.speaking.send(ask, TAKING) {
                Ok(()) => {
                    open.waiting.push_back(Waiting { owed, until: Instant::now() + patience });
                    return;
                }
                Err(refusal) => {
                    // Half an ask may be on its way.
                    self.gone(self.link.number(), refusal.clone());
                    refusal
                }
            },
        };
        end(owed, Err(refusal));
    }

    pub(super) fn answered(&mut self, answer: Result<Reply, Refusal>) {
        let waiting = self.link.open.as_mut().and_then(|open| open.waiting.pop_front());
        match waiting {
            Some(waiting) => {
                let said = answer.and_then(|reply| self.way.said(reply));
                end(waiting.owed, said.map(|say| PageReply::Done { say }));
                self.want_status();
            }
            None => tracing::warn!("the agent has answered what nobody asked"),
        }
    }

    pub(super) fn refuse_overdue(&mut self, now: Instant) {
        let Some(open) = &mut self.link.open else { return };
        let say = self.texts.say("say.no-answer", &[]);
        for waiting in open.waiting.iter_mut().filter(|waiting| waiting.until <= now) {
            if let Some(owed) = waiting.owed.take() {
                let refusal = Refusal::new(Code::AgentUnreachable, say.clone()).hint("keyfob status");
                owed.answer(Err(refusal));
            }
        }
    }

    /// Why there is no agent to ask.
    pub(super) fn absence(&self) -> Refusal {
        self.link.absent.clone().unwrap_or_else(|| {
            self.refuse(Code::AgentUnreachable, "say.not-yet", &[]).hint(self.say("say.not-yet-hint"))
        })
    }
}

fn end(owed: Option<Owed>, answer: Result<PageReply, Refusal>) {
    match (owed, answer) {
        (Some(owed), answer) => owed.answer(answer),
        (None, Err(refusal)) => tracing::warn!(code = ?refusal.code, "a click in the menu was refused"),
        (None, Ok(_)) => {}
    }
}
