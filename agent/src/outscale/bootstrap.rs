//! Making the user that an entry makes keys for, with an administrator's key that is kept nowhere.
//!
//! The actions of EIM policies are named after the API: `api:CreateAccessKey` and so on (the list of the EIM policy generator,
//! <https://docs.outscale.com/en/userguide/EIM-Policy-Generator.html>, which also says that policies know no resources: they
//! count for the whole account). So a user that may make keys for itself may make them for others, too, and the plan says so.

use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::BootstrapStep;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use serde_json::json;

use super::given::read_pair;
use super::kit::Pair;
use super::{At, Held};
use crate::agent::Agent;
use crate::clock::after;
use crate::config::{Ask, Entry};
use crate::footing::Footing;
use crate::kind::{Outscale, is_name};
use crate::upstream::iam::{Iam, IamError, read_policy};
use crate::upstream::outscale::OutscaleError;
use crate::upstream::signed::SigningKeys;

/// What a user needs to renew its own keys.
const RENEWAL: &[&str] =
    &["api:CreateAccessKey", "api:ReadAccessKeys", "api:UpdateAccessKey", "api:DeleteAccessKey"];
/// Most actions that are taken, and the longest.
const ACTIONS: usize = 100;
const ACTION: usize = 128;
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
        let entry = footing.config.find(name, Ask::Value)?.clone();
        let Some(source) = entry.source.as_outscale() else {
            let say = format!("`{}` is no entry of OUTSCALE", entry.name);
            return Err(Refusal::new(Code::UnknownEntry, say).hint("keyfob status"));
        };
        let actions = read_actions(actions)?;
        let pasted = Secret::new(format!("{}\n{}", key.0, key.1.expose()));
        let administrator = read_pair(&pasted, &entry.name)?;
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
        let Some(accepted) = accepted else { return Ok(plan) };
        if accepted != plan {
            let say = "what there is to do has changed since it was shown";
            return Err(Refusal::new(Code::Pending, say)
                .hint(format!("keyfob outscale bootstrap {}", entry.name.name)));
        }
        footing.holdings.prove().await?;
        let _spending = self.begin_spending().ok_or_else(|| self.not_spending())?;
        let mut done = Vec::with_capacity(plan.len());
        for step in plan {
            if !step.is_done {
                work.take(&step).await?;
            }
            done.push(BootstrapStep { is_done: true, ..step });
        }
        Ok(done)
    }
}

