//! A new value that the keychain does not take: it serves from memory, is tried again, and is not left behind.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::Weight;
use keyfob_ipc::{Code, Refusal};

use super::notes;
use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;

/// The kind whose values nobody can get again.
const TOKEN: &str = "token";
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

impl Agent {
    /// Returns when the keychain has what a rotation brought, or somebody removed or replaced it.
    pub(super) async fn save_rotated(self: &Arc<Self>, footing: &Footing, entry: &Arc<Entry>) {
        let holdings = &footing.holdings;
        if holdings.unsaved(&entry.name).is_none() {
            return;
        }
        let body = format!(
            "The keychain does not take the new token of {}. It is tried again; keep the agent running, or run: keyfob token rescue {}",
            entry.name, entry.name.name
        );
        notes::tell(self, &entry.name, Weight::Urgent, "A new token is not stored yet", body);
        let mut pause = FIRST;
        let (mut stirred, mut ending) = (holdings.stirred(), self.ending.subscribe());
        while holdings.unsaved(&entry.name).is_some() {
            // Nobody has time for long pauses once the agent is to end.
            let wait = if *ending.borrow_and_update() { FIRST } else { pause };
            tokio::select! {
                () = self.clock.wait_until(after(self.clock.now(), wait)) => {}
                // The keychain did something for somebody, so it is open.
                _ = stirred.changed() => {}
                _ = ending.changed() => {}
            }
            if holdings.save(&entry.name).await.is_err() {
                pause = (pause * 2).min(LONGEST);
            }
        }
        // What is still to be done, such as the proof, is the background's.
        self.rotations.look_now(&entry.name);
    }

    /// Stores what is not stored, before a person ends the agent.
    ///
    /// # Errors
    /// [`Code::KeychainFailed`] where something would be lost.
    pub(crate) async fn save_before_the_end(&self) -> Result<(), Refusal> {
        for holdings in self.all_holdings() {
            for name in holdings.all_unsaved() {
                // A session is got again by signing in; a token may be the only copy.
                if name.kind == TOKEN
                    && let Err(refusal) = holdings.save(&name).await
                {
                    let say = format!(
                        "the agent goes on: it has the only copy of the token of `{name}`, which the keychain does not take ({})",
                        refusal.say
                    );
                    return Err(Refusal::new(Code::KeychainFailed, say)
                        .hint(format!("keyfob token rescue {}", name.name)));
                }
            }
        }
        Ok(())
    }

    /// What the keychain has not taken.
    pub fn all_unsaved(&self) -> Vec<EntryName> {
        self.all_holdings().iter().flat_map(crate::holdings::Holdings::all_unsaved).collect()
    }
}

/// The rotation worked, and its value is not stored.
pub(super) fn told(name: &EntryName, keychain: &Refusal) -> Refusal {
    let say = format!(
        "`{name}` is rotated, but the keychain does not take the new token ({}); it serves from memory and is tried again",
        keychain.say
    );
    Refusal::new(keychain.code, say).hint(format!("keyfob token rescue {}", name.name))
}
