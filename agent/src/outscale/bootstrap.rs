//! Making the user that an entry makes keys for, with an administrator's key that is kept nowhere.
//!
//! The actions of EIM policies are named after the API: `api:CreateAccessKey` and so on (the list of the EIM policy generator,
//! <https://docs.outscale.com/en/userguide/EIM-Policy-Generator.html>, which also says that policies know no resources: they
//! count for the whole account). So a user that may make keys for itself may make them for others, too, and the plan says so.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::BootstrapStep;
use keyfob_ipc::{Code, Refusal, Secret};

use super::given::{NOT_ACCEPTED, read_pair};
use super::kit::Pair;
use super::{At, Held, policy};
use crate::agent::Agent;
use crate::clock::{after, rfc3339};
use crate::config::{Ask, Entry};
use crate::footing::Footing;
use crate::kind::{Outscale, is_name};
use crate::upstream::iam::{Iam, IamError, read_policy};
use crate::upstream::outscale::{Listed, OutscaleError};
use crate::upstream::signed::SigningKeys;

/// The key that makes keys ends after a year, so that a machine that was forgotten is not good for ever.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Agent {
    /// Plans the user of an entry, or makes it as planned. What is there already stays.
    ///
    /// # Errors
    /// The refusal; what was done until then is there, and a second run goes on from it.
    pub async fn outscale_bootstrap(
        self: &Arc<Self>,
        name: &str,
        actions: &[String],
        key: (&str, &Secret<String>),
        accepted: Option<&[BootstrapStep]>,
    ) -> Result<Vec<BootstrapStep>, Refusal> {
        let footing = self.footing()?;
        let entry = footing.config.find(name, Ask::Keys)?.clone();
        let Some(source) = entry.source.as_outscale() else {
            let say = format!("`{}` is no entry of OUTSCALE", entry.name);
            return Err(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"));
        };
        let actions = policy::read_actions(actions)?;
        let again = policy::command(&entry.name, &actions);
        let pasted = Secret::new(format!("{}\n{}", key.0, key.1.expose()));
        let administrator = read_pair(&pasted, &entry.name)
            .map_err(|refusal| refusal.hint(format!("copy both halves again, then {again}")))?;
        // Whoever types an administrator's key means the addresses that the person has confirmed, too.
        if let Some(held) = footing.holdings.get(&entry.name).await? {
            let now = entry.source.destination(&entry.name, &footing.config);
            let widened = held.destination.widened_by(&now);
            if !widened.is_empty() {
                return Err(crate::agent::destination_changed(&entry.name, &widened));
            }
        }
        let work = Work::new(self, &footing, &entry, source, &administrator, actions)?;
        let plan = work.plan().await?;
        let steps: Vec<BootstrapStep> = plan.iter().map(|planned| planned.step.clone()).collect();
        let Some(accepted) = accepted else { return Ok(steps) };
        if accepted != steps {
            let say = "what there is to do has changed since it was shown";
            return Err(Refusal::new(Code::Pending, say).hint(again));
        }
        footing.holdings.prove().await?;
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        let mut done = Vec::with_capacity(plan.len());
        for Planned { step, then } in plan {
            if !step.is_done {
                work.take(&step).await?;
            }
            done.push(BootstrapStep { say: then, is_done: true, is_new: !step.is_done, ..step });
        }
        Ok(done)
    }
}

/// A step, and what is said of it once it is done.
struct Planned {
    step: BootstrapStep,
    then: String,
}

struct Work<'a> {
    at: At<'a>,
    entry: &'a Arc<Entry>,
    iam: Iam,
    administrator: &'a Pair,
    actions: Vec<String>,
    /// Of the group and the policy.
    called: String,
}

impl<'a> Work<'a> {
    fn new(
        agent: &'a Arc<Agent>,
        footing: &'a Footing,
        entry: &'a Arc<Entry>,
        source: &'a Outscale,
        administrator: &'a Pair,
        actions: Vec<String>,
    ) -> Result<Self, Refusal> {
        let called = format!("keyfob-{}", entry.name.name);
        if !is_name(&called) {
            let say = format!("EIM takes no group of the name `{called}`");
            return Err(Refusal::new(Code::BadRequest, say).hint("give the entry a shorter name"));
        }
        let at = At::new(agent, footing, entry, source)?;
        let iam = Iam {
            http: at.api.http.clone(),
            clock: agent.clock.clone(),
            base: source.eim_base(),
            region: source.region.clone(),
            service: "eim",
        };
        Ok(Self { at, entry, iam, administrator, actions, called })
    }

