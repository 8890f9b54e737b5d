//! A string of Outerbounds that a person pastes: read, proven against its deployment, kept.

use std::sync::Arc;

use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::config::Entry;
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::{Machine, Outerbounds, Pasted, Pointer, Settings};
use crate::upstream::outerbounds::OuterboundsError;

/// The command that asks a deployment again.
const TRY: &str = "keyfob doctor";

impl Agent {
    /// That a key is kept which its deployment has never taken.
    pub(crate) fn outerbounds_notes(&self, entry: &Entry, held: &Holding) -> Option<Note> {
        let is_untried = entry.source.as_outerbounds().is_some() && held.facts.proven.is_none();
        is_untried.then(|| Note {
            weight: Weight::Known,
            say: "Outerbounds has not taken this key yet".to_owned(),
            hint: TRY.to_owned(),
        })
    }

    /// What a string has in it, as it is kept; what a pointer names is read with the machine user's role.
    pub(super) async fn read_outerbounds(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        deployment: &Outerbounds,
        value: &Secret<String>,
    ) -> Result<Secret<String>, Refusal> {
        let pasted = Pasted::read(value.expose()).map_err(|no| deployment.not_pasted(&entry.name, no))?;
        match pasted {
            Pasted::Inline(settings) => Ok(settings.to_value()),
            Pasted::Pointer(pointer) => {
                let settings = self.read_pointer(footing, entry, deployment, &pointer).await?;
                Ok(settings.of_domain(deployment.domain()).to_value())
            }
        }
    }

    async fn read_pointer(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        deployment: &Outerbounds,
        pointer: &Pointer,
    ) -> Result<Settings, Refusal> {
        let Some(name) = deployment.reader() else {
            let say = "this string is for a machine user: it names a secret of AWS that a role may read";
            let hint = format!(
                "add `machine` under [{}]: an entry with identity = \"aws-iam\" and that role",
                entry.name
            );
            return Err(Refusal::new(Code::TokenInvalid, say).hint(hint));
        };
        let machine = footing.config.entry(name);
        let role = machine.as_ref().and_then(|machine| machine.source.as_machine()).and_then(Machine::role);
        let role = role.ok_or_else(|| {
            Refusal::new(Code::ConfigBroken, format!("`{name}` is no role of AWS"))
                .hint("keyfob config check")
        })?;
        let secret = role.read(self, name, footing, &pointer.arn).await.map_err(|refusal| {
            let say = format!("the string names a secret that `{name}` does not get: {}", refusal.say);
            Refusal { say, ..refusal }
        })?;
        deployment.in_secret(&entry.name, secret.expose())
    }

    /// Tries a key before it is kept. Only one that is known to be wrong is refused.
    pub(super) async fn prove_outerbounds(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Entry,
        deployment: &Outerbounds,
        holding: &mut Holding,
    ) -> Result<Vec<Note>, Refusal> {
        let mut notes = Vec::new();
        let note = |say: String, hint: String| Note { weight: Weight::Known, say, hint };
        let Ok(settings) = Settings::read(holding.value.expose().as_bytes()) else { return Ok(notes) };
        if let Some(other) = settings.perimeter().filter(|other| *other != deployment.perimeter()) {
            notes.push(note(
                format!(
                    "the string is of the perimeter `{}`; what counts is the configuration: `{}`",
                    escape(other),
                    deployment.perimeter()
                ),
                format!("set `perimeter` under [{}] if the other one is meant", entry.name),
            ));
        }
        match deployment.try_key(&self.http(footing)?, &settings).await {
            Ok(owner) => {
                holding.facts.owner = owner;
                holding.facts.proven = Some(self.clock.now());
                Ok(notes)
            }
            Err(error @ OuterboundsError::Key(_)) => {
                let say = format!(
                    "Outerbounds does not take this key for the perimeter `{}`: {error}",
                    deployment.perimeter()
                );
                let hint = format!(
                    "copy a new string from the Outerbounds page, or set another `perimeter` under [{}]",
                    entry.name
                );
                Err(Refusal::new(Code::TokenInvalid, say).hint(hint))
            }
            Err(OuterboundsError::NotThere) => {
                let say = format!("Outerbounds knows no perimeter `{}`", deployment.perimeter());
                notes.push(note(say, format!("set `perimeter` under [{}]", entry.name)));
                Ok(notes)
            }
            Err(error) => {
                notes.push(note(format!("Outerbounds has not taken this key yet: {error}"), TRY.to_owned()));
                Ok(notes)
            }
        }
    }
}
