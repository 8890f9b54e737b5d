//! The foreigner: another user, whom the tests tell what to try at their doors.

use super::attendant::Attendant;
use super::identity::Identity;
use super::stage::Stage;
use crate::failure::Failure;

/// Starts it; its address is host:port.
pub fn start(stage: &Stage) -> Result<Attendant, Failure> {
    Attendant::start("the foreigner", Identity::of_foreigner()?.command(stage.foreigner()))
}
