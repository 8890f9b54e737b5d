//! What one rotation stands on from its start to its end: configuration, keychain and service of one moment.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::{Holding, Rotation, RotationStep};
use crate::kind::Token;
use crate::service::{Api, Introspection, ServiceError, Shape};

pub(super) struct Standing<'a> {
    pub(super) agent: &'a Arc<Agent>,
    pub(super) footing: &'a Footing,
    pub(super) entry: &'a Arc<Entry>,
    pub(super) token: &'a Token,
    pub(super) api: Api,
}

impl<'a> Standing<'a> {
    pub(super) fn take(
        agent: &'a Arc<Agent>,
        footing: &'a Footing,
        entry: &'a Arc<Entry>,
    ) -> Result<Self, Refusal> {
        let token = entry.source.as_token().ok_or_else(|| {
            Refusal::new(Code::UnknownEntry, format!("`{}` is no personal access token", entry.name))
                .hint("keyfob status")
        })?;
        let api = token.api(agent, footing)?.ok_or_else(|| {
            Refusal::new(Code::BadRequest, format!("the service of `{}` has no API", entry.name))
                .hint(format!("keyfob token rotate {}", entry.name.name))
        })?;
        Ok(Self { agent, footing, entry, token, api })
    }

    pub(super) fn name(&self) -> &'a EntryName {
        &self.entry.name
    }

    pub(super) fn now(&self) -> Timestamp {
        self.agent.clock.now()
    }

    /// What is held, all of it stored, and allowed to go to the service.
    pub(super) async fn holding(&self) -> Result<Arc<Holding>, Refusal> {
        let holding = self.agent.confirmed_holding(self.footing, self.entry).await?;
        self.footing.holdings.save(self.name()).await?;
        Ok(holding)
    }

    /// Whether what was left in the middle of asking can be found at the service and undone.
    pub(super) fn can_resume(&self) -> bool {
        matches!(self.token.service.shape(), Shape::CreateThenDelete(_))
    }

    pub(super) async fn introspect(&self, value: &Secret<String>) -> Result<Introspection, ServiceError> {
        self.token.service.introspect(&self.api, value).await
    }

    /// Whether a rotation may begin: a service that sees a dead value again may end the one that took its place, and where
    /// nobody can say whether it lives, nobody could judge a lost answer either. Nothing is noted.
    pub(super) async fn may_begin(&self, held: &Holding) -> Result<(), Refusal> {
        match self.introspect(&held.value).await {
            // It has looked at the value, and does not let it ask about itself.
            Ok(_) | Err(ServiceError::Refused { .. } | ServiceError::Unable) => Ok(()),
            Err(error) => Err(self.not_begun(&error)),
        }
    }

    /// Why a rotation does not begin.
    pub(super) fn not_begun(&self, error: &ServiceError) -> Refusal {
        let mut refusal = error.refusal(self.name());
        if !matches!(error, ServiceError::Dead) {
            refusal.say.push_str("; the token that is held serves on");
        }
        refusal
    }

    /// Notes the intent. Where the keychain does not take that, it would not take the answer.
    pub(super) async fn note_intent(&self, held: &Holding) -> Result<Timestamp, Refusal> {
        let began = self.now();
        self.note(held, Some(Rotation::asking(began))).await?;
        Ok(began)
    }

    /// Notes how far it has got.
    pub(super) async fn note(&self, held: &Holding, rotation: Option<Rotation>) -> Result<(), Refusal> {
        self.footing.holdings.note(self.name(), &held.value, |holding| holding.rotation = rotation).await
    }

    pub(super) async fn note_step(
        &self,
        held: &Holding,
        began: Timestamp,
        step: RotationStep,
    ) -> Result<(), Refusal> {
        self.note(held, Some(Rotation::at(began, step))).await
    }

    /// Notes that nothing came of it. Where the keychain does not take that, the next look finds it out again.
    pub(super) async fn call_off(&self, held: &Holding) {
        let _ = self.note(held, None).await;
    }

    /// A new value that nobody keeps: whoever removed or replaced the entry meanwhile has the last word.
    pub(super) async fn discard(&self, value: &Secret<String>, told: &Introspection) -> Refusal {
        let deleted = self.token.service.delete(&self.api, value, told).await;
        let say = format!("`{}` was changed while it was rotated, and what you gave counts", self.name());
        match deleted {
            Ok(()) => Refusal::new(Code::Pending, say).hint("keyfob status"),
            Err(error) => {
                let say = format!("{say}; the token that the rotation made could not be deleted ({error})");
                Refusal::new(Code::Pending, say).hint("delete it on its page")
            }
        }
    }

    pub(super) fn by_hand(&self, why: &str) -> Refusal {
        let page = self.token.portal.as_deref().map(keyfob_ipc::text::escape);
        let page = page.map(|page| format!(" ({page})")).unwrap_or_default();
        let say = format!("`{}` is to be rotated on its page{page}: {why}", self.name());
        Refusal::new(Code::ServiceRefused, say).hint(format!("keyfob token add {}", self.name().name))
    }
}
