//! What a person does with a personal access token: give it, replace it, say when it ends, remove it.
//!
//! A value that a person gives is looked at before it is kept: its form, then what its service and its clusters say. Services
//! show a value once, so only one that is *known* to be wrong is refused; a service that cannot be asked is no reason
//! to lose it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use keyfob_ipc::reply::{Note, Teller, TokenReport, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Ask, Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::kind::Token;
use crate::permissions::{Difference, compare};
use crate::service::{Introspection, ServiceError, Shape};

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
        let before = self.held(&footing, &entry).await?;
        let Some(value) = value else {
            let token = token_of(&entry)?;
            if matches!(token.service.shape(), Shape::ByHand) {
                return Err(by_hand(&entry.name, token));
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
        let ends = self.read_end(ends)?;
        let held = self.held(&footing, &entry).await?;
        if matches!(held.facts.token.ends_by, Some(Teller::TokenService | Teller::Token)) {
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
        let held = footing.holdings.get(&entry.name).await.ok().flatten();
        // Before the service is told: a token that cannot be forgotten here should not be dead there.
        footing.holdings.prove().await?;
        let there = match &held {
            Some(holding) if !keep_at_service => self.delete_at_service(&footing, &entry, holding).await,
            _ => Ok(()),
        };
        footing.holdings.remove(&entry.name).await?;
        self.drop_bought_with(&entry.name);
        Ok(match (held, there) {
            (None, _) => format!("`{}` held nothing", entry.name),
            (Some(_), _) if keep_at_service => {
                format!("`{}` is removed here; it is still good at its service", entry.name)
            }
            (Some(_), Ok(())) => format!("`{}` is removed here and at its service", entry.name),
            (Some(_), Err(ServiceError::Unable)) => {
                format!(
                    "`{}` is removed here; delete it on its page too if it should stop working",
                    entry.name
                )
            }
            (Some(_), Err(error)) => {
                format!(
                    "`{}` is removed here, but not at its service ({error}); delete it on its page",
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
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Value)?;
        footing.holdings.unsaved(&entry.name).ok_or_else(|| {
            let say =
                format!("the keychain has everything of `{}`, and what it has is not shown", entry.name);
            Refusal::new(Code::BadRequest, say).hint("keyfob status")
        })
    }

    /// What is held, or that a person has to add it first.
    async fn held(&self, footing: &Footing, entry: &Entry) -> Result<Arc<Holding>, Refusal> {
        footing.holdings.get(&entry.name).await?.ok_or_else(|| {
            Refusal::new(Code::TokenNeeded, format!("no token is held for `{}`", entry.name))
                .hint(format!("keyfob token add {}", entry.name.name))
        })
    }

    /// Looks at a value that a person gave, before anything is kept.
    async fn examine(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        value: Secret<String>,
        ends: Option<&str>,
        before: Option<&Holding>,
    ) -> Result<Given, Refusal> {
        let now = self.clock.now();
        let ends = ends.map(|ends| self.read_end(ends)).transpose()?;
        let mut holding = entry.source.accept_value(&entry.name, value, &footing.config, now)?;
        // A value that cannot be kept is refused whole: the person still has it, and is not surprised by it later.
        footing.holdings.prove().await?;
        if let Some(ends) = ends {
            holding.facts.ends = Some(ends);
            holding.facts.ends_assumed = false;
            holding.facts.token.ends_by = Some(Teller::Person);
        }
        let waiting = self.inherit_destination(footing, entry, &mut holding).await;
        let mut given = Given { holding, waiting, notes: Vec::new() };
        let Some(token) = entry.source.as_token() else { return Ok(given) };
        // A place that nobody has confirmed is asked nothing.
        if !given.waiting.is_empty() {
            return Ok(given);
        }
        let (told, clusters) = tokio::join!(
            self.introspect(footing, token, &given.holding.value),
            self.ask_clusters(footing, entry, &given.holding.value),
        );
        given.holding.facts.token.clusters = clusters;
        match told {
            Some(Ok(told)) => {
                let owners = self.expected_owners(footing, token, before).await;
                refuse_another(&entry.name, &told, &owners)?;
                given.holding.facts.learn(told, now);
            }
            Some(Err(ServiceError::Dead)) => {
                let say = "the token service does not accept this token: it has ended, was revoked, or is of another service";
                return Err(Refusal::new(Code::TokenInvalid, say).hint(again(&entry.name)));
            }
            Some(Err(error)) => given.notes.push(Note {
                weight: Weight::Known,
                say: format!("nothing is known of this token yet: {error}"),
                hint: format!("keyfob permissions {}", entry.name.name),
            }),
            None => {}
        }
        refuse_past(&entry.name, &given.holding, now)?;
        Ok(given)
    }

    /// Keeps what was found good.
    async fn keep_token(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        given: Given,
        before: Option<&Holding>,
        done: &str,
    ) -> Result<TokenReport, Refusal> {
        let Given { mut holding, waiting, notes } = given;
        let mut difference = Difference::default();
        if let Some(before) = before.filter(|before| before.value != holding.value) {
            difference = compare(&before.facts.token, &holding.facts.token);
            holding.facts.token.lost.clone_from(&difference.lost);
            holding.facts.token.replaced = Some(self.clock.now());
        }
        if let Some(before) = before.filter(|before| before.rotation.is_some()) {
            // What an unfinished rotation has left there is nobody's from here on. It is not worth losing the new value for.
            let _ = self.delete_leftovers(footing, entry, before).await;
        }
        footing.holdings.put(&entry.name, holding).await?;
        self.drop_bought_with(&entry.name);
        let held = self.held(footing, entry).await?;
        self.states.held(&entry.name, entry.source.end(&held.facts).0);
        let say = format!("`{}` {done}", entry.name);
        let mut report = self.report_token(entry, &held, say, difference, notes).await;
        report.say.push_str(&waiting);
        Ok(report)
    }

    async fn report_token(
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
        let cache =
            token.told.as_ref().map_or(crate::service::CLUSTER_CACHE, |(told, _)| told.cluster_cache());
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

    /// Asks the service; `None` where it has no API.
    pub async fn introspect(
        &self,
        footing: &Footing,
        token: &Token,
        value: &Secret<String>,
    ) -> Option<Result<Introspection, ServiceError>> {
        let api = match token.api(self, footing) {
            Ok(api) => api?,
            Err(refusal) => return Some(Err(ServiceError::Unsure(refusal.say))),
        };
        Some(token.service.introspect(&api, value).await)
    }

    /// Who a new token may belong to; empty where nobody can say.
    async fn expected_owners(
        &self,
        footing: &Footing,
        token: &Token,
        before: Option<&Holding>,
    ) -> Vec<Owner> {
        if let Some(owner) = &token.owner {
            return vec![Owner::Exactly(owner.clone())];
        }
        if let Some(owner) = before.and_then(|before| before.facts.owner.clone()) {
            return vec![Owner::Exactly(owner)];
        }
        let mut owners = Vec::new();
        for entry in footing.config.entries.iter().filter(|entry| entry.source.as_sso().is_some()) {
            let session = footing.holdings.get(&entry.name).await.ok().flatten();
            owners.extend(session.and_then(|session| session.facts.owner.clone()).map(Owner::Person));
        }
        owners
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
            Some(moment) if moment <= now => wrong(format!("{} has passed", rfc3339(moment))),
            Some(moment) if moment > after(now, FURTHEST) => {
                wrong("that is more than a hundred years from now".to_owned())
            }
            Some(moment) => Ok(moment),
        }
    }
}

/// A value that was looked at.
struct Given {
    holding: Holding,
    /// What to add to the sentence about it.
    waiting: String,
    notes: Vec<Note>,
}

/// Who a token may belong to.
enum Owner {
    /// This name, to the letter but for case.
    Exactly(String),
    /// The person who is signed in. Names of different systems cannot be compared, but mail addresses can.
    Person(String),
}

impl Owner {
    fn is(&self, owner: &str) -> bool {
        match self {
            Self::Exactly(name) => name.eq_ignore_ascii_case(owner),
            Self::Person(name) => {
                !(name.contains('@') && owner.contains('@')) || name.eq_ignore_ascii_case(owner)
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Exactly(name) | Self::Person(name) => name,
        }
    }
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

fn refuse_another(name: &EntryName, told: &Introspection, expected: &[Owner]) -> Result<(), Refusal> {
    let Some(owner) = &told.owner else { return Ok(()) };
    if expected.is_empty() || expected.iter().any(|expected| expected.is(owner)) {
        return Ok(());
    }
    let expected = expected.iter().map(Owner::name).collect::<Vec<_>>().join(" or ");
    let say = format!("this token belongs to {}, not to {}", escape(owner), escape(&expected));
    let hint = format!("set owner = \"{}\" under [{name}] if it is meant", escape(owner));
    Err(Refusal::new(Code::TokenInvalid, say).hint(hint))
}

/// The end by anybody's word but an assumption.
fn refuse_past(name: &EntryName, holding: &Holding, now: Timestamp) -> Result<(), Refusal> {
    let ended = holding.facts.ends.filter(|ends| !holding.facts.ends_assumed && *ends <= now);
    ended.map_or(Ok(()), |ends| {
        let say = format!("this token ended on {}", &rfc3339(ends)[..10]);
        Err(Refusal::new(Code::TokenInvalid, say).hint(again(name)))
    })
}

fn again(name: &EntryName) -> String {
    format!("make a new one on its page, then keyfob token add {}", name.name)
}
