//! Events, for whoever watches the control door.

use std::sync::Arc;

use super::connection::Connection;
use crate::agent::Agent;

pub(super) async fn converse(_agent: &Arc<Agent>, _connection: Connection, _notices: bool) {}
