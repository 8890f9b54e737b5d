//! What the person allows: open questions and the answers to them.

use std::sync::Arc;

use keyfob_ipc::Refusal;
use keyfob_ipc::reply::{Approval, GrantReport, Question};

use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::{Config, Entry};
use crate::ledger::Deed;
use crate::policy::Permit;

/// On which connection a question was asked or is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seat(pub u64);

impl Agent {
    /// Decides whether this asker may have what an entry gives. Nobody is waited for.
    ///
    /// # Errors
    /// [`keyfob_ipc::Code::NotAllowed`], [`keyfob_ipc::Code::ApprovalPending`], [`keyfob_ipc::Code::Locked`].
    pub fn permit(
        self: &Arc<Self>,
        config: &Config,
        entry: &Entry,
        asker: &Asker,
        deed: &Deed,
    ) -> Result<Permit, Refusal> {
        let _ = (config, entry, asker, deed);
        Ok(Permit::new())
    }

    /// Every open question, with ids for one connection.
    pub fn questions(&self, seat: Seat) -> Vec<Question> {
        let _ = seat;
        Vec::new()
    }

    /// Sends every open question to a window that has just come.
    pub fn ask_again(&self, seat: Seat) {
        let _ = seat;
    }

    /// A connection has closed: the ids that it was sent are worth nothing any more.
    pub fn leave(&self, seat: Seat) {
        let _ = seat;
    }

    /// How many questions are open.
    pub fn open_questions(&self) -> usize {
        0
    }

    /// Answers a question.
    ///
    /// # Errors
    /// Where the id is not this connection's, or the asker may not answer there.
    pub fn answer(
        self: &Arc<Self>,
        seat: Seat,
        asker: &Asker,
        is_window: bool,
        id: &str,
        approval: Approval,
        typed: Option<&str>,
    ) -> Result<String, Refusal> {
        let _ = (seat, asker, is_window, id, approval, typed);
        Err(Refusal::new(keyfob_ipc::Code::BadRequest, "there is no such question"))
    }

    /// Every answer in force.
    pub fn grants(&self) -> Vec<GrantReport> {
        Vec::new()
    }

    /// Takes answers back.
    ///
    /// # Errors
    /// Where there is no such answer.
    pub fn take_back(self: &Arc<Self>, asker: &Asker, which: Option<&str>) -> Result<String, Refusal> {
        let _ = (asker, which);
        Err(Refusal::new(keyfob_ipc::Code::BadRequest, "there is no such answer"))
    }
}
