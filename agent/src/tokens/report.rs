//! What a person is told of a token.

use std::sync::Arc;

use jiff::Timestamp;
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
        // The loss has a place of its own in this report.
        notes.extend(self.token_notes(entry, held).into_iter().filter(|note| !is_loss(note)));
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
                say: format!("{LOSS}{}", escape(&token.lost.join(", "))),
                hint: format!("keyfob permissions {}", entry.name.name),
            });
        }
        // What follows is of tokens: who has their own services, and clusters that know the one before for a while.
        let Some(configured) = entry.source.as_token() else { return notes };
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
        if let (Some(owner), Some(is)) = (&configured.owner, &held.facts.owner)
            && !owner.eq_ignore_ascii_case(is)
        {
            notes.push(Note {
                weight: Weight::Urgent,
                say: format!("this token belongs to {}, not to {}", escape(is), escape(owner)),
                hint: format!("keyfob token add {}", entry.name.name),
            });
        }
        notes
    }

    /// A rotated token that a keychain has not taken which the configuration does not name any more.
    pub fn unsaved_elsewhere(&self, entry: &Entry) -> Option<Note> {
        let name = &entry.name;
        let is_here = self.holdings().unsaved(name).is_some();
        let is_there =
            !is_here && self.all_holdings().iter().any(|holdings| holdings.unsaved(name).is_some());
        is_there.then(|| Note {
            weight: Weight::Urgent,
            say: format!("a new token of `{name}` is in memory alone: the keychain that was configured before did not take it"),
            hint: format!("keyfob token rescue {}", name.name),
        })
    }
}

const LOSS: &str = "the token before this one could do more: ";

fn is_loss(note: &Note) -> bool {
    note.say.starts_with(LOSS)
}

/// `2027-03-01`.
pub(super) fn day(moment: Timestamp) -> String {
    rfc3339(moment).chars().take(10).collect()
}
