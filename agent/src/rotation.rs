//! Rotations: one flight per entry, one code path for each shape.

use std::sync::Arc;

use keyfob_ipc::Refusal;

use crate::agent::Agent;
use crate::config::Entry;
use crate::footing::Footing;
use crate::permissions::Difference;

/// What a rotation brought.
#[derive(Debug)]
pub struct Rotated {
    /// What changed in what it may do.
    pub difference: Difference,
}

impl Agent {
    /// Replaces an entry's token through its service's API.
    ///
    /// # Errors
    /// Why not; the old value serves on where the service lets it.
    pub async fn rotate_by_service(
        self: &Arc<Self>,
        _footing: &Footing,
        _entry: &Arc<Entry>,
    ) -> Result<Rotated, Refusal> {
        Err(Refusal::new(keyfob_ipc::Code::Internal, "not built yet"))
    }

    /// What a person should know of a rotation that is not finished.
    pub fn rotation_notes(&self, _entry: &Entry, _held: &crate::holding::Holding) -> Vec<keyfob_ipc::reply::Note> {
        Vec::new()
    }
}
