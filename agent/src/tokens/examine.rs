//! Looking at a value that a person gave, and keeping it.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Teller, TokenReport, Weight};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};

use super::report::day;
use crate::agent::Agent;
use crate::config::{Entry, EntryName};
use crate::footing::Footing;
use crate::holding::{Holding, RotationStep};
use crate::kind::Token;
use crate::permissions::{Difference, compare};
use crate::service::{Introspection, ServiceError};

impl Agent {
    /// Looks at a value that a person gave, before anything is kept.
    pub(super) async fn examine(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        value: Secret<String>,
        ends: Option<&str>,
        before: Option<&Holding>,
    ) -> Result<Given, Refusal> {
        let now = self.clock.now();
        let ends = ends.map(|ends| self.read_end(ends)).transpose()?;
        let value = match entry.source.as_outerbounds() {
            Some(deployment) => self.read_outerbounds(footing, entry, deployment, &value).await?,
            None => value,
        };
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
        // A place that nobody has confirmed is asked nothing.
        if !given.waiting.is_empty() {
            return Ok(given);
        }
        if let Some(deployment) = entry.source.as_outerbounds() {
            let Given { holding, notes, .. } = &mut given;
            notes.extend(self.prove_outerbounds(footing, entry, deployment, holding).await?);
            refuse_past(&entry.name, holding, now)?;
        }
        let Some(token) = entry.source.as_token() else { return Ok(given) };
        let (told, clusters) = tokio::join!(
            self.introspect(footing, token, &given.holding.value),
            self.ask_clusters(footing, entry, &given.holding.value),
        );
        given.holding.facts.token.clusters = clusters;
        match told {
            Some(Ok(told)) => {
                let owners = self.expected_owners(footing, token, before).await;
                refuse_another(&entry.name, &told, &owners)?;
                if let (Some(_), Some(end)) = (ends, told.ends) {
                    given.notes.push(Note {
                        weight: Weight::Known,
                        say: format!(
                            "the token service says that it ends on {}, which is what counts",
                            day(end)
                        ),
                        hint: String::new(),
                    });
                }
                given.holding.facts.learn(told, now);
            }
            Some(Err(ServiceError::Dead)) => {
                let say = "the token service does not accept this token: it has ended, was revoked, or is of another service";
                return Err(Refusal::new(Code::TokenInvalid, say).hint(again(&entry.name)));
            }
            Some(Err(error)) => given.notes.push(Note {
                weight: Weight::Known,
                say: format!("the token service has not told yet whose it is and when it ends: {error}"),
                hint: format!("keyfob permissions {}", entry.name.name),
            }),
            None => {}
        }
        refuse_past(&entry.name, &given.holding, now)?;
        Ok(given)
    }

    /// Keeps what was found good.
    pub(super) async fn keep_token(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        given: Given,
        before: Option<&Holding>,
        done: &str,
    ) -> Result<TokenReport, Refusal> {
        let Given { mut holding, waiting, mut notes } = given;
        let mut difference = Difference::default();
        if let Some(before) = before.filter(|before| before.value != holding.value) {
            difference = compare(&before.facts.token, &holding.facts.token);
            holding.facts.token.lose(&difference.lost);
            let token = entry.source.as_token().filter(|_| waiting.is_empty());
            let lives_on = match token {
                Some(token) => matches!(self.introspect(footing, token, &before.value).await, Some(Ok(_))),
                None => false,
            };
            if lives_on {
                notes.push(Note {
                    weight: Weight::Due,
                    say: "the token before this one is still good at its service".to_owned(),
                    hint: "delete it on its page, unless somebody else uses it".to_owned(),
                });
            } else {
                holding.facts.token.replaced = Some(self.clock.now());
            }
        }
        let is_same = before.is_some_and(|before| before.value == holding.value);
        if let Some(before) = before.filter(|_| is_same) {
            // Giving the same value again does not settle what became of its rotation.
            let in_doubt = before.rotation.clone().filter(|rotation| rotation.step == RotationStep::Asking);
            holding.rotation = in_doubt;
        }
        if let Some(before) = before.filter(|before| before.rotation.is_some() && !is_same) {
            // What an unfinished rotation has left there is nobody's from here on. It is not worth losing the new value for.
            let _ = self.delete_leftovers(footing, entry, before).await;
        }
        footing.holdings.exchange(&entry.name, holding).await?;
        self.drop_bought_with(&entry.name);
        let held = self.held(footing, entry).await?;
        self.states.held(&entry.name, entry.source.end(&held.facts).0);
        let say = format!("`{}` {done}", entry.name);
        let mut report = self.report_token(entry, &held, say, difference, notes).await;
        report.say.push_str(&waiting);
        Ok(report)
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
}

/// A value that was looked at.
pub(super) struct Given {
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
        let say = format!("this token ended on {}", day(ends));
        Err(Refusal::new(Code::TokenInvalid, say).hint(again(name)))
    })
}

fn again(name: &EntryName) -> String {
    format!("make a new one on its page, then keyfob token add {}", name.name)
}
