//! What each entry may do, and who says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob_ipc::reply::EntryPermissions;
use keyfob_ipc::{Refusal, Secret};

use crate::agent::Agent;
use crate::config::Entry;
use crate::footing::Footing;
use crate::holding::{ClusterAnswer, TokenFacts};

/// What one token may do and the other may not, in words: `write at aw-remote-ext`, `scope read_api`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The one before had it.
    pub lost: Vec<String>,
    /// The one after has it.
    pub gained: Vec<String>,
}

/// Compares what is known of two tokens. What is unknown on either side is no difference.
pub fn compare(_before: &TokenFacts, _after: &TokenFacts) -> Difference {
    Difference::default()
}

impl Agent {
    /// What entries may do.
    ///
    /// # Errors
    /// Where there is no such entry.
    pub async fn permissions(
        self: &Arc<Self>,
        _name: Option<&str>,
        _again: bool,
    ) -> Result<Vec<EntryPermissions>, Refusal> {
        Ok(Vec::new())
    }

    /// What one entry may do, from what is held and remembered: nobody is asked.
    pub async fn known_permissions(self: &Arc<Self>, entry: &Arc<Entry>) -> EntryPermissions {
        EntryPermissions {
            name: entry.name.to_string(),
            kind: entry.name.kind.to_owned(),
            clusters: Vec::new(),
            facts: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Asks every configured cluster of a token entry what this value may do there; clusters that do not answer are left out.
    pub async fn ask_clusters(
        self: &Arc<Self>,
        _footing: &Footing,
        _entry: &Entry,
        _value: &Secret<String>,
    ) -> BTreeMap<String, ClusterAnswer> {
        BTreeMap::new()
    }
}
