//! The examiner: root, who looks into the memory of the tester's own processes, as a debugger does.

use super::attendant::Attendant;
use super::identity::Identity;
use super::stage::Stage;
use crate::failure::Failure;

/// Starts it for one user; its address is the path of a socket that this user alone can connect to.
pub fn start(stage: &Stage, tester: &Identity) -> Result<Attendant, Failure> {
    let mut command = Identity::of_root()?.command(stage.examiner());
    command.arg(tester.account().uid.to_string());
    Attendant::start("the examiner", command)
}