    fn by(&self) -> SigningKeys<'_> {
        self.administrator.keys()
    }

    /// Every step, and whether it is so already.
    async fn plan(&self) -> Result<Vec<Planned>, Refusal> {
        let (called, user) = (self.called.as_str(), self.at.source.user.as_str());
        let document = policy::document(&self.actions);
        let group = self.exists("GetGroup", &[("GroupName", called)]).await?;
        let arn = self.policy_arn().await?;
        let same = match &arn {
            Some(arn) => {
                let there = self.iam.managed(&self.by(), arn).await;
                let there = there.map_err(|error| self.refuse(&error))?;
                read_policy(&there) == read_policy(&document)
            }
            None => false,
        };
        let attached = match &arn {
            Some(arn) if group => {
                let named = [("GroupName", called)];
                let field = Some("PolicyArn");
                self.list("ListAttachedGroupPolicies", &named, "AttachedPolicies", field).await?.contains(arn)
            }
            _ => false,
        };
        let has_user = self.exists("GetUser", &[("UserName", user)]).await?;
        let groups = if has_user {
            let named = [("UserName", user)];
            self.list("ListGroupsForUser", &named, "Groups", Some("GroupName")).await?
        } else {
            Vec::new()
        };
        let is_member = groups.iter().any(|group| group == called);
        let beyond = if has_user { self.beyond(&groups).await? } else { String::new() };
        let step = |what: &str, to_do: String, then: String, is_done: bool| Planned {
            step: BootstrapStep {
                what: what.to_owned(),
                say: if is_done { then.clone() } else { to_do },
                document: None,
                is_done,
                is_new: false,
            },
            then,
        };
        let it =
            format!("the policy {called}, which allows {} and, {}", self.actions.join(", "), policy::OWN);
        let write = match arn {
            Some(_) => format!("write, in the place of what it allows now, {it}"),
            None => format!("create {it}"),
        };
        let mut written = step("policy", write, it, same);
        written.step.document = Some(document);
        let mut plan = vec![
            step("group", format!("create the group {called}"), format!("the group {called}"), group),
            written,
            step(
                "attach",
                format!("attach the policy {called} to the group {called}"),
                format!("the policy {called} at the group {called}"),
                attached,
            ),
            step("user", format!("create the user {user}"), format!("the user {user}{beyond}"), has_user),
            step(
                "membership",
                format!("put the user {user} into the group {called}"),
                format!("the user {user} in the group {called}"),
                is_member,
            ),
        ];
        plan.extend(self.plan_keys(has_user, step).await?);
        Ok(plan)
    }

    /// The steps about keys.
    async fn plan_keys(
        &self,
        has_user: bool,
        step: impl Fn(&str, String, String, bool) -> Planned,
    ) -> Result<Vec<Planned>, Refusal> {
        let (name, user) = (&self.entry.name, self.at.source.user.as_str());
        let keys = if has_user { self.keys().await? } else { Vec::new() };
        let held = self.held_id().await?;
        let key = keys.iter().find(|key| Some(&key.id) == held.as_ref() && self.is_good(key));
        let left = self.left_over(&keys, held.as_ref().filter(|_| key.is_some()));
        let mut plan = Vec::new();
        if !left.is_empty() {
            let left_here = left.join(", ");
            let to_do =
                format!("delete what earlier runs have left, which this machine has no use for: {left_here}");
            let then = format!("what earlier runs had left is deleted: {left_here}");
            plan.push(step("left", to_do, then, false));
        }
        plan.push(match key {
            Some(key) => {
                let ends = key.ends.map_or_else(
                    || "has no end".to_owned(),
                    |ends| format!("ends on {}", &rfc3339(ends)[..10]),
                );
                let then = format!("the access key {} of {user}, which {ends}, kept for {name}", key.id);
                step("key", String::new(), then, true)
            }
            None => {
                let ends = shown(self.life().await);
                let before = held.filter(|held| !left.contains(held)).map_or_else(String::new, |id| {
                    format!("; the key {id}, which is held until then, stays as it is at OUTSCALE")
                });
                let to_do = format!(
                    "make an access key for {user}, which ends after {ends}, and keep it for {name}{before}"
                );
                let then = format!("an access key of {user}, which ends after {ends}, kept for {name}");
                step("key", to_do, then, false)
            }
        });
        Ok(plan)
    }

    /// What gives a user that is there already more rights than this recipe does.
    async fn beyond(&self, groups: &[String]) -> Result<String, Refusal> {
        let named = [("UserName", self.at.source.user.as_str())];
        let others: Vec<&str> =
            groups.iter().filter(|group| **group != self.called).map(String::as_str).collect();
        let field = Some("PolicyArn");
        let attached = self.list("ListAttachedUserPolicies", &named, "AttachedPolicies", field).await?;
        let own = self.list("ListUserPolicies", &named, "PolicyNames", None).await?;
        let more = match (others.as_slice(), attached.len() + own.len()) {
            ([], 0) => return Ok(String::new()),
            ([], _) => "policies of its own".to_owned(),
            (others, 0) => format!("other groups ({})", others.join(", ")),
            (others, _) => format!("policies of its own and other groups ({})", others.join(", ")),
        };
        Ok(format!(", which has {more}: its rights are not only these"))
    }

    async fn take(&self, step: &BootstrapStep) -> Result<(), Refusal> {
        let (called, user) = (self.called.as_str(), self.at.source.user.as_str());
        match step.what.as_str() {
            "group" => self.act("CreateGroup", &[("GroupName", called)]).await,
            "policy" => {
                let document = policy::document(&self.actions);
                match self.policy_arn().await? {
                    Some(arn) => {
                        let asked = [
                            ("PolicyArn", arn.as_str()),
                            ("PolicyDocument", document.as_str()),
                            ("SetAsDefault", "true"),
                        ];
                        self.act("CreatePolicyVersion", &asked).await
                    }
                    None => {
                        let asked = [("PolicyName", called), ("PolicyDocument", document.as_str())];
                        self.act("CreatePolicy", &asked).await
                    }
                }
            }
            "attach" => {
                let Some(arn) = self.policy_arn().await? else {
                    return Err(self.refuse(&IamError::NotThere));
                };
                self.act("AttachGroupPolicy", &[("GroupName", called), ("PolicyArn", &arn)]).await
            }
            "user" => self.act("CreateUser", &[("UserName", user)]).await,
            "membership" => self.act("AddUserToGroup", &[("GroupName", called), ("UserName", user)]).await,
            "left" => self.remove_left(&step.say).await,
            _ => self.make_key().await,
        }
    }

    async fn make_key(&self) -> Result<(), Refusal> {
        let by = self.by();
        let refuse = |error: &OutscaleError| match error {
            OutscaleError::BadKey => self.refuse(&IamError::BadKey),
            error => self.at.failure(error).refusal,
        };
        let life = self.life().await;
        let now = self.at.now();
        let created = self.at.api.create(&by, &self.tag(), after(now, life)).await;
        let created = created.map_err(|error| refuse(&error))?;
        let (id, ends) = (created.id.clone(), after(now, life));
        let pair = Pair { id: created.id, secret: created.secret };
        let kept = self.keep(pair).await;
        if kept.is_err() {
            // Nobody has its secret any more.
            let _ = self.at.remove(self.administrator, &self.at.source.user, &id, ends).await;
        }
        kept
    }

    /// How long the key lives that is made: a year, or as long as the account allows.
    async fn life(&self) -> Duration {
        let longest = self.at.api.longest_life(&self.by()).await.ok().flatten();
        longest.map_or(YEAR, |longest| longest.min(YEAR).saturating_sub(Duration::from_secs(60)))
    }

    /// A new key is not known everywhere at once.
    async fn keep(&self, pair: Pair) -> Result<(), Refusal> {
        let mut pauses = [200, 500, 1000, 2000, 2000].iter();
        loop {
            let kept = self.at.agent.keep_bootstrap(self.at.footing, self.entry, pair.clone()).await;
            match (kept, pauses.next()) {
                (Ok(_), _) => return Ok(()),
                (Err(refusal), Some(pause)) if refusal.code == Code::TokenInvalid => {
                    drop(refusal);
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                }
                (Err(refusal), _) if refusal.code == Code::TokenInvalid => {
                    return Err(refusal.hint(self.again()));
                }
                (Err(refusal), _) => return Err(refusal),
            }
        }
    }

    /// What marks the keys that are made here.
    fn tag(&self) -> String {
        format!("keyfob-bootstrap:{}:{}", self.at.agent.outscales.host, self.entry.name)
    }

    /// The id of the key that makes keys now.
    async fn held_id(&self) -> Result<Option<String>, Refusal> {
        let held = self.at.footing.holdings.get(&self.entry.name).await?;
        Ok(held.and_then(|held| Some(Held::of(&held, &self.entry.name).ok()?.kit.bootstrap.id)))
    }

    /// The user's keys.
    async fn keys(&self) -> Result<Vec<Listed>, Refusal> {
        self.at.api.read(&self.by()).await.map_err(|error| match error {
            OutscaleError::BadKey => self.refuse(&IamError::BadKey),
            error => self.at.failure(&error).refusal,
        })
    }

    fn is_good(&self, key: &Listed) -> bool {
        !key.is_off && key.ends.is_none_or(|ends| ends > self.at.now())
    }

    /// Ids of keys that were made here and do not count here: a run broke before it could keep one, or it has ended.
    fn left_over(&self, keys: &[Listed], held: Option<&String>) -> Vec<String> {
        let tag = self.tag();
        let ours = keys.iter().filter(|key| key.tag.as_ref() == Some(&tag) && Some(&key.id) != held);
        ours.map(|key| key.id.clone()).collect()
    }

    /// Removes what was shown, and nothing that has come since.
    async fn remove_left(&self, shown: &str) -> Result<(), Refusal> {
        let (tag, user) = (self.tag(), self.at.source.user.as_str());
        let keys = self.keys().await?;
        for key in keys.iter().filter(|key| key.tag.as_ref() == Some(&tag) && shown.contains(&key.id)) {
            let ends = key.ends.unwrap_or_else(|| after(self.at.now(), YEAR));
            let removed = self.at.remove(self.administrator, user, &key.id, ends).await;
            removed.map_err(|failure| failure.refusal)?;
        }
        Ok(())
    }

    async fn policy_arn(&self) -> Result<Option<String>, Refusal> {
        let all = self.list("ListPolicies", &[("Scope", "Local")], "Policies", Some("Arn")).await?;
        Ok(all.into_iter().find(|arn| arn.rsplit('/').next() == Some(&self.called)))
    }

    async fn list(
        &self,
        action: &str,
        named: &[(&str, &str)],
        list: &str,
        field: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        self.iam.list(&self.by(), action, named, list, field).await.map_err(|error| self.refuse(&error))
    }

    async fn exists(&self, action: &str, named: &[(&str, &str)]) -> Result<bool, Refusal> {
        match self.iam.call(&self.by(), action, named).await {
            Ok(_) => Ok(true),
            Err(IamError::NotThere) => Ok(false),
            Err(error) => Err(self.refuse(&error)),
        }
    }

    async fn act(&self, action: &str, named: &[(&str, &str)]) -> Result<(), Refusal> {
        match self.iam.call(&self.by(), action, named).await {
            // Somebody was faster, or the answer of an earlier run was lost.
            Ok(_) | Err(IamError::Exists) => Ok(()),
            Err(error) => Err(self.refuse(&error)),
        }
    }

    fn again(&self) -> String {
        policy::command(&self.entry.name, &self.actions)
    }

    fn refuse(&self, error: &IamError) -> Refusal {
        let again = self.again();
        match error {
            IamError::Network(error) => error.refusal(),
            IamError::BadKey => {
                let say = format!("OUTSCALE does not accept the administrator's access key: {NOT_ACCEPTED}");
                Refusal::new(Code::TokenInvalid, say).hint(again)
            }
            IamError::Denied => {
                let say = "OUTSCALE does not let this administrator manage users and policies";
                Refusal::new(Code::ServiceRefused, say).hint("use the key of somebody who may")
            }
            error => {
                let say = format!("the user of `{}` cannot be made: {error}", self.entry.name);
                Refusal::new(Code::ServiceRefused, say).hint(again)
            }
        }
    }
}

/// `365 days`, `12 hours`.
fn shown(life: Duration) -> String {
    let hours = (life.as_secs() + 1800) / 3600;
    if hours >= 48 { format!("{} days", (hours + 12) / 24) } else { format!("{} hours", hours.max(1)) }
}
