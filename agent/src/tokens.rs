//! What a person does with a personal access token: give it, replace it, say when it ends, remove it.
//!
//! A value that a person gives is looked at before it is kept: its form, then what its service and its clusters say. Services
//! show a value once, so only one that is *known* to be wrong is refused; a service that cannot be asked is no reason
//! to lose it.

mod examine;
mod outerbounds;
mod report;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use keyfob_ipc::reply::{Teller, TokenReport};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::{Agent, none_held};
use crate::clock::{after, rfc3339};
use crate::config::{Ask, Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::Token;
use crate::permissions::Difference;
use crate::service::{ServiceError, Shape};

/// How long a removal waits for a rotation that is under way.
const TURN: std::time::Duration = std::time::Duration::from_secs(20);

/// Nobody plans further ahead: 100 years, in seconds.
const FURTHEST: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3600);

impl Agent {
    /// Takes a value in, whatever was held before.
    ///
    /// # Errors
    /// [`Code::TokenInvalid`] for a value of another form, another person or that has ended; the keychain's.
    pub async fn token_add(
        self: &Arc<Self>,
        name: &str,
        value: Secret<String>,
        ends: Option<&str>,
    ) -> Result<TokenReport, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?.clone();
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        if entry.source.as_outscale().is_some() {
            if ends.is_some() {
                return Err(end_is_told().hint("leave --ends out"));
            }
            return self.add_outscale(&footing, &entry, &value).await;
        }
        let before = footing.holdings.get(&entry.name).await.ok().flatten();
        let given = self.examine(&footing, &entry, value, ends, before.as_deref()).await?;
        self.keep_token(&footing, &entry, given, before.as_deref(), "is kept").await
    }

    /// Replaces the value that is held: through the service's API, or by one that the person made on its page.
    ///
    /// # Errors
    /// Why not; the value before it serves on, unless the refusal says otherwise.
    pub async fn token_rotate(
        self: &Arc<Self>,
        name: &str,
        value: Option<Secret<String>>,
        ends: Option<&str>,
    ) -> Result<TokenReport, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?.clone();
        if entry.source.as_outscale().is_some() {
            return Err(by_themselves(&entry.name));
        }
        let before = self.held(&footing, &entry).await?;
        let Some(value) = value else {
            if entry.source.as_outerbounds().is_some() {
                return Err(on_outerbounds_page(&entry.name));
            }
            let token = token_of(&entry)?;
            if matches!(token.service.shape(), Shape::ByHand) {
                return Err(by_hand(&entry.name, token));
            }
            if ends.is_some() {
                let say =
                    "an end can be said for a token that a person made; its service says when this one ends";
                return Err(Refusal::new(Code::BadRequest, say)
                    .hint(format!("set `lifetime` under [{}], or leave --ends out", entry.name)));
            }
            let rotated = self.rotate_by_service(&footing, &entry).await?;
            let holding = self.held(&footing, &entry).await?;
            return Ok(self
                .report_token(
                    &entry,
                    &holding,
                    format!("`{}` is rotated", entry.name),
                    rotated.difference,
                    rotated.notes,
                )
                .await);
        };
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        if value == before.value {
            let say = format!("this is the very token that `{}` holds already", entry.name);
            return Err(Refusal::new(Code::TokenInvalid, say).hint("make a new one on its page first"));
        }
        let given = self.examine(&footing, &entry, value, ends, Some(&before)).await?;
        self.keep_token(&footing, &entry, given, Some(&before), "is rotated").await
    }

    /// Says when a token ends, where its service does not.
    ///
    /// # Errors
    /// Where nothing is held, the end is none, or the service knows better.
    pub async fn token_ends(self: &Arc<Self>, name: &str, ends: &str) -> Result<TokenReport, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?.clone();
        if entry.source.as_outscale().is_some() {
            return Err(end_is_told().hint("keyfob status"));
        }
        let ends = self.read_end(ends)?;
        let held = self.held(&footing, &entry).await?;
        if held.facts.token.told.as_ref().is_some_and(|(told, _)| told.ends.is_some()) {
            let say = format!("the end of `{}` is known: the token service says so", entry.name);
            return Err(
                Refusal::new(Code::BadRequest, say).hint(format!("keyfob permissions {}", entry.name.name))
            );
        }
        footing
            .holdings
            .change(&entry.name, &held.value, move |holding| {
                holding.facts.ends = Some(ends);
                holding.facts.ends_assumed = false;
                holding.facts.token.ends_by = Some(Teller::Person);
            })
            .await?;
        self.drop_bought_with(&entry.name);
        let held = self.held(&footing, &entry).await?;
        Ok(self
            .report_token(
                &entry,
                &held,
                format!("the end of `{}` is noted", entry.name),
                Difference::default(),
                Vec::new(),
            )
            .await)
    }

    /// Forgets a value, and deletes it at its service unless another machine is to go on with it.
    ///
    /// # Errors
    /// The keychain's; then it is still held.
    pub async fn token_remove(
        self: &Arc<Self>,
        name: &str,
        keep_at_service: bool,
    ) -> Result<String, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?.clone();
        // A rotation that goes on meanwhile would leave a token there that nobody holds.
        let turn = self.rotations.turn(&entry.name);
        let Ok(_turn) = tokio::time::timeout(TURN, turn.lock()).await else {
            let say = format!("`{}` is being rotated", entry.name);
            return Err(
                Refusal::new(Code::Pending, say).hint(format!("keyfob token remove {}", entry.name.name))
            );
        };
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        let held = footing.holdings.get(&entry.name).await.ok().flatten();
        if let (Some(holding), Some(_)) = (&held, entry.source.as_outscale()) {
            return self.forget_outscale(&footing, &entry, holding, keep_at_service).await;
        }
        // Before the service is told: a token that cannot be forgotten here should not be dead there. Only a write shows
        // whether the keychain takes one.
        footing.holdings.prove().await?;
        let there = match &held {
            Some(holding) if !keep_at_service => {
                footing.holdings.note(&entry.name, &holding.value, |_| {}).await?;
                self.delete_at_service(&footing, &entry, holding).await
            }
            _ => Ok(()),
        };
        footing.holdings.remove(&entry.name).await?;
        self.drop_bought_with(&entry.name);
        let is_lost = |holding: &Holding| holding.dead_but_remembered_until().is_some();
        let page = entry.source.as_token().and_then(|token| token.portal.as_deref()).map(escape);
        let page = page.unwrap_or_else(|| "its page".to_owned());
        Ok(match (held, there) {
            (None, _) => format!("`{}` held nothing", entry.name),
            (Some(_), _) if keep_at_service => {
                format!("`{}` is removed here; it is still good at its service", entry.name)
            }
            (Some(holding), Ok(())) if is_lost(&holding) => format!(
                "`{}` is removed here; at its service it lives on under a value that nobody has: delete it on {page}",
                entry.name
            ),
            (Some(_), Ok(())) => format!("`{}` is removed here and at its service", entry.name),
            (Some(_), Err(ServiceError::Unable)) => {
                format!("`{}` is removed here; delete it on {page} too if it should stop working", entry.name)
            }
            (Some(_), Err(error)) => {
                format!(
                    "`{}` is removed here, but not at its service ({error}); delete it on {page}",
                    entry.name
                )
            }
        })
    }

    /// A value that the keychain has not taken yet: the person may want a copy while there is one.
    ///
    /// # Errors
    /// [`Code::BadRequest`] where there is none: no other value is ever shown.
    pub fn token_rescue(&self, name: &str) -> Result<Secret<String>, Refusal> {
        // In whatever keychain it was to go, and whatever became of the configuration meanwhile.
        let unsaved = self.all_holdings().into_iter().flat_map(|holdings| {
            holdings.all_unsaved().into_iter().map(move |entry| (holdings.clone(), entry))
        });
        let mut meant = unsaved.filter(|(_, entry)| entry.to_string() == name || entry.name == name);
        meant.find_map(|(holdings, entry)| holdings.unsaved(&entry)).ok_or_else(|| {
            let config = self.config().ok();
            let entry = config.as_ref().and_then(|config| config.find(name, Ask::Value).ok());
            if let Some(entry) = entry.filter(|entry| entry.source.as_outscale().is_some()) {
                return by_themselves(&entry.name);
            }
            let say = format!(
                "nothing of `{}` is in memory alone, and what the keychain has is not shown",
                escape(name)
            );
            Refusal::new(Code::BadRequest, say).hint("keyfob status")
        })
    }

    /// What is held, or that a person has to add it first.
    async fn held(&self, footing: &Footing, entry: &Entry) -> Result<Arc<Holding>, Refusal> {
        footing
            .holdings
            .get(&entry.name)
            .await?
            .ok_or_else(|| none_held(entry).hint(format!("keyfob token add {}", entry.name.name)))
    }

    async fn delete_at_service(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        held: &Holding,
    ) -> Result<(), ServiceError> {
        let Some(token) = entry.source.as_token() else { return Err(ServiceError::Unable) };
        let now = entry.source.destination(&entry.name, &footing.config);
        if !held.destination.widened_by(&now).is_empty() {
            return Err(ServiceError::Unable);
        }
        let Ok(Some(api)) = token.api(self, footing) else { return Err(ServiceError::Unable) };
        self.delete_leftovers(footing, entry, held).await?;
        let told = held.facts.token.told.clone().map(|(told, _)| told).unwrap_or_default();
        token.service.delete(&api, &held.value, &told).await
    }

    /// The end that a person writes: RFC 3339, or a date, which means its beginning in UTC.
    pub(crate) fn read_end(&self, text: &str) -> Result<Timestamp, Refusal> {
        let now = self.clock.now();
        let moment = text.parse::<Timestamp>().ok().or_else(|| {
            // The beginning of that day: a token that "ends on the 1st" is no good on the 1st.
            Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
        });
        let wrong = |say: String| Err(Refusal::new(Code::BadRequest, say).hint("write it as 2027-03-01"));
        match moment {
            None => wrong(format!("`{}` is no date", escape(text))),
            Some(moment) if moment <= now => {
                let say = format!("{} has passed", rfc3339(moment));
                Err(Refusal::new(Code::BadRequest, say).hint("say a later day"))
            }
            Some(moment) if moment > after(now, FURTHEST) => {
                wrong("that is more than a hundred years from now".to_owned())
            }
            Some(moment) => Ok(moment),
        }
    }
}

