//! What an administrator of a token service does there, through the agent that holds the administrator's token.
//!
//! A new value is given out once: to the entry that is to keep it, or to the person. Where the keychain fails after the
//! service has answered, the person gets it all the same.

use std::sync::Arc;

use jiff::Timestamp;
use keyfob_ipc::reply::{Issued, IssuedToken, Reply, Teller};
use keyfob_ipc::text::escape;
use keyfob_ipc::{AdminAct, Code, Refusal, Secret};

use crate::agent::Agent;
use crate::config::{Ask, Config, Entry, EntryName};
use crate::footing::Footing;
use crate::holding::Holding;
use crate::service::{Administration, Api, Introspection, ServiceError};

/// Longest id or owner that is sent to a service, in bytes.
const LONGEST: usize = 256;

impl Agent {
    /// Does it.
    ///
    /// # Errors
    /// The service's, or why it was not asked.
    pub async fn administrate(self: &Arc<Self>, name: Option<&str>, act: AdminAct) -> Result<Reply, Refusal> {
        let footing = self.footing()?;
        let entry = administrator(&footing.config, name)?;
        let Some((service, token)) =
            entry.source.as_token().and_then(|token| Some((token.service.administration()?, token)))
        else {
            return Err(no_administration(&entry.name));
        };
        let value = self.usable_holding(&footing, &entry).await?.value.clone();
        let Some(api) = token.api(self, &footing)? else { return Err(no_administration(&entry.name)) };
        let desk = Desk { service, api, value, entry: entry.name.clone() };
        match act {
            AdminAct::List { owner } => desk.list(owner.as_deref()).await.map(Reply::Tokens),
            AdminAct::SetPermissions { id, permissions } => {
                let asked = desk.service.set_permissions(&desk.api, &desk.value, plain(&id)?, &permissions);
                Ok(Reply::Tokens(vec![asked.await.map_err(|error| desk.refuse(&error))?]))
            }
            AdminAct::Delete { id } => {
                let asked = desk.service.delete(&desk.api, &desk.value, plain(&id)?);
                asked.await.map_err(|error| desk.refuse(&error))?;
                Ok(Reply::Done { say: format!("the token {} is deleted", escape(&id)) })
            }
            AdminAct::Rotate { id, into } => {
                let is_it = |held: &Holding| {
                    held.facts.token.told.as_ref().and_then(|(told, _)| told.id.as_deref()) == Some(&*id)
                };
                let into = self.ready(&footing, &desk, into.as_deref(), is_it).await?;
                let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
                let asked = desk.service.rotate(&desk.api, &desk.value, plain(&id)?);
                let issued = asked.await.map_err(|error| desk.refuse(&error))?;
                Ok(Reply::Issued(Box::new(self.hand_over(&footing, into, issued).await)))
            }
            AdminAct::CreateMachine { owner, permissions, ends, into } => {
                let ends = ends.map(|ends| self.read_end(&ends)).transpose()?;
                let is_it = |held: &Holding| held.facts.owner.as_deref() == Some(&*owner);
                let into = self.ready(&footing, &desk, into.as_deref(), is_it).await?;
                if !owner.starts_with("bot-") {
                    let say = "the owner of a machine's token begins with `bot-`";
                    return Err(Refusal::new(Code::BadRequest, say).hint(format!(
                        "keyfob admin tokens create bot-{} --cluster NAME=read",
                        escape(&owner)
                    )));
                }
                let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
                let asked =
                    desk.service.create_machine(&desk.api, &desk.value, plain(&owner)?, &permissions, ends);
                let issued = asked.await.map_err(|error| desk.refuse(&error))?;
                Ok(Reply::Issued(Box::new(self.hand_over(&footing, into, issued).await)))
            }
        }
    }

    /// The entry that is to keep a new value, and that it can: asked before there is a value to lose. What it holds is
    /// replaced only where that is the token in question.
    async fn ready(
        &self,
        footing: &Footing,
        desk: &Desk<'_>,
        into: Option<&str>,
        is_it: impl Fn(&Holding) -> bool,
    ) -> Result<Option<Arc<Entry>>, Refusal> {
        let Some(into) = into else { return Ok(None) };
        let entry = footing.config.find(into, Ask::Value)?;
        footing.holdings.prove().await?;
        let held = footing.holdings.get(&entry.name).await?;
        if entry.name == desk.entry || held.is_some_and(|held| !is_it(&held)) {
            let say = format!("`{}` holds another token, which would be lost", entry.name);
            return Err(Refusal::new(Code::BadRequest, say).hint(format!(
                "name an entry that holds none, or first: keyfob token remove {}",
                entry.name.name
            )));
        }
        Ok(Some(entry.clone()))
    }

