//! Reminders of what ends.

use keyfob_ipc::Refusal;

use crate::agent::Agent;

impl Agent {
    /// No reminders about an entry for a while.
    ///
    /// # Errors
    /// Where there is no such entry.
    pub fn snooze(&self, _name: &str, _days: Option<u32>) -> Result<String, Refusal> {
        Err(Refusal::new(keyfob_ipc::Code::Internal, "not built yet"))
    }
}