/// `ec2:Describe*`: a service, a colon, and a name in which `*` stands for anything.
fn read_actions(actions: &[String]) -> Result<Vec<String>, Refusal> {
    let is_action = |action: &String| {
        action.len() <= ACTION
            && action.split_once(':').is_some_and(|(service, name)| {
                !service.is_empty()
                    && !name.is_empty()
                    && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*')
            })
    };
    let wrong =
        |say: String| Err(Refusal::new(Code::BadRequest, say).hint("keyfob outscale bootstrap --help"));
    if actions.is_empty() || actions.len() > ACTIONS {
        return wrong(format!("one to {ACTIONS} actions are to be named"));
    }
    match actions.iter().find(|action| !is_action(action)) {
        Some(action) => wrong(format!("`{}` is no action, such as ec2:Describe*", escape(action))),
        None => {
            let mut actions = actions.to_vec();
            actions.sort();
            actions.dedup();
            Ok(actions)
        }
    }
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

    fn document(&self) -> String {
        let allow = |actions: &[String]| json!({"Effect": "Allow", "Action": actions, "Resource": ["*"]});
        let renewal: Vec<String> = RENEWAL.iter().map(|&action| action.to_owned()).collect();
        json!({"Statement": [allow(&self.actions), allow(&renewal)]}).to_string()
    }

    /// Every step, and whether it is so already.
    async fn plan(&self) -> Result<Vec<BootstrapStep>, Refusal> {
        let (called, user) = (self.called.as_str(), self.at.source.user.as_str());
        let document = self.document();
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
        let is_member = has_user && {
            let named = [("UserName", user)];
            let groups = self.list("ListGroupsForUser", &named, "Groups", Some("GroupName")).await?;
            groups.iter().any(|group| group == called)
        };
        let key = has_user && self.holds_key().await?;
        let step = |what: &str, say: String, is_done: bool| BootstrapStep {
            what: what.to_owned(),
            say,
            document: None,
            is_done,
        };
        let may = self.actions.join(", ");
        let verb = if arn.is_some() { "write a new version of" } else { "create" };
        let policy = format!(
            "{verb} the policy {called}, which allows {may} and the four actions on access keys (of any user: EIM knows no narrower rule)"
        );
        Ok(vec![
            step("group", format!("create the group {called}"), group),
            BootstrapStep { document: Some(document), ..step("policy", policy, same) },
            step("attach", format!("attach the policy {called} to the group {called}"), attached),
            step("user", format!("create the user {user}"), has_user),
            step("membership", format!("put the user {user} into the group {called}"), is_member),
            step("key", format!("make an access key for {user} and keep it for {}", self.entry.name), key),
        ])
    }

    async fn take(&self, step: &BootstrapStep) -> Result<(), Refusal> {
        let (called, user) = (self.called.as_str(), self.at.source.user.as_str());
        match step.what.as_str() {
            "group" => self.act("CreateGroup", &[("GroupName", called)]).await,
            "policy" => {
                let document = self.document();
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
            _ => self.make_key().await,
        }
    }

    async fn make_key(&self) -> Result<(), Refusal> {
        let by = self.by();
        let refuse = |error: &OutscaleError| match error {
            OutscaleError::BadKey => self.refuse(&IamError::BadKey),
            error => self.at.failure(error).refusal,
        };
        let longest = self.at.api.longest_life(&by).await.ok().flatten();
        let life = longest.map_or(YEAR, |longest| longest.min(YEAR).saturating_sub(Duration::from_secs(60)));
        let now = self.at.now();
        let tag = format!("keyfob-bootstrap:{}:{}", self.at.agent.outscales.host, self.entry.name);
        let created =
            self.at.api.create(&by, &tag, after(now, life)).await.map_err(|error| refuse(&error))?;
        let (id, ends) = (created.id.clone(), after(now, life));
        let pair = Pair { id: created.id, secret: created.secret };
        let kept = self.keep(pair).await;
        if kept.is_err() {
            // Nobody has its secret any more.
            let _ = self.at.remove(self.administrator, &id, ends).await;
        }
        kept
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
                (Err(refusal), _) => return Err(refusal),
            }
        }
    }

    /// Whether the key that is held is one of the user's.
    async fn holds_key(&self) -> Result<bool, Refusal> {
        let Some(held) = self.at.footing.holdings.get(&self.entry.name).await? else { return Ok(false) };
        let Ok(Held { kit, .. }) = Held::of(&held, &self.entry.name) else { return Ok(false) };
        let keys = self.at.api.read(&self.by(), None).await;
        let keys = keys.map_err(|error| match error {
            OutscaleError::BadKey => self.refuse(&IamError::BadKey),
            error => self.at.failure(&error).refusal,
        })?;
        let now = self.at.now();
        Ok(keys.iter().any(|key| key.id == kit.bootstrap.id && key.ends.is_none_or(|ends| ends > now)))
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

    fn refuse(&self, error: &IamError) -> Refusal {
        let again = format!("keyfob outscale bootstrap {}", self.entry.name.name);
        match error {
            IamError::Network(error) => error.refusal(),
            IamError::BadKey => {
                let say = "OUTSCALE does not accept the administrator's access key";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_an_action_is_taken() {
        let read = |actions: &[&str]| {
            read_actions(&actions.iter().map(|&action| action.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            read(&["ec2:Describe*", "api:Read*", "api:Read*"]).unwrap(),
            ["api:Read*", "ec2:Describe*"]
        );
        for wrong in [&[][..], &["ec2"], &[":x"], &["ec2:"], &["ec2:a\"b"], &["EC2:x"], &["ec2:a b"]] {
            assert_eq!(read(wrong).unwrap_err().code, Code::BadRequest, "{wrong:?}");
        }
    }
}