    /// Gives the new value to the entry that is to keep it, or leaves it in the answer.
    async fn hand_over(
        self: &Arc<Self>,
        footing: &Footing,
        into: Option<Arc<Entry>>,
        mut issued: Issued,
    ) -> Issued {
        let (Some(entry), Some(value)) = (into, issued.value.clone()) else { return issued };
        match self.keep_issued(footing, &entry, value, &issued.token).await {
            Ok(()) => {
                issued.value = None;
                issued.say = format!("{}; `{}` keeps it", issued.say, entry.name);
                issued.kept_by = Some(entry.name.to_string());
            }
            Err(refusal) => {
                issued.say = format!(
                    "{}, but `{}` could not keep it ({}), so keep it now",
                    issued.say, entry.name, refusal.say
                );
            }
        }
        issued
    }

    async fn keep_issued(
        self: &Arc<Self>,
        footing: &Footing,
        entry: &Arc<Entry>,
        value: Secret<String>,
        token: &IssuedToken,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut holding = entry.source.accept_value(&entry.name, value, &footing.config, now)?;
        holding.facts.learn(told(token), now);
        self.inherit_destination(footing, entry, &mut holding).await;
        let ends = entry.source.end(&holding.facts).0;
        footing.holdings.put(&entry.name, holding).await?;
        self.drop_bought_with(&entry.name);
        self.states.held(&entry.name, ends);
        Ok(())
    }
}

/// A service, and the token to ask it with.
struct Desk<'a> {
    service: &'a dyn Administration,
    api: Api,
    value: Secret<String>,
    entry: EntryName,
}

impl Desk<'_> {
    async fn list(&self, owner: Option<&str>) -> Result<Vec<IssuedToken>, Refusal> {
        let owner = owner.map(plain).transpose()?;
        self.service.list(&self.api, &self.value, owner).await.map_err(|error| self.refuse(&error))
    }

    fn refuse(&self, error: &ServiceError) -> Refusal {
        match error {
            ServiceError::Refused { status: 403, .. } => {
                let say = format!("the token of `{}` is not an administrator's", self.entry);
                Refusal::new(Code::ServiceRefused, say)
                    .hint("name the entry with an administrator's token: --with ENTRY")
            }
            ServiceError::Refused { status: 404, .. } => {
                Refusal::new(Code::ServiceRefused, "the token service knows no such token")
                    .hint(format!("keyfob admin tokens list --with {}", self.entry.name))
            }
            // The request itself is refused, and its own words say why.
            ServiceError::Refused { .. } => Refusal::new(Code::ServiceRefused, error.to_string()),
            // Whether something was done is seen in the list; a lost value is given anew by another rotation.
            ServiceError::Unsure(say) => {
                let say = format!("{say}; whether it was done is not known");
                Refusal::new(Code::Offline, say)
                    .hint(format!("keyfob admin tokens list --with {}", self.entry.name))
            }
            error => error.refusal(&self.entry),
        }
    }
}

/// The entry that a person means: named, or the only one whose service can be administered.
fn administrator(config: &Config, name: Option<&str>) -> Result<Arc<Entry>, Refusal> {
    if let Some(name) = name {
        return config.find(name, Ask::Value).cloned();
    }
    let can = |entry: &&Arc<Entry>| {
        entry.source.as_token().is_some_and(|token| token.service.administration().is_some())
    };
    let mut fitting = config.entries.iter().filter(can);
    match (fitting.next(), fitting.next()) {
        (Some(entry), None) => Ok(entry.clone()),
        (None, _) => {
            Err(Refusal::new(Code::UnknownEntry, "no entry has a token service that can be administered")
                .hint("set service = \"keyfob\" and its `api` in a [token.NAME] of the configuration"))
        }
        (Some(first), Some(second)) => {
            let say = format!(
                "several entries could be meant: `{}`, `{}` and maybe others",
                first.name, second.name
            );
            Err(Refusal::new(Code::AmbiguousEntry, say).hint("name one: --with ENTRY"))
        }
    }
}

fn no_administration(name: &EntryName) -> Refusal {
    Refusal::new(Code::ServiceRefused, format!("the service of `{name}` cannot be administered from here"))
        .hint("name an entry whose service is \"keyfob\": --with ENTRY")
}

/// Text that goes into an address.
fn plain(text: &str) -> Result<&str, Refusal> {
    let fits = (1..=LONGEST).contains(&text.len())
        && !text.chars().any(char::is_control)
        && !matches!(text, "." | "..");
    if fits { Ok(text) } else { Err(Refusal::new(Code::BadRequest, "this is no id or owner of a token")) }
}

/// What the list says of a token, as an introspection by its own value would.
fn told(token: &IssuedToken) -> Introspection {
    let moment = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    let clusters = token.permissions.iter().map(|one| (one.cluster.clone(), one.rights));
    Introspection {
        id: Some(token.id.clone()).filter(|id| !id.is_empty()),
        owner: Some(token.owner.clone()).filter(|owner| !owner.is_empty()),
        machine: Some(token.machine),
        created: moment(&token.created_at),
        ends: moment(&token.expires_at),
        scopes: None,
        clusters: Some(clusters.collect()),
        cluster_cache: None,
        by: Some(Teller::TokenService),
    }
}
