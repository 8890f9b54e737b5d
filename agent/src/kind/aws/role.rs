//! A role, assumed with what the entry behind it proves: an ID token, or keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{AwsCredentials, ToldFact};
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};

use super::arn::{RoleArn, RolePattern};
use super::{KIND, USUAL, said};
use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Entry, EntryName, Host};
use crate::console::ConsoleRole;
use crate::footing::Footing;
use crate::holding::Facts;
use crate::keychain::Pending;
use crate::kind::{Proof, Source, wrong_kind};
use crate::lease::{About, AwsKeys, Body, Lease};
use crate::policy::Permit;
use crate::renew::Need;
use crate::upstream::sts::{self, At, By, RoleAsk, StsError};

/// The longest session of a role that is assumed with the keys of a role (IAM user guide, "role chaining").
pub const LONGEST_CHAINED: Duration = Duration::from_secs(3600);

/// Longest hint that reaches a person whole ([`escape`] cuts others).
const SHOWN: usize = 300;

/// A role as configured, or one that a caller has named behind such a one.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) behind: EntryName,
    pub(super) role_arn: String,
    /// `None` until that of the entry behind it is known.
    pub(super) region: Option<String>,
    pub(super) duration: Duration,
    pub(super) session_name: Option<String>,
    pub(super) session_tags: BTreeMap<String, String>,
    pub(super) external_id: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) may_assume: Vec<RolePattern>,
    pub(super) endpoint: Option<String>,
    /// Another federation endpoint for the console than the partition's own.
    pub(super) signin: Option<String>,
    pub(super) use_fips: bool,
}

impl Source for Role {
    fn through(&self) -> Option<&EntryName> {
        Some(&self.behind)
    }

    fn gives_aws_credentials(&self) -> bool {
        true
    }

    fn sends_identity_to(&self) -> Vec<&str> {
        self.endpoint.iter().chain(&self.signin).map(String::as_str).collect()
    }

    fn sign_in(&self, _name: &EntryName) -> Option<String> {
        None
    }

    fn complete(&self, behind: &[&Entry]) -> Result<Option<Box<dyn Source>>, String> {
        let inherited = || behind.iter().find_map(|entry| entry.source.facts().remove("region"));
        let region = match (&self.region, behind) {
            (Some(region), _) => region.clone(),
            // That there is no such entry has been said.
            (None, []) => return Ok(None),
            (None, _) => {
                inherited().ok_or_else(|| format!("`region` is missing, and `{}` has none", self.behind))?
            }
        };
        self.check_partition(&region)?;
        self.check_places(behind)?;
        Ok(Some(Box::new(Self { region: Some(region), ..self.clone() })))
    }

    fn derive(&self, name: &EntryName, role_arn: &str) -> Option<Box<dyn Source>> {
        let is_allowed = self.may_assume.iter().any(|pattern| pattern.matches(role_arn));
        is_allowed.then(|| -> Box<dyn Source> {
            Box::new(Self {
                behind: name.clone(),
                role_arn: role_arn.to_owned(),
                region: self.region.clone(),
                duration: USUAL,
                session_name: self.session_name.clone(),
                session_tags: BTreeMap::new(),
                external_id: None,
                policy_arns: Vec::new(),
                may_assume: Vec::new(),
                endpoint: self.endpoint.clone(),
                signin: self.signin.clone(),
                use_fips: self.use_fips,
            })
        })
    }

    fn no_role(&self, name: &EntryName, role_arn: &str) -> Refusal {
        no_such_role(name, role_arn, &self.may_assume)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let asked = self.duration.as_secs().to_string();
        let mut facts = BTreeMap::from([
            ("role_arn".to_owned(), self.role_arn.clone()),
            ("duration".to_owned(), self.longest().as_secs().to_string()),
        ]);
        facts.extend(self.region.clone().map(|region| ("region".to_owned(), region)));
        if self.longest() < self.duration {
            facts.insert("duration_capped".to_owned(), asked);
        }
        if !self.may_assume.is_empty() {
            facts.insert("may_assume".to_owned(), self.patterns().join(", "));
        }
        if self.use_fips {
            facts.insert("use_fips".to_owned(), "true".to_owned());
        }
        facts
    }

    fn told(&self, agent: &Agent, entry: &Entry, held: &Facts) -> Vec<ToldFact> {
        said::told(self, agent, entry, held)
    }