/// Of OUTSCALE: nothing there is for a person to replace or to rescue.
fn by_themselves(name: &EntryName) -> Refusal {
    Refusal::new(Code::BadRequest, format!("the keys of `{name}` are renewed by themselves"))
        .hint("keyfob status")
}

fn end_is_told() -> Refusal {
    Refusal::new(Code::BadRequest, "OUTSCALE says when an access key ends")
}

fn on_outerbounds_page(name: &EntryName) -> Refusal {
    let say =
        format!("the service key of `{name}` is made on the Outerbounds page, which offers a string to copy");
    Refusal::new(Code::BadRequest, say).hint(format!("keyfob token add {}", name.name))
}

fn token_of(entry: &Entry) -> Result<&Token, Refusal> {
    entry.source.as_token().ok_or_else(|| {
        Refusal::new(Code::UnknownEntry, format!("`{}` is no personal access token", entry.name))
            .hint("keyfob status")
    })
}

fn by_hand(name: &EntryName, token: &Token) -> Refusal {
    let place = token.portal.as_deref().map(|portal| format!(" ({})", escape(portal))).unwrap_or_default();
    Refusal::new(
        Code::BadRequest,
        format!("`{name}` is rotated on its page{place}, and the new value given here"),
    )
    .hint(format!("keyfob token rotate {}", name.name))
}
