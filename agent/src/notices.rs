//! Something to tell the person: by whoever watches and shows notices, or by the agent itself.

use keyfob_ipc::Refusal;

/// Notices that are out.
#[derive(Debug, Default)]
pub struct Notices;

impl Notices {
    /// Gives a notice to the first who wants to show it.
    ///
    /// # Errors
    /// Where somebody else shows it already.
    pub fn claim(&self, _id: u64) -> Result<String, Refusal> {
        Err(Refusal::new(keyfob_ipc::Code::BadRequest, "there is no such notice"))
    }
}