    fn aws_credentials<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _permit: &'a Permit,
    ) -> Pending<'a, Result<AwsCredentials, Refusal>> {
        Box::pin(async move {
            let lease = agent.lease(entry, Need::Tool).await?;
            answer(entry, &lease, self.account())
        })
    }

    fn console(&self) -> Option<ConsoleRole<'_>> {
        let (region, endpoint) = (self.region.as_deref()?, self.signin.as_deref());
        let partition = RoleArn::parse(&self.role_arn)?.partition;
        Some(ConsoleRole { partition, region, endpoint })
    }

    fn iam_endpoint<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        iam_endpoint(self.endpoint.as_deref(), own)
    }

    fn proof<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        _footing: &'a Footing,
        need: Need,
    ) -> Pending<'a, Result<Proof, Refusal>> {
        Box::pin(async move { agent.lease(entry, need).await.map(Proof::Keys) })
    }

    fn renew<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        entry: &'a Arc<Entry>,
        footing: &'a Footing,
    ) -> Pending<'a, Result<Lease, Refusal>> {
        Box::pin(async move {
            // An ID token counts at the moment of the request alone. Keys are renewed first where their own end is near: what
            // is assumed with them would otherwise be renewed with keys that have ended.
            let is_identity = self.behind.kind == crate::kind::sso::KIND.name;
            let first = if is_identity { Need::Renewal } else { Need::Chain };
            match self.assume(agent, entry, footing, first).await {
                Ok(lease) => Ok(lease),
                // Our clock and AWS' differ, or it aged on the way: a new one, one more try.
                Err(StsError::Expired) => match self.assume(agent, entry, footing, Need::New).await {
                    Ok(lease) => Ok(lease),
                    Err(StsError::Refused(refusal)) => Err(refusal),
                    Err(StsError::Expired) => {
                        let what = if is_identity { "a new ID token" } else { "new keys" };
                        let say = format!("AWS takes {what} for expired (`{}`)", entry.name);
                        Err(Refusal::new(Code::RoleRefused, say).hint("set this machine's clock"))
                    }
                },
                Err(StsError::Refused(refusal)) => Err(refusal),
            }
        })
    }
}

/// Why a caller may not name a role behind an entry, with the line that would allow it.
pub(super) fn no_such_role(name: &EntryName, role_arn: &str, may_assume: &[RolePattern]) -> Refusal {
    let shown = escape(role_arn);
    let say = format!("no entry that is obtained through `{name}` has the role `{shown}`");
    // What stands there already must stay, so that the line can be put in its place.
    let before: String = may_assume.iter().map(|pattern| format!("\"{pattern}\", ")).collect();
    let line = format!("put under [{name}] of the configuration: may_assume = [{before}\"{shown}\"]");
    // What is longer is cut on its way to a person, and half a line is none.
    let is_whole = line.len() <= SHOWN;
    let short = || format!("add to `may_assume` under [{name}] of the configuration: \"{shown}\"");
    Refusal::new(Code::NotAllowed, say).hint(if is_whole { line } else { short() })
}

/// Where IAM may be asked with keys that were got at `endpoint`: `own` is that of its partition.
pub(super) fn iam_endpoint<'a>(endpoint: Option<&'a str>, own: &'a str) -> Option<&'a str> {
    let Some(endpoint) = endpoint else { return Some(own) };
    let address = url::Url::parse(endpoint).ok()?;
    let host = Host::parse(address.host_str()?).ok()?;
    if host.is_loopback() {
        // A stand-in on this machine is all of AWS.
        return Some(endpoint.trim_end_matches('/'));
    }
    // Anybody else is asked for sessions alone, and AWS is not shown keys that are not its own.
    let domains = [".amazonaws.com", ".amazonaws.com.cn"];
    domains.iter().any(|domain| host.as_str().ends_with(domain)).then_some(own)
}

/// Keys of a lease in the form that AWS' tools read.
pub(super) fn answer(entry: &Entry, lease: &Lease, account: Option<&str>) -> Result<AwsCredentials, Refusal> {
    let Body::Aws(keys) = &lease.body else {
        return Err(wrong_kind(&entry.name, "AWS credentials"));
    };
    Ok(AwsCredentials {
        version: 1,
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        session_token: keys.session_token.clone(),
        expiration: (!lease.about.is_endless).then(|| rfc3339(lease.until)),
        account_id: account.map(str::to_owned),
    })
}

impl Role {
    pub(super) fn account(&self) -> Option<&str> {
        RoleArn::parse(&self.role_arn).map(|role| role.account)
    }

    /// What callers may name beside the role itself.
    pub(super) fn patterns(&self) -> Vec<String> {
        self.may_assume.iter().map(ToString::to_string).collect()
    }

    pub(super) fn is_chained(&self) -> bool {
        self.behind.kind == KIND.name
    }

    /// The session that is asked for, as far as it is known before the keys are.
    pub(super) fn longest(&self) -> Duration {
        if self.is_chained() { self.duration.min(LONGEST_CHAINED) } else { self.duration }
    }

