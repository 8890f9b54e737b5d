//! What a person is told of a token.

use std::sync::Arc;

use keyfob_ipc::reply::{Note, TokenReport, Weight};
use keyfob_ipc::text::escape;

use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::Entry;
use crate::holding::Holding;
use crate::permissions::Difference;
use crate::service::CLUSTER_CACHE;

impl Agent {
    /// What became of it.
    pub(super) async fn report_token(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        held: &Holding,
        say: String,
        difference: Difference,
        mut notes: Vec<Note>,
    ) -> TokenReport {
        let (until, _) = entry.source.end(&held.facts);
        notes.extend(self.token_notes(entry, held));
        notes.sort_by(|one, other| (one.weight, &one.say).cmp(&(other.weight, &other.say)));
        notes.dedup();
        TokenReport {
            say,
            owner: held.facts.owner.clone(),
            until: until.map(rfc3339),
            until_by: held.facts.token.ends_by.filter(|_| until.is_some()),
            lost: difference.lost,
            gained: difference.gained,
            notes,
            permissions: Some(self.known_permissions(entry).await),
        }
    }

    /// What a person should know of a token that is held, beyond its state.
    pub fn token_notes(&self, entry: &Entry, held: &Holding) -> Vec<Note> {
        let mut notes = self.rotation_notes(entry, held);
        let token = &held.facts.token;
        if !token.lost.is_empty() {
            notes.push(Note {
                weight: Weight::Due,
                say: format!("the token before this one could do more: {}", escape(&token.lost.join(", "))),
                hint: format!("keyfob permissions {}", entry.name.name),
            });
        }
        let cache = token.told.as_ref().map_or(CLUSTER_CACHE, |(told, _)| told.cluster_cache());
        let accepted = token.replaced.map(|replaced| after(replaced, cache));
        if let Some(until) = accepted.filter(|until| *until > self.clock.now()) {
            let clock = rfc3339(until);
            notes.push(Note {
                weight: Weight::Known,
                say: format!("clusters may accept the token before this one until {} UTC", &clock[11..16]),
                hint: String::new(),
            });
        }
        notes
    }
}