    async fn assume(
        &self,
        agent: &Arc<Agent>,
        entry: &Entry,
        footing: &Footing,
        need: Need,
    ) -> Result<Lease, StsError> {
        let base = footing.config.entry(&self.behind).ok_or_else(|| {
            StsError::Refused(Refusal::new(
                Code::UnknownEntry,
                format!("there is no entry `{}` any more", self.behind),
            ))
        })?;
        let behind = |refusal| StsError::Refused(self.behind_of(entry, refusal));
        self.check_destination(agent, entry, footing).await.map_err(behind)?;
        let proof = base.source.proof(agent, &base, footing, need).await.map_err(behind)?;
        let of = self.behind.to_string();
        let look = format!("keyfob permissions {}", self.behind.without_role());
        let (by, session_name, duration, mut about) = match &proof {
            Proof::Token(identity) => {
                if self.external_id.is_some() || !self.session_tags.is_empty() {
                    return Err(StsError::Refused(self.not_for_tokens(entry)));
                }
                let session_tags = said::tags_of(identity.token.expose());
                let about = About { session_tags, ..About::default() };
                (By::Identity(&identity.token), identity.session_name.clone(), self.duration, about)
            }
            Proof::Keys(lease) => {
                let Body::Aws(keys) = &lease.body else {
                    return Err(StsError::Refused(wrong_kind(&self.behind, "keys")));
                };
                // Keys with a session token are a role's.
                let is_chain = self.is_chained() || keys.session_token.is_some();
                let duration = if is_chain { self.duration.min(LONGEST_CHAINED) } else { self.duration };
                let tags = &self.session_tags;
                let external_id = self.external_id.as_deref();
                let by = By::Keys { keys, of: &of, look: &look, external_id, tags };
                (by, session_of(keys), duration, About::default())
            }
        };
        // Keys that somebody else chose the region of are used there.
        let chosen = match &proof {
            Proof::Keys(lease) => lease.about.chosen.as_ref().map(|chosen| chosen.region.as_str()),
            Proof::Token(_) => None,
        };
        about.capped = (duration < self.duration).then_some(self.duration);
        let ask = RoleAsk {
            at: At {
                region: self.region.as_deref().or(chosen).unwrap_or_default(),
                endpoint: self.endpoint.as_deref(),
                use_fips: self.use_fips,
            },
            role_arn: &self.role_arn,
            session_name: self.session_name.as_deref().unwrap_or(&session_name),
            duration,
            policy_arns: &self.policy_arns,
            by,
            now: agent.clock.now(),
        };
        let http = agent.http(footing).map_err(StsError::Refused)?;
        let (keys, until) = sts::assume_role(&http, &ask).await?;
        let now = agent.clock.now();
        if until <= now {
            let say =
                format!("AWS gave keys for `{}` that have ended by this machine's clock", self.role_arn);
            let refusal = Refusal::new(Code::RoleRefused, say).hint("set this machine's clock");
            return Err(StsError::Refused(refusal));
        }
        Ok(Lease::aws(keys, now, until, duration).with(about))
    }

    /// Keys that are in memory go, as a session token, to the endpoint of each role that they are used for: whether what they were
    /// bought with may go there is asked here too, and not only when they are bought.
    async fn check_destination(
        &self,
        agent: &Agent,
        entry: &Entry,
        footing: &Footing,
    ) -> Result<(), Refusal> {
        let root = Agent::root_of(&footing.config, entry)?;
        match footing.config.entry(&root) {
            Some(root) if self.behind != root.name && root.source.holds() => {
                agent.usable_holding(footing, &root).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// A refusal from behind this role names the hop; one of a session names the session itself.
    fn behind_of(&self, entry: &Entry, refusal: Refusal) -> Refusal {
        if self.behind.kind == crate::kind::sso::KIND.name {
            return refusal;
        }
        let say = format!("`{}` is obtained with `{}`: {}", entry.name, self.behind, refusal.say);
        Refusal { say, ..refusal }
    }

    /// What the machine turned out to prove itself with takes no such parameters.
    fn not_for_tokens(&self, entry: &Entry) -> Refusal {
        let say =
            format!("`{}` proves itself with an ID token: {}", self.behind, said::TAGS_OF_WEB_IDENTITIES);
        Refusal::new(Code::ConfigBroken, say)
            .hint(format!("take `session_tags` and `external_id` out of [{}]", entry.name))
    }
}

/// The name of the session that keys are of, so that the person is the same along a chain.
pub(super) fn session_of(keys: &AwsKeys) -> String {
    let name = keys.assumed.as_deref().and_then(|arn| arn.split_once(":assumed-role/")?.1.rsplit_once('/'));
    name.map_or_else(|| "keyfob".to_owned(), |(_, name)| super::session_name(name))
}
